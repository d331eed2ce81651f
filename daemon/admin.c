/* SPDX-License-Identifier: MIT
 *
 * See admin.h.
 *
 * libmicrohttpd bounds memory, number and silence of connections; how long one may last in all it
 * does not: somebody who sends a byte now and then would stay for ever. So their sockets are kept
 * in a list with the time of their arrival, and a timer of the main loop shuts down those whose
 * time is over. Their thread hears of it and lets them go.
 *
 * Threads: `lock` guards the list; everything else is fixed before the thread starts. The library
 * tells of the end of a connection before it closes the socket, so that what is in the list is
 * open.
 */
#include "daemon/admin.h"

#include <jansson.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/error.h"
#include "daemon/admin_config.h"
#include "daemon/admin_request.h"
#include "daemon/listener.h"
#include "daemon/numbers.h"
#include "daemon/stats.h"
#include "daemon/stratad.h"
#include "observe/prometheus.h"

#define CONNECTIONS_MOST 32u
#define MEMORY_MOST      ((size_t)16 << 10)
#define SILENCE_S        5u
#define CONNECTION_NS    (10 * STA_NS_SEC)
#define LOOK_NS          STA_NS_SEC
#define TEXT_MOST        ((size_t)4 << 20)

struct visitor {
    int fd; /* -1: nobody */
    uint64_t since_ns;
};

struct sta_admin {
    struct sta_stratad *stratad;
    struct sta_listener listener;
    struct sta_admin_rules rules;
    struct MHD_Daemon *server; /* NULL: not started */
    struct sta_timer timer;    /* the main loop's */

    pthread_mutex_t lock;
    struct visitor visitors[CONNECTIONS_MOST];
};

/* ---- answers ---- */

/* What is answered with: a text that the response takes over. */
struct answer {
    unsigned status;
    const char *type;
    char *text; /* NULL: out of memory */
    size_t len;
};

static struct answer answer_text(unsigned status, const char *text)
{
    return (struct answer){status, "text/plain; charset=utf-8", strdup(text), strlen(text)};
}

static struct answer answer_json(unsigned status, char *text)
{
    return (struct answer){status, "application/json", text, text != NULL ? strlen(text) : 0};
}

static struct answer answer_buffer(int status, struct sta_buffer *buffer, const char *type)
{
    struct strata_bytes bytes = sta_buffer_bytes(buffer);
    if (status < 0) {
        sta_buffer_fini(buffer);
        return (struct answer){.status = 500, .type = type};
    }
    return (struct answer){200, type, (char *)buffer->data, bytes.len}; /* nothing was consumed */
}

static struct answer answer_metrics(const struct sta_stratad *stratad)
{
    struct sta_buffer buffer;
    sta_buffer_init(&buffer, TEXT_MOST);
    return answer_buffer(sta_numbers_prometheus(stratad, &buffer), &buffer, STA_PROMETHEUS_TYPE);
}

static struct answer answer_stats(const struct sta_stratad *stratad)
{
    struct sta_buffer buffer;
    sta_buffer_init(&buffer, TEXT_MOST);
    return answer_buffer(sta_stats_render(stratad, &buffer), &buffer, "application/json");
}

static struct answer answer_health(const struct sta_stratad *stratad)
{
    enum strata_health_state state = STRATA_HEALTHY;
    json_t *document = sta_numbers_health(stratad, &state);
    char *text = document != NULL ? json_dumps(document, JSON_COMPACT) : NULL;
    json_decref(document);
    return answer_json(state == STRATA_UNHEALTHY ? 503 : 200, text);
}

/* Ready: clients are accepted, what they ask for can be answered at least in part, and what there
 * was to warm from has been read. */
static struct answer answer_ready(const struct sta_stratad *stratad)
{
    enum strata_health_state state = STRATA_UNHEALTHY;
    json_t *document = sta_numbers_health(stratad, &state);
    bool draining = atomic_load_explicit(&stratad->draining, memory_order_relaxed);
    json_decref(document);
    if (draining)
        return answer_text(503, "draining\n");
    if (state == STRATA_UNHEALTHY)
        return answer_text(503, "unhealthy\n");
    bool cold = atomic_load_explicit(&stratad->cold, memory_order_relaxed);
    return cold ? answer_text(503, "warming\n") : answer_text(200, "ok\n");
}

