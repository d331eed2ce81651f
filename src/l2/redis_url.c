/* SPDX-License-Identifier: MIT
 *
 * Parsing of Redis URLs; see redis_url.h. One pass from left to right over slices of the text:
 *
 *     scheme :// userinfo @ authority /path ? options
 *
 * Error texts are constant but for names of options, so no secret can get into them, wherever a
 * misplaced character made us look for a port or a path.
 */
#include "l2/redis_url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/utf8.h"
#include "l2/redis_url_inside.h"

static int parse_scheme(const char *text, struct sta_redis_url *url, const char **rest,
                        struct strata_error *error)
{
    static const struct {
        const char *prefix;
        enum sta_endpoint_kind kind;
        bool tls;
    } schemes[] = {
        {"redis://", STA_ENDPOINT_TCP, false},
        {"rediss://", STA_ENDPOINT_TCP, true},
        {"unix://", STA_ENDPOINT_UNIX, false},
    };
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i].prefix);
        if (strncasecmp(text, schemes[i].prefix, len) != 0)
            continue;
        url->endpoint.kind = schemes[i].kind;
        url->tls = schemes[i].tls;
        *rest = text + len;
        return STRATA_OK;
    }
    return sta_redis_url_refuse(error, "the URL must begin with redis://, rediss:// or unix://");
}

static int parse_secret(struct strata_bytes text, char *out, size_t cap, const char *bad,
                        const char *too_long, struct strata_error *error)
{
    switch (sta_redis_url_decode(text, out, cap)) {
    case STA_REDIS_URL_BAD:
        return sta_redis_url_refuse(error, bad);
    case STA_REDIS_URL_LONG:
        return sta_redis_url_refuse(error, too_long);
    default:
        return STRATA_OK;
    }
}

/* "user:password", ":password" or nothing. */
static int parse_userinfo(struct strata_bytes text, struct sta_redis_url *url,
                          struct strata_error *error)
{
    const char *begin = text.data;
    const char *end = begin + text.len;
    const char *colon = text.len > 0 ? memchr(begin, ':', text.len) : NULL;
    const char *user_end = colon != NULL ? colon : end;
    const char *password = colon != NULL ? colon + 1 : end;

    if (user_end != begin && password == end)
        return sta_redis_url_refuse(
            error, "the user has no password: write user:password@, or :password@ for "
                   "a password alone");
    int status = parse_secret(sta_redis_url_slice(begin, user_end), url->user, sizeof url->user,
                              "the user has a % that is not followed by two hex digits (or is %00)",
                              "the user is longer than 127 bytes", error);
    if (status < 0)
        return status;
    return parse_secret(
        sta_redis_url_slice(password, end), url->password, sizeof url->password,
        "the password has a % that is not followed by two hex digits (or is %00); write % as %25",
        "the password is longer than 511 bytes", error);
}

/* "host", "host:port", "[v6]" or "[v6]:port". */
static int parse_host(struct strata_bytes text, struct sta_redis_url *url,
                      struct strata_error *error)
{
    char host[sizeof url->endpoint.address + 16];
    const char *begin = text.data;
    const char *reason = NULL;
    if (text.len == 0)
        return sta_redis_url_refuse(error, "the host is missing");
    if (text.len > sizeof url->endpoint.address)
        return sta_redis_url_refuse(error, "the host is too long");
    bool bare = *begin == '[' ? begin[text.len - 1] == ']' : memchr(begin, ':', text.len) == NULL;
    (void)snprintf(host, sizeof host, "%.*s%s", (int)text.len, begin, bare ? ":6379" : "");
    if (sta_endpoint_parse_tcp(host, &url->endpoint, &reason) < 0)
        return sta_redis_url_refuse(error, reason);
    if (url->endpoint.port == 0)
        return sta_redis_url_refuse(error, "the port must be 1 to 65535");
    return STRATA_OK;
}

/* The path of the socket, with its first '/'. */
static int parse_path(struct strata_bytes text, struct sta_redis_url *url,
                      struct strata_error *error)
{
    static const char prefix[] = "unix:";
    char path[sizeof prefix - 1 + sizeof url->endpoint.address];
    const char *reason = NULL;
    memcpy(path, prefix, sizeof prefix);
    switch (
        sta_redis_url_decode(text, path + sizeof prefix - 1, sizeof path - (sizeof prefix - 1))) {
    case STA_REDIS_URL_BAD:
        return sta_redis_url_refuse(
            error, "the path has a % that is not followed by two hex digits (or is %00)");
    case STA_REDIS_URL_LONG:
        return sta_redis_url_refuse(error, "the path of the socket is longer than 107 bytes");
    default:
        break;
    }
    if (sta_endpoint_parse(path, &url->endpoint, &reason) < 0)
        return sta_redis_url_refuse(error, reason);
    return STRATA_OK;
}

