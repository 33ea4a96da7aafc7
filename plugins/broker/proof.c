/* SPDX-License-Identifier: Apache-2.0 */
#include "proof.h"

#include <openssl/crypto.h>
#include <stdlib.h>

struct proof *proof_new(struct edged_slice password)
{
	struct proof *proof = calloc(1, sizeof(*proof) + password.len);
	if (!proof)
		return NULL;
	proof->password_len = password.len;
	if (password.len)
		memcpy(proof->password, password.ptr, password.len);
	return proof;
}

void proof_free(struct proof *proof)
{
	if (!proof)
		return;
	jwt_unref(proof->jwt);
	OPENSSL_cleanse(proof, sizeof(*proof) + proof->password_len);
	free(proof);
}

/* The subject is who it is; a user name beside it must be the same. */
static bool run_token(struct proof *p, struct edged_slice token)
{
	char sub[JWT_SUB_MAX];
	size_t n;
	if (jwt_judge(p->jwt, token, p->now, sub, &n, &p->ends))
		return false;
	struct edged_slice name = edged_slice(sub, n);
	if (p->has_user && !edged_slice_eq(name, edged_slice(p->name, p->name_len)))
		return false;
	memcpy(p->name, sub, p->name_len = n);
	return user_name_valid(name);
}

void proof_run(void *arg)
{
	struct proof *p = arg;
	struct edged_slice password = edged_slice(p->password, p->password_len);
	if (p->jwt)
		p->fits = run_token(p, password);
	else if (*p->credential.hash)
		p->fits = password_fits(p->credential.hash, password) && p->known;
	else
		p->fits = verifier_fits(&p->credential.scram, password) && p->known;
}
