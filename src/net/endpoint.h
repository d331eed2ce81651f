/* SPDX-License-Identifier: MIT
 *
 * Where a server is: TCP host and port, or the path of a unix socket.
 */
#ifndef STA_ENDPOINT_H
#define STA_ENDPOINT_H

#include <stddef.h>
#include <stdint.h>

enum sta_endpoint_kind { STA_ENDPOINT_TCP, STA_ENDPOINT_UNIX };

struct sta_endpoint {
    enum sta_endpoint_kind kind;
    uint16_t port;     /* TCP */
    char address[256]; /* host name, IPv4, IPv6 without brackets; or the path. Zero-terminated. */
};

/* "host:port", "[v6]:port" or "unix:path" for people; cut where `cap` is short. */
void sta_endpoint_format(const struct sta_endpoint *endpoint, char *text, size_t cap);

/* The reverse, for --listen and node lists. STRATA_OK or STRATA_ERR_INVALID; `reason` (constant
 * text, may be NULL) then says what is wrong. */
int sta_endpoint_parse(const char *text, struct sta_endpoint *out, const char **reason);

#endif
