/* SPDX-License-Identifier: MIT
 *
 * Write-behind in a service that is ended by SIGTERM: threads count, as fast as they can. When the
 * signal comes they stop, and what is not in Redis yet has so many seconds to get there. The exit
 * code says whether it has: 0, or 1 and a line of the log with how many keys are left. Those are
 * lost, unless STRATA_WRITE_BEHIND_JOURNAL=<directory> is set: then the next start writes them.
 * ROUTER_REDIS_URL=redis://localhost:6379/0 ./write_behind_service [SECONDS]
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <strata/strata.h>

#define WRITERS 4
#define KEYS    2000u /* of each */

struct writer {
    struct strata *cache;
    atomic_bool *ends;
    unsigned number;
    unsigned acknowledged; /* writes; the last of key k is the highest that k fits */
    int status;
    pthread_t thread;
};

static void *writer_run(void *arg)
{
    struct writer *writer = arg;
    char key[32], text[16];
    while (!atomic_load(writer->ends) && writer->status == STRATA_OK) {
        unsigned next = writer->acknowledged + 1;
        (void)snprintf(key, sizeof key, "count:%u:%u", writer->number, next % KEYS);
        int len = snprintf(text, sizeof text, "%u", next);
        writer->status = strata_set(writer->cache, strata_text(key),
                                    strata_bytes(text, (size_t)len), STRATA_UNLIMITED);
        if (writer->status == STRATA_OK)
            writer->acknowledged = next;
    }
    return NULL;
}

static void run_until(const sigset_t *signals, struct strata *cache)
{
    struct writer writers[WRITERS];
    atomic_bool ends = false;
    int signal, started = 0;
    for (; started < WRITERS; started++) {
        struct writer *writer = &writers[started];
        *writer = (struct writer){.cache = cache, .ends = &ends, .number = (unsigned)started};
        if (pthread_create(&writer->thread, NULL, writer_run, writer) != 0)
            break;
    }
    (void)sigwait(signals, &signal);
    atomic_store(&ends, true);
    for (int i = 0; i < started; i++) {
        pthread_join(writers[i].thread, NULL);
        printf("writer %d: %u writes were acknowledged; then: %s\n", i, writers[i].acknowledged,
               strata_status_text(writers[i].status));
    }
}

static int open_cache(struct strata **cache)
{
    struct strata_options options = {0};
    struct strata_error error;
    int status = strata_options_from_environment(&options, &error);
    if (status == STRATA_OK) {
        options.write_through = STRATA_OFF;
        options.write_behind = STRATA_ON;
        options.write_behind_drain_timeout_ms = 1; /* strata_flush() is what waits */
        options.log_sink = strata_log_text;
        status = strata_open(cache, &options, &error);
        strata_options_fini(&options);
    }
    if (status != STRATA_OK)
        fprintf(stderr, "%s\n", error.text);
    return status;
}

int main(int argc, char **argv)
{
    struct strata *cache = NULL;
    sigset_t signals;
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 5;
    if (!(seconds >= 0 && seconds <= 3600)) {
        fprintf(stderr, "usage: write_behind_service [SECONDS], 0 to 3600\n");
        return 2;
    }

    /* Before there are threads, so that none of them takes it. */
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);

    if (open_cache(&cache) != STRATA_OK)
        return 1;
    run_until(&signals, cache);
    int status = strata_flush(cache, (unsigned)(seconds * 1000));
    strata_close(&cache); /* tells what is left */
    return status == STRATA_OK ? 0 : 1;
}
