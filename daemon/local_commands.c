/* SPDX-License-Identifier: MIT
 *
 * One function per command. Each is given the place of its reply; what it appends is the reply.
 */
#include "daemon/local_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/client_auth.h"
#include "daemon/lane.h"
#include "daemon/own_lane.h"
#include "daemon/own_path.h"
#include "daemon/session.h"
#include "daemon/stats.h"
#include "daemon/stratad.h"
#include "daemon/transaction.h"
#include "daemon/worker.h"
#include "resp/resp.h"
#include "strata/status.h"

#define NAME_MOST 1024u

struct local_call {
    struct sta_session *session;
    const struct strata_bytes *argv;
    size_t argc;
    struct sta_buffer *out;
};

/* Formats an error; what it quotes of the client is cut, as Redis does. */
static int error_quoting(struct sta_buffer *out, const char *format, struct strata_bytes word)
{
    char text[256];
    int len = word.len < 128 ? (int)word.len : 128;
    (void)snprintf(text, sizeof text, format, len, (const char *)word.data);
    return sta_resp_write_error(out, text);
}

static int error_arity(struct sta_buffer *out, const char *name)
{
    return error_quoting(out, "ERR wrong number of arguments for '%.*s' command",
                         strata_text(name));
}

static int write_text(struct sta_buffer *out, const char *text)
{
    return sta_resp_write_bulk(out, strata_text(text));
}

/* ---- PING, ECHO, QUIT, RESET, SELECT ---- */

static int run_ping(struct local_call *call)
{
    if (call->argc > 2)
        return error_arity(call->out, "ping");
    return call->argc == 2 ? sta_resp_write_bulk(call->out, call->argv[1])
                           : sta_resp_write_simple(call->out, "PONG");
}

static int run_echo(struct local_call *call)
{
    if (call->argc != 2)
        return error_arity(call->out, "echo");
    return sta_resp_write_bulk(call->out, call->argv[1]);
}

static int run_quit(struct local_call *call)
{
    int status = sta_resp_write_simple(call->out, "OK");
    sta_session_finish(call->session);
    return status;
}

/* Somebody made a browser talk to us: whatever follows must not be taken for commands. */
static int run_http(struct local_call *call)
{
    sta_session_finish(call->session);
    return sta_resp_write_error(call->out, "ERR strata: this is a Redis port, not HTTP");
}

static int run_reset(struct local_call *call)
{
    struct sta_session *session = call->session;
    if (call->argc != 1)
        return error_arity(call->out, "reset");
    sta_transaction_destroy(&session->transaction);
    sta_own_lane_drop(session);
    session->watch_lost = STA_WATCH_KEPT;
    session->protocol = 2;
    session->authenticated = session->worker->stratad->options.password == NULL;
    free(session->name);
    session->name = NULL;
    return sta_resp_write_simple(call->out, "RESET");
}

static bool is_integer(struct strata_bytes word, long *value)
{
    char text[24];
    char *end;
    if (word.len == 0 || word.len >= sizeof text || *(const char *)word.data == ' ')
        return false;
    memcpy(text, word.data, word.len);
    text[word.len] = '\0';
    *value = strtol(text, &end, 10);
    return *end == '\0' && end == text + word.len;
}

static int run_select(struct local_call *call)
{
    long db = 0;
    if (call->argc != 2)
        return error_arity(call->out, "select");
    if (!is_integer(call->argv[1], &db))
        return sta_resp_write_error(call->out, "ERR value is not an integer or out of range");
    if (db != 0)
        return sta_resp_write_error(
            call->out, "ERR strata: only database 0 can be selected; it is the one that stratad's "
                       "Redis URL names");
    return sta_resp_write_simple(call->out, "OK");
}

/* ---- AUTH, HELLO ---- */

static int write_wrong_password(struct sta_buffer *out)
{
    return sta_resp_write_error(out,
                                "WRONGPASS invalid username-password pair or user is disabled.");
}

static int run_auth(struct local_call *call)
{
    const struct sta_stratad_options *options = &call->session->worker->stratad->options;
    if (call->argc < 2)
        return error_arity(call->out, "auth");
    if (call->argc > 3)
        return sta_resp_write_error(call->out, "ERR syntax error");
    if (call->argc == 2 && options->password == NULL)
        return sta_resp_write_error(
            call->out, "ERR AUTH <password> called without any password configured for the default "
                       "user. Are you sure your configuration is correct?");
    struct strata_bytes user = call->argc == 3 ? call->argv[1] : strata_text("default");
    if (!sta_client_auth_accepts(options->user, options->password, user,
                                 call->argv[call->argc - 1]))
        return write_wrong_password(call->out);
    call->session->authenticated = true;
    return sta_resp_write_simple(call->out, "OK");
}

/* Redis' rule for names: printable, no spaces; they stand in lists. */
static bool name_is_fine(struct strata_bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = ((const unsigned char *)name.data)[i];
        if (c < '!' || c > '~')
            return false;
    }
    return name.len <= NAME_MOST;
}

