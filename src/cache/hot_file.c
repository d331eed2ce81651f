/* SPDX-License-Identifier: MIT
 *
 * See hot_file.h.
 */
#include "cache/hot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/regular_file.h"

#define CHUNK ((size_t)64 << 10)

/* ---- reading ---- */

int sta_hot_reader_init(struct sta_hot_reader *reader, FILE *file, const char *name,
                        struct strata_error *error)
{
    uint8_t bytes[STA_HOT_HEAD_LEN];
    struct strata_error why = {0};
    *reader = (struct sta_hot_reader){.file = file};
    sta_buffer_init(&reader->bytes, SIZE_MAX);
    size_t got = fread(bytes, 1, sizeof bytes, file);
    int status = sta_hot_head_read(strata_bytes(bytes, got), &reader->head, &why);
    if (ferror(file))
        status = sta_error_set(&why, STRATA_ERR_SYSTEM, "cannot be read: %s", strerror(errno));
    if (status < 0) {
        sta_hot_reader_fini(reader);
        return sta_error_set(error, status, "%s: %.300s", name, why.text);
    }
    return STRATA_OK;
}

int sta_hot_reader_open(struct sta_hot_reader *reader, const char *path, struct strata_error *error)
{
    const char *reason;
    FILE *file = sta_regular_file_open(path, &reason);
    if (file == NULL)
        return sta_error_set(error, STRATA_ERR_SYSTEM, "%s: cannot be opened: %s", path, reason);
    return sta_hot_reader_init(reader, file, path, error);
}

void sta_hot_reader_fini(struct sta_hot_reader *reader)
{
    if (reader->file != NULL)
        (void)fclose(reader->file);
    reader->file = NULL;
    sta_buffer_fini(&reader->bytes);
}

/* Appends `len` bytes of the file; fewer where it ends. */
static int reader_append(struct sta_hot_reader *reader, size_t len)
{
    while (len > 0) {
        size_t wanted = len < CHUNK ? len : CHUNK;
        int status = sta_buffer_reserve(&reader->bytes, wanted);
        if (status < 0)
            return status;
        size_t got = fread(sta_buffer_end(&reader->bytes), 1, wanted, reader->file);
        sta_buffer_advance(&reader->bytes, got);
        if (got < wanted)
            return ferror(reader->file) ? STRATA_ERR_SYSTEM : STRATA_OK;
        len -= got;
    }
    return STRATA_OK;
}

/* More than was announced is no better than less. */
static int reader_end(struct sta_hot_reader *reader)
{
    if (fgetc(reader->file) != EOF)
        return STRATA_ERR_PROTOCOL;
    return ferror(reader->file) ? STRATA_ERR_SYSTEM : STRATA_MISS;
}

int sta_hot_reader_next(struct sta_hot_reader *reader, struct sta_hot_record *record)
{
    if (reader->read == reader->head.count)
        return reader_end(reader);
    sta_buffer_truncate(&reader->bytes, 0);
    int status = reader_append(reader, STA_HOT_FRAME_LEN);
    if (status < 0)
        return status;
    if (sta_buffer_len(&reader->bytes) < STA_HOT_FRAME_LEN)
        return STRATA_ERR_PROTOCOL;
    status = reader_append(reader, sta_hot_record_body_len(sta_buffer_bytes(&reader->bytes).data));
    if (status == STRATA_OK)
        status = sta_hot_record_read(&reader->head, sta_buffer_bytes(&reader->bytes), record);
    reader->read += status == STRATA_OK;
    return status;
}

/* ---- writing ---- */

static int write_all(int fd, struct strata_bytes bytes)
{
    const uint8_t *at = bytes.data;
    while (bytes.len > 0) {
        ssize_t wrote = write(fd, at, bytes.len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return STRATA_ERR_SYSTEM;
        at += wrote;
        bytes.len -= (size_t)wrote;
    }
    return STRATA_OK;
}

static int write_whole(int fd, const struct sta_hot_head *head, const struct sta_buffer *lists,
                       size_t count)
{
    uint8_t bytes[STA_HOT_HEAD_LEN];
    sta_hot_head_write(head, bytes);
    int status = write_all(fd, strata_bytes(bytes, sizeof bytes));
    for (size_t i = 0; i < count && status == STRATA_OK; i++)
        status = write_all(fd, sta_buffer_bytes(&lists[i]));
    if (status == STRATA_OK && fsync(fd) != 0)
        status = STRATA_ERR_SYSTEM;
    return status;
}

/* The name itself is to be on disk, too. `path` is cut off at its folder for that. */
static int sync_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        slash[slash == path] = '\0';
    int fd = open(slash != NULL ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return STRATA_ERR_SYSTEM;
    int status = fsync(fd) == 0 ? STRATA_OK : STRATA_ERR_SYSTEM;
    int reason = errno;
    (void)close(fd);
    errno = reason;
    return status;
}

/* `beside` is a name like the path's, with XXXXXX at its end. */
static int write_beside(const char *path, char *beside, const struct sta_hot_head *head,
                        const struct sta_buffer *lists, size_t count)
{
    int fd = mkostemp(beside, O_CLOEXEC);
    if (fd < 0)
        return STRATA_ERR_SYSTEM;
    int status = write_whole(fd, head, lists, count);
    int reason = errno;
    if (close(fd) != 0 && status == STRATA_OK) {
        status = STRATA_ERR_SYSTEM;
        reason = errno;
    }
    if (status == STRATA_OK && rename(beside, path) != 0) {
        status = STRATA_ERR_SYSTEM;
        reason = errno;
    }
    if (status < 0)
        (void)unlink(beside);
    errno = reason;
    return status == STRATA_OK ? sync_folder(beside) : status;
}

/* To be freed; NULL: out of memory, and `error` says so. */
static char *name_beside(const char *path, struct strata_error *error)
{
    static const char suffix[] = ".XXXXXX";
    size_t len = strlen(path);
    char *beside = malloc(len + sizeof suffix);
    if (beside == NULL) {
        (void)sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
        return NULL;
    }
    memcpy(beside, path, len);
    memcpy(beside + len, suffix, sizeof suffix);
    return beside;
}

static int cannot(const char *path, const char *reason, struct strata_error *error)
{
    return sta_error_set(error, STRATA_ERR_SYSTEM, "%s: cannot be written: %s", path, reason);
}

int sta_hot_file_write(const char *path, const struct sta_hot_head *head,
                       const struct sta_buffer *lists, size_t count, struct strata_error *error)
{
    const char *reason = sta_regular_file_refuses(path); /* the new file takes its place */
    if (reason != NULL)
        return cannot(path, reason, error);
    char *beside = name_beside(path, error);
    if (beside == NULL)
        return STRATA_ERR_NOMEM;
    int status = write_beside(path, beside, head, lists, count);
    if (status < 0)
        (void)cannot(path, strerror(errno), error);
    free(beside);
    return status;
}

int sta_hot_file_try(const char *path, struct strata_error *error)
{
    const char *reason = sta_regular_file_refuses(path);
    if (reason != NULL)
        return cannot(path, reason, error);
    char *beside = name_beside(path, error);
    if (beside == NULL)
        return STRATA_ERR_NOMEM;
    int fd = mkostemp(beside, O_CLOEXEC);
    int status = fd >= 0 ? STRATA_OK : cannot(path, strerror(errno), error);
    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(beside);
    }
    free(beside);
    return status;
}
