/* SPDX-License-Identifier: Apache-2.0 */
/* Values of policy variables, as they stand in a certificate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include "x509.h"

static void extend(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static void entry(X509_NAME *name, const char *field, const char *value)
{
	assert_int_equal(
	        X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, (const uint8_t *)value, -1, -1, 0), 1);
}

/* In PEM; the caller frees it. */
static char *make(void)
{
	X509 *certificate = X509_new();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes;
	assert_true(certificate && key && bio);
	X509_set_version(certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), 4711);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
	entry(X509_get_subject_name(certificate), "CN", "lamp");
	entry(X509_get_subject_name(certificate), "OU", "hall");
	entry(X509_get_subject_name(certificate), "OU", "kitchen");
	entry(X509_get_issuer_name(certificate), "CN", "maker");
	entry(X509_get_issuer_name(certificate), "C", "AT");
	extend(certificate, NID_subject_alt_name, "DNS:lamp.local,DNS:lamp.lan,IP:192.0.2.7");
	extend(certificate, NID_issuer_alt_name, "DNS:maker.example,email:ca@maker.example,URI:urn:maker");
	X509_set_pubkey(certificate, key);
	assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
	size_t n = (size_t)BIO_get_mem_data(bio, &bytes);
	char *pem = strndup(bytes, n);
	BIO_free(bio);
	EVP_PKEY_free(key);
	X509_free(certificate);
	assert_non_null(pem);
	return pem;
}

static void variables_have_the_values_of_the_certificate(void **state)
{
	(void)state;
	static const struct {
		const char *name, *value; /* behind iot:Certificate. ; NULL: it has none */
	} rows[] = {
		{ "SerialNumber", "4711" },
		{ "Subject.CommonName", "lamp" },
		{ "Subject.OrganizationalUnit", "hall" },
		{ "Subject.OrganizationalUnit.1", "kitchen" },
		{ "Subject.OrganizationalUnit.2", NULL },
		{ "Subject.Country", NULL },
		{ "Subject.AlternativeName.DNSName", "lamp.local" },
		{ "Subject.AlternativeName.DNSName.1", "lamp.lan" },
		{ "Subject.AlternativeName.IPAddress", "192.0.2.7" },
		{ "Subject.AlternativeName.RFC822Name", NULL },
		{ "Issuer.CommonName", "maker" },
		{ "Issuer.Country", "AT" },
		{ "Issuer.AlternativeName.DNSName", "maker.example" },
		{ "Issuer.AlternativeName.RFC822Name", "ca@maker.example" },
		{ "Issuer.AlternativeName.UniformResourceIdentifier", "urn:maker" },
		{ "Issuer.AlternativeName.IPAddress", NULL },
	};
	char *pem = make();
	struct x509_st *certificate = x509_read(edged_str(pem));
	assert_non_null(certificate);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char name[100];
		struct variable variable;
		snprintf(name, sizeof(name), "iot:Certificate.%s", rows[i].name);
		assert_true(variable_read(edged_str(name), &variable));
		char *value = x509_value(certificate, &variable, variable.index);
		if (rows[i].value ? !value || strcmp(value, rows[i].value) != 0 : value != NULL)
			fail_msg("%s: %s", rows[i].name, value ? value : "none");
		free(value);
	}
	x509_free(certificate);
	free(pem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(variables_have_the_values_of_the_certificate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