/* An empty name takes the name away. */
static int session_set_name(struct sta_session *session, struct strata_bytes name)
{
    char *copy = NULL;
    if (name.len > 0) {
        copy = malloc(name.len + 1);
        if (copy == NULL)
            return STRATA_ERR_NOMEM;
        memcpy(copy, name.data, name.len);
        copy[name.len] = '\0';
    }
    free(session->name);
    session->name = copy;
    return STRATA_OK;
}

static int write_bad_name(struct sta_buffer *out)
{
    return sta_resp_write_error(
        out, "ERR Client names cannot contain spaces, newlines or special characters.");
}

int sta_local_commands_hello(const struct sta_session *session, struct sta_buffer *out)
{
    const char *version = session->worker->upstream_version;
    int status = sta_resp_write_header(out, STA_RESP_MAP, 7, session->protocol);
    const char *const texts[][2] = {{"server", "redis"}, {"version", version}};
    for (size_t i = 0; i < 2 && status == STRATA_OK; i++) {
        status = write_text(out, texts[i][0]);
        if (status == STRATA_OK)
            status = write_text(out, texts[i][1]);
    }
    if (status == STRATA_OK)
        status = write_text(out, "proto");
    if (status == STRATA_OK)
        status = sta_resp_write_integer(out, session->protocol);
    if (status == STRATA_OK)
        status = write_text(out, "id");
    if (status == STRATA_OK)
        status = sta_resp_write_integer(out, (int64_t)session->id);
    static const char *const rest[] = {"mode", "standalone", "role", "master", "modules"};
    for (size_t i = 0; i < sizeof rest / sizeof rest[0] && status == STRATA_OK; i++)
        status = write_text(out, rest[i]);
    if (status == STRATA_OK)
        status = sta_resp_write_header(out, STA_RESP_ARRAY, 0, session->protocol);
    return status;
}

/* What HELLO asks for, checked as a whole before anything of it is done. */
struct hello {
    int protocol;
    bool auth;
    struct strata_bytes user, password;
    bool set_name;
    struct strata_bytes name;
};

/* The index of the option that is wrong; argc where none is. */
static size_t hello_read_options(const struct local_call *call, struct hello *hello)
{
    size_t i = 2;
    while (i < call->argc) {
        if (sta_dispatch_word_is(call->argv[i], "auth") && i + 2 < call->argc) {
            hello->auth = true;
            hello->user = call->argv[i + 1];
            hello->password = call->argv[i + 2];
            i += 3;
        } else if (sta_dispatch_word_is(call->argv[i], "setname") && i + 1 < call->argc) {
            hello->set_name = true;
            hello->name = call->argv[i + 1];
            i += 2;
        } else {
            return i;
        }
    }
    return call->argc;
}

static int hello_apply(struct local_call *call, const struct hello *hello)
{
    struct sta_session *session = call->session;
    const struct sta_stratad_options *options = &session->worker->stratad->options;
    if (hello->auth) {
        if (!sta_client_auth_accepts(options->user, options->password, hello->user,
                                     hello->password))
            return write_wrong_password(call->out);
        session->authenticated = true;
    }
    if (!session->authenticated)
        return sta_resp_write_error(
            call->out, "NOAUTH HELLO must be called with the client already authenticated, "
                       "otherwise the HELLO <proto> AUTH <user> <pass> option can be used to "
                       "authenticate the client and select the RESP protocol version at the same "
                       "time");
    if (hello->set_name) {
        if (!name_is_fine(hello->name))
            return write_bad_name(call->out);
        int status = session_set_name(session, hello->name);
        if (status < 0)
            return status;
    }
    if (hello->protocol != session->protocol && session->own_lane != NULL)
        return sta_own_path_hello(session, hello->protocol);
    session->protocol = hello->protocol;
    return sta_local_commands_hello(session, call->out);
}

static int run_hello(struct local_call *call)
{
    struct hello hello = {.protocol = call->session->protocol};
    if (call->argc >= 2) {
        long protocol = 0;
        if (!is_integer(call->argv[1], &protocol))
            return sta_resp_write_error(call->out,
                                        "ERR Protocol version is not an integer or out of range");
        if (protocol != 2 && protocol != 3)
            return sta_resp_write_error(call->out, "NOPROTO unsupported protocol version");
        if (protocol == 3 && sta_lane_speaks_only_2(&call->session->worker->lanes[STA_LANE_SHARED]))
            return sta_resp_write_error(call->out, "NOPROTO redis behind stratad has no RESP3");
        hello.protocol = (int)protocol;
    }
    size_t wrong = hello_read_options(call, &hello);
    if (wrong < call->argc)
        return error_quoting(call->out, "ERR Syntax error in HELLO option '%.*s'",
                             call->argv[wrong]);
    return hello_apply(call, &hello);
}

/* ---- CLIENT ---- */

static int client_set_name(struct local_call *call)
{
    if (call->argc != 3)
        return error_arity(call->out, "client|setname");
    if (!name_is_fine(call->argv[2]))
        return write_bad_name(call->out);
    int status = session_set_name(call->session, call->argv[2]);
    return status < 0 ? status : sta_resp_write_simple(call->out, "OK");
}

