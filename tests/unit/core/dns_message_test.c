/* SPDX-License-Identifier: Apache-2.0 */
/* DNS messages: written ones can be read, and hostile ones end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "core/dns_message.h"

static void write_sample(struct dns_writer *w)
{
	struct dns_name type, instance;
	assert_true(dns_name_make(&type, NULL, "_edged._tcp.local"));
	assert_true(dns_name_make(&instance, "kitchen. pi", "_edged._tcp.local"));
	dns_write(w, 7, DNS_RESPONSE);
	dns_write_question(w, &type, DNS_PTR, DNS_CLASS_IN | DNS_TOP_BIT);
	size_t at = dns_write_record(w, 1, &type, DNS_PTR, DNS_CLASS_IN, 4500);
	dns_write_data(w, instance.wire, instance.len);
	dns_write_end(w, at);
	at = dns_write_record(w, 3, &instance, DNS_TXT, DNS_CLASS_IN | DNS_TOP_BIT, 120);
	dns_write_data(w, "\x04v=12\x06id=xyz\x05nokey", 18);
	dns_write_end(w, at);
	assert_true(dns_finish(w));
}

static void what_is_written_can_be_read(void **state)
{
	(void)state;
	struct dns_writer w;
	struct dns_reader r;
	struct dns_question q;
	struct dns_record record;
	struct dns_name instance, type, name;
	char value[8];
	write_sample(&w);
	dns_name_make(&type, NULL, "_EDGED._tcp.local");
	dns_name_make(&instance, "Kitchen. Pi", "_edged._tcp.local");
	assert_true(dns_read(&r, w.bytes, w.len));
	assert_int_equal(r.id, 7);
	assert_true(dns_read_question(&r, &q));
	assert_true(dns_name_eq(&q.name, &type));
	assert_true(q.unicast && q.class == DNS_CLASS_IN && q.type == DNS_PTR);
	assert_false(dns_read_question(&r, &q));
	assert_true(dns_read_record(&r, &record));
	assert_true(record.answer && record.type == DNS_PTR && record.ttl == 4500);
	assert_true(dns_record_name(&r, &record, 0, &name));
	assert_true(dns_name_eq(&name, &instance));
	assert_true(dns_read_record(&r, &record));
	assert_false(record.answer);
	assert_true(dns_txt_get(&r, &record, "v", value, sizeof(value)));
	assert_string_equal(value, "12");
	assert_true(dns_txt_get(&r, &record, "id", value, 3));
	assert_string_equal(value, "xy");
	assert_false(dns_txt_get(&r, &record, "i", value, sizeof(value)));
	assert_false(dns_txt_get(&r, &record, "nokey", value, sizeof(value)));
	assert_false(dns_read_record(&r, &record));
	assert_false(r.bad);
}

static void drain(const uint8_t *bytes, size_t len)
{
	struct dns_reader r;
	struct dns_question q;
	struct dns_record record;
	struct dns_name name;
	char value[16];
	if (!dns_read(&r, bytes, len))
		return;
	while (dns_read_question(&r, &q))
		;
	while (dns_read_record(&r, &record)) {
		dns_record_name(&r, &record, 0, &name);
		dns_txt_get(&r, &record, "id", value, sizeof(value));
	}
}

static void cut_and_broken_messages_end(void **state)
{
	(void)state;
	struct dns_writer w;
	write_sample(&w);
	for (size_t n = 0; n <= w.len; n++) {
		uint8_t *copy = malloc(n ? n : 1);
		memcpy(copy, w.bytes, n);
		drain(copy, n);
		for (size_t i = 0; i < n; i++) {
			uint8_t old = copy[i];
			copy[i] = 0xc0;
			drain(copy, n);
			copy[i] = 0xff;
			drain(copy, n);
			copy[i] = old;
		}
		free(copy);
	}
}

static void names_follow_pointers_backwards_only(void **state)
{
	(void)state;
	/* answer 1: "ab.c"; answer 2: pointer to it; answer 3: pointer to itself */
	static const uint8_t bytes[] = { 0, 0, 0x84, 0, 0, 0, 0, 3, 0, 0, 0, 0, 2, 'a', 'b', 1, 'c', 0, 0, 1,
		0, 1, 0, 0, 0, 9, 0, 0, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 0, 0xc0, 40, 0, 1, 0, 1, 0, 0, 0,
		9, 0, 0 };
	struct dns_reader r;
	struct dns_record record;
	struct dns_name name;
	dns_name_make(&name, NULL, "ab.c");
	assert_true(dns_read(&r, bytes, sizeof(bytes)));
	assert_true(dns_read_record(&r, &record));
	assert_true(dns_name_eq(&record.name, &name));
	assert_true(dns_read_record(&r, &record));
	assert_true(dns_name_eq(&record.name, &name));
	assert_false(dns_read_record(&r, &record));
	assert_true(r.bad);
}

static void long_names_are_refused(void **state)
{
	(void)state;
	struct dns_name name;
	char label[80];
	memset(label, 'x', sizeof(label));
	label[64] = '\0';
	assert_false(dns_name_make(&name, label, "local"));
	label[63] = '\0';
	assert_true(dns_name_make(&name, label, "local"));
	char dotted[300];
	memset(dotted, 'y', sizeof(dotted));
	for (int i = 50; i < 299; i += 51)
		dotted[i] = '.';
	dotted[299] = '\0';
	assert_false(dns_name_make(&name, NULL, dotted));
	assert_false(dns_name_make(&name, NULL, "a..b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_can_be_read),
		cmocka_unit_test(cut_and_broken_messages_end),
		cmocka_unit_test(names_follow_pointers_backwards_only),
		cmocka_unit_test(long_names_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
