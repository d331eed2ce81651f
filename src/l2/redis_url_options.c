/* SPDX-License-Identifier: MIT
 *
 * The options of a Redis URL; see redis_url.h. A name that an error text repeats is one of ours, or
 * is harmless: a misplaced character may have made a password look like an option.
 */
#include <stdio.h>
#include <string.h>

#include "core/number.h"
#include "l2/redis_url_inside.h"

#define DB_MOST         INT32_MAX
#define TIMEOUT_MOST_MS UINT64_C(3600000)
#define NAME_CAP        32
#define NUMBER_CAP      32

/* ---- words ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum sta_redis_url_decoding sta_redis_url_decode(struct strata_bytes text, char *out, size_t cap)
{
    const char *in = text.data;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = in[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(in[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(in[i + 2]) : -1;
            if (high < 0 || low < 0 || high + low == 0)
                return STA_REDIS_URL_BAD;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (len + 1 >= cap)
            return STA_REDIS_URL_LONG;
        out[len++] = c;
    }
    out[len] = '\0';
    return STA_REDIS_URL_DECODED;
}

int sta_redis_url_parse_db(struct strata_bytes text, uint32_t *db, struct strata_error *error)
{
    uint64_t value = 0;
    if (sta_number_parse(text, DB_MOST, &value) < 0)
        return sta_redis_url_refuse(error, "the db must be a number from 0 to 2147483647");
    *db = (uint32_t)value;
    return STRATA_OK;
}

/* A name of letters, digits, '-' and '_' may be repeated in an error text; others may not. */
static int refuse_option(struct strata_bytes name, bool tls, struct strata_error *error)
{
    char text[NAME_CAP];
    bool plain = name.len > 0 && name.len < sizeof text;
    for (size_t i = 0; plain && i < name.len; i++) {
        char c = ((const char *)name.data)[i];
        plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '-' || c == '_';
    }
    (void)snprintf(text, sizeof text, "%.*s", plain ? (int)name.len : 0,
                   plain ? (const char *)name.data : "");
    return sta_error_set(error, STRATA_ERR_INVALID,
                         "the URL has an unknown option%s%s%s; allowed: db, timeout%s",
                         plain ? " \"" : "", text, plain ? "\"" : "",
                         tls ? ", cacert, cacertdir, cert, key, sni, verify" : "");
}

/* ---- the table ---- */

enum option_kind { OPTION_DB, OPTION_TIMEOUT, OPTION_TEXT, OPTION_WORD };

/* The words of an option, and what each makes of `verify`. */
struct option_word {
    const char *text;
    enum strata_tls_verify verify;
};

static const struct option_word verify_words[] = {
    {"full", STRATA_TLS_VERIFY_FULL},
    {"ca", STRATA_TLS_VERIFY_CA},
    {"none", STRATA_TLS_VERIFY_NONE},
    {NULL, 0},
};
static const struct option_word reqs_words[] = {
    {"required", STRATA_TLS_VERIFY_FULL},
    {"CERT_REQUIRED", STRATA_TLS_VERIFY_FULL},
    {"none", STRATA_TLS_VERIFY_NONE},
    {"CERT_NONE", STRATA_TLS_VERIFY_NONE},
    {NULL, 0},
};
static const struct option_word hostname_words[] = {
    {"true", STRATA_TLS_VERIFY_FULL},
    {"True", STRATA_TLS_VERIFY_FULL},
    {"false", STRATA_TLS_VERIFY_CA},
    {"False", STRATA_TLS_VERIFY_CA},
    {NULL, 0},
};

struct option {
    const char *name;
    enum option_kind kind;
    size_t field;                    /* TEXT: in struct sta_redis_url_tls */
    const struct option_word *words; /* WORD */
    const char *allowed;             /* WORD: for an error text */
};

#define FIELD(member) .kind = OPTION_TEXT, .field = offsetof(struct sta_redis_url_tls, member)

static const struct option options[] = {
    {"db", OPTION_DB, 0, NULL, NULL},
    {"timeout", OPTION_TIMEOUT, 0, NULL, NULL},
    {"cacert", FIELD(ca_file)},
    {"cacertdir", FIELD(ca_dir)},
    {"cert", FIELD(cert_file)},
    {"key", FIELD(key_file)},
    {"sni", FIELD(server_name)},
    {"verify", OPTION_WORD, 0, verify_words, "full, ca or none"},
    {"ssl_ca_certs", FIELD(ca_file)},
    {"ssl_ca_path", FIELD(ca_dir)},
    {"ssl_certfile", FIELD(cert_file)},
    {"ssl_keyfile", FIELD(key_file)},
    {"ssl_cert_reqs", OPTION_WORD, 0, reqs_words, "required or none"},
    {"ssl_check_hostname", OPTION_WORD, 0, hostname_words, "true or false"},
};

