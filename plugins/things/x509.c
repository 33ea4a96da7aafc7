/* SPDX-License-Identifier: Apache-2.0 */
#include "x509.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static int no_password(char *buffer, int size, int writing, void *arg)
{
	(void)buffer, (void)size, (void)writing, (void)arg;
	return -1;
}

X509 *x509_read(struct edged_slice pem)
{
	BIO *bio = pem.len && pem.len < 65536 ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
	X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, no_password, NULL) : NULL;
	BIO_free(bio);
	ERR_clear_error();
	return certificate;
}

void x509_free(X509 *certificate)
{
	X509_free(certificate);
}

bool x509_fingerprint(const X509 *certificate, char ret[65])
{
	uint8_t hash[32];
	unsigned n = sizeof(hash);
	if (X509_digest(certificate, EVP_sha256(), hash, &n) != 1)
		return false;
	for (unsigned i = 0; i < sizeof(hash); i++)
		snprintf(ret + 2 * i, 3, "%02x", hash[i]);
	return true;
}

char *x509_text(X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes = NULL, *text = NULL;
	if (bio && PEM_write_bio_X509(bio, certificate)) {
		long n = BIO_get_mem_data(bio, &bytes);
		text = n > 0 ? strndup(bytes, (size_t)n) : NULL;
	}
	BIO_free(bio);
	return text;
}

int64_t x509_until(const X509 *certificate)
{
	struct tm tm;
	if (!ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm))
		return 0;
	return tm.tm_year + 1900 >= 9999 ? INT64_MAX : (int64_t)timegm(&tm);
}

/* --- values of names ------------------------------------------------------------------------------------------------ */

static char *copy(const uint8_t *bytes, int n)
{
	return n < 0 || memchr(bytes, '\0', (size_t)n) ? NULL : strndup((const char *)bytes, (size_t)n);
}

static char *entry_value(const X509_NAME *name, uint8_t field, unsigned index)
{
	static const int nids[FIELDS] = { [FIELD_QUALIFIER] = NID_dnQualifier,
		[FIELD_COUNTRY] = NID_countryName,
		[FIELD_ORGANIZATION] = NID_organizationName,
		[FIELD_UNIT] = NID_organizationalUnitName,
		[FIELD_STATE] = NID_stateOrProvinceName,
		[FIELD_COMMON_NAME] = NID_commonName,
		[FIELD_SERIAL] = NID_serialNumber,
		[FIELD_TITLE] = NID_title,
		[FIELD_SURNAME] = NID_surname,
		[FIELD_GIVEN_NAME] = NID_givenName,
		[FIELD_INITIALS] = NID_initials,
		[FIELD_PSEUDONYM] = NID_pseudonym,
		[FIELD_GENERATION] = NID_generationQualifier };
	int at = -1;
	do {
		at = X509_NAME_get_index_by_NID((X509_NAME *)(uintptr_t)name, nids[field], at);
		if (at < 0)
			return NULL;
	} while (index-- > 0);
	const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, at);
	uint8_t *utf8 = NULL;
	int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
	char *text = n < 0 ? NULL : copy(utf8, n);
	OPENSSL_free(utf8);
	return text;
}

static char *directory_text(X509_NAME *name)
{
	char *line = X509_NAME_oneline(name, NULL, 0), *text = line ? strdup(line) : NULL;
	OPENSSL_free(line);
	return text;
}

static char *address_text(const ASN1_OCTET_STRING *address)
{
	char text[INET6_ADDRSTRLEN];
	int n = ASN1_STRING_length(address);
	if ((n != 4 && n != 16) ||
	        !inet_ntop(n == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(address), text, sizeof(text)))
		return NULL;
	return strdup(text);
}

static char *general_text(const GENERAL_NAME *name)
{
	switch (name->type) {
	case GEN_DIRNAME:
		return directory_text(name->d.directoryName);
	case GEN_IPADD:
		return address_text(name->d.iPAddress);
	default:
		return copy(ASN1_STRING_get0_data(name->d.ia5), ASN1_STRING_length(name->d.ia5));
	}
}

static char *alternative_value(const X509 *certificate, int nid, uint8_t field, unsigned index)
{
	static const int types[ALTERNATIVES] = { [ALTERNATIVE_EMAIL] = GEN_EMAIL,
		[ALTERNATIVE_DNS] = GEN_DNS,
		[ALTERNATIVE_DIRECTORY] = GEN_DIRNAME,
		[ALTERNATIVE_URI] = GEN_URI,
		[ALTERNATIVE_IP] = GEN_IPADD };
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, nid, NULL, NULL);
	char *text = NULL;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != types[field] || index-- > 0)
			continue;
		text = general_text(name);
		break;
	}
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return text;
}

static char *serial_value(const X509 *certificate)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
	char *digits = number ? BN_bn2dec(number) : NULL, *text = digits ? strdup(digits) : NULL;
	OPENSSL_free(digits);
	BN_free(number);
	return text;
}

char *x509_value(const X509 *certificate, const struct variable *variable, unsigned index)
{
	switch (variable->id) {
	case VARIABLE_SUBJECT:
		return entry_value(X509_get_subject_name(certificate), variable->field, index);
	case VARIABLE_ISSUER:
		return entry_value(X509_get_issuer_name(certificate), variable->field, index);
	case VARIABLE_ALTERNATIVE:
		return alternative_value(certificate, NID_subject_alt_name, variable->field, index);
	case VARIABLE_ISSUER_ALTERNATIVE:
		return alternative_value(certificate, NID_issuer_alt_name, variable->field, index);
	case VARIABLE_CERTIFICATE_SERIAL:
		return index ? NULL : serial_value(certificate);
	default:
		return NULL;
	}
}
