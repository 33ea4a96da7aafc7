/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An allocator that fails on request. Unit tests are linked so that malloc, calloc, realloc and strdup come here
 * (not under the sanitizers, which bring their own). Use: for (n = 0; ; n++) { heap_fail_at(n); run; if
 * (!heap_failed()) break; }
 */
#ifndef TESTS_HEAP_H
#define TESTS_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void heap_fail_at(long n); /* the n-th allocation from now (0: the next) fails, once; negative: none */
bool heap_failed(void);    /* did it? */
void heap_spare(
        bool on); /* on: allocations from now on are those of the test, which do not count; may be nested */
bool heap_can_fail(void); /* false in sanitizer builds */

/* Blocks that are allocated now, by whomever in the program, libraries included; 0 in sanitizer builds. */
long heap_live(void);

/* Adds to bytes on the heap, which grow in steps; never fails. */
void heap_append(uint8_t **bytes, size_t *len, const void *more, size_t n);

#endif
