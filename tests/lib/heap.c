/* SPDX-License-Identifier: Apache-2.0 */
#include "heap.h"

#include <stdatomic.h>
#include <stddef.h>

static atomic_long countdown = -1;
static atomic_bool failed;

void heap_fail_at(long n)
{
	atomic_store(&failed, false);
	atomic_store(&countdown, n);
}

bool heap_failed(void)
{
	return atomic_load(&failed);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
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
	if (atomic_load(&countdown) < 0)
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
