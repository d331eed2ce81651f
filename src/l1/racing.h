/* SPDX-License-Identifier: MIT
 *
 * Bytes that may be read while they are written: a copy without a pin (lookup.c) reads an item as
 * it finds it, and finds out afterwards whether it was the item. The bytes of items are written
 * and read by these, so that the thread sanitizer sees what is meant: under it, every byte is
 * atomic (and the reads acquire, in place of the fence that it does not know). Otherwise they are
 * plain copies, which no compiler may take through the fence.
 */
#ifndef STA_RACING_H
#define STA_RACING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Bytes of a value, of a key. */
#define STA_RACING_SMALL     128u
#define STA_RACING_SMALL_KEY 63u /* all bits of it are set */

#ifdef __SANITIZE_THREAD__

static inline void sta_racing_write(uint8_t *to, const void *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        __atomic_store_n(&to[i], ((const uint8_t *)from)[i], __ATOMIC_RELAXED);
}

static inline void sta_racing_read(void *to, const uint8_t *from, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)to)[i] = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);
}

static inline void sta_racing_read_small(void *to, const uint8_t *from, size_t len)
{
    sta_racing_read(to, from, len);
}

static inline bool sta_racing_same(const uint8_t *a, const uint8_t *b, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (__atomic_load_n(&a[i], __ATOMIC_ACQUIRE) != b[i])
            return false;
    }
    return true;
}

static inline bool sta_racing_same_small(const uint8_t *a, const uint8_t *b, size_t len)
{
    return sta_racing_same(a, b, len);
}

static inline void sta_racing_fence(void)
{
}

static inline void sta_racing_begin(void)
{
}

/* It knows no fence of this kind either: a locked instruction orders as much. */
static inline void sta_racing_order(void)
{
    _Atomic int here = 0;
    atomic_exchange_explicit(&here, 1, memory_order_seq_cst);
}

#else

static inline void sta_racing_write(uint8_t *to, const void *from, size_t len)
{
    if (len > 0)
        memcpy(to, from, len);
}

static inline void sta_racing_read(void *to, const uint8_t *from, size_t len)
{
    if (len > 0)
        memcpy(to, from, len);
}

/* Up to STA_RACING_SMALL bytes, without a call and a loop: words that overlap where they meet. */
static inline void sta_racing_read_small(void *to, const uint8_t *from, size_t len)
{
    uint8_t *out = to;
    if (len > 32) {
        const uint8_t *from_end = from + len;
        uint8_t *out_end = out + len;
        if (len > 64) {
            memcpy(out + 32, from + 32, 32);
            memcpy(out_end - 64, from_end - 64, 32);
        }
        memcpy(out, from, 32);
        memcpy(out_end - 32, from_end - 32, 32);
    } else if (len >= 16) {
        memcpy(out, from, 16);
        memcpy(out + len - 16, from + len - 16, 16);
    } else if (len >= 8) {
        memcpy(out, from, 8);
        memcpy(out + len - 8, from + len - 8, 8);
    } else if (len >= 4) {
        memcpy(out, from, 4);
        memcpy(out + len - 4, from + len - 4, 4);
    } else if (len > 0) {
        out[0] = from[0];
        out[len / 2] = from[len / 2];
        out[len - 1] = from[len - 1];
    }
}

static inline uint64_t sta_racing_differ8(const uint8_t *a, const uint8_t *b)
{
    uint64_t x;
    uint64_t y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x ^ y;
}

#ifdef __SSE2__
static inline bool sta_racing_same16(const uint8_t *a, const uint8_t *b, size_t last)
{
    __m128i first =
        _mm_cmpeq_epi8(_mm_loadu_si128((const void *)a), _mm_loadu_si128((const void *)b));
    __m128i second = _mm_cmpeq_epi8(_mm_loadu_si128((const void *)(a + last)),
                                    _mm_loadu_si128((const void *)(b + last)));
    return _mm_movemask_epi8(_mm_and_si128(first, second)) == 0xffff;
}
#else
static inline bool sta_racing_same16(const uint8_t *a, const uint8_t *b, size_t last)
{
    return memcmp(a, b, 16) == 0 && memcmp(a + last, b + last, 16) == 0;
}
#endif

/* Up to STA_RACING_SMALL_KEY bytes, without a call, as above. */
static inline bool sta_racing_same_small(const uint8_t *a, const uint8_t *b, size_t len)
{
    if (len - 16 <= 16)
        return sta_racing_same16(a, b, len - 16);
    if (len > 32)
        return sta_racing_same16(a, b, 16) && sta_racing_same16(a + len - 32, b + len - 32, 16);
    if (len >= 8)
        return (sta_racing_differ8(a, b) | sta_racing_differ8(a + len - 8, b + len - 8)) == 0;
    uint8_t differ = 0;
    for (size_t i = 0; i < len; i++)
        differ |= a[i] ^ b[i];
    return differ == 0;
}

static inline bool sta_racing_same(const uint8_t *a, const uint8_t *b, size_t len)
{
    return len <= STA_RACING_SMALL_KEY ? sta_racing_same_small(a, b, len) : memcmp(a, b, len) == 0;
}

/* The reads before it come before the loads behind it. */
static inline void sta_racing_fence(void)
{
    atomic_thread_fence(memory_order_acquire);
}

/* Before memory is written that readers may take for what it was: what was done to it before is
 * seen by whoever sees the writing and passes its own fence. */
static inline void sta_racing_begin(void)
{
    atomic_thread_fence(memory_order_release);
}

/* What was written before it is seen by who does not see what is read behind it. */
static inline void sta_racing_order(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

#endif

#endif
