/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages (RFC 1035) as multicast DNS uses them (RFC 6762): reading what the network brings, and writing. Names are
 * kept in wire form, so that any byte may be in a label. Pure.
 */
#ifndef CORE_DNS_MESSAGE_H
#define CORE_DNS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DNS_A = 1, DNS_PTR = 12, DNS_TXT = 16, DNS_AAAA = 28, DNS_SRV = 33, DNS_ANY = 255 };
enum { DNS_RESPONSE = 0x8400 /* and authoritative */, DNS_CLASS_IN = 1, DNS_TOP_BIT = 0x8000 };

struct dns_name {
	uint8_t len; /* with the final 0 */
	uint8_t wire[255];
};

/* `first` (may be NULL) is one label as it is; `rest` is split at its dots. False: too long. */
bool dns_name_make(struct dns_name *name, const char *first, const char *rest);
bool dns_name_eq(
        const struct dns_name *a, const struct dns_name *b); /* ASCII letters without regard to case */

/* --- reading; `bad` sticks, and nothing more comes --- */
struct dns_reader {
	const uint8_t *bytes;
	size_t len, at;
	uint16_t id, flags;
	uint16_t questions, records; /* left; records are answers, authorities and additionals in one */
	uint16_t answers;            /* of those the first so many are answers */
	bool bad;
};
/* False: no DNS message. */
bool dns_read(struct dns_reader *reader, const uint8_t *bytes, size_t len);

struct dns_question {
	struct dns_name name;
	uint16_t type, class;
	bool unicast; /* the asker would like to be answered directly */
};
/* The next question; false: no more. All questions are read before records. */
bool dns_read_question(struct dns_reader *reader, struct dns_question *ret);

struct dns_record {
	struct dns_name name;
	uint16_t type, class;
	uint32_t ttl;
	size_t at, len; /* of the data */
	bool answer;
};
bool dns_read_record(struct dns_reader *reader, struct dns_record *ret);
/* The name that starts `skip` bytes into the record's data (PTR: 0, SRV: 6). */
bool dns_record_name(
        const struct dns_reader *reader, const struct dns_record *record, size_t skip, struct dns_name *ret);
/* The value of a key in TXT data, at most size - 1 bytes, terminated; false: not there. */
bool dns_txt_get(const struct dns_reader *reader, const struct dns_record *record, const char *key, char *ret,
        size_t size);

/* --- writing, without compression; `bad` when it does not fit --- */
struct dns_writer {
	uint8_t bytes[1400];
	size_t len;
	bool bad;
	uint16_t counts[4];
};
void dns_write(struct dns_writer *writer, uint16_t id, uint16_t flags);
void dns_write_question(
        struct dns_writer *writer, const struct dns_name *name, uint16_t type, uint16_t class);
/* section: 1 answer, 3 additional; sections in order. The data follows by dns_write_data(), and is ended by dns_write_end(). */
size_t dns_write_record(struct dns_writer *writer, unsigned section, const struct dns_name *name,
        uint16_t type, uint16_t class, uint32_t ttl);
void dns_write_data(struct dns_writer *writer, const void *bytes, size_t len);
void dns_write_number(struct dns_writer *writer, uint32_t value, unsigned size);
void dns_write_end(struct dns_writer *writer, size_t record);
/* Fills in the counts; false: it did not fit. */
bool dns_finish(struct dns_writer *writer);

#endif
