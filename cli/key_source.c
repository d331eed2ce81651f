/* SPDX-License-Identifier: MIT
 *
 * See key_source.h.
 */
#include "cli/key_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cache.h"
#include "core/error.h"
#include "core/key.h"

/* ---- lines ---- */

static int next_line(struct cli_key_source *source, struct strata_bytes *key,
                     struct strata_error *error)
{
    ssize_t len;
    do {
        errno = 0;
        len = getline(&source->line, &source->line_cap, source->lines);
        if (len < 0 && (ferror(source->lines) || errno != 0))
            return sta_error_set(error, STRATA_ERR_SYSTEM, "%s: cannot be read: %s", source->name,
                                 strerror(errno));
        if (len < 0)
            return STRATA_MISS;
        len -= source->line[len - 1] == '\n';
    } while (len == 0);
    if ((size_t)len > STA_KEY_MAX)
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "%s: a line of %zd bytes; a key has %u at most", source->name, len,
                             (unsigned)STA_KEY_MAX);
    *key = strata_bytes(source->line, (size_t)len);
    return STRATA_OK;
}

int cli_key_source_open_lines(struct cli_key_source *source, const char *path,
                              struct strata_error *error)
{
    bool standard = strcmp(path, "-") == 0;
    *source =
        (struct cli_key_source){.next = next_line, .name = standard ? "standard input" : path};
    source->lines = standard ? stdin : fopen(path, "re");
    if (source->lines == NULL)
        return sta_error_set(error, STRATA_ERR_SYSTEM, "%s: cannot be opened: %s", path,
                             strerror(errno));
    return STRATA_OK;
}

/* ---- a saved hot set ---- */

static int next_hot(struct cli_key_source *source, struct strata_bytes *key,
                    struct strata_error *error)
{
    struct sta_hot_record record;
    int status = sta_hot_reader_next(&source->hot, &record);
    if (status == STRATA_OK)
        *key = record.key;
    if (status == STRATA_ERR_PROTOCOL) {
        source->torn = true;
        return STRATA_MISS;
    }
    return status < 0
               ? sta_error_set(error, status, "%s: %s", source->name, strata_status_text(status))
               : status;
}

int cli_key_source_open_hot(struct cli_key_source *source, const char *path,
                            struct strata_error *error)
{
    *source = (struct cli_key_source){.next = next_hot, .name = path};
    int status = sta_hot_reader_open(&source->hot, path, error);
    source->is_hot = status == STRATA_OK;
    if (source->is_hot)
        source->total = source->hot.head.count;
    return status;
}

/* ---- a pattern ---- */

static int next_match(struct cli_key_source *source, struct strata_bytes *key,
                      struct strata_error *error)
{
    return strata_keys_next(source->keys, key, error);
}

int cli_key_source_open_pattern(struct cli_key_source *source, const struct cli_run *run,
                                const char *pattern, struct strata_error *error)
{
    const struct strata_keys_options options = {
        .pattern = strata_text(pattern), .patience_ms = run->timeout_ms, .repeats = STRATA_ON};
    *source = (struct cli_key_source){.next = next_match, .name = pattern};
    int status = cli_cache_open(run, "", &source->cache, error);
    if (status < 0)
        return status;
    status = strata_keys_open(&source->keys, source->cache, &options);
    if (status < 0) {
        strata_close(&source->cache);
        return sta_error_set(error, status, "--pattern: %s", strata_status_text(status));
    }
    return STRATA_OK;
}

/* ---- all of them ---- */

int cli_key_source_next(struct cli_key_source *source, struct strata_bytes *key,
                        struct strata_error *error)
{
    return source->next(source, key, error);
}

void cli_key_source_close(struct cli_key_source *source)
{
    free(source->line);
    if (source->lines != NULL && source->lines != stdin)
        (void)fclose(source->lines);
    if (source->is_hot)
        sta_hot_reader_fini(&source->hot);
    strata_keys_close(&source->keys);
    strata_close(&source->cache);
    *source = (struct cli_key_source){.next = NULL};
}
