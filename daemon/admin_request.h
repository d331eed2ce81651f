/* SPDX-License-Identifier: MIT
 *
 * What a request over HTTP may have, decided from its words alone. Pure.
 */
#ifndef STA_ADMIN_REQUEST_H
#define STA_ADMIN_REQUEST_H

#include <stdbool.h>

enum sta_admin_page {
    STA_ADMIN_LIVEZ,
    STA_ADMIN_READYZ,
    STA_ADMIN_HEALTH,
    STA_ADMIN_METRICS,
    STA_ADMIN_STATS,
    STA_ADMIN_CONFIG,
    STA_ADMIN_CHANGE, /* the same path, by PUT */
    STA_ADMIN_NONE
};

/* Who may ask, and how. */
struct sta_admin_rules {
    const char *address; /* as bound: "127.0.0.1:9380", "[::1]:9380", "unix:PATH" */
    const char *hosts;   /* more names, with commas between them; NULL: none */
    const char *token;   /* NULL: none is asked for */
};

/* A request's words; NULL where it has none. */
struct sta_admin_words {
    const char *method;
    const char *path;
    const char *host;
    const char *authorization;
};

/* 200 with a page; or the status of the refusal: 400 without a Host, 401 without the token, 403 for
 * a host that is not allowed, 404, 405. */
unsigned sta_admin_request_judge(const struct sta_admin_rules *rules,
                                 const struct sta_admin_words *words, enum sta_admin_page *page);

#endif
