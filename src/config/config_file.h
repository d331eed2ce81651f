/* SPDX-License-Identifier: MIT
 *
 * The configuration file: INI as inih reads it. `name = value` lines; ';' and '#' begin comments
 * at the start of a line, " ;" also behind a value. A line has at most STA_CONFIG_FILE_LINE bytes
 * after its indentation; lists may be written on several lines, with the name in front of each.
 */
#ifndef STA_CONFIG_FILE_H
#define STA_CONFIG_FILE_H

#include "config/setting.h"
#include "strata/bytes.h"

#define STA_CONFIG_FILE_LINE 197 /* inih's line buffer, less CR, LF and the zero */
#define STA_CONFIG_FILE_MOST (UINT64_C(1) << 20)

/* Reads config->file, where there is one. Errors as sta_config_load(). */
int sta_config_file_read(struct sta_config *config, struct strata_error *error);

/* The pure half: the file's content. */
int sta_config_file_parse(struct sta_config *config, struct strata_bytes content,
                          struct strata_error *error);

#endif
