/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side of SCRAM-SHA-256 for tests, written from RFC 5802 and apart from scram.c. */
#ifndef BROKER_SCRAM_CLIENT_TEST_H
#define BROKER_SCRAM_CLIENT_TEST_H

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include "edged/slice.h"

struct scram_client {
	char first[200], challenge[600], last[1000], all[2000];
	uint8_t salted[32];
};

static inline const char *scram_client_first(struct scram_client *c, const char *user)
{
	snprintf(c->first, sizeof(c->first), "n,,n=%s,r=fyko+d2lbbFgONRv9qkxdawL", user);
	return c->first;
}

static inline void scram_client_challenge(struct scram_client *c, struct edged_slice text)
{
	snprintf(c->challenge, sizeof(c->challenge), "%.*s", EDGED_SLICE_FMT(text));
}

static inline const char *scram_client_last(struct scram_client *c, const char *password)
{
	char nonce[200], salt64[100];
	unsigned iterations = 0, n = 32;
	uint8_t salt[80], client_key[32], stored_key[32], signature[32], proof[32], proof64[64];
	if (sscanf(c->challenge, "r=%199[^,],s=%99[^,],i=%u", nonce, salt64, &iterations) != 3)
		return "";
	int salt_len = EVP_DecodeBlock(salt, (const uint8_t *)salt64, (int)strlen(salt64));
	for (size_t i = strlen(salt64); i && salt64[i - 1] == '='; i--)
		salt_len--;
	PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, salt_len, (int)iterations, EVP_sha256(), 32,
	        c->salted);
	HMAC(EVP_sha256(), c->salted, 32, (const uint8_t *)"Client Key", 10, client_key, &n);
	SHA256(client_key, 32, stored_key);
	snprintf(c->all, sizeof(c->all), "%s,%s,c=biws,r=%s", c->first + 3, c->challenge, nonce);
	HMAC(EVP_sha256(), stored_key, 32, (const uint8_t *)c->all, strlen(c->all), signature, &n);
	for (int i = 0; i < 32; i++)
		proof[i] = client_key[i] ^ signature[i];
	EVP_EncodeBlock(proof64, proof, 32);
	snprintf(c->last, sizeof(c->last), "c=biws,r=%s,p=%s", nonce, (char *)proof64);
	return c->last;
}

/* Does the server know the password, too? */
static inline bool scram_client_verify(const struct scram_client *c, struct edged_slice text)
{
	uint8_t server_key[32], signature[32], wanted[64] = "v=";
	unsigned n = 32;
	HMAC(EVP_sha256(), c->salted, 32, (const uint8_t *)"Server Key", 10, server_key, &n);
	HMAC(EVP_sha256(), server_key, 32, (const uint8_t *)c->all, strlen(c->all), signature, &n);
	EVP_EncodeBlock(wanted + 2, signature, 32);
	return edged_slice_is(text, (char *)wanted);
}

#endif
