/* SPDX-License-Identifier: MIT
 *
 * Everything that people write into configurations. The first byte says what the rest is:
 *
 *     u   the URL of a Redis
 *     e   environment entries, one per line
 *     a   arguments, one per line
 *     f   a configuration file
 *
 * Beyond not crashing: error texts stay on one line, a URL that was taken comes back from its
 * formatted form, and no error text depends on what stands where a user and password stand.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_file.h"
#include "config/environment.h"
#include "config/flags.h"
#include "core/utf8.h"
#include "l2/redis_url.h"

#define ENTRIES_MOST 64

#define CHECK(fact)                                                                                \
    do {                                                                                           \
        if (!(fact))                                                                               \
            abort();                                                                               \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(int status, const struct strata_error *error)
{
    CHECK(status == STRATA_ERR_INVALID || status == STRATA_ERR_CONFIG);
    CHECK(error->status == status && error->text[0] != '\0');
    for (const char *c = error->text; *c != '\0'; c++)
        CHECK((unsigned char)*c >= 0x20 && *c != 0x7f);
}

/* ---- URLs ---- */

static void check_format(const struct sta_redis_url *url)
{
    struct sta_redis_url again;
    char text[512];
    sta_redis_url_format(url, text, sizeof text);
    /* It is for people: what is no UTF-8 is mended, and a path is not encoded again. */
    CHECK(sta_utf8_valid(strata_text(text)));
    if (!sta_utf8_valid(strata_text(url->endpoint.address)) ||
        (url->endpoint.kind == STA_ENDPOINT_UNIX && strpbrk(url->endpoint.address, "%?#@") != NULL))
        return;
    CHECK(sta_redis_url_parse(text, &again, NULL) == STRATA_OK);
    CHECK(again.endpoint.kind == url->endpoint.kind && again.endpoint.port == url->endpoint.port);
    CHECK(strcmp(again.endpoint.address, url->endpoint.address) == 0);
    CHECK(again.db == url->db && again.tls == url->tls && again.password[0] == '\0');
}

/* The last '@' of a URL, with a user and a password before it; in a unix:// URL it has to come
 * before the path, which may have an '@' of its own. NULL: there is none. */
static char *secret_end(char *begin, bool is_unix)
{
    size_t authority = is_unix ? strcspn(begin, "/?#") : strlen(begin);
    char *at = memrchr(begin, '@', authority);
    return at == NULL || memchr(begin, '%', (size_t)(at - begin)) != NULL ? NULL : at;
}

/* What may be a password is replaced by other letters: the outcome must be the same. */
static void check_secrecy(char *text, int status, const struct strata_error *before)
{
    struct sta_redis_url url;
    struct strata_error after = {0};
    char *scheme_end = strstr(text, "://");
    char *at = scheme_end != NULL ? secret_end(scheme_end + 3, (text[0] | 0x20) == 'u') : NULL;
    if (at == NULL)
        return;
    for (char *c = scheme_end + 3; c < at; c++) {
        if ((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9'))
            *c = *c == 'q' ? 'x' : 'q';
    }
    CHECK(sta_redis_url_parse(text, &url, &after) == status);
    CHECK(strcmp(before->text, after.text) == 0);
}

static void fuzz_url(char *text)
{
    struct sta_redis_url url;
    struct strata_error error = {0};
    char masked[64];
    int status = sta_redis_url_parse(text, &url, &error);
    sta_redis_url_mask(text, masked, sizeof masked);
    CHECK(strlen(masked) < sizeof masked);
    if (status == STRATA_OK)
        check_format(&url);
    else
        check_error(status, &error);
    check_secrecy(text, status, &error);
}

/* ---- sources of options ---- */

/* Cuts `text` at its newlines; `entries` ends with NULL. */
static int split(char *text, char *entries[ENTRIES_MOST + 1])
{
    int count = 0;
    while (count < ENTRIES_MOST && *text != '\0') {
        entries[count++] = text;
        text += strcspn(text, "\n");
        if (*text == '\n')
            *text++ = '\0';
    }
    entries[count] = NULL;
    return count;
}

static int read_source(struct sta_config *config, char source, char *text, size_t len,
                       struct strata_error *error)
{
    char *entries[ENTRIES_MOST + 1];
    struct sta_config_input input = {.program = "fuzz", .operands = true};
    if (source == 'f')
        return sta_config_file_parse(config, strata_bytes(text, len), error);
    int count = split(text, entries);
    if (source == 'e') {
        input.environment = entries;
        return sta_environment_read(config, &input, error);
    }
    input.argc = count;
    input.argv = entries;
    return sta_flags_read(config, &input, error);
}

static void fuzz_source(char source, char *text, size_t len)
{
    struct strata_error error = {0};
    struct sta_option_set sets[] = {
        {.section = "stratad", .options = sta_option_table + 8, .count = 4},
        {.options = sta_option_table, .count = STA_OPTION_TABLE_COUNT},
    };
    struct sta_config *config = sta_setting_create(sets, 2);
    CHECK(config != NULL && sta_setting_offer_file(config, STA_SOURCE_FLAG, "f", NULL) == 0);
    int status = read_source(config, source, text, len, &error);
    if (status < 0) {
        check_error(status, &error);
    } else {
        json_t *listing = sta_config_json(config);
        CHECK(listing != NULL);
        json_decref(listing);
    }
    sta_config_destroy(&config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *text = malloc(size); /* of its own size, so that reading past it is seen */
    CHECK(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] == 'u')
        fuzz_url(text);
    else if (data[0] == 'e' || data[0] == 'a' || data[0] == 'f')
        fuzz_source((char)data[0], text, size - 1);
    free(text);
    return 0;
}
