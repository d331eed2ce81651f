/* SPDX-License-Identifier: MIT
 *
 * TLS on a socket that is polled; see resp_tls.h.
 */
#include "cli/resp_tls.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cli/resp_connect.h"

#define READ_LEN   (32u * 1024u)
#define CHUNK      (64u * 1024u)
#define CIPHER_MAX (256u * 1024u) /* a chunk and its frames, a handshake's certificates */

struct cli_resp_tls {
    const struct strata_tls_provider *provider;
    struct sta_tls_session *session;
    struct sta_buffer cipher; /* on its way to the socket */
};

static int on_put(void *arg, struct strata_bytes bytes)
{
    struct cli_resp_tls *tls = arg;
    return sta_buffer_append(&tls->cipher, bytes);
}

static struct sta_tls_wire wire_of(struct cli_resp_tls *tls, struct strata_bytes in)
{
    return (struct sta_tls_wire){.in = in, .arg = tls, .put = on_put};
}

static int say(char *reason, int status, const char *text)
{
    (void)snprintf(reason, STA_TLS_REASON_CAP, "%s", text);
    return status;
}

/* What the socket takes of `cipher`. 0, or why it takes nothing any more. */
static int tls_send_cipher(struct cli_resp_tls *tls, int fd)
{
    while (sta_buffer_len(&tls->cipher) > 0) {
        struct strata_bytes bytes = sta_buffer_bytes(&tls->cipher);
        ssize_t count = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (count >= 0)
            sta_buffer_consume(&tls->cipher, (size_t)count);
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

/* Why nothing can be sent any more: what the server has said last, or else what the system says. A
 * server that refuses our certificate says so and closes, and we may hear of the closing first. */
static int tls_refused(struct cli_resp_tls *tls, int fd, int failed, char *reason)
{
    uint8_t area[READ_LEN], plain[READ_LEN];
    ssize_t count = recv(fd, area, sizeof area, 0);
    struct sta_tls_wire wire = wire_of(tls, strata_bytes(area, count > 0 ? (size_t)count : 0));
    size_t len;
    int status = STRATA_OK;
    while (status == STRATA_OK && count > 0)
        status = tls->provider->decrypt(tls->session, &wire, plain, sizeof plain, &len, reason);
    return status < 0 ? status : say(reason, STRATA_ERR_LOST, strerror(failed));
}

/* STRATA_OK with *in, which may be empty: nothing has come. */
static int tls_receive_cipher(int fd, uint8_t area[READ_LEN], struct strata_bytes *in, char *reason)
{
    ssize_t count = recv(fd, area, READ_LEN, 0);
    *in = strata_bytes(area, count > 0 ? (size_t)count : 0);
    if (count == 0)
        return say(reason, STRATA_ERR_LOST,
                   "closed by the server without the end that TLS demands");
    if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
        return say(reason, STRATA_ERR_LOST, strerror(errno));
    return STRATA_OK;
}

/* All of the wire's input, appended to `in`. */
static int tls_decrypt(struct cli_resp_tls *tls, struct sta_tls_wire *wire, struct sta_buffer *in,
                       char *reason)
{
    int status = STRATA_OK;
    while (status == STRATA_OK) {
        size_t len = 0;
        status = sta_buffer_reserve(in, READ_LEN);
        if (status < 0)
            return say(reason, status, strata_status_text(status));
        status =
            tls->provider->decrypt(tls->session, wire, sta_buffer_end(in), READ_LEN, &len, reason);
        sta_buffer_advance(in, len);
    }
    if (status == STA_TLS_END)
        return say(reason, STRATA_ERR_LOST, "closed by the server");
    return status < 0 ? status : STRATA_OK;
}

/* ---- the handshake ---- */

static int tls_shake_hands(struct cli_resp_tls *tls, int fd, uint64_t deadline_ms,
                           struct sta_buffer *behind, char *reason)
{
    uint8_t area[READ_LEN];
    struct strata_bytes in = strata_bytes(NULL, 0);
    for (;;) {
        struct sta_tls_wire wire = wire_of(tls, in);
        int answer = tls->provider->handshake(tls->session, &wire, reason);
        int failed = tls_send_cipher(tls, fd);
        if (answer < 0)
            return answer;
        int status = failed == 0 ? STRATA_OK : tls_refused(tls, fd, failed, reason);
        if (answer == STRATA_OK)
            return status < 0 ? status : tls_decrypt(tls, &wire, behind, reason);
        short events = POLLIN | (cli_resp_tls_wants_write(tls) ? POLLOUT : 0);
        if (status == STRATA_OK && !cli_resp_wait(fd, events, deadline_ms))
            return say(reason, STRATA_ERR_TIMEOUT,
                       "no answer to the TLS handshake in time: is this a TLS port?");
        if (status == STRATA_OK)
            status = tls_receive_cipher(fd, area, &in, reason);
        if (status < 0)
            return status;
    }
}

int cli_resp_tls_open(struct cli_resp_tls **out, const struct sta_tls *tls, const char *host,
                      int fd, uint64_t deadline_ms, struct sta_buffer *in, char *reason)
{
    struct cli_resp_tls *made = calloc(1, sizeof *made);
    if (made == NULL)
        return say(reason, STRATA_ERR_NOMEM, "out of memory");
    made->provider = tls->provider;
    sta_buffer_init(&made->cipher, CIPHER_MAX);
    int status = tls->provider->session_create(&made->session, tls->context, host, NULL);
    if (status < 0)
        (void)say(reason, status, strata_status_text(status));
    else
        status = tls_shake_hands(made, fd, deadline_ms, in, reason);
    if (status < 0) {
        made->provider->session_destroy(&made->session);
        sta_buffer_fini(&made->cipher);
        free(made);
        return status;
    }
    *out = made;
    return STRATA_OK;
}

void cli_resp_tls_close(struct cli_resp_tls **at, int fd)
{
    struct cli_resp_tls *tls = *at;
    if (tls == NULL)
        return;
    *at = NULL;
    struct sta_tls_wire wire = wire_of(tls, strata_bytes(NULL, 0));
    tls->provider->goodbye(tls->session, &wire);
    (void)tls_send_cipher(tls, fd);
    tls->provider->session_destroy(&tls->session);
    sta_buffer_fini(&tls->cipher);
    free(tls);
}

/* ---- bytes ---- */

int cli_resp_tls_send(struct cli_resp_tls *tls, int fd, struct sta_buffer *out, char *reason)
{
    for (;;) {
        struct strata_bytes bytes = sta_buffer_bytes(out);
        struct sta_tls_wire wire = wire_of(tls, strata_bytes(NULL, 0));
        int failed = tls_send_cipher(tls, fd);
        if (failed != 0)
            return tls_refused(tls, fd, failed, reason);
        if (sta_buffer_len(&tls->cipher) > 0 || bytes.len == 0)
            return STRATA_OK;
        if (bytes.len > CHUNK)
            bytes.len = CHUNK;
        int status = tls->provider->encrypt(tls->session, &wire, bytes, reason);
        if (status < 0)
            return status;
        sta_buffer_consume(out, bytes.len);
    }
}

bool cli_resp_tls_wants_write(const struct cli_resp_tls *tls)
{
    return sta_buffer_len(&tls->cipher) > 0;
}

int cli_resp_tls_receive(struct cli_resp_tls *tls, int fd, struct sta_buffer *in, char *reason)
{
    uint8_t area[READ_LEN];
    struct sta_tls_wire wire = wire_of(tls, strata_bytes(NULL, 0));
    int status = tls_receive_cipher(fd, area, &wire.in, reason);
    return status < 0 ? status : tls_decrypt(tls, &wire, in, reason);
}
