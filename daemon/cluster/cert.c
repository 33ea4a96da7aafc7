/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/cert.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

static const char node_uri[] = "urn:edged:node:", signer_uri[] = "urn:edged:signer:";

DEFINE_CLEANUP(BIO *, BIO_free_all)
DEFINE_CLEANUP(X509_REQ *, X509_REQ_free)
DEFINE_CLEANUP(EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
DEFINE_CLEANUP(GENERAL_NAMES *, GENERAL_NAMES_free)

/* OpenSSL's own queue of errors must not grow with what peers send. */
static int failed(int code)
{
	ERR_clear_error();
	return code;
}

/* --- keys --- */

int cert_key_new(EVP_PKEY **ret)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	if (!key)
		return failed(-ENOMEM);
	*ret = key;
	return 0;
}

int cert_key_point(const EVP_PKEY *key, uint8_t ret[CERT_POINT])
{
	char group[32];
	uint8_t point[65];
	size_t n = 0;
	if (!key || !EVP_PKEY_is_a(key, "EC") || !EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) ||
	        strcmp(group, "prime256v1") != 0)
		return failed(-EINVAL);
	if (!EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &n))
		return failed(-EINVAL);
	if (n == 65 && point[0] == 4)
		point[0] = (uint8_t)(2 + (point[64] & 1));
	else if (n != CERT_POINT)
		return -EINVAL;
	memcpy(ret, point, CERT_POINT);
	return 0;
}

int cert_key_from_point(const uint8_t point[CERT_POINT], EVP_PKEY **ret)
{
	char group[] = "prime256v1";
	uint8_t copy[CERT_POINT];
	memcpy(copy, point, sizeof(copy));
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy, sizeof(copy)),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY *key = NULL;
	CLEANUP(EVP_PKEY_CTX_freep) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (!ctx || EVP_PKEY_fromdata_init(ctx) <= 0)
		return failed(-ENOMEM);
	if (EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		return failed(-EINVAL);
	*ret = key;
	return 0;
}

void cert_point_id(const uint8_t point[CERT_POINT], char ret[NODE_ID_LEN + 1])
{
	uint8_t hash[32] = { 0 };
	if (!EVP_Digest(point, CERT_POINT, hash, NULL, EVP_sha256(), NULL))
		abort(); /* SHA-256 of 33 bytes fails only when the library is broken */
	node_id_format(hash, ret);
}

int cert_id(X509 *certificate, char ret[NODE_ID_LEN + 1])
{
	uint8_t point[CERT_POINT];
	int r = cert_key_point(X509_get0_pubkey(certificate), point);
	if (!r)
		cert_point_id(point, ret);
	return r;
}

/* --- making certificates --- */

bool cert_name_ok(struct edged_slice name)
{
	if (name.len == 0 || name.len > 63 || name.ptr[0] == '-' || name.ptr[name.len - 1] == '-')
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '-')
			return false;
	}
	return true;
}

static int set_time(ASN1_TIME *time, uint64_t ms)
{
	/* RFC 5280 section 4.1.2.5: a certificate without an end */
	if (ms == 0)
		return ASN1_TIME_set_string_X509(time, "99991231235959Z");
	return ASN1_TIME_set(time, (time_t)(ms / 1000)) != NULL;
}

static int set_serial(X509 *certificate)
{
	uint8_t bytes[16];
	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return 0;
	bytes[0] = (uint8_t)((bytes[0] & 0x3f) | 0x40); /* positive, and always 16 bytes long */
	BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	int ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
	BN_free(number);
	return ok;
}

static int add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	int ok = extension && X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return ok;
}

/* Names that clients may know the node by: its id, the host's name (also for mDNS), and this machine. */
static int add_names(X509 *certificate, X509 *issuer, const char *id, struct edged_slice name)
{
	CLEANUP(buf_fini) struct buf names = BUF_EMPTY;
	int r = buf_addf(&names, "URI:%s%s,DNS:%s,DNS:localhost,IP:127.0.0.1,IP:::1", node_uri, id, id);
	if (!r && cert_name_ok(name))
		r = buf_addf(
		        &names, ",DNS:%.*s,DNS:%.*s.local", EDGED_SLICE_FMT(name), EDGED_SLICE_FMT(name));
	return !r && add_extension(certificate, issuer, NID_subject_alt_name, names.ptr);
}

static int add_subject(X509 *certificate, const char *kind, const char *id)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	return X509_NAME_add_entry_by_NID(
	               subject, NID_commonName, MBSTRING_ASC, (const uint8_t *)id, -1, -1, 0) &&
	       X509_NAME_add_entry_by_NID(
	               subject, NID_organizationName, MBSTRING_ASC, (const uint8_t *)kind, -1, -1, 0);
}

static int fill_ca(X509 *certificate, const char *id)
{
	return add_subject(certificate, "edged account", id) &&
	       add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE") &&
	       add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	       add_extension(certificate, certificate, NID_subject_key_identifier, "hash");
}

