/* SPDX-License-Identifier: MIT
 *
 * The connected half of the client: commands out, replies in. Opening is in resp_connect.c.
 *
 * Invariants: in.head is where a frame begins, except that the first `taken` bytes belong to the
 * reply that was given out last; the socket does not block.
 */
#include "cli/resp_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/resp_connect.h"
#include "cli/resp_tls.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/error.h"

#define CLIENT_BUFFER_LIMIT (UINT64_C(1) << 30)
#define CLIENT_READ_LEN     (32u * 1024u)

struct cli_resp_client {
    int fd;
    struct cli_resp_tls *tls; /* NULL: plain */
    uint64_t timeout_ms;
    size_t taken; /* bytes of the reply given out last */
    struct sta_buffer in;
    struct sta_buffer out;
    struct sta_resp_framer framer;
    char name[300]; /* of the server, for messages */
};

/* One step of the introduction; its error names the server. */
static int client_introduce_by(struct cli_resp_client *client, const struct strata_bytes *argv,
                               size_t argc, struct strata_error *error)
{
    struct sta_resp_value value;
    struct strata_error why;
    int status = cli_resp_client_call(client, argv, argc, &value, &why);
    if (status == STRATA_ERR_SERVER || status == STRATA_ERR_DENIED)
        return sta_error_set(error, status, "%s: %.400s", client->name, why.text);
    if (status < 0 && error != NULL)
        *error = why;
    return status;
}

/* AUTH and SELECT, as the URL says. */
static int client_introduce(struct cli_resp_client *client, const struct sta_redis_url *url,
                            struct strata_error *error)
{
    char db[16];
    (void)snprintf(db, sizeof db, "%u", (unsigned)url->db);
    const struct strata_bytes auth[] = {strata_text("AUTH"), strata_text(url->user),
                                        strata_text(url->password)};
    const struct strata_bytes plain_auth[] = {auth[0], auth[2]};
    const struct strata_bytes select_db[] = {strata_text("SELECT"), strata_text(db)};
    bool named = url->user[0] != '\0';
    int status = STRATA_OK;
    if (url->password[0] != '\0')
        status = client_introduce_by(client, named ? auth : plain_auth, named ? 3 : 2, error);
    /* "called without any password configured" is a plain error, but a denial in effect. */
    if (status == STRATA_ERR_SERVER) {
        status = STRATA_ERR_DENIED;
        if (error != NULL)
            error->status = status;
    }
    if (status == STRATA_OK && url->db != 0)
        status = client_introduce_by(client, select_db, 2, error);
    return status;
}

static int client_lost(const struct cli_resp_client *client, int status, const char *why,
                       struct strata_error *error)
{
    return sta_error_set(error, status, "%s: connection lost: %s", client->name, why);
}

static int client_secure(struct cli_resp_client *client, const struct cli_target *target,
                         struct strata_error *error)
{
    char reason[STA_TLS_REASON_CAP] = "";
    uint64_t deadline_ms = sta_clock_after(sta_clock_now_ms(), client->timeout_ms);
    int status = cli_resp_tls_open(&client->tls, target->tls, target->url.endpoint.address,
                                   client->fd, deadline_ms, &client->in, reason);
    if (status < 0)
        return sta_error_set(error, status, "cannot connect to %s: %s", client->name, reason);
    return STRATA_OK;
}

int cli_resp_client_open(struct cli_resp_client **out, const struct cli_target *target,
                         uint64_t timeout_ms, struct strata_error *error)
{
    struct cli_resp_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
    client->fd = -1;
    client->timeout_ms = timeout_ms;
    sta_buffer_init(&client->in, CLIENT_BUFFER_LIMIT);
    sta_buffer_init(&client->out, CLIENT_BUFFER_LIMIT);
    sta_endpoint_format(&target->url.endpoint, client->name, sizeof client->name);
    int status = cli_resp_connect(&target->url.endpoint, timeout_ms, &client->fd, error);
    if (status == STRATA_OK && target->tls != NULL)
        status = client_secure(client, target, error);
    if (status == STRATA_OK)
        status = client_introduce(client, &target->url, error);
    if (status < 0) {
        cli_resp_client_close(&client);
        return status;
    }
    *out = client;
    return STRATA_OK;
}

void cli_resp_client_close(struct cli_resp_client **client)
{
    if (*client == NULL)
        return;
    cli_resp_tls_close(&(*client)->tls, (*client)->fd);
    if ((*client)->fd >= 0)
        (void)close((*client)->fd);
    sta_buffer_fini(&(*client)->in);
    sta_buffer_fini(&(*client)->out);
    free(*client);
    *client = NULL;
}

int cli_resp_client_send(struct cli_resp_client *client, const struct strata_bytes *argv,
                         size_t argc, struct strata_error *error)
{
    int status = sta_resp_write_command(&client->out, argv, argc);
    if (status < 0)
        return sta_error_set(error, status, "%s", strata_status_text(status));
    return STRATA_OK;
}

