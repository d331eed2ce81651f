/* SPDX-License-Identifier: MIT
 *
 * See journal_files.h.
 */
#include "cache/journal_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/journal_record.h"
#include "strata/status.h"

void sta_journal_files_name(uint64_t number, char *name)
{
    (void)snprintf(name, STA_JOURNAL_NAME_CAP, "%016" PRIx64 ".journal", number);
}

static int files_add(struct sta_journal_files *files, struct sta_journal_file file)
{
    if (files->count == files->room) {
        size_t room = files->room > 0 ? files->room * 2 : 8;
        struct sta_journal_file *more = realloc(files->files, room * sizeof *more);
        if (more == NULL)
            return STRATA_ERR_NOMEM;
        files->files = more;
        files->room = room;
    }
    files->files[files->count++] = file;
    return STRATA_OK;
}

static int by_number(const void *a, const void *b)
{
    const struct sta_journal_file *left = a, *right = b;
    return left->number < right->number ? -1 : left->number > right->number;
}

static int files_add_name(struct sta_journal_files *files, const char *name, uint64_t end)
{
    char expected[STA_JOURNAL_NAME_CAP];
    struct stat stat;
    uint64_t number = strtoull(name, NULL, 16);
    sta_journal_files_name(number, expected);
    if (strcmp(name, expected) != 0)
        return STRATA_OK; /* not ours */
    if (fstatat(files->directory, name, &stat, 0) != 0)
        return STRATA_ERR_SYSTEM;
    if (number >= files->next_number)
        files->next_number = number + 1;
    return files_add(files, (struct sta_journal_file){
                                .number = number, .end = end, .bytes = (uint64_t)stat.st_size});
}