static const struct option *find_option(struct strata_bytes name)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strlen(options[i].name) == name.len &&
            memcmp(options[i].name, name.data, name.len) == 0)
            return &options[i];
    return NULL;
}

/* ---- values ---- */

static int parse_timeout(struct sta_redis_url *url, const char *value, struct strata_error *error)
{
    uint64_t ms = 0;
    if (url->timeout_ms != 0)
        return sta_redis_url_refuse(error, "the timeout is given twice");
    if (sta_number_parse_seconds(strata_text(value), &ms) < 0 || ms == 0 || ms > TIMEOUT_MOST_MS)
        return sta_redis_url_refuse(error, "the option timeout must be seconds, 0.001 to 3600");
    url->timeout_ms = ms;
    return STRATA_OK;
}

static int parse_text(const struct option *option, struct sta_redis_url_tls *tls, const char *value,
                      struct strata_error *error)
{
    char *field = (char *)tls + option->field;
    if (*field != '\0')
        return sta_error_set(error, STRATA_ERR_INVALID, "the option %s is given twice",
                             option->name);
    if (*value == '\0')
        return sta_error_set(error, STRATA_ERR_INVALID, "the option %s is empty", option->name);
    (void)strcpy(field, value); /* both have so many bytes */
    return STRATA_OK;
}

/* redis-py needs two options for "a trusted CA, any name"; the less strict of them is meant. */
static int parse_word(const struct option *option, struct sta_redis_url_tls *tls, const char *value,
                      struct strata_error *error)
{
    if (option->words == verify_words && tls->verify != STRATA_TLS_VERIFY_DEFAULT)
        return sta_redis_url_refuse(error, "the option verify is given twice");
    for (const struct option_word *word = option->words; word->text != NULL; word++) {
        if (strcmp(word->text, value) != 0)
            continue;
        if (word->verify > tls->verify)
            tls->verify = word->verify;
        return STRATA_OK;
    }
    return sta_error_set(error, STRATA_ERR_INVALID, "the option %s must be %s", option->name,
                         option->allowed);
}

/* False: it cannot be. What cannot be decoded is no number either, and is refused as such. */
static bool decode_value(const struct option *option, const char *equals, const char *end,
                         char value[STA_REDIS_URL_FILE_CAP])
{
    bool number = option->kind < OPTION_TEXT;
    size_t cap = number ? NUMBER_CAP : STA_REDIS_URL_FILE_CAP;
    value[0] = '\0';
    if (equals == NULL || sta_redis_url_decode(sta_redis_url_slice(equals + 1, end), value, cap) ==
                              STA_REDIS_URL_DECODED)
        return true;
    value[0] = '\0';
    return number;
}

/* One "name=value". `db_given`: the db is known already. */
static int parse_option(struct strata_bytes text, struct sta_redis_url *url,
                        struct sta_redis_url_tls *tls, bool *db_given, struct strata_error *error)
{
    const char *begin = text.data;
    const char *end = begin + text.len;
    const char *equals = text.len > 0 ? memchr(begin, '=', text.len) : NULL;
    struct strata_bytes name = sta_redis_url_slice(begin, equals != NULL ? equals : end);
    const struct option *option = find_option(name);
    char value[STA_REDIS_URL_FILE_CAP];

    if (option == NULL)
        return refuse_option(name, url->tls, error);
    if (option->kind >= OPTION_TEXT && !url->tls)
        return sta_error_set(error, STRATA_ERR_INVALID, "the option %s is for rediss:// only",
                             option->name);
    if (!decode_value(option, equals, end, value))
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "the option %s is longer than %zu bytes, or has a %% that is not "
                             "followed by two hex digits (or is %%00)",
                             option->name, sizeof value - 1);
    switch (option->kind) {
    case OPTION_DB:
        if (*db_given)
            return sta_redis_url_refuse(error, "the db is given twice");
        *db_given = true;
        return sta_redis_url_parse_db(strata_text(value), &url->db, error);
    case OPTION_TIMEOUT:
        return parse_timeout(url, value, error);
    case OPTION_TEXT:
        return parse_text(option, tls, value, error);
    default:
        return parse_word(option, tls, value, error);
    }
}

int sta_redis_url_parse_options(const char *text, struct sta_redis_url *url,
                                struct sta_redis_url_tls *tls, bool db_given,
                                struct strata_error *error)
{
    while (*text != '\0') {
        const char *end = text + strcspn(text, "&");
        int status = parse_option(sta_redis_url_slice(text, end), url, tls, &db_given, error);
        if (status < 0)
            return status;
        text = *end == '&' ? end + 1 : end;
    }
    return STRATA_OK;
}
