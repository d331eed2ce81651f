/* SPDX-License-Identifier: MIT
 *
 * stratad: a sidecar before Redis that speaks RESP and answers hot keys from memory.
 *
 * Exit codes: 0 stopped by a signal; 1 cannot listen, or no memory; 2 bad options or configuration.
 */
#include <signal.h>
#include <stdio.h>
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

static int complain(const struct strata_error *error, int code)
{
    (void)fprintf(stderr, "stratad: %s\n", error->text);
    return code;
}

static int serve(const struct sta_stratad_options *options, struct sta_log *log)
{
    struct strata_error error = {0};
    struct sta_stratad *stratad;
    sta_stratad_options_log(options, log);
    int status = sta_stratad_create(&stratad, options, log, &error);
    if (status < 0)
        return complain(&error, status == STRATA_ERR_CONFIG ? EXIT_USAGE : EXIT_CANNOT);
    status = sta_stratad_run(stratad);
    sta_stratad_destroy(&stratad);
    if (status < 0) {
        (void)fprintf(stderr, "stratad: %s\n", strata_status_text(status));
        return EXIT_CANNOT;
    }
    sta_log_write(log, STRATA_LOG_INFO, STA_ROOM_DAEMON, "stopped");
    return EXIT_STOPPED;
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
    sta_log_init(&log, sta_log_stderr, NULL, STRATA_LOG_INFO);
    int status = sta_stratad_options_load(&options, &config, argc, argv, environ, &log, &error);
    if (status == STA_CONFIG_HELP)
        return print_help();
    if (status == STA_CONFIG_VERSION) {
        printf("stratad %s\n", STRATA_VERSION);
        return EXIT_STOPPED;
    }
    if (status < 0)
        return complain(&error, EXIT_USAGE);
    int code = serve(&options, &log);
    sta_config_destroy(&config);
    return code;
}
