/* SPDX-License-Identifier: MIT
 *
 * Reading of the file; see config_file.h. inih pulls lines from us, so we know the number of the
 * line that each value stands on, can refuse what it would cut, and can take off indentation,
 * which it would read as the continuation of the line before.
 */
#include "config/config_file.h"

#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "config/quote.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/regular_file.h"
#include "core/spelling.h"

#define FILE_CHUNK 4096u

/* Programs that may share a file; each reads the top and its own section. */
static const char *const programs[] = {"stratad", "strata"};

#define PROGRAM_COUNT (sizeof programs / sizeof programs[0])

struct file_reader {
    struct sta_config *config;
    struct strata_bytes rest;
    unsigned line; /* the one that inih has now */
    int status;    /* the first error ends the reading */
    struct strata_error *error;
};

static int refuse(struct file_reader *reader, const char *text)
{
    return sta_error_set(reader->error, STRATA_ERR_CONFIG, "%s:%u: %s", reader->config->file,
                         reader->line, text);
}

/* Of a line without its CR and LF. */
static size_t text_len(const char *line, size_t len)
{
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
        len--;
    return len;
}

/* inih's fgets: the next line without indentation, with its LF; NULL at the end. */
static char *next_line(char *buffer, int cap, void *arg)
{
    struct file_reader *reader = arg;
    if (reader->status < 0 || reader->rest.len == 0)
        return NULL;
    const char *begin = reader->rest.data;
    const char *lf = memchr(begin, '\n', reader->rest.len);
    size_t len = lf != NULL ? (size_t)(lf - begin) + 1 : reader->rest.len;
    reader->line++;
    reader->rest = strata_bytes(begin + len, reader->rest.len - len);
    while (len > 0 && (*begin == ' ' || *begin == '\t')) {
        begin++;
        len--;
    }
    if (text_len(begin, len) > STA_CONFIG_FILE_LINE || len >= (size_t)cap) {
        reader->status = sta_error_set(reader->error, STRATA_ERR_CONFIG,
                                       "%s:%u: the line is longer than %d bytes",
                                       reader->config->file, reader->line, STA_CONFIG_FILE_LINE);
        return NULL;
    }
    memcpy(buffer, begin, len);
    buffer[len] = '\0';
    return buffer;
}

static int refuse_section(struct file_reader *reader, const char *section)
{
    char quoted[STA_QUOTE_CAP];
    struct sta_spelling spelling = {.wanted = section};
    for (size_t i = 0; i < PROGRAM_COUNT; i++)
        sta_spelling_offer(&spelling, programs[i]);
    sta_quote_text(section, strlen(section), quoted, sizeof quoted);
    return sta_error_set(
        reader->error, STRATA_ERR_CONFIG, "%s:%u: [%s]: not a section%s%s%s", reader->config->file,
        reader->line, quoted, spelling.nearest != NULL ? "; did you mean [" : "",
        spelling.nearest != NULL ? spelling.nearest : "", spelling.nearest != NULL ? "]?" : "");
}

/* An option of ours that stands in the wrong part of the file, or no option. */
static int refuse_name(struct file_reader *reader, const char *section, const char *name)
{
    const struct sta_config *config = reader->config;
    char quoted[STA_QUOTE_CAP];
    struct sta_spelling spelling = {.wanted = name};
    sta_quote_text(name, strlen(name), quoted, sizeof quoted);
    for (size_t i = 0; i < config->count; i++) {
        const struct sta_setting *setting = &config->settings[i];
        const char *own = setting->section;
        if (strcmp(setting->option->name, name) == 0 && own == NULL)
            return sta_error_set(reader->error, STRATA_ERR_CONFIG,
                                 "%s:%u: %s: belongs at the top, before any section", config->file,
                                 reader->line, quoted);
        if (strcmp(setting->option->name, name) == 0)
            return sta_error_set(reader->error, STRATA_ERR_CONFIG, "%s:%u: %s: belongs under [%s]",
                                 config->file, reader->line, quoted, own);
        if (section == NULL ? own == NULL : own != NULL && strcmp(own, section) == 0)
            sta_spelling_offer(&spelling, setting->option->name);
    }
    if (spelling.nearest == NULL)
        return sta_error_set(reader->error, STRATA_ERR_CONFIG, "%s:%u: %s: not an option",
                             config->file, reader->line, quoted);
    return sta_error_set(reader->error, STRATA_ERR_CONFIG,
                         "%s:%u: %s: not an option; did you mean %s?", config->file, reader->line,
                         quoted, spelling.nearest);
}

