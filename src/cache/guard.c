/* SPDX-License-Identifier: MIT
 *
 * See guard.h.
 */
#include "cache/guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/little_endian.h"
#include "core/mutant.h"
#include "strata/status.h"

#define HEX_LEN  (2u * STA_SHA1_LEN)
#define TEXT_CAP (HEX_LEN + 1u)

/* Redis' clock stands still while it is at work, and is read in milliseconds: so much earlier than
 * we have reckoned a key may have expired. */
#define SLACK_NS (100 * STA_NS_MS)

struct sta_guard_state sta_guard_none(void)
{
    return (struct sta_guard_state){.expires_ns = STA_NEVER, .kind = STA_GUARD_NONE};
}

struct sta_guard_state sta_guard_value(struct strata_bytes stored, uint64_t expires_ns)
{
    struct sta_guard_state state = {.expires_ns = expires_ns, .kind = STA_GUARD_VALUE};
    sta_sha1(stored, state.digest);
    return state;
}

/* ---- bases ---- */

static bool same_state(const struct sta_guard_state *a, const struct sta_guard_state *b)
{
    return a->kind == b->kind && memcmp(a->digest, b->digest, STA_SHA1_LEN) == 0;
}

void sta_guard_set(struct sta_guard_basis *basis, const struct sta_guard_state *state)
{
    basis->count = 1;
    basis->states[0] = *state;
}

void sta_guard_add(struct sta_guard_basis *basis, const struct sta_guard_state *state)
{
    uint32_t i = 0;
    while (i < basis->count && !same_state(&basis->states[i], state))
        i++;
    if (i == STA_GUARD_ROOM) /* more than were ever under way */
        i--;
    if (i < basis->count && same_state(&basis->states[i], state)) {
        if (state->expires_ns < basis->states[i].expires_ns)
            basis->states[i].expires_ns = state->expires_ns;
        return;
    }
    basis->states[i] = *state;
    basis->count = i + 1;
}

bool sta_guard_must_look(const struct sta_guard_basis *basis)
{
    return basis->count == 0 || basis->count > STA_GUARD_MOST;
}

static bool basis_has_expired(const struct sta_guard_basis *basis, uint64_t now_ns)
{
    for (uint32_t i = 0; i < basis->count; i++) {
        if (basis->states[i].expires_ns <= sta_clock_after(now_ns, SLACK_NS) &&
            basis->states[i].expires_ns != STA_NEVER)
            return true;
    }
    return false;
}

bool sta_guard_holds(const struct sta_guard_basis *basis, const struct sta_guard_state *seen,
                     uint64_t now_ns)
{
    for (uint32_t i = 0; i < basis->count; i++) {
        if (same_state(&basis->states[i], seen))
            return true;
    }
    return (seen->kind == STA_GUARD_NONE && basis_has_expired(basis, now_ns)) ||
           STA_MUTANT(BEHIND_GUARD);
}

/* ---- in journals ---- */

size_t sta_guard_encode(const struct sta_guard_basis *basis, uint64_t now_ns, uint8_t *out)
{
    uint8_t *at = out;
    for (uint32_t i = 0; i < basis->count; i++) {
        const struct sta_guard_state *state = &basis->states[i];
        uint64_t left_ms = STA_NEVER;
        if (state->expires_ns != STA_NEVER)
            left_ms = state->expires_ns > now_ns ? (state->expires_ns - now_ns) / STA_NS_MS : 0;
        sta_little_endian_put(&at, state->kind, 1);
        sta_little_endian_put_bytes(&at, strata_bytes(state->digest, STA_SHA1_LEN));
        sta_little_endian_put(&at, left_ms, 8);
    }
    return (size_t)(at - out);
}

static uint64_t left_ns(uint64_t left_ms, uint64_t passed_ms)
{
    if (left_ms == STA_NEVER)
        return STA_NEVER;
    left_ms = left_ms > passed_ms ? left_ms - passed_ms : 0;
    return left_ms > STA_NEVER / STA_NS_MS ? STA_NEVER : left_ms * STA_NS_MS;
}

void sta_guard_decode(struct strata_bytes bytes, uint64_t passed_ms, uint64_t now_ns,
                      struct sta_guard_basis *out)
{
    const uint8_t *at = bytes.data;
    out->count = 0;
    if (bytes.len > STA_GUARD_BYTES_MOST || bytes.len % STA_GUARD_STATE_LEN != 0)
        return;
    for (size_t i = 0; i < bytes.len / STA_GUARD_STATE_LEN; i++) {
        struct sta_guard_state *state = &out->states[i];
        uint64_t kind = sta_little_endian_take(&at, 1);
        state->kind = kind <= STA_GUARD_OTHER ? (enum sta_guard_kind)kind : STA_GUARD_OTHER;
        memcpy(state->digest, at, STA_SHA1_LEN);
        at += STA_SHA1_LEN;
        state->expires_ns =
            sta_clock_after(now_ns, left_ns(sta_little_endian_take(&at, 8), passed_ms));
    }
    out->count = (uint32_t)(bytes.len / STA_GUARD_STATE_LEN);
}

