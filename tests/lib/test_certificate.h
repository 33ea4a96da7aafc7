/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for tests, made on the spot: P-256, self-signed, valid for a day. */
#ifndef TESTS_TEST_CERTIFICATE_H
#define TESTS_TEST_CERTIFICATE_H

struct test_certificate {
	char *certificate_pem, *key_pem; /* malloc'ed */
};

void test_certificate_make(struct test_certificate *certificate, const char *common_name);
void test_certificate_fini(struct test_certificate *certificate);

#endif
