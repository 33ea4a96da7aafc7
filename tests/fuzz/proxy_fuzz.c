/* layers: base io */
/* SPDX-License-Identifier: Apache-2.0 */
/* PROXY headers: what comes in pieces gives the same as what comes at once, and the end is inside. */
#include <stdlib.h>
#include <string.h>

#include "io/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header whole, part;
	int r = proxy_header_read(data, size, &whole), early = PROXY_HEADER_MORE;
	if (!r && (whole.len == 0 || whole.len > size || whole.len > PROXY_HEADER_MAX ||
	                  (whole.relayed && whole.client.ss_family != AF_INET &&
	                          whole.client.ss_family != AF_INET6)))
		abort();
	if (r == PROXY_HEADER_MORE && size >= PROXY_HEADER_MAX)
		abort();
	for (size_t n = 0; n <= size && early == PROXY_HEADER_MORE; n++)
		early = proxy_header_read(data, n, &part);
	if (early != r && !(r < 0 && early < 0))
		abort();
	if (!r && (part.len != whole.len || part.relayed != whole.relayed ||
	                  memcmp(&part.client, &whole.client, sizeof(part.client)) != 0))
		abort();
	return 0;
}
