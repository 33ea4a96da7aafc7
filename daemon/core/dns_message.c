/* SPDX-License-Identifier: Apache-2.0 */
#include "core/dns_message.h"

#include <string.h>

enum { POINTERS = 32 };

/* --- names ---------------------------------------------------------------------------------------------------------------- */

static bool add_label(struct dns_name *name, const char *label, size_t len)
{
	if (!len || len > 63 || name->len + len + 1 > sizeof(name->wire) - 1)
		return false;
	name->wire[name->len++] = (uint8_t)len;
	memcpy(name->wire + name->len, label, len);
	name->len = (uint8_t)(name->len + len);
	return true;
}

bool dns_name_make(struct dns_name *name, const char *first, const char *rest)
{
	name->len = 0;
	bool ok = !first || add_label(name, first, strlen(first));
	while (ok && *rest) {
		size_t len = strcspn(rest, ".");
		ok = add_label(name, rest, len);
		rest += len + (rest[len] == '.');
	}
	if (ok)
		name->wire[name->len++] = 0;
	return ok;
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

/* Lengths of labels are below 64, so that taking them for letters does no harm. */
bool dns_name_eq(const struct dns_name *a, const struct dns_name *b)
{
	if (a->len != b->len)
		return false;
	for (unsigned i = 0; i < a->len; i++)
		if (lower(a->wire[i]) != lower(b->wire[i]))
			return false;
	return true;
}

/* --- reading ----------------------------------------------------------------------------------------------------------------- */

static uint32_t get(struct dns_reader *r, unsigned size)
{
	uint32_t value = 0;
	if (r->bad || r->len - r->at < size) {
		r->bad = true;
		return 0;
	}
	for (unsigned i = 0; i < size; i++)
		value = value << 8 | r->bytes[r->at++];
	return value;
}

/* Reads the name at `at`; returns where what follows it starts, 0: malformed. Pointers must lead back, so it ends. */
static size_t get_name(const struct dns_reader *r, size_t at, struct dns_name *ret)
{
	size_t after = 0;
	ret->len = 0;
	for (unsigned hops = 0; at < r->len;) {
		uint8_t n = r->bytes[at];
		if (n >= 0xc0) {
			if (at + 1 >= r->len || ++hops > POINTERS)
				return 0;
			size_t to = (size_t)(n & 0x3f) << 8 | r->bytes[at + 1];
			after = after ? after : at + 2;
			if (to >= at)
				return 0;
			at = to;
			continue;
		}
		if (n > 63 || at + 1 + n > r->len || ret->len + n + 1u > sizeof(ret->wire))
			return 0;
		memcpy(ret->wire + ret->len, r->bytes + at, n + 1u);
		ret->len = (uint8_t)(ret->len + n + 1);
		at += n + 1u;
		if (!n)
			return after ? after : at;
	}
	return 0;
}

static void take_name(struct dns_reader *r, struct dns_name *ret)
{
	size_t after = r->bad ? 0 : get_name(r, r->at, ret);
	r->bad = !after;
	r->at = after ? after : r->at;
}

bool dns_read(struct dns_reader *r, const uint8_t *bytes, size_t len)
{
	*r = (struct dns_reader){ .bytes = bytes, .len = len };
	r->id = (uint16_t)get(r, 2);
	r->flags = (uint16_t)get(r, 2);
	r->questions = (uint16_t)get(r, 2);
	r->answers = (uint16_t)get(r, 2);
	uint32_t others = get(r, 2) + get(r, 2);
	uint32_t records = r->answers + others;
	r->records = (uint16_t)(records > 512 ? 512 : records);
	return !r->bad;
}

bool dns_read_question(struct dns_reader *r, struct dns_question *ret)
{
	if (r->bad || !r->questions)
		return false;
	r->questions--;
	take_name(r, &ret->name);
	ret->type = (uint16_t)get(r, 2);
	ret->class = (uint16_t)get(r, 2);
	ret->unicast = ret->class & DNS_TOP_BIT;
	ret->class &= (uint16_t)~DNS_TOP_BIT;
	return !r->bad;
}

bool dns_read_record(struct dns_reader *r, struct dns_record *ret)
{
	if (r->bad || r->questions || !r->records)
		return false;
	r->records--;
	ret->answer = r->answers > 0;
	r->answers -= ret->answer;
	take_name(r, &ret->name);
	ret->type = (uint16_t)get(r, 2);
	ret->class = (uint16_t)get(r, 2) & (uint16_t)~DNS_TOP_BIT;
	ret->ttl = get(r, 4);
	ret->len = get(r, 2);
	ret->at = r->at;
	if (r->bad || r->len - r->at < ret->len)
		r->bad = true;
	else
		r->at += ret->len;
	return !r->bad;
}

bool dns_record_name(
        const struct dns_reader *r, const struct dns_record *record, size_t skip, struct dns_name *ret)
{
	return skip < record->len && get_name(r, record->at + skip, ret) != 0;
}

bool dns_txt_get(
        const struct dns_reader *r, const struct dns_record *record, const char *key, char *ret, size_t size)
{
	const uint8_t *p = r->bytes + record->at, *end = p + record->len;
	size_t key_len = strlen(key);
	while (p < end) {
		size_t len = *p++;
		if (len > (size_t)(end - p))
			return false;
		if (len > key_len && p[key_len] == '=' && !memcmp(p, key, key_len)) {
			size_t n = len - key_len - 1;
			n = n < size ? n : size - 1;
			memcpy(ret, p + key_len + 1, n);
			ret[n] = '\0';
			return true;
		}
		p += len;
	}
	return false;
}

/* --- writing --------------------------------------------------------------------------------------------------------------------- */

void dns_write_data(struct dns_writer *w, const void *bytes, size_t len)
{
	if (w->bad || len > sizeof(w->bytes) - w->len) {
		w->bad = true;
		return;
	}
	if (len)
		memcpy(w->bytes + w->len, bytes, len);
	w->len += len;
}

void dns_write_number(struct dns_writer *w, uint32_t value, unsigned size)
{
	uint8_t bytes[4];
	for (unsigned i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> 8 * (size - 1 - i));
	dns_write_data(w, bytes, size);
}

void dns_write(struct dns_writer *w, uint16_t id, uint16_t flags)
{
	w->len = 0;
	w->bad = false;
	memset(w->counts, 0, sizeof(w->counts));
	dns_write_number(w, id, 2);
	dns_write_number(w, flags, 2);
	dns_write_number(w, 0, 4);
	dns_write_number(w, 0, 4);
}

void dns_write_question(struct dns_writer *w, const struct dns_name *name, uint16_t type, uint16_t class)
{
	w->counts[0]++;
	dns_write_data(w, name->wire, name->len);
	dns_write_number(w, type, 2);
	dns_write_number(w, class, 2);
}

size_t dns_write_record(struct dns_writer *w, unsigned section, const struct dns_name *name, uint16_t type,
        uint16_t class, uint32_t ttl)
{
	w->counts[section]++;
	dns_write_data(w, name->wire, name->len);
	dns_write_number(w, type, 2);
	dns_write_number(w, class, 2);
	dns_write_number(w, ttl, 4);
	dns_write_number(w, 0, 2);
	return w->len;
}

void dns_write_end(struct dns_writer *w, size_t record)
{
	if (w->bad)
		return;
	size_t len = w->len - record;
	w->bytes[record - 2] = (uint8_t)(len >> 8);
	w->bytes[record - 1] = (uint8_t)len;
}

bool dns_finish(struct dns_writer *w)
{
	for (unsigned i = 0; i < 4 && !w->bad; i++) {
		w->bytes[4 + 2 * i] = (uint8_t)(w->counts[i] >> 8);
		w->bytes[5 + 2 * i] = (uint8_t)w->counts[i];
	}
	return !w->bad;
}
