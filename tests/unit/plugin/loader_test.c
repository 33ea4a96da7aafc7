/* SPDX-License-Identifier: Apache-2.0 */
/* plugin/loader: every reason for which a file is refused, by its words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <elf.h>
#include <link.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "place.h"
#include "plugin/elf.h"
#include "plugin/loader.h"

#ifdef __x86_64__
#define ON_X86 1
#else
#define ON_X86 0
#endif

static struct place place;

static int load(const char *file, struct image **ret, struct err *err)
{
	err->text[0] = 0;
	return image_load(place.folder, file, ret, err);
}

static void expect_refusal(const char *file, const char *words)
{
	struct image *image = NULL;
	struct err err;
	int r = load(file, &image, &err);
	if (r >= 0 || !strstr(err.text, words))
		fail_msg("%s: got %d \"%s\", wanted \"%s\"", file, r, err.text, words);
	assert_null(image);
}

static void setup_file(const char *file)
{
	place_copy(&place, "first", file);
}

static void files_that_are_none(void **state)
{
	(void)state;
	char path[256], other[256];
	expect_refusal("absent.so", "cannot be looked at: No such file");
	setup_file("real.so");
	assert_int_equal(
	        symlink(place_path(&place, "real.so", path), place_path(&place, "link.so", other)), 0);
	expect_refusal("link.so", "it is a symbolic link, not a regular file");
	assert_int_equal(mkfifo(place_path(&place, "fifo.so", path), 0600), 0);
	expect_refusal("fifo.so", "it is a FIFO, not a regular file");
	assert_int_equal(mkdir(place_path(&place, "folder.so", path), 0700), 0);
	expect_refusal("folder.so", "it is a folder, not a regular file");
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket.so", place.folder);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	expect_refusal("socket.so", "it is a socket, not a regular file");
	close(fd);
}

static void files_of_others(void **state)
{
	(void)state;
	char path[256];
	setup_file("mode.so");
	place_path(&place, "mode.so", path);
	chmod(path, 0664);
	expect_refusal("mode.so", "the file may be written by its group (mode 0664)");
	chmod(path, 0646);
	expect_refusal("mode.so", "the file may be written by everybody (mode 0646)");
	chmod(path, 0644);
	chmod(place.folder, 0775);
	expect_refusal("mode.so", "its folder may be written by its group");
	chmod(place.folder, 01777);
	expect_refusal("mode.so", "its folder may be written by everybody");
	chmod(place.folder, 0700);
	if (geteuid() != 0) {
		skip();
		return;
	}
	assert_int_equal(chown(path, 4242, 0), 0);
	expect_refusal("mode.so", "the file belongs to user 4242");
	assert_int_equal(chown(path, 0, 0), 0);
	assert_int_equal(chown(place.folder, 4242, 0), 0);
	expect_refusal("mode.so", "its folder belongs to user 4242");
	assert_int_equal(chown(place.folder, 0, 0), 0);
}

/* A copy of "first" with some bytes changed. */
static void write_changed(const char *file, size_t at, const void *bytes, size_t n)
{
	size_t size;
	char *copy = place_read(&place, "first", &size);
	memcpy(copy + at, bytes, n);
	place_write(&place, file, copy, size);
	free(copy);
}

static void files_for_other_machines(void **state)
{
	(void)state;
	uint16_t machine = EM_SPARCV9;
	write_changed("x.so", offsetof(ElfW(Ehdr), e_machine), &machine, 2);
	expect_refusal("x.so", "built for machine 43 (");
	machine = ON_X86 ? EM_AARCH64 : EM_X86_64;
	write_changed("x.so", offsetof(ElfW(Ehdr), e_machine), &machine, 2);
	expect_refusal(
	        "x.so", ON_X86 ? "built for arm64 (64 bit, little-endian), and this node is x86-64 (64 bit"
	                       : "built for x86-64 (");
	unsigned char byte = sizeof(void *) == 8 ? ELFCLASS32 : ELFCLASS64;
	write_changed("x.so", EI_CLASS, &byte, 1);
	expect_refusal("x.so",
	        sizeof(void *) == 8 ? "(32 bit, little-endian), and" : "(64 bit, little-endian), and");
	byte = ELFDATA2MSB;
	write_changed("x.so", EI_DATA, &byte, 1);
	expect_refusal("x.so", "big-endian), and this node is");
}

