/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/elf.h"

#include <elf.h>
#include <errno.h>
#include <link.h> /* ElfW */
#include <stdio.h>
#include <string.h>
#include "base/cleanup.h"

#if __SIZEOF_POINTER__ == 8
#define OWN_CLASS ELFCLASS64
#else
#define OWN_CLASS ELFCLASS32
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN_ORDER ELFDATA2LSB
#else
#define OWN_ORDER ELFDATA2MSB
#endif
#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#elif defined(__arm__)
#define OWN_MACHINE EM_ARM
#elif defined(__i386__)
#define OWN_MACHINE EM_386
#elif defined(__riscv)
#define OWN_MACHINE EM_RISCV
#elif defined(__powerpc64__)
#define OWN_MACHINE EM_PPC64
#elif defined(__s390__)
#define OWN_MACHINE EM_S390
#elif defined(__mips__)
#define OWN_MACHINE EM_MIPS
#elif defined(__loongarch__)
#define OWN_MACHINE EM_LOONGARCH
#else
#error "name this machine here"
#endif

static const struct {
	unsigned machine;
	const char *name;
} machines[] = {
	{ EM_X86_64, "x86-64" },
	{ EM_AARCH64, "arm64" },
	{ EM_ARM, "arm" },
	{ EM_386, "x86" },
	{ EM_RISCV, "RISC-V" },
	{ EM_PPC64, "ppc64" },
	{ EM_S390, "s390" },
	{ EM_MIPS, "mips" },
	{ EM_LOONGARCH, "LoongArch" },
};

/* "arm64 (64 bit, little-endian)" */
static const char *describe(unsigned class, unsigned order, unsigned machine, char text[64])
{
	char number[24];
	snprintf(number, sizeof(number), "machine %u", machine & 0xffff);
	const char *name = number;
	for (size_t i = 0; i < ARRAY_LEN(machines); i++)
		if (machines[i].machine == machine)
			name = machines[i].name;
	snprintf(text, 64, "%s (%s, %s-endian)", name, class == ELFCLASS64 ? "64 bit" : "32 bit",
	        order == ELFDATA2MSB ? "big" : "little");
	return text;
}

/* Copies n bytes at `offset` (hostile input is seldom aligned); false when they are not there. */
static bool read_at(const struct elf *elf, uint64_t offset, void *to, size_t n)
{
	if (offset > elf->bytes.len || elf->bytes.len - offset < n)
		return false;
	memcpy(to, elf->bytes.ptr + offset, n);
	return true;
}

static void reaches(uint64_t offset, uint64_t size, uint64_t *end)
{
	if (__builtin_add_overflow(offset, size, &offset))
		offset = UINT64_MAX;
	if (offset > *end)
		*end = offset;
}

static int judge_identity(struct edged_slice bytes, struct err *err)
{
	if (bytes.len == 0)
		return err_set(err, -ENOEXEC, "the file is empty");
	if (bytes.len < SELFMAG || memcmp(bytes.ptr, ELFMAG, SELFMAG) != 0)
		return err_set(err, -ENOEXEC, "the file is not a shared object (no ELF header)");
	if (bytes.len < EI_NIDENT + 4)
		return err_set(err, -ENOEXEC, "the file is truncated: it ends within its ELF header");
	const unsigned char *ident = (const unsigned char *)bytes.ptr;
	bool big = ident[EI_DATA] == ELFDATA2MSB;
	unsigned machine =
	        big ? (unsigned)(ident[18] << 8 | ident[19]) : (unsigned)(ident[19] << 8 | ident[18]);
	if (ident[EI_CLASS] == OWN_CLASS && ident[EI_DATA] == OWN_ORDER && machine == OWN_MACHINE)
		return 0;
	char found[64], wanted[64];
	return err_set(err, -ENOEXEC,
	        "the file is built for %s, and this node is %s: build it for this architecture",
	        describe(ident[EI_CLASS], ident[EI_DATA], machine, found),
	        describe(OWN_CLASS, OWN_ORDER, OWN_MACHINE, wanted));
}