/* ---- to Redis ---- */

/* ARGV: set or del, the value, its TTL or nothing, and the states under which it may. Without any
 * of these it is a look. Answers OK, or what is there: its state, and its PTTL. */
static const char script[] =
    "local k=KEYS[1] local t=redis.call('TYPE',k).ok local s=t "
    "if t=='string' then s=redis.sha1hex(redis.call('GET',k)) elseif t~='none' then s='other' end "
    "for i=4,#ARGV do if ARGV[i]==s then "
    "if ARGV[1]=='del' then redis.call('UNLINK',k) "
    "elseif ARGV[3]=='' then redis.call('SET',k,ARGV[2]) "
    "else redis.call('SET',k,ARGV[2],'PX',ARGV[3]) end "
    "return redis.status_reply('OK') end end "
    "return string.format('%s %d',s,redis.call('PTTL',k))";

static struct strata_bytes state_text(const struct sta_guard_state *state, char text[TEXT_CAP])
{
    static const char hex[] = "0123456789abcdef";
    if (state->kind != STA_GUARD_VALUE)
        return strata_text(state->kind == STA_GUARD_NONE ? "none" : "other");
    for (size_t i = 0; i < STA_SHA1_LEN; i++) {
        text[2 * i] = hex[state->digest[i] >> 4];
        text[2 * i + 1] = hex[state->digest[i] & 15];
    }
    return strata_bytes(text, HEX_LEN);
}

int sta_guard_append(struct sta_batch *batch, uint32_t tag, const struct sta_guard_write *write,
                     uint64_t now_ns)
{
    struct strata_bytes args[3 + STA_GUARD_MOST + 1];
    char texts[STA_GUARD_MOST][TEXT_CAP];
    char ttl[24] = "";
    size_t count = 0;
    const struct sta_guard_basis *basis = write->basis;
    if (write->ttl_ms <= INT64_MAX / 2)
        (void)snprintf(ttl, sizeof ttl, "%" PRIu64, write->ttl_ms);
    args[count++] = strata_text(write->is_delete ? "del" : "set");
    args[count++] = write->is_delete || basis == NULL ? strata_bytes("", 0) : write->value;
    args[count++] = strata_text(ttl);
    for (uint32_t i = 0; basis != NULL && i < basis->count && i < STA_GUARD_MOST; i++)
        args[count++] = state_text(&basis->states[i], texts[i]);
    if (basis != NULL && (write->is_delete || basis_has_expired(basis, now_ns)))
        args[count++] = strata_text("none");
    const struct sta_batch_script what = {
        .text = strata_text(script),
        .key = write->key,
        .args = args,
        .count = count,
        .reads = write->reads && basis != NULL,
    };
    return sta_batch_script(batch, tag, &what);
}

/* ---- and back ---- */

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_digest(struct strata_bytes text, uint8_t digest[STA_SHA1_LEN])
{
    const uint8_t *at = text.data;
    for (size_t i = 0; text.len == HEX_LEN && i < STA_SHA1_LEN; i++) {
        int high = hex_digit(at[2 * i]), low = hex_digit(at[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        digest[i] = (uint8_t)(high << 4 | low);
    }
    return text.len == HEX_LEN;
}

static bool is_text(struct strata_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

/* -1: no end, -2: it is not there. */
static uint64_t expires_ns(const char *pttl, uint64_t sent_ns)
{
    long long left_ms = strtoll(pttl, NULL, 10);
    if (left_ms < 0 || (uint64_t)left_ms > STA_NEVER / STA_NS_MS)
        return STA_NEVER;
    return sta_clock_after(sent_ns, (uint64_t)left_ms * STA_NS_MS);
}

int sta_guard_read(struct strata_bytes text, uint64_t sent_ns, struct sta_guard_state *out)
{
    char pttl[24] = "";
    struct sta_guard_state state = {.kind = STA_GUARD_VALUE};
    const uint8_t *begin = text.data;
    const uint8_t *space = text.len > 0 ? memchr(begin, ' ', text.len) : NULL;
    size_t left = space != NULL ? text.len - (size_t)(space + 1 - begin) : 0;
    if (left == 0 || left >= sizeof pttl)
        return STRATA_ERR_PROTOCOL;
    memcpy(pttl, space + 1, left);
    struct strata_bytes name = strata_bytes(begin, (size_t)(space - begin));
    if (is_text(name, "none"))
        state.kind = STA_GUARD_NONE;
    else if (is_text(name, "other"))
        state.kind = STA_GUARD_OTHER;
    else if (!read_digest(name, state.digest))
        return STRATA_ERR_PROTOCOL;
    state.expires_ns = expires_ns(pttl, sent_ns);
    *out = state;
    return STRATA_OK;
}
