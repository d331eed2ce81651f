/* SPDX-License-Identifier: MIT
 *
 * Memory that is used again from seed to seed. Each mapping that comes and goes costs a call, a
 * fault for each of its pages and word to other processors: half of the time of a run. The linker
 * leads mmap() and munmap() here (--wrap): what is small comes from the heap, which keeps what it
 * has had (sim_main.c).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SMALL_MOST ((size_t)1 << 20) /* values' blocks; not what a tier reserves */
#define PAGE_BYTES 4096u

void *__real_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t len);
void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t len);

void *__wrap_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    if (len > SMALL_MOST || (flags & MAP_ANONYMOUS) == 0)
        return __real_mmap(at, len, protection, flags, fd, offset);
    void *got = aligned_alloc(PAGE_BYTES, (len + PAGE_BYTES - 1) & ~(size_t)(PAGE_BYTES - 1));
    return got != NULL ? memset(got, 0, len) : MAP_FAILED;
}

int __wrap_munmap(void *at, size_t len)
{
    if (len > SMALL_MOST)
        return __real_munmap(at, len);
    free(at);
    return 0;
}
