/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at certificates: fingerprint, end, and what policy variables say of them. Any thread. */
#ifndef THINGS_X509_H
#define THINGS_X509_H

#include "variable.h"

struct x509_st;

/* The first certificate of PEM text; NULL: there is none. To be freed with x509_free(). */
struct x509_st *x509_read(struct edged_slice pem);
void x509_free(struct x509_st *certificate);
/* SHA-256 of its DER form as 64 lower-case hex digits. */
bool x509_fingerprint(const struct x509_st *certificate, char ret[65]);
/* PEM of this certificate alone, malloc'ed; NULL: no memory. */
char *x509_text(struct x509_st *certificate);
/* Seconds since 1970; INT64_MAX: for ever. */
int64_t x509_until(const struct x509_st *certificate);
/* The value of a variable that is read from the certificate (enum variable_id); malloc'ed UTF-8,
 * NULL: there is none. */
char *x509_value(const struct x509_st *certificate, const struct variable *variable, unsigned index);

#endif
