/* layers: base plugin */
/* SPDX-License-Identifier: Apache-2.0 */
/* A file that claims to be a plugin: judged without running any of it. */
#include "plugin/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf elf;
	struct elf_symbol symbol;
	uint64_t cursor = 0;
	if (elf_open(edged_slice(data, size), &elf, NULL))
		return 0;
	size_t sum = 0;
	while (elf_next(&elf, "edged_plugin_v", &cursor, &symbol) == 0) {
		for (size_t i = 0; i < symbol.content.len; i++)
			sum += (unsigned char)symbol.content.ptr[i];
		for (const char *c = symbol.name; *c; c++)
			sum += (unsigned char)*c;
	}
	return sum == 1 ? -1 : 0;
}
