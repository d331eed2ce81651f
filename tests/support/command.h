/* SPDX-License-Identifier: MIT
 *
 * A program that a test runs to its end, with what it printed and how it ended: for commands,
 * where child.h is for servers.
 */
#ifndef TEST_COMMAND_H
#define TEST_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

struct command_result {
    int code;   /* exit code; 128 + the number of the signal that ended it */
    char *out;  /* what it wrote to standard output, with a zero byte behind it */
    size_t len; /* bytes of out */
    char *err;  /* the same for standard error */
};

struct command_input {
    const void *data; /* standard input; NULL: empty */
    size_t len;
    bool terminal;           /* standard output and error are one terminal; `err` stays empty */
    const char *out_path;    /* standard output goes to this file instead; or NULL */
    const char *environment; /* "NAME=value" to add; or NULL */
};

/* Runs argv[0] (found in PATH) and waits for its end, 60 s at most (then it is killed). Fails the
 * test where it cannot be started. `input` may be NULL. */
void command_run(struct command_result *result, const struct command_input *input,
                 const char *const *argv);

void command_result_fini(struct command_result *result);

#endif