static struct answer answer_config(struct sta_stratad *stratad)
{
    char *text;
    unsigned status = sta_admin_config_show(stratad->adjust, &text);
    return answer_json(status, text);
}

static struct answer answer_change(struct sta_stratad *stratad, struct strata_bytes body)
{
    char *text;
    unsigned status = sta_admin_config_change(stratad->adjust, body, &text);
    return answer_json(status, text);
}

static struct answer answer_page(struct sta_stratad *stratad, enum sta_admin_page page)
{
    switch (page) {
    case STA_ADMIN_METRICS:
        return answer_metrics(stratad);
    case STA_ADMIN_STATS:
        return answer_stats(stratad);
    case STA_ADMIN_HEALTH:
        return answer_health(stratad);
    case STA_ADMIN_READYZ:
        return answer_ready(stratad);
    case STA_ADMIN_CONFIG:
        return answer_config(stratad);
    default:
        return answer_text(200, "ok\n");
    }
}

static struct answer answer_refusal(unsigned status)
{
    switch (status) {
    case 400:
        return answer_text(status, "a Host is missing\n");
    case 401:
        return answer_text(status, "the token is missing or wrong\n");
    case 403:
        return answer_text(status, "not under this name (admin_hosts)\n");
    case 405:
        return answer_text(status, "only GET and HEAD, and PUT of /config\n");
    case 413:
        return answer_text(status, "larger than 16 KiB\n");
    default:
        return answer_text(status,
                           "there are /livez, /readyz, /health, /metrics, /stats and /config\n");
    }
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct answer answer)
{
    if (answer.text == NULL)
        return MHD_NO;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer.len, answer.text, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(answer.text);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, "Content-Type", answer.type);
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    (void)MHD_add_response_header(response, "Connection", "close");
    if (answer.status == 405)
        (void)MHD_add_response_header(response, "Allow", "GET, HEAD, PUT");
    if (answer.status == 401)
        (void)MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    enum MHD_Result result = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    return result;
}

/* What comes with a PUT; the server's context of its request. */
struct upload {
    struct sta_buffer body;
    int status; /* of the buffer */
};

static enum MHD_Result begin_upload(void **context)
{
    struct upload *upload = calloc(1, sizeof *upload);
    if (upload == NULL)
        return MHD_NO;
    sta_buffer_init(&upload->body, STA_ADMIN_CONFIG_MOST);
    *context = upload;
    return MHD_YES;
}

/* Called with each part, and with none at the end. */
static enum MHD_Result go_on_uploading(const struct sta_admin *admin,
                                       struct MHD_Connection *connection, struct upload *upload,
                                       const char *part, size_t *part_len)
{
    if (*part_len > 0) {
        if (upload->status == STRATA_OK)
            upload->status = sta_buffer_append(&upload->body, strata_bytes(part, *part_len));
        *part_len = 0;
        return MHD_YES;
    }
    if (upload->status < 0)
        return send_answer(connection,
                           answer_refusal(upload->status == STRATA_ERR_TOO_BIG ? 413 : 500));
    return send_answer(connection, answer_change(admin->stratad, sta_buffer_bytes(&upload->body)));
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode why)
{
    struct upload *upload = *context;
    (void)arg;
    (void)connection;
    (void)why;
    if (upload == NULL)
        return;
    sta_buffer_fini(&upload->body);
    free(upload);
    *context = NULL;
}

/* Called with the headers, and again with each part of a body; only for that of a PUT we wait. HEAD
 * is answered as GET: the server sends no body then. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_len, void **context)
{
    const struct sta_admin *admin = arg;
    enum sta_admin_page page = STA_ADMIN_NONE;
    (void)version;
    if (*context != NULL)
        return go_on_uploading(admin, connection, *context, upload, upload_len);
    const struct sta_admin_words words = {
        .method = method,
        .path = path,
        .host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host"),
        .authorization = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization"),
    };
    unsigned status = sta_admin_request_judge(&admin->rules, &words, &page);
    if (status == 200 && page == STA_ADMIN_CHANGE)
        return begin_upload(context);
    return send_answer(connection,
                       status == 200 ? answer_page(admin->stratad, page) : answer_refusal(status));
}

/* ---- how long they stay ---- */

