/* SPDX-License-Identifier: MIT
 *
 * Greeting a Redis; see greeting.h.
 */
#include "l2/greeting.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "resp/resp.h"
#include "strata/status.h"

#define GREETING_ARGS_MAX 7 /* HELLO 3 AUTH user password SETNAME name */
#define GREETING_LIMIT    4096u

/* ---- what we say ---- */

struct words {
    struct strata_bytes argv[GREETING_ARGS_MAX];
    size_t count;
};

static void words_add(struct words *words, const char *text)
{
    words->argv[words->count++] = strata_text(text);
}

static int greeting_add(struct sta_greeting *greeting, enum sta_greeting_kind kind,
                        const struct words *words)
{
    int status = sta_resp_write_command(&greeting->wire, words->argv, words->count);
    if (status < 0)
        return status;
    greeting->steps[greeting->count].kind = kind;
    greeting->steps[greeting->count].end = sta_buffer_len(&greeting->wire);
    greeting->count++;
    return STRATA_OK;
}

static int greeting_add_hello(struct sta_greeting *greeting, const struct sta_redis_url *url,
                              const char *name)
{
    struct words words = {.count = 0};
    words_add(&words, "HELLO");
    words_add(&words, "3");
    if (url->password[0] != 0) {
        words_add(&words, "AUTH");
        words_add(&words, url->user[0] != 0 ? url->user : "default");
        words_add(&words, url->password);
    }
    if (name != NULL) {
        words_add(&words, "SETNAME");
        words_add(&words, name);
    }
    return greeting_add(greeting, STA_GREETING_HELLO, &words);
}

/* AUTH with one argument is all that servers before Redis 6 know. */
static int greeting_add_auth(struct sta_greeting *greeting, const struct sta_redis_url *url)
{
    struct words words = {.count = 0};
    if (url->password[0] == 0)
        return STRATA_OK;
    words_add(&words, "AUTH");
    if (url->user[0] != 0)
        words_add(&words, url->user);
    words_add(&words, url->password);
    return greeting_add(greeting, STA_GREETING_AUTH, &words);
}

static int greeting_add_name(struct sta_greeting *greeting, const char *name)
{
    struct words words = {.count = 0};
    if (name == NULL)
        return STRATA_OK;
    words_add(&words, "CLIENT");
    words_add(&words, "SETNAME");
    words_add(&words, name);
    return greeting_add(greeting, STA_GREETING_SETNAME, &words);
}

static int greeting_add_select(struct sta_greeting *greeting, uint32_t db)
{
    struct words words = {.count = 0};
    char number[16];
    if (db == 0)
        return STRATA_OK;
    (void)snprintf(number, sizeof number, "%u", db);
    words_add(&words, "SELECT");
    words_add(&words, number);
    return greeting_add(greeting, STA_GREETING_SELECT, &words);
}

static int greeting_add_ping(struct sta_greeting *greeting)
{
    struct words words = {.count = 0};
    words_add(&words, "PING");
    return greeting_add(greeting, STA_GREETING_PING, &words);
}

int sta_greeting_init(struct sta_greeting *greeting, const struct sta_redis_url *url, int protocol,
                      const char *name)
{
    int status;
    *greeting = (struct sta_greeting){.count = 0};
    sta_buffer_init(&greeting->wire, GREETING_LIMIT);
    if (protocol == 3) {
        status = greeting_add_hello(greeting, url, name);
    } else {
        status = greeting_add_auth(greeting, url);
        if (status == STRATA_OK)
            status = greeting_add_name(greeting, name);
    }
    if (status == STRATA_OK)
        status = greeting_add_select(greeting, url->db);
    if (status == STRATA_OK)
        status = greeting_add_ping(greeting);
    if (status < 0)
        sta_greeting_fini(greeting);
    return status;
}

