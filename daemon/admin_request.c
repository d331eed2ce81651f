/* SPDX-License-Identifier: MIT
 *
 * See admin_request.h.
 */
#include "daemon/admin_request.h"

#include <string.h>
#include <strings.h>

#include "strata/bytes.h"

static enum sta_admin_page page_of(const char *path)
{
    static const char *const paths[STA_ADMIN_NONE] = {
        [STA_ADMIN_LIVEZ] = "/livez",   [STA_ADMIN_READYZ] = "/readyz",
        [STA_ADMIN_HEALTH] = "/health", [STA_ADMIN_METRICS] = "/metrics",
        [STA_ADMIN_STATS] = "/stats",   [STA_ADMIN_CONFIG] = "/config",
    };
    for (unsigned i = 0; path != NULL && i < STA_ADMIN_NONE; i++) {
        if (paths[i] != NULL && strcmp(path, paths[i]) == 0)
            return (enum sta_admin_page)i;
    }
    return STA_ADMIN_NONE;
}

/* Without the port: "host:1", "[v6]:1", or either alone. */
static struct strata_bytes host_of(const char *text)
{
    const char *end = text[0] == '[' ? strchr(text, ']') : NULL;
    if (end != NULL)
        return strata_bytes(text, (size_t)(end + 1 - text));
    return strata_bytes(text, strcspn(text, ":"));
}

static bool is_same(struct strata_bytes host, struct strata_bytes other)
{
    return host.len == other.len && strncasecmp(host.data, other.data, host.len) == 0;
}

static bool is_listed(struct strata_bytes host, const char *list)
{
    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t len = strcspn(at, ",");
        if (is_same(host, strata_bytes(at, len)))
            return true;
        at += len + (at[len] == ',');
    }
    return false;
}

/* What a browser sends that was led here by a name of somebody else's is that name. */
static bool is_allowed(const struct sta_admin_rules *rules, const char *text)
{
    struct strata_bytes host = host_of(text);
    if (strncmp(rules->address, "unix:", 5) == 0)
        return true;
    return host.len > 0 &&
           (is_same(host, host_of(rules->address)) ||
            is_listed(host, "localhost,127.0.0.1,[::1]") || is_listed(host, rules->hosts));
}

/* Takes as long wherever they differ. */
static bool is_token(const char *token, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    size_t len = strlen(token);
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *given = authorization + sizeof scheme - 1;
    if (strlen(given) != len)
        return false;
    unsigned differs = 0;
    for (size_t i = 0; i < len; i++)
        differs |= (unsigned)(given[i] ^ token[i]);
    return differs == 0;
}

unsigned sta_admin_request_judge(const struct sta_admin_rules *rules,
                                 const struct sta_admin_words *words, enum sta_admin_page *page)
{
    enum sta_admin_page wanted = page_of(words->path);
    if (words->host == NULL)
        return 400;
    if (!is_allowed(rules, words->host))
        return 403;
    if (wanted == STA_ADMIN_CONFIG && strcmp(words->method, "PUT") == 0)
        wanted = STA_ADMIN_CHANGE; /* which no form of a web page can send */
    else if (strcmp(words->method, "GET") != 0 && strcmp(words->method, "HEAD") != 0)
        return 405;
    if (wanted != STA_ADMIN_LIVEZ && rules->token != NULL &&
        !is_token(rules->token, words->authorization))
        return 401;
    if (wanted == STA_ADMIN_NONE)
        return 404;
    *page = wanted;
    return 200;
}