static int judge_type(unsigned type, struct err *err)
{
	if (type == ET_DYN)
		return 0;
	return err_set(err, -ENOEXEC, "the file is %s, not a shared object: link it with -shared",
	        type == ET_REL    ? "an object file"
	        : type == ET_EXEC ? "a program"
	                          : "another kind of ELF file");
}

/* How far the headers say that the file reaches: a copy that broke off is shorter. */
static int judge_length(const struct elf *elf, const ElfW(Ehdr) * header, struct err *err)
{
	uint64_t end = sizeof(*header);
	reaches(header->e_phoff, (uint64_t)header->e_phnum * sizeof(ElfW(Phdr)), &end);
	reaches(header->e_shoff, (uint64_t)header->e_shnum * header->e_shentsize, &end);
	ElfW(Phdr) segment;
	for (uint32_t i = 0; i < elf->phnum; i++)
		if (read_at(elf, elf->phoff + i * sizeof(segment), &segment, sizeof(segment)))
			reaches(segment.p_offset, segment.p_filesz, &end);
	if (end <= elf->bytes.len)
		return 0;
	return err_set(err, -ENOEXEC,
	        "the file is truncated: it has %zu bytes, and its headers speak of %llu", elf->bytes.len,
	        (unsigned long long)end);
}

/* Where in the file an address of the loaded image is; *ret_room bytes of the segment follow there. */
static bool locate(const struct elf *elf, uint64_t address, uint64_t *ret, uint64_t *ret_room)
{
	ElfW(Phdr) segment;
	for (uint32_t i = 0; i < elf->phnum; i++) {
		if (!read_at(elf, elf->phoff + i * sizeof(segment), &segment, sizeof(segment)))
			return false;
		if (segment.p_type != PT_LOAD || address < segment.p_vaddr ||
		        address - segment.p_vaddr >= segment.p_filesz)
			continue;
		*ret = segment.p_offset + (address - segment.p_vaddr);
		*ret_room = segment.p_filesz - (address - segment.p_vaddr);
		return *ret <= elf->bytes.len && *ret_room <= elf->bytes.len - *ret;
	}
	return false;
}

/* The number of symbols is not written down with DT_GNU_HASH: it is the end of the last chain. */
static uint64_t count_gnu_hash(const struct elf *elf, uint64_t at)
{
	uint32_t head[4]; /* buckets, first symbol, bloom words, shift */
	if (!read_at(elf, at, head, sizeof(head)))
		return 0;
	uint64_t buckets = at + sizeof(head) + (uint64_t)head[2] * sizeof(ElfW(Addr));
	uint64_t chains = buckets + (uint64_t)head[0] * 4;
	uint32_t last = 0, bucket, hash;
	for (uint32_t i = 0; i < head[0]; i++) {
		if (!read_at(elf, buckets + (uint64_t)i * 4, &bucket, 4))
			return 0;
		if (bucket > last)
			last = bucket;
	}
	if (last < head[1] || last == 0)
		return head[1];
	do {
		if (!read_at(elf, chains + (uint64_t)(last - head[1]) * 4, &hash, 4))
			return 0;
		last++;
	} while (!(hash & 1));
	return last;
}

static uint64_t count_sysv_hash(const struct elf *elf, uint64_t at)
{
	uint32_t head[2]; /* buckets, chains: as many as symbols */
	return read_at(elf, at, head, sizeof(head)) ? head[1] : 0;
}

