#define JOIN_SIGN_PATH "/edge/v1/account/sign"
