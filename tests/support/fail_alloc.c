/* SPDX-License-Identifier: MIT
 *
 * Failing allocations on purpose (fail_alloc.h).
 */
#include "support/fail_alloc.h"

#include <errno.h>
#include <stdatomic.h>

static _Atomic uint64_t until; /* 0: off; 1: the next one fails */
static _Atomic bool failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);

void fail_alloc_at(uint64_t n)
{
    atomic_store(&failed, false);
    atomic_store(&until, n);
}

bool fail_alloc_end(void)
{
    atomic_store(&until, 0);
    return atomic_load(&failed);
}

uint64_t fail_alloc_pause(void)
{
    return atomic_exchange(&until, 0);
}

void fail_alloc_resume(uint64_t paused)
{
    atomic_store(&until, paused);
}

static struct {
    size_t bytes;
    void (*then)(void *arg);
    void *arg;
} meanwhile;

void fail_alloc_meanwhile(size_t bytes, void (*then)(void *arg), void *arg)
{
    meanwhile.bytes = bytes;
    meanwhile.then = then;
    meanwhile.arg = arg;
}

static void happen(size_t bytes)
{
    void (*then)(void *arg) = meanwhile.then;
    if (then == NULL || bytes < meanwhile.bytes)
        return;
    meanwhile.then = NULL;
    then(meanwhile.arg);
}

static bool fails(void)
{
    uint64_t left = atomic_load(&until);
    while (left > 0 && !atomic_compare_exchange_weak(&until, &left, left - 1))
        continue;
    if (left != 1)
        return false;
    atomic_store(&failed, true);
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    happen(size);
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}