/* Takes what the entries of the dynamic section say about symbols. */
static bool read_dynamic(struct elf *elf, uint64_t offset, uint64_t size)
{
	uint64_t symtab = 0, strtab = 0, sysv = 0, gnu = 0, room, string_room;
	ElfW(Dyn) entry;
	for (uint64_t i = 0; i + sizeof(entry) <= size && read_at(elf, offset + i, &entry, sizeof(entry));
	        i += sizeof(entry)) {
		switch (entry.d_tag) {
		case DT_SYMTAB:
			symtab = entry.d_un.d_ptr;
			break;
		case DT_STRTAB:
			strtab = entry.d_un.d_ptr;
			break;
		case DT_STRSZ:
			elf->string_size = entry.d_un.d_val;
			break;
		case DT_HASH:
			sysv = entry.d_un.d_ptr;
			break;
		case DT_GNU_HASH:
			gnu = entry.d_un.d_ptr;
			break;
		}
		if (entry.d_tag == DT_NULL)
			break;
	}
	if (!locate(elf, symtab, &elf->symbols, &room) || !locate(elf, strtab, &elf->strings, &string_room))
		return false;
	uint64_t at, unused;
	if (sysv && locate(elf, sysv, &at, &unused))
		elf->symbol_count = count_sysv_hash(elf, at);
	else if (gnu && locate(elf, gnu, &at, &unused))
		elf->symbol_count = count_gnu_hash(elf, at);
	return elf->string_size <= string_room && elf->symbol_count <= room / sizeof(ElfW(Sym));
}

static int find_symbols(struct elf *elf, struct err *err)
{
	ElfW(Phdr) segment;
	for (uint32_t i = 0; i < elf->phnum; i++)
		if (read_at(elf, elf->phoff + i * sizeof(segment), &segment, sizeof(segment)) &&
		        segment.p_type == PT_DYNAMIC)
			return read_dynamic(elf, segment.p_offset, segment.p_filesz)
			               ? 0
			               : err_set(err, -ENOEXEC,
			                         "the file is damaged: its symbol table leads nowhere");
	return err_set(err, -ENOEXEC, "the file is not a shared object: it has no dynamic section");
}

int elf_open(struct edged_slice bytes, struct elf *ret, struct err *err)
{
	struct elf elf = { .bytes = bytes };
	ElfW(Ehdr) header;
	int r = judge_identity(bytes, err);
	if (r)
		return r;
	if (!read_at(&elf, 0, &header, sizeof(header)))
		return err_set(err, -ENOEXEC, "the file is truncated: it ends within its ELF header");
	r = judge_type(header.e_type, err);
	if (r)
		return r;
	if (header.e_phentsize != sizeof(ElfW(Phdr)))
		return err_set(err, -ENOEXEC, "the file is damaged: its program headers have an odd size");
	elf.phoff = header.e_phoff;
	elf.phnum = header.e_phnum;
	r = judge_length(&elf, &header, err);
	if (!r)
		r = find_symbols(&elf, err);
	if (!r)
		*ret = elf;
	return r;
}

/* A name that ends within the string table, or NULL. */
static const char *name_at(const struct elf *elf, uint64_t offset)
{
	if (offset >= elf->string_size)
		return NULL;
	const char *name = elf->bytes.ptr + elf->strings + offset;
	return memchr(name, 0, (size_t)(elf->string_size - offset)) ? name : NULL;
}

static struct edged_slice content_of(const struct elf *elf, const ElfW(Sym) * symbol)
{
	uint64_t at, room;
	if (!locate(elf, symbol->st_value, &at, &room))
		return edged_slice(NULL, 0);
	return edged_slice(elf->bytes.ptr + at, (size_t)(room < symbol->st_size ? room : symbol->st_size));
}

int elf_next(const struct elf *elf, const char *prefix, uint64_t *cursor, struct elf_symbol *ret)
{
	for (uint64_t i = *cursor; i < elf->symbol_count; i++) {
		ElfW(Sym) symbol;
		if (!read_at(elf, elf->symbols + i * sizeof(symbol), &symbol, sizeof(symbol)))
			return -ENOENT;
		const char *name = name_at(elf, symbol.st_name);
		unsigned bind = symbol.st_info >> 4, type = symbol.st_info & 15;
		if (!name || symbol.st_shndx == SHN_UNDEF || (bind != STB_GLOBAL && bind != STB_WEAK) ||
		        strncmp(name, prefix, strlen(prefix)) != 0)
			continue;
		*ret = (struct elf_symbol){ .name = name,
			.data = type == STT_OBJECT,
			.size = symbol.st_size,
			.content = content_of(elf, &symbol) };
		*cursor = i + 1;
		return 0;
	}
	return -ENOENT;
}