/* What stands between "://" and the path: user, password and, for TCP, the host. */
static int parse_authority(struct strata_bytes text, struct sta_redis_url *url,
                           struct strata_error *error)
{
    const char *begin = text.data;
    const char *end = begin + text.len;
    const char *at = text.len > 0 ? memrchr(begin, '@', text.len) : NULL;
    const char *host = at != NULL ? at + 1 : begin;
    if (at != NULL) {
        int status = parse_userinfo(sta_redis_url_slice(begin, at), url, error);
        if (status < 0)
            return status;
    }
    if (url->endpoint.kind == STA_ENDPOINT_TCP)
        return parse_host(sta_redis_url_slice(host, end), url, error);
    if (host != end)
        return sta_redis_url_refuse(error, "unix:// takes no host: write unix:///path/of/socket");
    return STRATA_OK;
}

int sta_redis_url_parse_tls(const char *text, struct sta_redis_url *out,
                            struct sta_redis_url_tls *tls_out, struct strata_error *error)
{
    struct sta_redis_url url = {0};
    struct sta_redis_url_tls tls = {.ca_file = ""};
    const char *begin = NULL;
    bool db_given = false;
    int status = parse_scheme(text, &url, &begin, error);
    if (status < 0)
        return status;

    const char *path = begin + strcspn(begin, "/?#");
    const char *path_end = path + strcspn(path, "?#");
    if (strchr(begin, '#') != NULL)
        return sta_redis_url_refuse(error, "the URL has a #; write it as %23");
    if (url.endpoint.kind == STA_ENDPOINT_TCP && strchr(path, '@') != NULL)
        return sta_redis_url_refuse(
            error, "the URL has an @ after a / or ?; in a user or password write / as "
                   "%2F and ? as %3F");
    status = parse_authority(sta_redis_url_slice(begin, path), &url, error);
    if (status < 0)
        return status;

    if (url.endpoint.kind == STA_ENDPOINT_UNIX) {
        status = parse_path(sta_redis_url_slice(path, path_end), &url, error);
    } else if (path_end > path + 1) {
        db_given = true;
        status = sta_redis_url_parse_db(sta_redis_url_slice(path + 1, path_end), &url.db, error);
    }
    if (status == STRATA_OK && *path_end == '?')
        status = sta_redis_url_parse_options(path_end + 1, &url, &tls, db_given, error);
    if (status < 0)
        return status;
    *out = url;
    *tls_out = tls;
    return STRATA_OK;
}

int sta_redis_url_parse(const char *text, struct sta_redis_url *out, struct strata_error *error)
{
    struct sta_redis_url_tls tls;
    return sta_redis_url_parse_tls(text, out, &tls, error);
}

void sta_redis_url_format(const struct sta_redis_url *url, char *text, size_t cap)
{
    char endpoint[sizeof url->endpoint.address + 16];
    bool is_unix = url->endpoint.kind == STA_ENDPOINT_UNIX;
    sta_endpoint_format(&url->endpoint, endpoint, sizeof endpoint);
    if (is_unix && url->db == 0)
        (void)snprintf(text, cap, "unix://%s", url->endpoint.address);
    else if (is_unix)
        (void)snprintf(text, cap, "unix://%s?db=%u", url->endpoint.address, url->db);
    else
        (void)snprintf(text, cap, "%s://%s/%u", url->tls ? "rediss" : "redis", endpoint, url->db);
    sta_utf8_mend(text);
}

/* Where the part that may be secret ends: at the last '@'; without one, a ':' before the
 * first '/' that no port follows may be the start of a password whose '@' was forgotten. */
static const char *secret_end(const char *begin)
{
    const char *at = strrchr(begin, '@');
    if (at != NULL)
        return at;
    size_t authority = strcspn(begin, "/?#");
    const char *colon = *begin != '[' ? memchr(begin, ':', authority) : NULL;
    if (colon == NULL || colon + 1 + strspn(colon + 1, "0123456789") == begin + authority)
        return begin;
    return begin + authority;
}

void sta_redis_url_mask(const char *text, char *masked, size_t cap)
{
    const char *scheme_end = strstr(text, "://");
    const char *begin = scheme_end != NULL ? scheme_end + 3 : text;
    const char *end = secret_end(begin);
    (void)snprintf(masked, cap, "%.*s%s%s", (int)(begin - text), text, end != begin ? "***" : "",
                   end);
}
