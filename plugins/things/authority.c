/* SPDX-License-Identifier: Apache-2.0 */
#include "authority.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include "x509.h"

static const char file_name[] = "authority.pem"; /* key and certificate: they are never apart */

struct authority {
	EVP_PKEY *key;
	X509 *certificate;
	char *pem;
};

enum { REQUEST_MAX = 16384 };

static int failed(int code)
{
	ERR_clear_error();
	return code;
}

/* --- making certificates ---------------------------------------------------------------------------------------------- */

static bool set_serial(X509 *certificate)
{
	uint8_t bytes[16];
	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] = (uint8_t)((bytes[0] & 0x3f) | 0x40); /* positive, and always 16 bytes long */
	BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	bool ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
	BN_free(number);
	return ok;
}

/* A device's clock may be far behind: what begins is not said, what ends is. */
static bool set_times(X509 *certificate, unsigned days)
{
	time_t until = time(NULL) + (time_t)days * 86400;
	return ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate), "20200101000000Z") &&
	       (days ? ASN1_TIME_set(X509_getm_notAfter(certificate), until) != NULL
	             : ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), "99991231235959Z"));
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool ok = extension && X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return ok;
}

static bool set_name(X509 *certificate, const char *organization, struct edged_slice common)
{
	X509_NAME *name = X509_get_subject_name(certificate);
	return X509_NAME_add_entry_by_NID(
	               name, NID_organizationName, MBSTRING_ASC, (const uint8_t *)organization, -1, -1, 0) &&
	       X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const uint8_t *)common.ptr,
	               (int)common.len, -1, 0);
}

static bool fill_authority(X509 *certificate, EVP_PKEY *key)
{
	return X509_set_version(certificate, X509_VERSION_3) && set_serial(certificate) &&
	       set_times(certificate, 0) && X509_set_pubkey(certificate, key) &&
	       set_name(certificate, "edged devices", edged_str("device CA")) &&
	       X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) &&
	       add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	       add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	       add_extension(certificate, certificate, NID_subject_key_identifier, "hash") &&
	       X509_sign(certificate, key, EVP_sha256());
}

static bool fill_device(X509 *certificate, const struct authority *authority, struct edged_slice thing,
        EVP_PKEY *key, unsigned days)
{
	X509 *issuer = authority->certificate;
	/* RFC 5280: a common name has at most 64 characters; the whole name is in the registry */
	struct edged_slice common = edged_slice(thing.ptr, thing.len > 64 ? 64 : thing.len);
	return X509_set_version(certificate, X509_VERSION_3) && set_serial(certificate) &&
	       set_times(certificate, days) && X509_set_pubkey(certificate, key) &&
	       set_name(certificate, "edged device", common) &&
	       X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) &&
	       add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(certificate, issuer, NID_ext_key_usage, "clientAuth") &&
	       add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
	       add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always") &&
	       X509_sign(certificate, authority->key, EVP_sha256());
}

/* --- text --------------------------------------------------------------------------------------------------------------- */

static char *take_text(BIO *bio)
{
	char *bytes = NULL;
	long n = BIO_get_mem_data(bio, &bytes);
	char *text = n < 0 ? NULL : malloc((size_t)n + 1);
	if (text) {
		memcpy(text, bytes, (size_t)n);
		text[n] = '\0';
	}
	return text;
}

static char *key_text(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *text = bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)
	                     ? take_text(bio)
	                     : NULL;
	BIO_free(bio);
	return text;
}

/* --- on disk -------------------------------------------------------------------------------------------------------------- */

static int write_all(int fd, const char *text)
{
	size_t n = strlen(text);
	while (n) {
		ssize_t done = write(fd, text, n);
		if (done < 0 && errno != EINTR)
			return -errno;
		if (done > 0) {
			text += done;
			n -= (size_t)done;
		}
	}
	return fsync(fd) ? -errno : 0;
}

static int sync_folder(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = fsync(fd) ? -errno : 0;
	close(fd);
	return r;
}

/* Whole or not at all. */
static int save(const char *folder, const char *path, const char *key, const char *certificate)
{
	char fresh[4200];
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int r = write_all(fd, key);
	if (!r)
		r = write_all(fd, certificate);
	close(fd);
	if (!r && rename(fresh, path))
		r = -errno;
	return r ? r : sync_folder(folder);
}

static int make(struct authority *authority, const char *folder, const char *path)
{
	authority->key = EVP_EC_gen("P-256");
	authority->certificate = X509_new();
	if (!authority->key || !authority->certificate ||
	        !fill_authority(authority->certificate, authority->key))
		return failed(-ENOMEM);
	char *key = key_text(authority->key), *certificate = x509_text(authority->certificate);
	int r = key && certificate ? save(folder, path, key, certificate) : -ENOMEM;
	if (key)
		OPENSSL_cleanse(key, strlen(key));
	free(key);
	free(certificate);
	return r;
}

static int no_password(char *buffer, int size, int writing, void *arg)
{
	(void)buffer, (void)size, (void)writing, (void)arg;
	return -1;
}

static int read_file(struct authority *authority, FILE *file)
{
	authority->key = PEM_read_PrivateKey(file, NULL, no_password, NULL);
	authority->certificate = PEM_read_X509(file, NULL, no_password, NULL);
	if (!authority->key || !authority->certificate)
		return failed(-EINVAL);
	return X509_check_private_key(authority->certificate, authority->key) == 1 ? 0 : failed(-EINVAL);
}