static int client_get_name(struct local_call *call)
{
    const struct sta_session *session = call->session;
    if (call->argc != 2)
        return error_arity(call->out, "client|getname");
    return session->name != NULL ? write_text(call->out, session->name)
                                 : sta_resp_write_null(call->out, session->protocol);
}

static int client_id(struct local_call *call)
{
    if (call->argc != 2)
        return error_arity(call->out, "client|id");
    return sta_resp_write_integer(call->out, (int64_t)call->session->id);
}

/* What the client's library is called is accepted and not kept: nothing here lists clients. */
static int client_set_info(struct local_call *call)
{
    if (call->argc != 4)
        return error_arity(call->out, "client|setinfo");
    if (!sta_dispatch_word_is(call->argv[2], "lib-name") &&
        !sta_dispatch_word_is(call->argv[2], "lib-ver"))
        return error_quoting(call->out, "ERR Unrecognized option '%.*s'", call->argv[2]);
    return sta_resp_write_simple(call->out, "OK");
}

static int run_client(struct local_call *call)
{
    static const struct {
        const char *name;
        int (*run)(struct local_call *call);
    } subcommands[] = {
        {"setname", client_set_name},
        {"getname", client_get_name},
        {"id", client_id},
        {"setinfo", client_set_info},
    };
    if (call->argc < 2)
        return error_arity(call->out, "client");
    for (size_t i = 0; i < sizeof subcommands / sizeof subcommands[0]; i++)
        if (sta_dispatch_word_is(call->argv[1], subcommands[i].name))
            return subcommands[i].run(call);
    sta_stats_add(&call->session->worker->stats.commands_refused, 1);
    return error_quoting(call->out,
                         "ERR strata: 'client|%.*s' concerns connections to Redis, which stratad "
                         "shares among its clients",
                         call->argv[1]);
}

/* ---- STRATA ---- */

static int strata_stats(struct local_call *call)
{
    struct sta_buffer text;
    sta_buffer_init(&text, SIZE_MAX);
    int status = sta_stats_render(call->session->worker->stratad, &text);
    if (status == STRATA_OK)
        status = sta_resp_write_bulk(call->out, sta_buffer_bytes(&text));
    sta_buffer_fini(&text);
    return status;
}

static int strata_help(struct local_call *call)
{
    static const char *const lines[] = {
        "STRATA <subcommand>. Subcommands are:",
        "STATS",
        "    What the daemon has counted, as JSON.",
        "HELP",
        "    Print this help.",
    };
    const size_t count = sizeof lines / sizeof lines[0];
    int status = sta_resp_write_header(call->out, STA_RESP_ARRAY, count, call->session->protocol);
    for (size_t i = 0; i < count && status == STRATA_OK; i++)
        status = sta_resp_write_simple(call->out, lines[i]);
    return status;
}

static int run_strata(struct local_call *call)
{
    if (call->argc != 2)
        return error_arity(call->out, "strata");
    if (sta_dispatch_word_is(call->argv[1], "stats"))
        return strata_stats(call);
    if (sta_dispatch_word_is(call->argv[1], "help"))
        return strata_help(call);
    return error_quoting(call->out, "ERR unknown subcommand '%.*s'. Try STRATA HELP.",
                         call->argv[1]);
}

/* ---- */

bool sta_local_commands_open_to_all(const struct strata_bytes *argv, size_t argc)
{
    static const char *const names[] = {"auth", "hello", "quit", "reset", "post", "host:"};
    (void)argc;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (sta_dispatch_word_is(argv[0], names[i]))
            return true;
    return false;
}

/* What ends, or changes, what the client has a connection of its own for. */
static bool concerns_lane(enum sta_local_command command)
{
    return command == STA_LOCAL_HELLO || command == STA_LOCAL_QUIT || command == STA_LOCAL_RESET ||
           command == STA_LOCAL_HTTP;
}

int sta_local_commands_run(struct sta_session *session, enum sta_local_command command,
                           const struct strata_bytes *argv, size_t argc)
{
    static int (*const commands[])(struct local_call * call) = {
        [STA_LOCAL_AUTH] = run_auth,     [STA_LOCAL_CLIENT] = run_client,
        [STA_LOCAL_ECHO] = run_echo,     [STA_LOCAL_HELLO] = run_hello,
        [STA_LOCAL_HTTP] = run_http,     [STA_LOCAL_PING] = run_ping,
        [STA_LOCAL_QUIT] = run_quit,     [STA_LOCAL_RESET] = run_reset,
        [STA_LOCAL_SELECT] = run_select, [STA_LOCAL_STRATA] = run_strata,
    };
    if (session->own_lane != NULL && session->in_flight > 0 && concerns_lane(command))
        return STRATA_MORE;
    struct local_call call = {
        .session = session, .argv = argv, .argc = argc, .out = sta_session_reply(session)};
    return call.out != NULL ? commands[command](&call) : STRATA_ERR_NOMEM;
}
