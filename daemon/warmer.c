/* SPDX-License-Identifier: MIT
 *
 * See warmer.h. Requests of a batch fit the socket's buffer, so that writing them never waits for a
 * worker that waits for us to read.
 */
#include "daemon/warmer.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cache/hot_file.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/pace.h"
#include "daemon/stratad.h"
#include "daemon/worker.h"
#include "resp/resp.h"

#define BATCH_KEYS   100u
#define BATCH_BYTES  ((size_t)16 << 10) /* then one key more, of 64 KiB at most */
#define SOCKET_BYTES (256 << 10)
#define VALUE_GUESS  1024u /* bytes, before anything was read */
#define SHARE        50u   /* percent of the time */
#define RATE_PERIODS 10u   /* batches a second at least, where there is a rate */
#define TELL_NS      STA_NS_SEC

/* How a batch, and all of it, may end before the file does. */
enum ending { GOES_ON, FILE_ENDS, FULL, TORN, TIME_IS_OVER, CUT_OFF };

struct sta_warmer {
    /* Fixed before the thread starts. */
    struct sta_stratad *stratad;
    void (*over)(struct sta_stratad *stratad);
    int fd; /* our end; -1: none */
    uint64_t batch_keys;
    uint64_t deadline_ns;
    uint64_t begun_ns;
    pthread_t thread;
    bool started;

    /* The thread's; the main thread's before and after. */
    struct sta_hot_reader reader;
    struct sta_buffer out, in;
    struct sta_resp_framer framer;
    size_t expected; /* replies to come */
    uint64_t owed_ns, told_ns;
    uint64_t there, asked, warmed, missing, failed, bytes;
    enum ending ending;
    struct sta_task task; /* the news */
};

/* ---- the socket ---- */

/* False: the time is over, or the other end is gone. */
static bool wait_for(struct sta_warmer *warmer, short events)
{
    struct pollfd poll_fd = {.fd = warmer->fd, .events = events};
    for (;;) {
        uint64_t now_ns = sta_clock_now_ns();
        if (now_ns >= warmer->deadline_ns) {
            warmer->ending = TIME_IS_OVER;
            return false;
        }
        uint64_t left_ms = (warmer->deadline_ns - now_ns) / STA_NS_MS + 1;
        int got = poll(&poll_fd, 1, left_ms < 60000 ? (int)left_ms : 60000);
        if (got > 0)
            return true;
        if (got < 0 && errno != EINTR) {
            warmer->ending = CUT_OFF;
            return false;
        }
    }
}

static bool cut_off(struct sta_warmer *warmer)
{
    warmer->ending = CUT_OFF;
    return false;
}

