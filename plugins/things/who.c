/* SPDX-License-Identifier: Apache-2.0 */
#include "who.h"

#include <stdlib.h>
#include "x509.h"

static bool text(const char *value, struct edged_slice *ret)
{
	*ret = edged_str(value);
	return value != NULL;
}

/* A value of the certificate, kept as long as `who`. */
static bool certificate_value(
        struct who *who, const struct variable *variable, unsigned index, struct edged_slice *ret)
{
	if (!who->certificate && who->pem.len)
		who->certificate = x509_read(who->pem);
	char *value = who->certificate ? x509_value(who->certificate, variable, index) : NULL;
	char *kept = value ? arena_copy(&who->texts, value, strlen(value)) : NULL;
	free(value);
	return text(kept, ret);
}

static bool attribute(const struct who *who, struct edged_slice key, struct edged_slice *ret)
{
	char name[129];
	if (key.len >= sizeof(name))
		return false;
	memcpy(name, key.ptr, key.len);
	name[key.len] = '\0';
	return text(
	        json_string_value(json_object_get(json_object_get(who->thing_doc, "attributes"), name)), ret);
}

static bool single_value(struct who *who, const struct variable *variable, struct edged_slice *ret)
{
	switch ((enum variable_id)variable->id) {
	case VARIABLE_CLIENT_ID:
		*ret = who->client_id;
		return who->client_id.len > 0;
	case VARIABLE_SOURCE_IP:
		return text(who->connected ? who->address : NULL, ret);
	case VARIABLE_DOMAIN:
		return text(who->domain, ret);
	case VARIABLE_THING:
		return text(who->thing, ret);
	case VARIABLE_THING_TYPE:
		return text(json_string_value(json_object_get(who->thing_doc, "type")), ret);
	case VARIABLE_THING_ATTRIBUTE:
		return attribute(who, variable->key, ret);
	case VARIABLE_ATTACHED:
		return text(who->thing ? "true" : "false", ret);
	case VARIABLE_CERTIFICATE_ID:
		return text(who->certificate_id, ret);
	case VARIABLE_TLS:
		return text(!who->connected ? NULL : who->tls ? "true" : "false", ret);
	case VARIABLE_TIME:
	case VARIABLE_ATTRIBUTES:
	case VARIABLE_CERTIFICATE_SERIAL:
	case VARIABLE_SUBJECT:
	case VARIABLE_ISSUER:
	case VARIABLE_ALTERNATIVE:
	case VARIABLE_ISSUER_ALTERNATIVE:
		break;
	}
	return false;
}

static bool value(const void *arg, const struct variable *variable, unsigned index, struct edged_slice *ret)
{
	struct who *who = (struct who *)(uintptr_t)arg;
	if (variable->id >= VARIABLE_CERTIFICATE_SERIAL && variable->id <= VARIABLE_ISSUER_ALTERNATIVE)
		return certificate_value(who, variable, index, ret);
	return index == 0 && single_value(who, variable, ret);
}

struct subject who_subject(struct who *who)
{
	return (struct subject){ value, who };
}

void who_fini(struct who *who)
{
	x509_free(who->certificate);
	arena_fini(&who->texts);
}