static bool is_own_section(const struct sta_config *config, const char *section)
{
    for (size_t i = 0; i < config->count; i++) {
        const char *own = config->settings[i].section;
        if (own != NULL && strcmp(own, section) == 0)
            return true;
    }
    return false;
}

static bool is_program(const char *section)
{
    for (size_t i = 0; i < PROGRAM_COUNT; i++) {
        if (strcmp(section, programs[i]) == 0)
            return true;
    }
    return false;
}

static int take(struct file_reader *reader, const char *section, const char *name,
                const char *value)
{
    struct sta_config *config = reader->config;
    if (section != NULL && !is_own_section(config, section))
        return is_program(section) ? STRATA_OK : refuse_section(reader, section);
    struct sta_setting *setting = sta_setting_by_name(config, section, name);
    if (setting == NULL)
        return refuse_name(reader, section, name);
    return sta_setting_offer_line(config, setting, reader->line, value, reader->error);
}

/* inih's handler: 1 goes on. After an error there are no more lines. */
static int take_line(void *arg, const char *section, const char *name, const char *value)
{
    struct file_reader *reader = arg;
    if (reader->status == STRATA_OK)
        reader->status = take(reader, section[0] != '\0' ? section : NULL, name, value);
    return 1;
}

int sta_config_file_parse(struct sta_config *config, struct strata_bytes content,
                          struct strata_error *error)
{
    struct file_reader reader = {.config = config, .rest = content, .error = error};
    if (content.len > 0 && memchr(content.data, '\0', content.len) != NULL)
        return sta_error_set(error, STRATA_ERR_CONFIG, "%s: has zero bytes: not a text",
                             config->file);
    int bad_line = ini_parse_stream(next_line, &reader, take_line, &reader);
    if (bad_line > 0 && (reader.status == STRATA_OK || (unsigned)bad_line < reader.line)) {
        reader.line = (unsigned)bad_line;
        return refuse(&reader, "neither \"name = value\" nor \"[section]\" nor a comment");
    }
    return reader.status;
}

static int read_all(FILE *file, struct sta_buffer *content)
{
    while (sta_buffer_len(content) <= STA_CONFIG_FILE_MOST) {
        int status = sta_buffer_reserve(content, FILE_CHUNK);
        if (status < 0)
            return status;
        size_t n = fread(sta_buffer_end(content), 1, FILE_CHUNK, file);
        sta_buffer_advance(content, n);
        if (n == 0)
            return ferror(file) ? STRATA_ERR_SYSTEM : STRATA_OK;
    }
    return STRATA_ERR_TOO_BIG;
}

int sta_config_file_read(struct sta_config *config, struct strata_error *error)
{
    struct sta_buffer content;
    if (config->file == NULL)
        return STRATA_OK;
    const char *reason;
    FILE *file = sta_regular_file_open(config->file, &reason);
    if (file == NULL)
        return sta_error_set(error, STRATA_ERR_CONFIG, "%s: cannot be read: %s", config->file,
                             reason);
    sta_buffer_init(&content, STA_CONFIG_FILE_MOST + FILE_CHUNK);
    int status = read_all(file, &content);
    if (status == STRATA_ERR_SYSTEM)
        status = sta_error_set(error, STRATA_ERR_CONFIG, "%s: cannot be read: %m", config->file);
    else if (status == STRATA_ERR_TOO_BIG)
        status = sta_error_set(error, STRATA_ERR_CONFIG, "%s: larger than 1 MiB", config->file);
    else if (status < 0)
        status = sta_error_set(error, status, "%s", strata_status_text(status));
    else
        status = sta_config_file_parse(config, sta_buffer_bytes(&content), error);
    sta_buffer_fini(&content);
    (void)fclose(file);
    return status;
}
