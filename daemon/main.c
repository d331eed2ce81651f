/* SPDX-License-Identifier: MIT
 *
 * stratad: a sidecar before Redis that speaks RESP and answers hot keys from memory.
 *
 * Exit codes: 0 stopped by a signal; 1 cannot listen, or no memory; 2 bad options or configuration.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/standard_fds.h"
#include "daemon/stratad.h"
#include "daemon/stratad_options.h"
#include "strata/version.h"

enum exit_code { EXIT_STOPPED = 0, EXIT_CANNOT = 1, EXIT_USAGE = 2 };

static int print_help(void)
{
    struct sta_buffer text;
    sta_buffer_init(&text, SIZE_MAX);
    int status = sta_stratad_options_help(&text);
    printf("Usage: stratad [options]\n\n"
           "A cache before Redis that any Redis client can talk to.\n\n");
    if (status == STRATA_OK)
        (void)fwrite(sta_buffer_bytes(&text).data, 1, sta_buffer_len(&text), stdout);
    sta_buffer_fini(&text);
    return status == STRATA_OK ? EXIT_STOPPED : EXIT_CANNOT;
}

/* Lines that come while options are read: their format is an option. */
static void keep_line(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    const uint8_t as_byte = (uint8_t)level;
    struct sta_buffer *kept = arg;
    if (sta_buffer_reserve(kept, 1 + strlen(room) + 1 + strlen(line) + 1) != STRATA_OK)
        return;
    (void)sta_buffer_append(kept, strata_bytes(&as_byte, 1));
    (void)sta_buffer_append(kept, strata_bytes(room, strlen(room) + 1));
    (void)sta_buffer_append(kept, strata_bytes(line, strlen(line) + 1));
}

static void write_kept(const struct sta_buffer *kept, strata_log_sink sink)
{
    const struct strata_bytes bytes = sta_buffer_bytes(kept);
    const char *at = bytes.data;
    while (at != NULL && at < (const char *)bytes.data + bytes.len) {
        const char *room = at + 1;
        const char *line = room + strlen(room) + 1;
        sink(NULL, (enum strata_log_level) * at, room, line);
        at = line + strlen(line) + 1;
    }
}

/* What ends stratad is a line of its log where that is read by programs. */
static int complain(const struct sta_log *log, const char *text, int code)
{
    if (log != NULL && log->sink == strata_log_json)
        sta_log_write(log, STRATA_LOG_ERROR, STA_ROOM_DAEMON, "%s", text);
    else
        (void)fprintf(stderr, "stratad: %s\n", text);
    return code;
}

static int serve(const struct sta_stratad_options *options, struct sta_log *log)
{
    struct strata_error error = {0};
    struct sta_stratad *stratad;
    sta_stratad_options_log(options, log);
    int status = sta_stratad_create(&stratad, options, log, &error);
    if (status < 0)
        return complain(log, error.text, status == STRATA_ERR_CONFIG ? EXIT_USAGE : EXIT_CANNOT);
    status = sta_stratad_run(stratad);
    sta_stratad_destroy(&stratad);
    if (status < 0)
        return complain(log, strata_status_text(status), EXIT_CANNOT);
    sta_log_write(log, STRATA_LOG_INFO, STA_ROOM_DAEMON, "stopped");
    return EXIT_STOPPED;
}

/* As sta_stratad_options_load(), which may have something to log; `log` is as the options say. */
static int load(struct sta_stratad_options *options, struct sta_config **config, int argc,
                char **argv, struct sta_log *log, struct strata_error *error)
{
    struct sta_log early;
    struct sta_buffer kept;
    sta_buffer_init(&kept, SIZE_MAX);
    sta_log_init(&early, keep_line, &kept, STRATA_LOG_INFO);
    int status = sta_stratad_options_load(options, config, argc, argv, environ, &early, error);
    bool json = status == STRATA_OK && options->log_format == STA_STRATAD_LOG_JSON;
    strata_log_sink sink = json ? strata_log_json : strata_log_text;
    sta_log_init(log, sink, NULL, STRATA_LOG_INFO);
    write_kept(&kept, sink);
    sta_buffer_fini(&kept);
    return status;
}

int main(int argc, char **argv)
{
    struct sta_log log;
    struct sta_config *config;
    struct sta_stratad_options options;
    struct strata_error error = {0};
    if (sta_standard_fds_open() < 0)
        return EXIT_CANNOT;
    (void)signal(SIGPIPE, SIG_IGN); /* a log that nobody reads any more is no reason to end */
    int status = load(&options, &config, argc, argv, &log, &error);
    if (status == STA_CONFIG_HELP)
        return print_help();
    if (status == STA_CONFIG_VERSION) {
        printf("stratad %s\n", STRATA_VERSION);
        return EXIT_STOPPED;
    }
    if (status < 0)
        return complain(NULL, error.text, EXIT_USAGE);
    int code = serve(&options, &log);
    sta_config_destroy(&config);
    return code;
}
