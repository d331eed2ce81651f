/* SPDX-License-Identifier: MIT
 *
 * Endpoints from text and to text; see endpoint.h. Host names follow RFC 1123 (with '_', which
 * container networks use), and what is made of digits and dots only has to be an IPv4 address.
 */
#include "net/endpoint.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "core/number.h"
#include "core/utf8.h"
#include "strata/bytes.h"
#include "strata/status.h"

#define HOST_MAX  253u
#define LABEL_MAX 63u
#define PATH_MOST (sizeof((struct sockaddr_un *)0)->sun_path - 1)

static_assert(PATH_MOST < sizeof((struct sta_endpoint *)0)->address, "a path fits the address");

static const char unix_prefix[] = "unix:";

static int refuse(const char **reason, const char *text)
{
    if (reason != NULL)
        *reason = text;
    return STRATA_ERR_INVALID;
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Labels of 1 to 63 letters, digits, '-' and '_', no '-' at either end, one dot between two; a
 * dot at the end is fine. */
static bool is_host_name(const char *host, size_t len)
{
    size_t label = 0;
    for (size_t i = 0; i < len; i++) {
        char c = host[i];
        bool last = i + 1 == len || host[i + 1] == '.';
        if (c == '.') {
            if (label == 0)
                return false;
            label = 0;
            continue;
        }
        if (!is_alnum(c) && c != '_' && (c != '-' || label == 0 || last))
            return false;
        if (++label > LABEL_MAX)
            return false;
    }
    return len > 0 && len <= HOST_MAX;
}

static bool is_ipv4(const char *address)
{
    struct in_addr binary;
    return inet_pton(AF_INET, address, &binary) == 1;
}

/* With an optional zone ("fe80::1%eth0"). */
static bool is_ipv6(const char *address)
{
    struct in6_addr binary;
    char plain[INET6_ADDRSTRLEN];
    size_t len = strcspn(address, "%");
    if (len >= sizeof plain)
        return false;
    if (address[len] == '%' && !is_host_name(address + len + 1, strlen(address + len + 1)))
        return false;
    memcpy(plain, address, len);
    plain[len] = '\0';
    return inet_pton(AF_INET6, plain, &binary) == 1;
}

static int parse_port(const char *text, uint16_t *port, const char **reason)
{
    uint64_t value = 0;
    if (*text == '\0')
        return refuse(reason, "the port is missing");
    int status = sta_number_parse(strata_text(text), UINT16_MAX, &value);
    if (status == STRATA_ERR_TOO_BIG)
        return refuse(reason, "the port is more than 65535");
    if (status < 0)
        return refuse(reason, "the port is not a number");
    *port = (uint16_t)value;
    return STRATA_OK;
}

/* Checks `len` bytes of host and copies them; `bracketed` ones are IPv6. */
static int parse_host(const char *host, size_t len, bool bracketed, struct sta_endpoint *out,
                      const char **reason)
{
    if (len == 0)
        return refuse(reason, "the host is missing");
    if (len >= sizeof out->address)
        return refuse(reason, "the host is too long");
    memcpy(out->address, host, len);
    out->address[len] = '\0';
    if (bracketed)
        return is_ipv6(out->address) ? STRATA_OK
                                     : refuse(reason, "what stands in [ ] is no IPv6 address");
    if (strspn(out->address, "0123456789.") == len)
        return is_ipv4(out->address) ? STRATA_OK : refuse(reason, "the host is no IPv4 address");
    if (!is_host_name(host, len))
        return refuse(reason, "the host is no host name (letters, digits, '-', '_', '.')");
    return STRATA_OK;
}

int sta_endpoint_parse_tcp(const char *text, struct sta_endpoint *out, const char **reason)
{
    struct sta_endpoint found = {.kind = STA_ENDPOINT_TCP};
    bool bracketed = *text == '[';
    const char *host = bracketed ? text + 1 : text;
    size_t len = strcspn(host, bracketed ? "]" : ":");
    const char *after = host + len;

    if (bracketed && *after++ != ']')
        return refuse(reason, "the ] after the IPv6 address is missing");
    if (!bracketed && *after == ':' && strchr(after + 1, ':') != NULL)
        return refuse(reason, "an IPv6 address stands in brackets: [::1]:6379");
    int status = parse_host(host, len, bracketed, &found, reason);
    if (status < 0)
        return status;
    if (*after != ':')
        return refuse(reason, "the port is missing");
    status = parse_port(after + 1, &found.port, reason);
    if (status < 0)
        return status;
    *out = found;
    return STRATA_OK;
}

int sta_endpoint_from_host(struct strata_bytes host, uint64_t port, struct sta_endpoint *out,
                           const char **reason)
{
    const char *bytes = host.data;
    struct sta_endpoint found = {.kind = STA_ENDPOINT_TCP, .port = (uint16_t)port};
    bool bracketed = host.len >= 2 && bytes[0] == '[' && bytes[host.len - 1] == ']';
    if (port == 0 || port > UINT16_MAX)
        return refuse(reason, "the port is not one from 1 to 65535");
    if (host.len > 0 && memchr(bytes, '\0', host.len) != NULL)
        return refuse(reason, "the host has a zero byte");
    bool colon = host.len > 0 && memchr(bytes, ':', host.len) != NULL;
    int status = parse_host(bracketed ? bytes + 1 : bytes, host.len - 2 * (size_t)bracketed,
                            bracketed || colon, &found, reason);
    if (status < 0)
        return status;
    *out = found;
    return STRATA_OK;
}

bool sta_endpoint_equal(const struct sta_endpoint *one, const struct sta_endpoint *other)
{
    return one->port == other->port && one->kind == other->kind &&
           strcasecmp(one->address, other->address) == 0;
}

static int parse_unix(const char *path, struct sta_endpoint *out, const char **reason)
{
    struct sta_endpoint found = {.kind = STA_ENDPOINT_UNIX};
    size_t len = strlen(path);
    if (len == 0)
        return refuse(reason, "the path of the socket is missing");
    if (len > PATH_MOST)
        return refuse(reason, "the path of the socket is longer than 107 bytes");
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
            return refuse(reason, "the path of the socket has a control character");
    }
    memcpy(found.address, path, len + 1);
    *out = found;
    return STRATA_OK;
}

int sta_endpoint_parse(const char *text, struct sta_endpoint *out, const char **reason)
{
    if (strncmp(text, unix_prefix, sizeof unix_prefix - 1) == 0)
        return parse_unix(text + sizeof unix_prefix - 1, out, reason);
    return sta_endpoint_parse_tcp(text, out, reason);
}

void sta_endpoint_format(const struct sta_endpoint *endpoint, char *text, size_t cap)
{
    const char *form = strchr(endpoint->address, ':') != NULL ? "[%s]:%u" : "%s:%u";
    if (endpoint->kind == STA_ENDPOINT_UNIX)
        (void)snprintf(text, cap, "%s%s", unix_prefix, endpoint->address);
    else
        (void)snprintf(text, cap, form, endpoint->address, (unsigned)endpoint->port);
    sta_utf8_mend(text);
}
