/* SPDX-License-Identifier: Apache-2.0 */
/* SCRAM-SHA-256, with a client's side of our own that follows the RFC. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "scram.h"
#include "scram_client_test.h"

static const uint64_t key[2] = { 1, 2 };

static void passwords_are_told_apart(void **state)
{
	(void)state;
	struct verifier v, w;
	assert_int_equal(verifier_make(edged_str("pencil"), &v), 0);
	assert_int_equal(verifier_make(edged_str("pencil"), &w), 0);
	assert_memory_not_equal(&v.salt, &w.salt, sizeof(v.salt));
	assert_true(verifier_fits(&v, edged_str("pencil")));
	assert_false(verifier_fits(&v, edged_str("pencil ")));
	assert_false(verifier_fits(&v, edged_str("")));
	verifier_feign(key, edged_str("nobody"), &v);
	verifier_feign(key, edged_str("nobody"), &w);
	assert_memory_equal(&v, &w, sizeof(v));
	verifier_feign(key, edged_str("another"), &w);
	assert_memory_not_equal(v.salt, w.salt, sizeof(v.salt));
}

static void first_messages_are_judged(void **state)
{
	(void)state;
	static const struct {
		const char *text, *name;
	} rows[] = {
		{ "n,,n=user,r=abc", "user" },
		{ "y,,n=user,r=abc", "user" },
		{ "n,,n=a=2Cb=3Dc,r=abc", "a,b=c" },
		{ "n,,n=user,r=abc,ext=1", "user" },
		{ "p=tls-unique,,n=user,r=abc", NULL }, /* channel binding */
		{ "n,a=other,n=user,r=abc", NULL },     /* another identity */
		{ "n,,n=,r=abc", NULL },
		{ "n,,n=user,r=", NULL },
		{ "n,,n=user", NULL },
		{ "n,,r=abc,n=user", NULL },
		{ "n,,m=x,n=user,r=abc", NULL }, /* an extension that must be understood */
		{ "n,,n=a=2Xb,r=abc", NULL },
		{ "n,,n=a=,r=abc", NULL },
		{ "n,,n=\xff,r=abc", NULL },
		{ "n,,n=user,r=a c", NULL },
		{ "n,", NULL },
		{ "", NULL },
	};
	char name[SCRAM_NAME_MAX];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = 0;
		struct scram *s = scram_new(edged_str(rows[i].text), name, &n);
		print_message("%s\n", rows[i].text);
		assert_int_equal(s != NULL, rows[i].name != NULL);
		if (s)
			assert_true(edged_slice_is(edged_slice(name, n), rows[i].name));
		scram_free(s);
	}
}

static struct scram *challenged(const struct verifier *v, struct scram_client *client)
{
	char name[SCRAM_NAME_MAX], text[SCRAM_TEXT_MAX];
	size_t n;
	struct scram *s = scram_new(edged_str(scram_client_first(client, "user")), name, &n);
	assert_non_null(s);
	n = scram_challenge(s, v, text);
	assert_true(n > 0);
	scram_client_challenge(client, edged_slice(text, n));
	return s;
}

static void who_knows_the_password_can_prove_it(void **state)
{
	(void)state;
	struct verifier v;
	struct scram_client client;
	char text[SCRAM_TEXT_MAX];
	size_t n;
	assert_int_equal(verifier_make(edged_str("pencil"), &v), 0);
	struct scram *s = challenged(&v, &client);
	assert_int_equal(scram_prove(s, edged_str(scram_client_last(&client, "pencil")), text, &n), 0);
	assert_true(scram_client_verify(&client, edged_slice(text, n)));
	scram_free(s);
	s = challenged(&v, &client);
	assert_int_equal(scram_prove(s, edged_str(scram_client_last(&client, "pencils")), text, &n), -EACCES);
	scram_free(s);
	verifier_feign(key, edged_str("user"), &v);
	s = challenged(&v, &client);
	assert_int_equal(scram_prove(s, edged_str(scram_client_last(&client, "pencil")), text, &n), -EACCES);
	scram_free(s);
}

/* Each byte of the last message counts. */
static void a_changed_proof_is_none(void **state)
{
	(void)state;
	struct verifier v;
	struct scram_client client;
	char text[SCRAM_TEXT_MAX], last[SCRAM_TEXT_MAX];
	size_t n;
	assert_int_equal(verifier_make(edged_str("pencil"), &v), 0);
	v.iterations = 1;
	struct scram *s = challenged(&v, &client);
	size_t len = (size_t)snprintf(last, sizeof(last), "%s", scram_client_last(&client, "pencil"));
	for (size_t i = 0; i < len - 2; i++) { /* the last character but one has two bits that nobody reads */
		last[i] ^= 1;
		assert_int_equal(scram_prove(s, edged_slice(last, len), text, &n), -EACCES);
		last[i] ^= 1;
		assert_int_equal(scram_prove(s, edged_slice(last, i), text, &n), -EACCES);
	}
	scram_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passwords_are_told_apart),
		cmocka_unit_test(first_messages_are_judged),
		cmocka_unit_test(who_knows_the_password_can_prove_it),
		cmocka_unit_test(a_changed_proof_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
