/* SPDX-License-Identifier: Apache-2.0 */
#include "heap.h"

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
#else
bool heap_can_fail(void)
{
	return true;
}

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
