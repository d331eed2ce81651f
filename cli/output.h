/* SPDX-License-Identifier: MIT
 *
 * What strata prints. Standard output has the answer and nothing else: text, or with --json one
 * document, failures too. Standard error has a line for each failure, in both cases.
 *
 * Binary values: to a pipe or file as they are; to a terminal with everything escaped that is not
 * printable UTF-8, so that a value cannot control the terminal. In JSON a value that is not UTF-8
 * stands in base64 under the member's name with "_base64" behind it.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>

#include "cli/command.h"
#include "core/buffer.h"
#include "strata/bytes.h"

/* A line on standard error: "strata: text". */
void cli_output_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The end of a run that failed as `error` says: complains, prints the document where JSON is
 * asked for, and returns the code. */
enum cli_exit cli_output_failure(const struct cli_run *run, const struct strata_error *error);

/* Prints `document` with "exit" added to it, and frees it. Returns `code`; CLI_NEGATIVE where
 * memory is out (`document` may be NULL for that). */
enum cli_exit cli_output_json(json_t *document, enum cli_exit code);

/* Adds a string member, or its _base64 form. 0, or -1 where memory is out. */
int cli_output_member(json_t *object, const char *name, struct strata_bytes value);

/* Whether standard output goes to a person. */
bool cli_output_is_terminal(void);

/* A value on standard output, as said above. */
void cli_output_value(struct strata_bytes value);

/* Appends `value` as a terminal is shown it. STRATA_OK, STRATA_ERR_NOMEM, STRATA_ERR_TOO_BIG. */
int cli_output_escape(struct sta_buffer *out, struct strata_bytes value);

/* Appends `value` in base64 (RFC 4648, padded). As above. */
int cli_output_base64(struct sta_buffer *out, struct strata_bytes value);

#endif