static int files_list(struct sta_journal_files *files, uint64_t end)
{
    int status = STRATA_OK;
    const struct dirent *entry;
    int copy = openat(files->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy >= 0 ? fdopendir(copy) : NULL;
    if (listing == NULL) {
        if (copy >= 0)
            (void)close(copy);
        return STRATA_ERR_SYSTEM;
    }
    while (status == STRATA_OK && (errno = 0, entry = readdir(listing)) != NULL)
        status = files_add_name(files, entry->d_name, end);
    if (status == STRATA_OK && errno != 0) /* or a part of them would not be replayed */
        status = STRATA_ERR_SYSTEM;
    int reason = errno;
    (void)closedir(listing);
    errno = reason;
    if (files->count > 1)
        qsort(files->files, files->count, sizeof *files->files, by_number);
    return status;
}

/* The directory was made just now: its name is to be on disk as well. */
static int files_sync_parent(const struct sta_journal_files *files)
{
    int parent = openat(files->directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return STRATA_ERR_SYSTEM;
    int status = fsync(parent) == 0 ? STRATA_OK : STRATA_ERR_SYSTEM;
    int reason = errno;
    (void)close(parent);
    errno = reason;
    return status;
}

int sta_journal_files_init(struct sta_journal_files *files, const char *directory, uint64_t end)
{
    *files = (struct sta_journal_files){.directory = -1, .lock = -1, .current = -1};
    files->next_number = 1;
    files->head = STA_JOURNAL_HEAD;
    bool made = mkdir(directory, 0700) == 0;
    if (!made && errno != EEXIST)
        return STRATA_ERR_SYSTEM;
    files->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (files->directory < 0 || (made && files_sync_parent(files) < 0))
        return STRATA_ERR_SYSTEM;
    files->lock = openat(files->directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (files->lock < 0)
        return STRATA_ERR_SYSTEM;
    if (flock(files->lock, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? STRATA_ERR_BUSY : STRATA_ERR_SYSTEM;
    return files_list(files, end);
}

void sta_journal_files_fini(struct sta_journal_files *files)
{
    if (files->current >= 0)
        (void)close(files->current);
    if (files->lock >= 0)
        (void)close(files->lock);
    if (files->directory >= 0)
        (void)close(files->directory);
    free(files->files);
}

static int read_all(int fd, uint8_t *at, size_t len)
{
    while (len > 0) {
        ssize_t got = read(fd, at, len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = EIO; /* it has become shorter */
        if (got <= 0)
            return STRATA_ERR_SYSTEM;
        at += got;
        len -= (size_t)got;
    }
    return STRATA_OK;
}

int sta_journal_files_read(const struct sta_journal_files *files,
                           const struct sta_journal_file *file, struct strata_bytes *out)
{
    char name[STA_JOURNAL_NAME_CAP];
    sta_journal_files_name(file->number, name);
    int fd = openat(files->directory, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return STRATA_ERR_SYSTEM;
    uint8_t *bytes = malloc(file->bytes > 0 ? file->bytes : 1);
    int status = bytes != NULL ? read_all(fd, bytes, file->bytes) : STRATA_ERR_NOMEM;
    int reason = errno;
    (void)close(fd);
    errno = reason;
    if (status < 0) {
        free(bytes);
        return status;
    }
    *out = strata_bytes(bytes, file->bytes);
    return STRATA_OK;
}

void sta_journal_files_abandon(struct sta_journal_files *files, uint64_t end)
{
    if (files->current < 0)
        return;
    (void)close(files->current);
    files->current = -1;
    files->files[files->count - 1].end = end;
}

/* Nothing was written to it that anybody needs. */
static void files_undo_roll(struct sta_journal_files *files, const char *name, uint64_t end)
{
    int reason = errno;
    sta_journal_files_abandon(files, end);
    if (unlinkat(files->directory, name, 0) == 0)
        files->count--; /* or a trim has it again */
    errno = reason;
}

int sta_journal_files_roll(struct sta_journal_files *files, uint64_t end)
{
    char name[STA_JOURNAL_NAME_CAP];
    sta_journal_files_abandon(files, end);
    sta_journal_files_name(files->next_number, name);
    int status =
        files_add(files, (struct sta_journal_file){.number = files->next_number, .begin = end});
    if (status < 0)
        return status;
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC;
    files->current = openat(files->directory, name, flags, 0600);
    if (files->current < 0) {
        files->count--;
        return STRATA_ERR_SYSTEM;
    }
    files->next_number++;
    status = sta_journal_files_write(files, strata_text(files->head));
    if (status == STRATA_OK)
        status = sta_journal_files_sync(files);
    if (status == STRATA_OK && fsync(files->directory) != 0) /* or its name may be lost */
        status = STRATA_ERR_SYSTEM;
    if (status < 0)
        files_undo_roll(files, name, end);
    return status;
}

int sta_journal_files_write(struct sta_journal_files *files, struct strata_bytes bytes)
{
    const uint8_t *at = bytes.data;
    while (bytes.len > 0) {
        ssize_t wrote = write(files->current, at, bytes.len);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return STRATA_ERR_SYSTEM;
        at += wrote;
        bytes.len -= (size_t)wrote;
        files->files[files->count - 1].bytes += (uint64_t)wrote;
    }
    return STRATA_OK;
}

int sta_journal_files_sync(struct sta_journal_files *files)
{
    return fdatasync(files->current) == 0 ? STRATA_OK : STRATA_ERR_SYSTEM;
}

bool sta_journal_files_would_trim(const struct sta_journal_files *files, uint64_t position)
{
    return files->count > 0 && files->files[0].end != 0 && files->files[0].end <= position;
}

void sta_journal_files_trim(struct sta_journal_files *files, uint64_t position)
{
    char name[STA_JOURNAL_NAME_CAP];
    size_t gone = 0;
    while (gone < files->count && files->files[gone].end != 0 &&
           files->files[gone].end <= position) {
        sta_journal_files_name(files->files[gone].number, name);
        if (unlinkat(files->directory, name, 0) != 0 && errno != ENOENT)
            break; /* replayed once more, perhaps: nothing worse */
        gone++;
    }
    if (gone == 0)
        return;
    memmove(files->files, files->files + gone, (files->count - gone) * sizeof *files->files);
    files->count -= gone;
}

uint64_t sta_journal_files_first(const struct sta_journal_files *files)
{
    return files->files[0].begin;
}
