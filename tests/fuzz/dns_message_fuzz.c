/* layers: core base */
/* SPDX-License-Identifier: Apache-2.0 */
/* Any multicast DNS packet of the network. */
#include <stdint.h>
#include <stdlib.h>

#include "core/dns_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_reader r;
	struct dns_question q;
	struct dns_record record;
	struct dns_name name;
	char value[32];
	unsigned n = 0;
	if (!dns_read(&r, data, size))
		return 0;
	while (dns_read_question(&r, &q))
		n += dns_name_eq(&q.name, &q.name);
	while (dns_read_record(&r, &record)) {
		n += dns_record_name(&r, &record, 0, &name) + dns_record_name(&r, &record, 6, &name);
		n += dns_txt_get(&r, &record, "id", value, sizeof(value));
		if (record.at + record.len > size)
			abort();
	}
	if (n > 3 * 65536)
		abort();
	return 0;
}
