/* SPDX-License-Identifier: Apache-2.0 */
#include "variable.h"

#include <strings.h>

static const char *const fields[FIELDS] = {
	[FIELD_QUALIFIER] = "DistinguishedNameQualifier",
	[FIELD_COUNTRY] = "Country",
	[FIELD_ORGANIZATION] = "Organization",
	[FIELD_UNIT] = "OrganizationalUnit",
	[FIELD_STATE] = "State",
	[FIELD_COMMON_NAME] = "CommonName",
	[FIELD_SERIAL] = "SerialNumber",
	[FIELD_TITLE] = "Title",
	[FIELD_SURNAME] = "Surname",
	[FIELD_GIVEN_NAME] = "GivenName",
	[FIELD_INITIALS] = "Initials",
	[FIELD_PSEUDONYM] = "Pseudonym",
	[FIELD_GENERATION] = "GenerationQualifier",
};

static const char *const alternatives[ALTERNATIVES] = {
	[ALTERNATIVE_EMAIL] = "RFC822Name",
	[ALTERNATIVE_DNS] = "DNSName",
	[ALTERNATIVE_DIRECTORY] = "DirectoryName",
	[ALTERNATIVE_URI] = "UniformResourceIdentifier",
	[ALTERNATIVE_IP] = "IPAddress",
};

static const struct {
	const char *name;
	enum variable_id id;
} plain[] = {
	{ "iot:ClientId", VARIABLE_CLIENT_ID },
	{ "aws:SourceIp", VARIABLE_SOURCE_IP },
	{ "iot:DomainName", VARIABLE_DOMAIN },
	{ "iot:Connection.Thing.ThingName", VARIABLE_THING },
	{ "iot:Connection.Thing.ThingTypeName", VARIABLE_THING_TYPE },
	{ "iot:Connection.Thing.IsAttached", VARIABLE_ATTACHED },
	{ "iot:CertificateId", VARIABLE_CERTIFICATE_ID },
	{ "iot:Certificate.SerialNumber", VARIABLE_CERTIFICATE_SERIAL },
	{ "aws:SecureTransport", VARIABLE_TLS },
	{ "aws:CurrentTime", VARIABLE_TIME },
	{ "aws:EpochTime", VARIABLE_TIME },
	{ "iot:ConnectAttributes", VARIABLE_ATTRIBUTES },
};

bool text_same(struct edged_slice a, struct edged_slice b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

/* Takes `prefix` off the front. */
static bool take(struct edged_slice *text, const char *prefix)
{
	size_t n = strlen(prefix);
	if (text->len < n || strncasecmp(text->ptr, prefix, n) != 0)
		return false;
	*text = edged_slice(text->ptr + n, text->len - n);
	return true;
}

/* "[key]" */
static bool read_key(struct edged_slice text, struct variable *ret)
{
	if (text.len < 3 || text.ptr[0] != '[' || text.ptr[text.len - 1] != ']')
		return false;
	ret->key = edged_slice(text.ptr + 1, text.len - 2);
	return !memchr(ret->key.ptr, '[', ret->key.len) && !memchr(ret->key.ptr, ']', ret->key.len);
}

/* What follows a name: nothing, ".List", or "." and a number. */
static bool read_tail(struct edged_slice text, struct variable *ret)
{
	unsigned n = 0;
	if (text.len == 0)
		return true;
	if (!take(&text, "."))
		return false;
	if (text_same(text, edged_str("List")))
		return ret->list = true;
	if (text.len == 0 || text.len > 2)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		n = n * 10 + (unsigned)(text.ptr[i] - '0');
	}
	ret->index = (uint16_t)n;
	return true;
}

static bool read_field(struct edged_slice text, const char *const *names, size_t count, struct variable *ret)
{
	size_t n = 0;
	while (n < text.len && text.ptr[n] != '.')
		n++;
	for (size_t i = 0; i < count; i++)
		if (text_same(edged_slice(text.ptr, n), edged_str(names[i]))) {
			ret->field = (uint8_t)i;
			return read_tail(edged_slice(text.ptr + n, text.len - n), ret);
		}
	return false;
}

bool variable_read(struct edged_slice name, struct variable *ret)
{
	*ret = (struct variable){ 0 };
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (text_same(name, edged_str(plain[i].name))) {
			ret->id = (uint8_t)plain[i].id;
			return true;
		}
	if (take(&name, "iot:Connection.Thing.Attributes")) {
		ret->id = VARIABLE_THING_ATTRIBUTE;
		return read_key(name, ret);
	}
	bool subject = take(&name, "iot:Certificate.Subject.");
	if (!subject && !take(&name, "iot:Certificate.Issuer."))
		return false;
	if (take(&name, "AlternativeName.")) {
		ret->id = subject ? VARIABLE_ALTERNATIVE : VARIABLE_ISSUER_ALTERNATIVE;
		return read_field(name, alternatives, ALTERNATIVES, ret);
	}
	ret->id = subject ? VARIABLE_SUBJECT : VARIABLE_ISSUER;
	return read_field(name, fields, FIELDS, ret);
}