int sta_greeting_track(struct sta_greeting *greeting, const struct sta_greeting_tracking *tracking)
{
    struct words words = {.count = 0};
    if (tracking->mode == STA_TRACKING_OFF)
        return STRATA_OK;
    words_add(&words, "CLIENT");
    words_add(&words, "TRACKING");
    words_add(&words, "ON");
    if (tracking->mode == STA_TRACKING_BCAST) {
        words_add(&words, "BCAST");
        words_add(&words, "PREFIX");
        words.argv[words.count++] = tracking->prefix;
    }
    if (tracking->noloop)
        words_add(&words, "NOLOOP");
    return greeting_add(greeting, STA_GREETING_TRACKING, &words);
}

void sta_greeting_fini(struct sta_greeting *greeting)
{
    sta_buffer_fini(&greeting->wire);
    greeting->count = 0;
}

struct strata_bytes sta_greeting_wire(const struct sta_greeting *greeting, unsigned i)
{
    size_t begin = i == 0 ? 0 : greeting->steps[i - 1].end;
    const uint8_t *bytes = sta_buffer_bytes(&greeting->wire).data;
    return strata_bytes(bytes + begin, greeting->steps[i].end - begin);
}

/* ---- what we are told ---- */

static const struct {
    const char *prefix;
    int status;
} refusals[] = {
    {"NOAUTH", STRATA_ERR_DENIED},
    {"WRONGPASS", STRATA_ERR_DENIED},
    {"NOPERM", STRATA_ERR_DENIED},
    {"ERR invalid password", STRATA_ERR_DENIED},
    {"ERR Client sent AUTH, but no password is set", STRATA_ERR_DENIED},
    {"ERR AUTH ", STRATA_ERR_DENIED},
    {"LOADING", STRATA_ERR_UNAVAILABLE},
    {"MASTERDOWN", STRATA_ERR_UNAVAILABLE},
    {"BUSY", STRATA_ERR_UNAVAILABLE},
    {"ERR max number of clients reached", STRATA_ERR_UNAVAILABLE},
    {"NOPROTO", STRATA_ERR_UNSUPPORTED},
    {"ERR unknown command", STRATA_ERR_UNSUPPORTED},
};

static bool begins_with(struct strata_bytes text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && memcmp(text.data, prefix, len) == 0;
}

static int greeting_classify(struct strata_bytes text)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++)
        if (begins_with(text, refusals[i].prefix))
            return refusals[i].status;
    return STRATA_ERR_SERVER;
}

/* Copies one printable line of the server's text, without arguments that it repeats. */
static void greeting_quote(char *reason, size_t cap, struct strata_bytes text)
{
    const char *from = text.data;
    const char *args = memmem(from, text.len, ", with args", strlen(", with args"));
    size_t len = args != NULL ? (size_t)(args - from) : text.len;
    if (len > cap - 1)
        len = cap - 1;
    for (size_t i = 0; i < len; i++)
        reason[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
    reason[len] = 0;
}

int sta_greeting_judge(enum sta_greeting_kind kind, struct strata_bytes frame, char *reason,
                       size_t cap)
{
    struct sta_resp_walk walk = sta_resp_walk(frame);
    struct sta_resp_value value;
    int status = sta_resp_next(&walk, &value);
    if (status != STRATA_OK) {
        (void)snprintf(reason, cap, "the answer to the greeting is no RESP");
        return STRATA_ERR_PROTOCOL;
    }
    if (value.type == STA_RESP_ERROR || value.type == STA_RESP_BULK_ERROR) {
        status = greeting_classify(value.bytes);
        /* A user who may not PING or have a name is welcome all the same. */
        if ((kind == STA_GREETING_PING || kind == STA_GREETING_SETNAME) &&
            begins_with(value.bytes, "NOPERM"))
            return STRATA_OK;
        greeting_quote(reason, cap, value.bytes);
        return kind == STA_GREETING_TRACKING ? STRATA_SKIPPED : status;
    }
    bool expected =
        kind == STA_GREETING_HELLO ? value.type == STA_RESP_MAP : value.type == STA_RESP_SIMPLE;
    if (expected)
        return STRATA_OK;
    (void)snprintf(reason, cap, "the answer to the greeting is not what Redis says");
    return STRATA_ERR_PROTOCOL;
}
