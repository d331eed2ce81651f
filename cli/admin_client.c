/* SPDX-License-Identifier: MIT
 *
 * See admin_client.h. HTTP/1.0, so that the answer is what comes until the end.
 */
#include "cli/admin_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/resp_connect.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/error.h"

#define ANSWER_MOST ((size_t)4 << 20)
#define READ_LEN    4096u

static int find(const char *address, struct sta_endpoint *out, struct strata_error *error)
{
    const char *name = address != NULL ? "--admin" : "STRATA_ADMIN_LISTEN";
    const char *reason;
    if (address == NULL)
        address = getenv("STRATA_ADMIN_LISTEN");
    if (address == NULL || address[0] == '\0')
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "where is stratad administered? --admin ADDRESS or "
                             "STRATA_ADMIN_LISTEN, as it was given to stratad: host:port or "
                             "unix:PATH");
    if (sta_endpoint_parse(address, out, &reason) < 0)
        return sta_error_set(error, STRATA_ERR_INVALID, "%s: %.200s: %s", name, address, reason);
    return STRATA_OK;
}

/* The host is one that is always allowed. */
static int write_request(struct sta_buffer *out, const char *method, const char *path,
                         const json_t *body)
{
    const char *token = getenv("STRATA_ADMIN_TOKEN");
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : strdup("");
    if (text == NULL)
        return STRATA_ERR_NOMEM;
    json_t *head =
        json_sprintf("%s %s HTTP/1.0\r\nHost: localhost\r\n%s%s%sContent-Length: %zu"
                     "\r\n\r\n",
                     method, path, token != NULL ? "Authorization: Bearer " : "",
                     token != NULL ? token : "", token != NULL ? "\r\n" : "", strlen(text));
    int status = STRATA_ERR_NOMEM;
    if (head != NULL)
        status = sta_buffer_append(out, strata_text(json_string_value(head)));
    if (status == STRATA_OK)
        status = sta_buffer_append(out, strata_text(text));
    json_decref(head);
    free(text);
    return status;
}

static int failed(int status, struct strata_error *error)
{
    return sta_error_set(error, status, "administration: %s",
                         status == STRATA_ERR_LOST ? strerror(errno) : strata_status_text(status));
}

static int send_all(int fd, struct sta_buffer *out, uint64_t deadline_ms)
{
    while (sta_buffer_len(out) > 0) {
        struct strata_bytes bytes = sta_buffer_bytes(out);
        ssize_t count = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (count >= 0)
            sta_buffer_consume(out, (size_t)count);
        else if (errno != EAGAIN && errno != EINTR)
            return STRATA_ERR_LOST;
        else if (!cli_resp_wait(fd, POLLOUT, deadline_ms))
            return STRATA_ERR_TIMEOUT;
    }
    return STRATA_OK;
}

static int read_all(int fd, struct sta_buffer *in, uint64_t deadline_ms)
{
    for (;;) {
        int status = sta_buffer_reserve(in, READ_LEN);
        if (status < 0)
            return status;
        ssize_t count = recv(fd, sta_buffer_end(in), READ_LEN, 0);
        if (count == 0)
            return STRATA_OK;
        if (count > 0)
            sta_buffer_advance(in, (size_t)count);
        else if (errno != EAGAIN && errno != EINTR)
            return STRATA_ERR_LOST;
        else if (!cli_resp_wait(fd, POLLIN, deadline_ms))
            return STRATA_ERR_TIMEOUT;
    }
}

static int exchange(const struct sta_endpoint *endpoint, uint64_t timeout_ms,
                    struct sta_buffer *request, struct sta_buffer *answer,
                    struct strata_error *error)
{
    uint64_t deadline_ms = sta_clock_after(sta_clock_now_ms(), timeout_ms);
    int fd;
    int status = cli_resp_connect(endpoint, timeout_ms, &fd, error);
    if (status < 0)
        return status;
    status = send_all(fd, request, deadline_ms);
    if (status == STRATA_OK)
        status = read_all(fd, answer, deadline_ms);
    if (status < 0)
        (void)failed(status, error);
    (void)close(fd);
    return status;
}

/* What is neither an answer nor an error of stratad's own is said with the text that came. */
static int judge(unsigned code, struct strata_bytes body, json_t **out, struct strata_error *error)
{
    json_t *document = json_loadb(body.len > 0 ? body.data : "", body.len, 0, NULL);
    const char *why = json_string_value(json_object_get(document, "error"));
    int status = STRATA_OK;
    if (code == 401 || code == 403 || code == 413)
        status = sta_error_set(error, code == 413 ? STRATA_ERR_CONFIG : STRATA_ERR_DENIED,
                               "administration: %.*s", (int)(body.len > 0 ? body.len - 1 : 0),
                               (const char *)body.data);
    else if (why != NULL)
        status = sta_error_set(error, STRATA_ERR_CONFIG, "%s", why);
    else if (code != 200 || document == NULL)
        status = sta_error_set(error, STRATA_ERR_PROTOCOL,
                               "administration: not an answer of stratad (HTTP %u)", code);
    if (status == STRATA_OK)
        *out = document;
    else
        json_decref(document);
    return status;
}

/* "HTTP/1.1 200 OK", headers, an empty line, the body. */
static int read_answer(struct strata_bytes bytes, json_t **out, struct strata_error *error)
{
    const char *text = bytes.data;
    const char *end = bytes.len > 0 ? memmem(text, bytes.len, "\r\n\r\n", 4) : NULL;
    if (end == NULL || bytes.len < 12 || memcmp(text, "HTTP/1.", 7) != 0)
        return sta_error_set(error, STRATA_ERR_PROTOCOL, "administration: the peer speaks no HTTP");
    unsigned code = (unsigned)strtoul(text + 9, NULL, 10);
    return judge(code, strata_bytes(end + 4, bytes.len - (size_t)(end + 4 - text)), out, error);
}

int cli_admin_ask(const struct cli_run *run, const char *address, const char *method,
                  const char *path, const json_t *body, json_t **out, struct strata_error *error)
{
    struct sta_endpoint endpoint;
    struct sta_buffer request, answer;
    int status = find(address, &endpoint, error);
    if (status < 0)
        return status;
    sta_buffer_init(&request, ANSWER_MOST);
    sta_buffer_init(&answer, ANSWER_MOST);
    status = write_request(&request, method, path, body);
    if (status < 0)
        (void)failed(status, error);
    else
        status = exchange(&endpoint, run->timeout_ms, &request, &answer, error);
    if (status == STRATA_OK)
        status = read_answer(sta_buffer_bytes(&answer), out, error);
    sta_buffer_fini(&request);
    sta_buffer_fini(&answer);
    return status;
}