static int fill_signer(X509 *certificate, const struct cert_spec *spec)
{
	char names[sizeof("URI:") + sizeof(signer_uri) + NODE_ID_LEN];
	snprintf(names, sizeof(names), "URI:%s%s", signer_uri, spec->node_id);
	return add_subject(certificate, "edged signer", spec->node_id) &&
	       add_extension(
	               certificate, spec->issuer, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	       add_extension(certificate, spec->issuer, NID_key_usage, "critical,keyCertSign") &&
	       add_extension(certificate, spec->issuer, NID_subject_key_identifier, "hash") &&
	       add_extension(certificate, spec->issuer, NID_authority_key_identifier, "keyid:always") &&
	       add_extension(certificate, spec->issuer, NID_subject_alt_name, names);
}

static int fill_node(X509 *certificate, const char *id, const struct cert_spec *spec)
{
	X509 *issuer = spec->issuer ? spec->issuer : certificate;
	return add_subject(certificate, "edged node", id) &&
	       add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(certificate, issuer, NID_ext_key_usage, "serverAuth,clientAuth") &&
	       add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
	       (!spec->issuer ||
	               add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always")) &&
	       add_names(certificate, issuer, id, spec->name);
}

static int fill_kind(X509 *certificate, const char *id, const struct cert_spec *spec)
{
	switch (spec->kind) {
	case CERT_CA:
		return fill_ca(certificate, id);
	case CERT_SIGNER:
		return fill_signer(certificate, spec);
	default:
		return fill_node(certificate, id, spec);
	}
}

static int fill(X509 *certificate, const char *id, const struct cert_spec *spec)
{
	if (!X509_set_version(certificate, X509_VERSION_3) || !set_serial(certificate) ||
	        !set_time(X509_getm_notBefore(certificate), spec->from_ms ? spec->from_ms : 1000) ||
	        !set_time(X509_getm_notAfter(certificate), spec->until_ms) ||
	        !X509_set_pubkey(certificate, spec->subject_key))
		return 0;
	if (!fill_kind(certificate, id, spec))
		return 0;
	X509 *issuer = spec->issuer ? spec->issuer : certificate;
	return X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) &&
	       X509_sign(certificate, spec->issuer_key, EVP_sha256());
}

int cert_make(const struct cert_spec *spec, X509 **ret)
{
	uint8_t point[CERT_POINT];
	char id[NODE_ID_LEN + 1];
	int r = cert_key_point(spec->subject_key, point);
	if (r)
		return r;
	cert_point_id(point, id);
	CLEANUP(X509_freep) X509 *certificate = X509_new();
	if (!certificate || !fill(certificate, id, spec))
		return failed(-ENOMEM);
	*ret = TAKE(certificate);
	return 0;
}

/* --- looking at certificates --- */

/* The id in the first name that is a URI which begins so. False: there is none. */
static bool named_id(X509 *certificate, const char *uri, char ret_id[NODE_ID_LEN + 1])
{
	size_t n = strlen(uri);
	bool found = false;
	CLEANUP(GENERAL_NAMES_freep)
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_URI)
			continue;
		const ASN1_IA5STRING *text = name->d.uniformResourceIdentifier;
		const char *at = (const char *)ASN1_STRING_get0_data(text);
		size_t len = (size_t)ASN1_STRING_length(text);
		found = len == n + NODE_ID_LEN && memcmp(at, uri, n) == 0 &&
		        node_id_valid(edged_slice(at + n, NODE_ID_LEN));
		if (found)
			snprintf(ret_id, NODE_ID_LEN + 1, "%.*s", NODE_ID_LEN, at + n);
	}
	return names ? found : failed(false);
}

bool cert_is_node(X509 *certificate)
{
	char id[NODE_ID_LEN + 1], named[NODE_ID_LEN + 1];
	return cert_id(certificate, id) == 0 && !X509_check_ca(certificate) &&
	       named_id(certificate, node_uri, named) && strcmp(id, named) == 0;
}

bool cert_is_signer(X509 *certificate, char ret_id[NODE_ID_LEN + 1])
{
	char id[NODE_ID_LEN + 1];
	/* X509_check_ca() is 1 for those only that say so themselves, and that may sign certificates if they say what they may
	 * at all. */
	return cert_id(certificate, id) == 0 && X509_check_ca(certificate) == 1 &&
	       X509_get_pathlen(certificate) == 0 &&
	       (X509_get_extension_flags(certificate) & EXFLAG_KUSAGE) &&
	       named_id(certificate, signer_uri, ret_id);
}

bool cert_signed_by(X509 *certificate, X509 *issuer)
{
	return X509_verify(certificate, X509_get0_pubkey(issuer)) == 1 || failed(false);
}