static void files_that_are_damaged(void **state)
{
	(void)state;
	size_t size;
	CLEANUP(free_charp) char *bytes = place_read(&place, "first", &size);
	place_write(&place, "empty.so", "", 0);
	expect_refusal("empty.so", "the file is empty");
	place_write(&place, "text.so", "#!/bin/sh\n", 10);
	expect_refusal("text.so", "not a shared object (no ELF header)");
	place_write(&place, "cut.so", bytes, 18);
	expect_refusal("cut.so", "truncated: it ends within its ELF header");
	place_write(&place, "cut.so", bytes, sizeof(ElfW(Ehdr)) - 1);
	expect_refusal("cut.so", "truncated: it ends within its ELF header");
	place_write(&place, "cut.so", bytes, size - 1);
	expect_refusal("cut.so", "truncated: it has");
	place_write(&place, "cut.so", bytes, size / 2);
	expect_refusal("cut.so", "truncated: it has");
	uint16_t type = ET_REL;
	write_changed("x.so", offsetof(ElfW(Ehdr), e_type), &type, 2);
	expect_refusal("x.so", "an object file, not a shared object");
	type = ET_EXEC;
	write_changed("x.so", offsetof(ElfW(Ehdr), e_type), &type, 2);
	expect_refusal("x.so", "a program, not a shared object");
	uint16_t count = 0;
	write_changed("x.so", offsetof(ElfW(Ehdr), e_phnum), &count, 2);
	expect_refusal("x.so", "it has no dynamic section");
	count = 3;
	write_changed("x.so", offsetof(ElfW(Ehdr), e_phentsize), &count, 2);
	expect_refusal("x.so", "its program headers have an odd size");
}

static void files_that_are_no_plugins_for_us(void **state)
{
	(void)state;
	static const struct {
		const char *name, *words;
	} rows[] = {
		{ "no_symbol", "exports no symbol edged_plugin_v1" },
		{ "v2", "built for ABI 2, and this daemon offers ABI 1" },
		{ "no_data", "edged_plugin_v1 is no data" },
		{ "short", "the least that ABI 1 ever had" },
		{ "undefined", "undefined symbol: frobnicate_the_gateway" },
		{ "no_create", "it has no create()" },
		{ "no_offer", "it offers test.b/1, but has no offer()" },
		{ "no_version", "it has no version" },
		{ "bad_name", "its name is \"Bad Name\"" },
		{ "bad_needs", "it needs \"http\", which is no capability's name" },
		{ "bad_settings", "row 2 (\"width\") of its configuration table has no default" },
		{ "bad_route", "row 1 (GET /bad-route/v1) of its route table has no serve()" },
	};
	char log[256];
	setenv("PROBE_LOG", place_path(&place, "log", log), 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		place_copy(&place, rows[i].name, "x.so");
		expect_refusal("x.so", rows[i].words);
	}
	assert_int_equal(access(log, F_OK), -1); /* no constructor of "short" has run */
}

static void the_past_and_the_future_load(void **state)
{
	(void)state;
	struct image *image;
	struct err err;
	struct edged_setting setting;
	place_copy(&place, "past", "past.so");
	if (load("past.so", &image, &err))
		fail_msg("%s", err.text);
	assert_string_equal(image->plugin.name, "past");
	assert_true(image_setting(&image->plugin, 0, &setting));
	assert_string_equal(setting.name, "years");
	assert_false(image_setting(&image->plugin, 1, &setting));
	image_free(image);
	place_copy(&place, "future", "future.so");
	if (load("future.so", &image, &err))
		fail_msg("%s", err.text);
	assert_int_equal(image->plugin.abi_minor, 7);
	assert_true(image_setting(&image->plugin, 1, &setting));
	assert_string_equal(setting.name, "warm");
	assert_string_equal(image->routes[1].path, "/future/v1/b");
	assert_null(image->routes[2].method);
	image_free(image);
}

