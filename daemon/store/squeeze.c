/* SPDX-License-Identifier: Apache-2.0 */
#include "squeeze.h"

#include <lz4.h>

size_t squeeze(struct edged_slice bytes, char *out, size_t room)
{
	int most = room < LZ4_MAX_INPUT_SIZE ? (int)room : LZ4_MAX_INPUT_SIZE;
	if (bytes.len > LZ4_MAX_INPUT_SIZE)
		return 0;
	return (size_t)LZ4_compress_default(bytes.len ? bytes.ptr : "", out, (int)bytes.len, most);
}

bool unsqueeze(struct edged_slice squeezed, char *out, size_t len)
{
	if (squeezed.len > LZ4_MAX_INPUT_SIZE || len > LZ4_MAX_INPUT_SIZE)
		return false;
	int n = LZ4_decompress_safe(squeezed.len ? squeezed.ptr : "", out, (int)squeezed.len, (int)len);
	return n >= 0 && (size_t)n == len;
}
