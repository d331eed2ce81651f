/* SPDX-License-Identifier: MIT
 *
 * One load of a configuration for a small program, as a test describes it, and what came of it.
 */
#ifndef LOADING_H
#define LOADING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"
#include "strata/options.h"

/* The program's own options: one of each type that the library's table leaves out. */
struct loading_own {
    uint64_t workers;
    enum strata_switch eager;
    const char *const *listen;
    size_t listen_count;
    const char *name;
    const char *password;
    unsigned colour;
};

struct loading {
    /* What the test says; zeroed is nothing. */
    char *environment[32];
    char *argv[32];   /* without the program's name */
    const char *file; /* a file's content, or NULL; its path is then in `path` */
    bool operands;
    /* What came of it. */
    int status;
    struct sta_config *config;
    struct strata_options library;
    struct loading_own own;
    struct strata_error error;
    char warnings[4096]; /* a line each */
    char path[64];
};

/* The sets of the program: its own under [stratad], the library's with defaults that differ. */
#define LOADING_SET_COUNT 2
void loading_sets(struct loading *loading, struct sta_option_set sets[LOADING_SET_COUNT]);

/* Loads; give the loading to loading_end() afterwards. */
void loading_run(struct loading *loading);
void loading_end(struct loading *loading);

/* The load succeeds. */
void loading_must(struct loading *loading);

/* The load fails with `status` and exactly this text (of which $ is the path of the file), and
 * no target has changed. */
void loading_must_not(struct loading *loading, int status, const char *text);

#endif