/* The file is overwritten where it is, while its code is in use: what runs is not touched, what is loaded next is new. */
static void code_runs_from_a_private_copy(void **state)
{
	(void)state;
	struct image *one, *two;
	struct err err;
	place_copy(&place, "first", "x.so");
	assert_int_equal(load("x.so", &one, &err), 0);
	place_write(&place, "x.so", "rubbish", 7);
	expect_refusal("x.so", "no ELF header");
	assert_string_equal(one->plugin.version, "1");
	place_copy(&place, "first2", "x.so");
	assert_int_equal(load("x.so", &two, &err), 0);
	assert_string_equal(two->plugin.version, "2");
	assert_string_equal(one->plugin.version, "1");
	assert_ptr_not_equal(one->plugin.create, two->plugin.create);
	image_free(one);
	image_free(two);
}

/* The struct of a plugin that was built with less than we know is not read beyond its end. */
static void structs_are_clamped(void **state)
{
	(void)state;
	struct edged_plugin plugin;
	struct err err;
	struct image *image;
	place_copy(&place, "first", "x.so");
	assert_int_equal(load("x.so", &image, &err), 0);
	const uint32_t first = offsetof(struct edged_plugin, reload_settings); /* as it was published first */
	uint32_t *small = malloc(first); /* the sanitizer watches its end; it begins with three sizes */
	memcpy(small, &image->plugin, first);
	small[0] = first;
	memset(&plugin, 0xff, sizeof(plugin));
	assert_int_equal(image_judge(small, &plugin, &err), 0);
	assert_null(plugin.reload_settings);
	assert_null(plugin.reloaded);
	small[0] = first - 1;
	assert_int_equal(image_judge(small, &plugin, &err), -EINVAL);
	small[0] = 1 << 20;
	assert_int_equal(image_judge(small, &plugin, &err), -EINVAL);
	small[0] = first;
	small[2] = 8;
	assert_int_equal(image_judge(small, &plugin, &err), -EINVAL);
	assert_non_null(strstr(err.text, "its routes have 8 bytes"));
	free(small);
	image_free(image);
}

/* Every byte of the headers and the dynamic part, set to this and that: refused or not, but never a crash. */
static void damage_is_survived(void **state)
{
	(void)state;
	size_t size;
	CLEANUP(free_charp) char *bytes = place_read(&place, "first", &size);
	size_t end = size < 4096 ? size : 4096;
	for (size_t i = 0; i < end; i++) {
		char was = bytes[i];
		static const unsigned char values[] = { 0, 0x7f, 0xff };
		for (size_t v = 0; v < ARRAY_LEN(values); v++) {
			struct elf elf;
			struct elf_symbol symbol;
			uint64_t cursor = 0;
			bytes[i] = (char)values[v];
			if (elf_open(edged_slice(bytes, size), &elf, NULL) == 0)
				while (elf_next(&elf, "e", &cursor, &symbol) == 0)
					;
		}
		bytes[i] = was;
	}
}

static int setup(void **state)
{
	(void)state;
	place_init(&place);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	place_fini(&place);
	return 0;
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_that_are_none),
		TEST(files_of_others),
		TEST(files_for_other_machines),
		TEST(files_that_are_damaged),
		TEST(files_that_are_no_plugins_for_us),
		TEST(the_past_and_the_future_load),
		TEST(code_runs_from_a_private_copy),
		TEST(structs_are_clamped),
		TEST(damage_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
