/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of AWS IoT policy variables and condition keys (AWS IoT Core developer guide: "Basic", "Thing" and "X.509
 * Certificate policy variables"; IAM user guide: "Global condition context keys"). Names are compared in any case. Pure.
 */
#ifndef THINGS_VARIABLE_H
#define THINGS_VARIABLE_H

#include "edged/slice.h"

enum variable_id {
	VARIABLE_CLIENT_ID, /* ${iot:ClientId} */
	VARIABLE_SOURCE_IP, /* ${aws:SourceIp} */
	VARIABLE_DOMAIN,    /* ${iot:DomainName}: the server name that the client asked for */
	VARIABLE_THING,     /* ${iot:Connection.Thing.ThingName} */
	VARIABLE_THING_TYPE,
	VARIABLE_THING_ATTRIBUTE, /* ...Thing.Attributes[key] */
	VARIABLE_ATTACHED,        /* ...Thing.IsAttached: "true" or "false" */
	VARIABLE_CERTIFICATE_ID,
	VARIABLE_CERTIFICATE_SERIAL, /* this and those down to ISSUER_ALTERNATIVE are read from the certificate */
	VARIABLE_SUBJECT,            /* ${iot:Certificate.Subject.FIELD}, of enum variable_field */
	VARIABLE_ISSUER,             /* ${iot:Certificate.Issuer.FIELD} */
	VARIABLE_ALTERNATIVE, /* ${iot:Certificate.Subject.AlternativeName.FIELD}, of enum variable_alternative */
	VARIABLE_ISSUER_ALTERNATIVE, /* ${iot:Certificate.Issuer.AlternativeName.FIELD} */
	VARIABLE_TLS,                /* aws:SecureTransport: "true" or "false" */
	/* those below change from request to request: in a Condition only */
	VARIABLE_TIME,       /* aws:CurrentTime, aws:EpochTime */
	VARIABLE_ATTRIBUTES, /* iot:ConnectAttributes */
};

enum variable_field { /* of a distinguished name (RFC 5280 section 4.1.2.4) */
	FIELD_QUALIFIER,
	FIELD_COUNTRY,
	FIELD_ORGANIZATION,
	FIELD_UNIT,
	FIELD_STATE,
	FIELD_COMMON_NAME,
	FIELD_SERIAL,
	FIELD_TITLE,
	FIELD_SURNAME,
	FIELD_GIVEN_NAME,
	FIELD_INITIALS,
	FIELD_PSEUDONYM,
	FIELD_GENERATION,
	FIELDS
};

enum variable_alternative { /* RFC 5280 section 4.2.1.6 */
	ALTERNATIVE_EMAIL,
	ALTERNATIVE_DNS,
	ALTERNATIVE_DIRECTORY,
	ALTERNATIVE_URI,
	ALTERNATIVE_IP,
	ALTERNATIVES
};

struct variable {
	uint8_t id, field;
	bool list;              /* NAME.List: all values */
	uint16_t index;         /* NAME.2: the third value */
	struct edged_slice key; /* of an attribute; points into the name that was read */
};

/* The name between "${" and "}". False: there is no such variable. */
bool variable_read(struct edged_slice name, struct variable *ret);

/* Compare text in any case (ASCII). */
bool text_same(struct edged_slice a, struct edged_slice b);

#endif