static void visitor_enter(struct sta_admin *admin, int fd)
{
    for (unsigned i = 0; i < CONNECTIONS_MOST; i++) {
        if (admin->visitors[i].fd < 0) {
            admin->visitors[i] = (struct visitor){fd, sta_clock_now_ns()};
            return;
        }
    }
}

static void visitor_leave(struct sta_admin *admin, int fd)
{
    for (unsigned i = 0; i < CONNECTIONS_MOST; i++) {
        if (admin->visitors[i].fd == fd)
            admin->visitors[i].fd = -1;
    }
}

static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct sta_admin *admin = arg;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    (void)context;
    if (info == NULL)
        return;
    pthread_mutex_lock(&admin->lock);
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        visitor_enter(admin, info->connect_fd);
    else
        visitor_leave(admin, info->connect_fd);
    pthread_mutex_unlock(&admin->lock);
}

static void on_look(struct sta_timer *timer)
{
    struct sta_admin *admin = STA_CONTAINER(timer, struct sta_admin, timer);
    uint64_t now_ns = sta_clock_now_ns();
    pthread_mutex_lock(&admin->lock);
    for (unsigned i = 0; i < CONNECTIONS_MOST; i++) {
        const struct visitor *visitor = &admin->visitors[i];
        if (visitor->fd >= 0 && now_ns - visitor->since_ns > CONNECTION_NS)
            (void)shutdown(visitor->fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&admin->lock);
    sta_timer_start(admin->stratad->loop, timer, sta_loop_now_ns(admin->stratad->loop) + LOOK_NS);
}

/* ---- life ---- */

static int admin_bind(struct sta_admin *admin, struct strata_error *error)
{
    const struct sta_stratad_options *options = &admin->stratad->options;
    int status = sta_listener_open(&admin->listener, options->admin_listen[0], error);
    if (status < 0)
        return status;
    admin->rules = (struct sta_admin_rules){
        .address = admin->listener.address,
        .hosts = options->admin_hosts,
        .token = options->admin_token,
    };
    if (!admin->listener.exposed || options->admin_token != NULL)
        return STRATA_OK;
    status = sta_error_set(error, STRATA_ERR_CONFIG,
                           "admin_listen: others can reach %s: set a token (STRATA_ADMIN_TOKEN)",
                           admin->listener.address);
    sta_listener_close(&admin->listener);
    return status;
}

int sta_admin_create(struct sta_admin **out, struct sta_stratad *stratad,
                     struct strata_error *error)
{
    struct sta_admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL)
        return STRATA_ERR_NOMEM;
    admin->stratad = stratad;
    int status = admin_bind(admin, error);
    if (status < 0) {
        free(admin);
        return status;
    }
    for (unsigned i = 0; i < CONNECTIONS_MOST; i++)
        admin->visitors[i].fd = -1;
    pthread_mutex_init(&admin->lock, NULL);
    sta_timer_init(&admin->timer, on_look);
    *out = admin;
    return STRATA_OK;
}

/* Signals are the main loop's, so the thread is started with all of them blocked. The server closes
 * the socket that it is given: it gets one of its own. */
int sta_admin_start(struct sta_admin *admin)
{
    sigset_t all, before;
    int fd = dup(admin->listener.fd);
    if (fd < 0)
        return STRATA_ERR_SYSTEM;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    admin->server = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ITC, 0, NULL, NULL, on_request, admin,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MOST,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_MOST, MHD_OPTION_CONNECTION_TIMEOUT, SILENCE_S,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, admin, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, NULL, MHD_OPTION_END);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (admin->server == NULL) {
        (void)close(fd);
        return STRATA_ERR_SYSTEM;
    }
    sta_timer_start(admin->stratad->loop, &admin->timer,
                    sta_loop_now_ns(admin->stratad->loop) + LOOK_NS);
    sta_log_write(admin->stratad->log, STRATA_LOG_INFO, STA_ROOM_DAEMON, "administration on %s",
                  admin->listener.address);
    return STRATA_OK;
}

void sta_admin_destroy(struct sta_admin **pointer)
{
    struct sta_admin *admin = *pointer;
    if (admin == NULL)
        return;
    *pointer = NULL;
    if (admin->server != NULL)
        MHD_stop_daemon(admin->server);
    sta_timer_stop(admin->stratad->loop, &admin->timer);
    sta_listener_close(&admin->listener);
    pthread_mutex_destroy(&admin->lock);
    free(admin);
}
