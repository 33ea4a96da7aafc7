/* SPDX-License-Identifier: Apache-2.0 */
#include "test_certificate.h"

#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static char *text_of(BIO *bio)
{
	char *bytes;
	long n = BIO_get_mem_data(bio, &bytes);
	char *text = strndup(bytes, (size_t)n);
	BIO_free(bio);
	return text;
}

void test_certificate_make(struct test_certificate *certificate, const char *common_name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x509 = X509_new();
	X509_set_version(x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
	X509_gmtime_adj(X509_getm_notBefore(x509), -60);
	X509_gmtime_adj(X509_getm_notAfter(x509), 24 * 60 * 60);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
	        (const unsigned char *)common_name, -1, -1, 0);
	X509_set_issuer_name(x509, X509_get_subject_name(x509));
	X509_set_pubkey(x509, key);
	X509_sign(x509, key, EVP_sha256());
	BIO *pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(pem, x509);
	PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL);
	certificate->certificate_pem = text_of(pem);
	certificate->key_pem = text_of(key_pem);
	X509_free(x509);
	EVP_PKEY_free(key);
}

void test_certificate_fini(struct test_certificate *certificate)
{
	free(certificate->certificate_pem);
	free(certificate->key_pem);
}