static bool send_all(struct sta_warmer *warmer)
{
    while (sta_buffer_len(&warmer->out) > 0) {
        struct strata_bytes bytes = sta_buffer_bytes(&warmer->out);
        ssize_t sent = send(warmer->fd, bytes.data, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
            sta_buffer_consume(&warmer->out, (size_t)sent);
        else if (errno == EAGAIN && !wait_for(warmer, POLLOUT))
            return false;
        else if (errno != EAGAIN && errno != EINTR)
            return cut_off(warmer);
    }
    return true;
}

static bool receive_some(struct sta_warmer *warmer)
{
    if (!wait_for(warmer, POLLIN) || sta_buffer_reserve(&warmer->in, STA_BUFFER_KEEP) < 0)
        return warmer->ending != GOES_ON ? false : cut_off(warmer);
    ssize_t got =
        recv(warmer->fd, sta_buffer_end(&warmer->in), sta_buffer_room(&warmer->in), MSG_DONTWAIT);
    if (got > 0)
        sta_buffer_advance(&warmer->in, (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        return cut_off(warmer);
    return true;
}

/* ---- a batch ---- */

static void count_reply(struct sta_warmer *warmer, struct strata_bytes frame)
{
    struct sta_resp_walk walk = sta_resp_walk(frame);
    struct sta_resp_value value;
    if (sta_resp_next(&walk, &value) != STRATA_OK || value.type == STA_RESP_ERROR)
        warmer->failed++;
    else if (value.type == STA_RESP_NULL)
        warmer->missing++;
    else
        warmer->warmed++;
    warmer->bytes += frame.len;
}

/* Takes the replies that are whole. */
static bool take_replies(struct sta_warmer *warmer)
{
    const char *reason;
    size_t len;
    while (warmer->expected > 0 && sta_buffer_len(&warmer->in) > 0) {
        struct strata_bytes data = sta_buffer_bytes(&warmer->in);
        int status = sta_resp_frame(&warmer->framer, &sta_resp_reply_limits, data, &len, &reason);
        if (status == STRATA_MORE)
            return true;
        if (status < 0)
            return cut_off(warmer);
        count_reply(warmer, strata_bytes(data.data, len));
        sta_buffer_consume(&warmer->in, len);
        warmer->expected--;
    }
    return true;
}

static bool exchange(struct sta_warmer *warmer)
{
    if (!send_all(warmer))
        return false;
    while (warmer->expected > 0) {
        if (!receive_some(warmer) || !take_replies(warmer))
            return false;
    }
    return true;
}

/* Whether a key is worth asking for: L1 has it not, and its namespace has room for it. */
static bool is_wanted(struct sta_warmer *warmer, struct strata_bytes name)
{
    struct sta_l1 *l1 = warmer->stratad->l1;
    struct sta_key key = sta_l1_key(l1, name);
    return !sta_l1_has(l1, &key, sta_clock_now_ms()) && sta_l1_has_room(l1, &key, 1, VALUE_GUESS);
}

/* Appends what is asked for next. */
static enum ending gather(struct sta_warmer *warmer)
{
    const struct strata_bytes get = strata_text("GET");
    uint64_t mean = warmer->warmed > 0 ? warmer->bytes / warmer->warmed : VALUE_GUESS;
    struct sta_hot_record record;
    if (!sta_l1_has_room(warmer->stratad->l1, NULL, warmer->batch_keys, warmer->batch_keys * mean))
        return FULL;
    while (warmer->expected < warmer->batch_keys && sta_buffer_len(&warmer->out) < BATCH_BYTES) {
        int status = sta_hot_reader_next(&warmer->reader, &record);
        if (status != STRATA_OK)
            return status == STRATA_MISS ? FILE_ENDS : TORN;
        if (!is_wanted(warmer, record.key)) {
            warmer->there++;
            continue;
        }
        const struct strata_bytes argv[] = {get, record.key};
        if (sta_resp_write_command(&warmer->out, argv, 2) < 0)
            return CUT_OFF;
        warmer->expected++;
        warmer->asked++;
    }
    return GOES_ON;
}

/* When the next batch is due. */
static uint64_t due_at(struct sta_warmer *warmer, uint64_t took_ns, uint64_t now_ns)
{
    uint64_t rate = warmer->stratad->options.warm_rate;
    uint64_t due_ns = now_ns + sta_pace_rest_ns(&warmer->owed_ns, SHARE, took_ns);
    if (rate == STRATA_UNLIMITED)
        return due_ns;
    uint64_t by_rate_ns = sta_pace_due_ns(warmer->begun_ns, warmer->asked, rate);
    return by_rate_ns > due_ns ? by_rate_ns : due_ns;
}

/* Nothing comes meanwhile but the end. */
static bool rest(struct sta_warmer *warmer, uint64_t due_ns)
{
    struct pollfd poll_fd = {.fd = warmer->fd, .events = POLLIN};
    for (uint64_t now_ns; (now_ns = sta_clock_now_ns()) < due_ns;) {
        if (now_ns >= warmer->deadline_ns) {
            warmer->ending = TIME_IS_OVER;
            return false;
        }
        uint64_t until_ns = due_ns < warmer->deadline_ns ? due_ns : warmer->deadline_ns;
        uint64_t ms = (until_ns - now_ns) / STA_NS_MS + 1;
        if (poll(&poll_fd, 1, ms < 60000 ? (int)ms : 60000) > 0)
            return cut_off(warmer);
    }
    return true;
}

static void tell_progress(struct sta_warmer *warmer, uint64_t now_ns)
{
    if (now_ns - warmer->told_ns < TELL_NS)
        return;
    warmer->told_ns = now_ns;
    sta_log_write(warmer->stratad->log, STRATA_LOG_INFO, STA_ROOM_DAEMON,
                  "warming: %" PRIu64 " of %" PRIu64 " keys", warmer->reader.read,
                  warmer->reader.head.count);
}

/* ---- the thread ---- */

static bool introduce(struct sta_warmer *warmer)
{
    const struct sta_stratad_options *options = &warmer->stratad->options;
    if (options->password == NULL)
        return true;
    const struct strata_bytes argv[] = {strata_text("AUTH"), strata_text(options->user),
                                        strata_text(options->password)};
    if (sta_resp_write_command(&warmer->out, argv, 3) < 0)
        return cut_off(warmer);
    warmer->expected = 1;
    bool answered = exchange(warmer);
    warmer->warmed = 0;
    warmer->bytes = 0;
    return answered && (warmer->failed == 0 || cut_off(warmer));
}

static void warm(struct sta_warmer *warmer)
{
    if (!introduce(warmer))
        return;
    for (;;) {
        uint64_t now_ns = sta_clock_now_ns();
        enum ending ending = gather(warmer);
        if (!exchange(warmer))
            return;
        warmer->ending = ending;
        if (ending != GOES_ON)
            return;
        uint64_t after_ns = sta_clock_now_ns();
        tell_progress(warmer, after_ns);
        if (!rest(warmer, due_at(warmer, after_ns - now_ns, after_ns)))
            return;
    }
}

static void *warmer_run(void *arg)
{
    struct sta_warmer *warmer = arg;
    (void)pthread_setname_np(pthread_self(), "warmer");
    warm(warmer);
    sta_loop_post(warmer->stratad->loop, &warmer->task);
    return NULL;
}

static const char *ending_text(enum ending ending)
{
    static const char *const texts[] = {
        [GOES_ON] = "",
        [FILE_ENDS] = "",
        [FULL] = "; L1 is full",
        [TORN] = "; the file is torn there",
        [TIME_IS_OVER] = "; the time for it is over (warm_timeout)",
        [CUT_OFF] = "; cut off",
    };
    return texts[ending];
}

static void on_over(struct sta_task *task)
{
    struct sta_warmer *warmer = STA_CONTAINER(task, struct sta_warmer, task);
    struct sta_stratad *stratad = warmer->stratad;
    double seconds = (double)(sta_clock_now_ns() - warmer->begun_ns) / (double)STA_NS_SEC;
    sta_log_write(stratad->log, STRATA_LOG_INFO, STA_ROOM_DAEMON,
                  "warmed %" PRIu64 " of %" PRIu64 " keys in %.1f s: %" PRIu64
                  " are not in Redis, %" PRIu64 " failed%s",
                  warmer->warmed, warmer->reader.head.count, seconds, warmer->missing,
                  warmer->failed, ending_text(warmer->ending));
    warmer->over(stratad);
}

/* ---- life ---- */

static int open_file(struct sta_warmer *warmer, bool *foreign)
{
    struct sta_stratad *stratad = warmer->stratad;
    const char *path = stratad->options.hot_file;
    struct strata_error error;
    if (access(path, F_OK) != 0 && errno == ENOENT) {
        sta_log_write(stratad->log, STRATA_LOG_INFO, STA_ROOM_DAEMON,
                      "nothing to warm from: %s is not there yet", path);
        return STRATA_MISS;
    }
    int status = sta_hot_reader_open(&warmer->reader, path, &error);
    if (status == STRATA_OK)
        return STRATA_OK;
    *foreign = status != STRATA_ERR_NOMEM; /* what cannot be read may be anybody's */
    sta_log_write(stratad->log, STRATA_LOG_WARNING, STA_ROOM_DAEMON, "not warmed: %s%s", error.text,
                  *foreign ? "; nor is it written over: remove it, or name another (hot_file)"
                           : "");
    return STRATA_MISS;
}

int sta_warmer_open(struct sta_warmer **out, struct sta_stratad *stratad, bool *foreign)
{
    struct sta_warmer *warmer = calloc(1, sizeof *warmer);
    if (warmer == NULL)
        return STRATA_ERR_NOMEM;
    warmer->stratad = stratad;
    warmer->fd = -1;
    warmer->task.run = on_over;
    sta_buffer_init(&warmer->out, SIZE_MAX);
    sta_buffer_init(&warmer->in, SIZE_MAX);
    if (open_file(warmer, foreign) != STRATA_OK)
        sta_warmer_stop(&warmer);
    *out = warmer;
    return STRATA_OK;
}

/* One end for us, the other for a worker. */
static int make_client(struct sta_warmer *warmer)
{
    static const int bytes = SOCKET_BYTES;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
        return STRATA_ERR_SYSTEM;
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    warmer->fd = ends[0];
    sta_worker_adopt_own(warmer->stratad->workers[0], ends[1]);
    return STRATA_OK;
}

/* Signals are the main loop's. */
static int start_thread(struct sta_warmer *warmer)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    warmer->started = pthread_create(&warmer->thread, NULL, warmer_run, warmer) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return warmer->started ? STRATA_OK : STRATA_ERR_SYSTEM;
}

int sta_warmer_start(struct sta_warmer *warmer, void (*over)(struct sta_stratad *stratad))
{
    const struct sta_stratad_options *options = &warmer->stratad->options;
    uint64_t rate = options->warm_rate;
    warmer->over = over;
    warmer->begun_ns = sta_clock_now_ns();
    warmer->told_ns = warmer->begun_ns;
    warmer->deadline_ns = sta_clock_after(warmer->begun_ns, options->warm_timeout_ms * STA_NS_MS);
    warmer->batch_keys = rate / RATE_PERIODS < BATCH_KEYS ? rate / RATE_PERIODS : BATCH_KEYS;
    warmer->batch_keys += warmer->batch_keys == 0;
    sta_log_write(warmer->stratad->log, STRATA_LOG_INFO, STA_ROOM_DAEMON,
                  "warming: %" PRIu64 " keys of %s", warmer->reader.head.count, options->hot_file);
    int status = make_client(warmer);
    return status == STRATA_OK ? start_thread(warmer) : status;
}

void sta_warmer_stop(struct sta_warmer **pointer)
{
    struct sta_warmer *warmer = *pointer;
    if (warmer == NULL)
        return;
    *pointer = NULL;
    if (warmer->fd >= 0)
        (void)shutdown(warmer->fd, SHUT_RDWR);
    if (warmer->started)
        (void)pthread_join(warmer->thread, NULL);
    if (warmer->fd >= 0)
        (void)close(warmer->fd);
    sta_hot_reader_fini(&warmer->reader);
    sta_buffer_fini(&warmer->out);
    sta_buffer_fini(&warmer->in);
    free(warmer);
}