static int client_send_plain(struct cli_resp_client *client, struct strata_error *error)
{
    while (sta_buffer_len(&client->out) > 0) {
        struct strata_bytes bytes = sta_buffer_bytes(&client->out);
        ssize_t count = send(client->fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (count >= 0)
            sta_buffer_consume(&client->out, (size_t)count);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return STRATA_OK;
        else if (errno != EINTR)
            return client_lost(client, STRATA_ERR_LOST, strerror(errno), error);
    }
    return STRATA_OK;
}

int cli_resp_client_flush(struct cli_resp_client *client, struct strata_error *error)
{
    char reason[STA_TLS_REASON_CAP] = "";
    if (client->tls == NULL)
        return client_send_plain(client, error);
    int status = cli_resp_tls_send(client->tls, client->fd, &client->out, reason);
    return status < 0 ? client_lost(client, status, reason, error) : STRATA_OK;
}

static int client_read_plain(struct cli_resp_client *client, struct strata_error *error)
{
    int status = sta_buffer_reserve(&client->in, CLIENT_READ_LEN);
    if (status < 0)
        return sta_error_set(error, status, "%s", strata_status_text(status));
    ssize_t count = recv(client->fd, sta_buffer_end(&client->in), CLIENT_READ_LEN, 0);
    if (count > 0)
        sta_buffer_advance(&client->in, (size_t)count);
    else if (count == 0)
        return client_lost(client, STRATA_ERR_LOST, "closed by the server", error);
    else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        return client_lost(client, STRATA_ERR_LOST, strerror(errno), error);
    return STRATA_OK;
}

/* One read() for each call: what it leaves is there at the next one. */
static int client_read(struct cli_resp_client *client, struct strata_error *error)
{
    char reason[STA_TLS_REASON_CAP] = "";
    if (client->tls == NULL)
        return client_read_plain(client, error);
    int status = cli_resp_tls_receive(client->tls, client->fd, &client->in, reason);
    return status < 0 ? client_lost(client, status, reason, error) : STRATA_OK;
}

int cli_resp_client_pump(struct cli_resp_client *client, struct strata_error *error)
{
    int status = cli_resp_client_flush(client, error);
    return status < 0 ? status : client_read(client, error);
}

int cli_resp_client_next(struct cli_resp_client *client, struct sta_resp_value *value,
                         struct strata_error *error)
{
    sta_buffer_consume(&client->in, client->taken);
    client->taken = 0;
    struct strata_bytes data = sta_buffer_bytes(&client->in);
    size_t len;
    const char *reason = "";
    int status = data.len == 0
                     ? STRATA_MORE
                     : sta_resp_frame(&client->framer, &sta_resp_reply_limits, data, &len, &reason);
    if (status == STRATA_MORE)
        return status;
    if (status == STRATA_OK) {
        struct sta_resp_walk walk = sta_resp_walk(strata_bytes(data.data, len));
        status = sta_resp_next(&walk, value);
        reason = "a reply that cannot be read";
    }
    if (status != STRATA_OK)
        return sta_error_set(error, STRATA_ERR_PROTOCOL, "%s: does not speak RESP: %s",
                             client->name, reason);
    client->taken = len;
    return STRATA_OK;
}

struct strata_bytes cli_resp_client_frame(const struct cli_resp_client *client)
{
    return strata_bytes(sta_buffer_bytes(&client->in).data, client->taken);
}

int cli_resp_client_reply(struct cli_resp_client *client, struct sta_resp_value *value,
                          struct strata_error *error)
{
    uint64_t deadline_ms = sta_clock_after(sta_clock_now_ms(), client->timeout_ms);
    for (;;) {
        int status = cli_resp_client_next(client, value, error);
        if (status != STRATA_MORE)
            return status;
        status = cli_resp_client_flush(client, error);
        if (status < 0)
            return status;
        short events = POLLIN | (cli_resp_client_wants_write(client) ? POLLOUT : 0);
        if (!cli_resp_wait(client->fd, events, deadline_ms))
            return sta_error_set(error, STRATA_ERR_TIMEOUT, "%s: no answer within %.3g s",
                                 client->name, (double)client->timeout_ms / 1000.0);
        status = cli_resp_client_pump(client, error);
        if (status < 0)
            return status;
    }
}

int cli_resp_client_check(const struct sta_resp_value *value, struct strata_error *error)
{
    static const char *const denials[] = {"NOAUTH", "NOPERM", "WRONGPASS", "DENIED"};
    if (value->type != STA_RESP_ERROR && value->type != STA_RESP_BULK_ERROR)
        return STRATA_OK;
    int status = STRATA_ERR_SERVER;
    for (size_t i = 0; i < sizeof denials / sizeof denials[0]; i++) {
        size_t len = strlen(denials[i]);
        if (value->bytes.len >= len && memcmp(value->bytes.data, denials[i], len) == 0)
            status = STRATA_ERR_DENIED;
    }
    int shown = value->bytes.len < 400 ? (int)value->bytes.len : 400;
    return sta_error_set(error, status, "%.*s", shown, (const char *)value->bytes.data);
}

static bool is_text(enum sta_resp_type type)
{
    return type == STA_RESP_SIMPLE || type == STA_RESP_BULK || type == STA_RESP_VERBATIM;
}

int cli_resp_client_call(struct cli_resp_client *client, const struct strata_bytes *argv,
                         size_t argc, struct sta_resp_value *value, struct strata_error *error)
{
    int status = cli_resp_client_send(client, argv, argc, error);
    if (status == STRATA_OK)
        status = cli_resp_client_reply(client, value, error);
    if (status == STRATA_OK)
        status = cli_resp_client_check(value, error);
    if (status == STRATA_OK && !is_text(value->type))
        status = sta_error_set(error, STRATA_ERR_PROTOCOL,
                               "%s: answered %.*s with something that is no text", client->name,
                               (int)argv[0].len, (const char *)argv[0].data);
    return status;
}

int cli_resp_client_fd(const struct cli_resp_client *client)
{
    return client->fd;
}

bool cli_resp_client_wants_write(const struct cli_resp_client *client)
{
    return sta_buffer_len(&client->out) > 0 ||
           (client->tls != NULL && cli_resp_tls_wants_write(client->tls));
}
