/* SPDX-License-Identifier: MIT
 *
 * Where a server is: TCP host and port, or the path of a unix socket. Pure: text and struct, no
 * name is looked up here.
 */
#ifndef STA_ENDPOINT_H
#define STA_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "strata/bytes.h"

enum sta_endpoint_kind { STA_ENDPOINT_TCP, STA_ENDPOINT_UNIX };

struct sta_endpoint {
    enum sta_endpoint_kind kind;
    uint16_t port;     /* TCP */
    char address[256]; /* host name, IPv4, IPv6 without brackets; or the path. Zero-terminated. */
};

/* "host:port", "[v6]:port" or "unix:path" for people, UTF-8 (sta_utf8_mend()); cut where `cap` is
 * short. */
void sta_endpoint_format(const struct sta_endpoint *endpoint, char *text, size_t cap);

/* The reverse, for --listen. STRATA_OK or STRATA_ERR_INVALID; `reason` (constant text, may be
 * NULL) then says what is wrong. Port 0 is let through: to a listener it means any free port;
 * whoever connects refuses it. Paths are at most 107 bytes (sun_path), without control bytes. */
int sta_endpoint_parse(const char *text, struct sta_endpoint *out, const char **reason);

/* The same without "unix:path", for node lists and URLs: a host may be called "unix". */
int sta_endpoint_parse_tcp(const char *text, struct sta_endpoint *out, const char **reason);

/* From a host (IPv6 with or without brackets; by the same rules) and a port that were told apart.
 * Errors as above; port 0 is refused, for this is somewhere to connect to. */
int sta_endpoint_from_host(struct strata_bytes host, uint64_t port, struct sta_endpoint *out,
                           const char **reason);

/* Whether both are the same text but for the case of letters, and the same port. Two names for
 * one machine are two endpoints. */
bool sta_endpoint_equal(const struct sta_endpoint *one, const struct sta_endpoint *other);

#endif
