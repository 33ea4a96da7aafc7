/* SPDX-License-Identifier: Apache-2.0 */
#include "keys.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include "rights.h"
#include "sigv4.h"

static void spell(const uint8_t *bytes, size_t n, const char *digits, uint8_t mask, char *ret)
{
	for (size_t i = 0; i < n; i++)
		ret[i] = digits[bytes[i] & mask];
	ret[n] = '\0';
}

int key_make(struct key_pair *ret)
{
	static const char prefix[] = "AKIA";
	uint8_t bytes[KEY_ID + KEY_SECRET];
	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return -EIO;
	memcpy(ret->id, prefix, 4);
	spell(bytes, KEY_ID - 4, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 31, ret->id + 4);
	spell(bytes + KEY_ID, KEY_SECRET, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
	        63, ret->secret);
	explicit_bzero(bytes, sizeof(bytes));
	return 0;
}

static enum edged_login_outcome refuse(const char *why, char ret[EDGED_SIGNER_MAX])
{
	snprintf(ret, EDGED_SIGNER_MAX, "%s", why);
	return EDGED_LOGIN_REFUSED;
}

enum edged_login_outcome keys_signer(
        const struct things *t, const struct edged_http_message *message, char ret[EDGED_SIGNER_MAX])
{
	struct sigv4 s;
	const char *why = NULL;
	int r = sigv4_read(message, &s, &why);
	if (r)
		return r == SIGV4_NONE ? EDGED_LOGIN_UNKNOWN : refuse(why, ret);
	const struct record *record = registry_find(t->registry, KIND_KEY, s.key_id);
	if (!record)
		return EDGED_LOGIN_UNKNOWN;
	json_t *doc = record_json(record);
	r = sigv4_verify(message, &s, edged_str(json_string_value(json_object_get(doc, "secret"))), &why);
	json_decref(doc);
	if (!r)
		r = sigv4_judge_time(&s, (int64_t)time(NULL), &why);
	if (r)
		return refuse(why, ret);
	char principal[PRINCIPAL_MAX];
	principal_write(KIND_KEY, edged_str(record->name), principal);
	snprintf(ret, EDGED_SIGNER_MAX, "%s", principal);
	return EDGED_LOGIN_KNOWN;
}