int authority_open(const char *folder, struct authority **ret, char why[WHY_MAX])
{
	char path[4100];
	struct authority *authority = calloc(1, sizeof(*authority));
	why[0] = '\0';
	if (!authority)
		return -ENOMEM;
	snprintf(path, sizeof(path), "%s/%s", folder, file_name);
	FILE *file = fopen(path, "re");
	int r;
	if (file) {
		r = read_file(authority, file);
		fclose(file);
	} else {
		r = errno == ENOENT ? make(authority, folder, path) : -errno;
	}
	if (!r)
		authority->pem = x509_text(authority->certificate);
	if (!r && !authority->pem)
		r = -ENOMEM;
	if (r) {
		snprintf(why, WHY_MAX, "the device CA in %.120s cannot be %s: %s", path,
		        file ? "read" : "made",
		        r == -EINVAL
		                ? "it is damaged; put it back from a copy, or remove it to have a new one"
		                : strerror(-r));
		authority_free(authority);
		return r;
	}
	*ret = authority;
	return 0;
}

void authority_free(struct authority *authority)
{
	if (!authority)
		return;
	EVP_PKEY_free(authority->key);
	X509_free(authority->certificate);
	free(authority->pem);
	free(authority);
}

const char *authority_pem(const struct authority *authority)
{
	return authority->pem;
}

/* --- issuing -------------------------------------------------------------------------------------------------------------- */

void issued_fini(struct issued *issued)
{
	if (issued->key)
		OPENSSL_cleanse(issued->key, strlen(issued->key));
	free(issued->key);
	free(issued->certificate);
	*issued = (struct issued){ 0 };
}

static bool key_strong(EVP_PKEY *key)
{
	char group[32];
	int bits = EVP_PKEY_get_bits(key);
	if (EVP_PKEY_is_a(key, "RSA"))
		return bits >= 2048 && bits <= 4096;
	return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) &&
	       (strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0);
}

/* The key of a request whose sender has proved to have it. */
static int read_request(struct edged_slice text, EVP_PKEY **ret, char why[WHY_MAX])
{
	BIO *bio = text.len && text.len <= REQUEST_MAX ? BIO_new_mem_buf(text.ptr, (int)text.len) : NULL;
	X509_REQ *request = bio ? PEM_read_bio_X509_REQ(bio, NULL, no_password, NULL) : NULL;
	EVP_PKEY *key = request ? X509_REQ_get_pubkey(request) : NULL;
	int r = 0;
	if (!key)
		r = -EINVAL, snprintf(why, WHY_MAX, "it is no certificate request (PKCS #10) in PEM");
	else if (!key_strong(key))
		r = -EINVAL,
		snprintf(why, WHY_MAX, "its key must be P-256, P-384, or RSA of 2,048 to 4,096 bits");
	else if (X509_REQ_verify(request, key) != 1)
		r = -EINVAL, snprintf(why, WHY_MAX, "its signature is not that of its key");
	X509_REQ_free(request);
	BIO_free(bio);
	if (r)
		EVP_PKEY_free(key);
	else
		*ret = key;
	return failed(r);
}

static void write_code(const uint8_t hash[32], char ret[CODE_SIZE])
{
	uint64_t number = 0;
	for (int i = 0; i < 8; i++)
		number = number << 8 | hash[i];
	unsigned high = (unsigned)(number / 1000000 % 1000000), low = (unsigned)(number % 1000000);
	snprintf(ret, CODE_SIZE, "%04u-%04u-%04u", high / 100, high % 100 * 100 + low / 10000, low % 10000);
}

int authority_code(struct edged_slice request, char ret[CODE_SIZE], char why[WHY_MAX])
{
	EVP_PKEY *key = NULL;
	uint8_t hash[32], *der = NULL;
	why[0] = '\0';
	int r = read_request(request, &key, why);
	if (r)
		return r;
	int n = i2d_PUBKEY(key, &der);
	if (n > 0 && EVP_Digest(der, (size_t)n, hash, NULL, EVP_sha256(), NULL) == 1)
		write_code(hash, ret);
	else
		r = -ENOMEM;
	OPENSSL_free(der);
	EVP_PKEY_free(key);
	return failed(r);
}

int authority_issue(const struct authority *authority, struct edged_slice thing, struct edged_slice request,
        unsigned days, struct issued *ret, char why[WHY_MAX])
{
	EVP_PKEY *key = NULL;
	*ret = (struct issued){ 0 };
	why[0] = '\0';
	int r = 0;
	if (request.len)
		r = read_request(request, &key, why);
	else
		key = EVP_EC_gen("P-256");
	if (r)
		return r;
	X509 *certificate = X509_new();
	if (key && certificate && fill_device(certificate, authority, thing, key, days)) {
		ret->certificate = x509_text(certificate);
		ret->key = request.len ? NULL : key_text(key);
	}
	if (!ret->certificate || (!request.len && !ret->key) ||
	        !x509_fingerprint(certificate, ret->fingerprint))
		r = -ENOMEM;
	X509_free(certificate);
	EVP_PKEY_free(key);
	if (r)
		issued_fini(ret);
	return failed(r);
}