bool cert_chain_ok(X509 *certificate, X509 *issuer, X509 *ca, char ret_signer[NODE_ID_LEN + 1])
{
	ret_signer[0] = '\0';
	if (!cert_is_node(certificate))
		return false;
	if (!issuer || !cert_is_signer(issuer, ret_signer))
		return cert_signed_by(certificate, ca);
	return cert_signed_by(issuer, ca) && cert_signed_by(certificate, issuer) &&
	       cert_from(certificate) <= cert_until(certificate) &&
	       cert_until(certificate) <= cert_until(issuer);
}

static uint64_t to_ms(const ASN1_TIME *time)
{
	struct tm tm;
	if (!ASN1_TIME_to_tm(time, &tm))
		return (uint64_t)failed(0);
	time_t seconds = timegm(&tm);
	return seconds < 0 ? 0 : (uint64_t)seconds * 1000;
}

uint64_t cert_from(const X509 *certificate)
{
	return to_ms(X509_get0_notBefore(certificate));
}

uint64_t cert_until(const X509 *certificate)
{
	return to_ms(X509_get0_notAfter(certificate));
}

/* --- reading and writing --- */

static int take_bio(BIO *bio, struct buf *ret)
{
	char *bytes = NULL;
	long n = BIO_get_mem_data(bio, &bytes);
	return n < 0 ? -ENOMEM : buf_add(ret, bytes, (size_t)n);
}

int cert_write(X509 *certificate, struct buf *ret_pem)
{
	CLEANUP(BIO_free_allp) BIO *bio = BIO_new(BIO_s_mem());
	if (!bio || !PEM_write_bio_X509(bio, certificate))
		return failed(-ENOMEM);
	return take_bio(bio, ret_pem);
}

int cert_write_key(EVP_PKEY *key, struct buf *ret_pem)
{
	CLEANUP(BIO_free_allp) BIO *bio = BIO_new(BIO_s_secmem());
	if (!bio || !PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL))
		return failed(-ENOMEM);
	return take_bio(bio, ret_pem);
}

/* A key with a pass phrase is none of ours: never ask at the terminal. */
static int no_password(char *buffer, int size, int writing, void *arg)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static BIO *read_bio(struct edged_slice text)
{
	return text.len > INT32_MAX ? NULL : BIO_new_mem_buf(text.ptr, (int)text.len);
}

int cert_read_chain(struct edged_slice pem, X509 **ret, X509 **ret_issuer)
{
	CLEANUP(BIO_free_allp) BIO *bio = read_bio(pem);
	if (!bio)
		return failed(-ENOMEM);
	X509 *certificate = PEM_read_bio_X509(bio, NULL, no_password, NULL);
	if (!certificate)
		return failed(-EINVAL);
	*ret = certificate;
	if (ret_issuer)
		*ret_issuer = PEM_read_bio_X509(bio, NULL, no_password, NULL);
	return failed(0);
}

int cert_read(struct edged_slice pem, X509 **ret)
{
	return cert_read_chain(pem, ret, NULL);
}

int cert_read_key(struct edged_slice pem, EVP_PKEY **ret)
{
	CLEANUP(BIO_free_allp) BIO *bio = read_bio(pem);
	if (!bio)
		return failed(-ENOMEM);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	if (!key)
		return failed(-EINVAL);
	*ret = key;
	return 0;
}

int cert_read_der(struct edged_slice der, X509 **ret)
{
	const uint8_t *at = (const uint8_t *)der.ptr;
	X509 *certificate = der.len > INT32_MAX ? NULL : d2i_X509(NULL, &at, (long)der.len);
	if (!certificate)
		return failed(-EINVAL);
	*ret = certificate;
	return 0;
}

/* --- certificate requests --- */

int cert_request(EVP_PKEY *key, struct buf *ret_der)
{
	CLEANUP(X509_REQ_freep) X509_REQ *request = X509_REQ_new();
	if (!request || !X509_REQ_set_version(request, X509_REQ_VERSION_1) ||
	        !X509_REQ_set_pubkey(request, key) || !X509_REQ_sign(request, key, EVP_sha256()))
		return failed(-ENOMEM);
	uint8_t *der = NULL;
	int n = i2d_X509_REQ(request, &der);
	if (n < 0)
		return failed(-ENOMEM);
	int r = buf_add(ret_der, der, (size_t)n);
	OPENSSL_free(der);
	return r;
}

int cert_read_request(struct edged_slice der, EVP_PKEY **ret)
{
	const uint8_t *at = (const uint8_t *)der.ptr;
	CLEANUP(X509_REQ_freep)
	X509_REQ *request = der.len > INT32_MAX ? NULL : d2i_X509_REQ(NULL, &at, (long)der.len);
	if (!request)
		return failed(-EINVAL);
	uint8_t point[CERT_POINT];
	EVP_PKEY *key = X509_REQ_get0_pubkey(request);
	if (cert_key_point(key, point) || X509_REQ_verify(request, key) != 1)
		return failed(-EINVAL);
	EVP_PKEY_up_ref(key);
	*ret = key;
	return 0;
}
