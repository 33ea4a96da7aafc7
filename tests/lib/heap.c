/* SPDX-License-Identifier: Apache-2.0 */
#include "heap.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_long countdown = -1;
static atomic_bool failed;
static atomic_int spared;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OTHER_ALLOCATOR
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OTHER_ALLOCATOR
#endif
#endif

void heap_fail_at(long n)
{
	atomic_store(&failed, false);
	atomic_store(&countdown, n);
}

void heap_spare(bool on)
{
	atomic_fetch_add(&spared, on ? 1 : -1);
}

bool heap_failed(void)
{
	return atomic_load(&failed);
}

#ifdef OTHER_ALLOCATOR
bool heap_can_fail(void)
{
	return false;
}

long heap_live(void)
{
	return 0;
}
#else
bool heap_can_fail(void)
{
	return true;
}

/* --- counting: these take the place of libc's for the whole program ------------------------------------------------------ */

static atomic_long live;

long heap_live(void)
{
	return atomic_load(&live);
}

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void __libc_free(void *block);

static void *count(void *block)
{
	if (block)
		atomic_fetch_add(&live, 1);
	return block;
}

void *malloc(size_t n)
{
	return count(__libc_malloc(n));
}

void *calloc(size_t n, size_t size)
{
	return count(__libc_calloc(n, size));
}

void *realloc(void *old, size_t n)
{
	void *block = __libc_realloc(old, n);
	if (!old)
		return count(block);
	if (!block && n == 0)
		atomic_fetch_sub(&live, 1);
	return block;
}

void *memalign(size_t alignment, size_t n)
{
	return count(__libc_memalign(alignment, n));
}

void *aligned_alloc(size_t alignment, size_t n)
{
	return count(__libc_memalign(alignment, n));
}

int posix_memalign(void **ret, size_t alignment, size_t n)
{
	void *block = count(__libc_memalign(alignment, n));
	if (!block)
		return ENOMEM;
	*ret = block;
	return 0;
}

void free(void *block)
{
	if (block)
		atomic_fetch_sub(&live, 1);
	__libc_free(block);
}

/* --- failing: calls of our own objects come to __wrap_... --------------------------------------------------------------- */

static bool must_fail(void)
{
	if (atomic_load(&countdown) < 0 || atomic_load(&spared))
		return false;
	if (atomic_fetch_sub(&countdown, 1) != 0)
		return false;
	atomic_store(&failed, true);
	return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t n);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t n);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t n)
{
	return must_fail() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return must_fail() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t n)
{
	return must_fail() ? NULL : __real_realloc(old, n);
}

char *__wrap_strdup(const char *text)
{
	return must_fail() ? NULL : __real_strdup(text);
}
#endif

static size_t room_for(size_t n)
{
	return (size_t)2 << (63 - __builtin_clzll(n | 63));
}

void heap_append(uint8_t **bytes, size_t *len, const void *more, size_t n)
{
	heap_spare(true);
	if (!*bytes || room_for(*len + n) != room_for(*len))
		*bytes = realloc(*bytes, room_for(*len + n));
	heap_spare(false);
	if (!*bytes)
		abort();
	memcpy(*bytes + *len, more, n);
	*len += n;
}
