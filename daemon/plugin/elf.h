/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks into the bytes of an ELF file without running any of it: is it a complete shared object for this
 * machine, and what does it export? Every offset is checked against the bytes that are there. Pure. Format:
 * System V ABI, chapters 4 and 5.
 */
#ifndef PLUGIN_ELF_H
#define PLUGIN_ELF_H

#include "edged/slice.h"
#include "base/err.h"

struct elf {
	struct edged_slice bytes;
	uint64_t phoff;
	uint32_t phnum;
	uint64_t symbols, symbol_count; /* of the dynamic symbol table: offset in the file, entries */
	uint64_t strings, string_size;  /* its names */
};

struct elf_symbol {
	const char *name; /* terminated, in the file's bytes */
	bool data;        /* an object, not a function */
	uint64_t size;
	struct edged_slice content; /* its bytes in the file; empty when there are none (.bss) */
};

/* 0; -ENOEXEC with a sentence: no ELF, for another machine, truncated, no shared object, damaged. The bytes
 * are borrowed. */
EDGED_MUST_CHECK int elf_open(struct edged_slice bytes, struct elf *ret, struct err *err);
/* The first exported (defined, global) symbol whose name starts with `prefix`, from *cursor (0 first) on,
 * which moves behind it. -ENOENT: no more. */
EDGED_MUST_CHECK int elf_next(
        const struct elf *elf, const char *prefix, uint64_t *cursor, struct elf_symbol *ret);

#endif
