/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli; RFC 3720, appendix B.4): finds every change of up to 32 bits in a row. */
#ifndef STORE_CRC32C_H
#define STORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of `n` bytes behind those whose sum is `crc` (0: none). Any thread. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t n);

#endif
