/* SPDX-License-Identifier: MIT
 *
 * The circuit breaker; see breaker.h. What an event does in a state that did not expect it is
 * said where it is ignored: results of requests that were sent before a change come after it.
 */
#include "l2/breaker.h"

#include <stdbool.h>
#include <string.h>

#include "core/clock.h"
#include "core/random.h"

#define OR_DEFAULT(field, value) ((field) != 0 ? (field) : (value))

void sta_breaker_init(struct sta_breaker *breaker, const struct sta_breaker_config *config,
                      uint64_t random, uint64_t now_ns)
{
    *breaker = (struct sta_breaker){
        .config = {.failures = OR_DEFAULT(config->failures, 5),
                   .window_least = OR_DEFAULT(config->window_least, 20),
                   .percent = OR_DEFAULT(config->percent, 50),
                   .window_ns = OR_DEFAULT(config->window_ns, 10 * STA_NS_SEC),
                   .probe_min_ns = OR_DEFAULT(config->probe_min_ns, 50 * STA_NS_MS),
                   .probe_max_ns = OR_DEFAULT(config->probe_max_ns, 500 * STA_NS_MS)},
        .window_at_ns = now_ns,
        .random = random,
    };
}

/* ---- results ---- */

static void roll_window(struct sta_breaker *breaker, uint64_t now_ns)
{
    uint64_t half_ns = breaker->config.window_ns / 2;
    uint64_t elapsed_ns = now_ns - breaker->window_at_ns;
    if (elapsed_ns < half_ns)
        return;
    bool next = elapsed_ns < 2 * half_ns;
    breaker->results[1] = next ? breaker->results[0] : 0;
    breaker->failed[1] = next ? breaker->failed[0] : 0;
    breaker->results[0] = 0;
    breaker->failed[0] = 0;
    breaker->window_at_ns = next ? breaker->window_at_ns + half_ns : now_ns;
}

static void count_result(struct sta_breaker *breaker, bool failed, uint64_t now_ns)
{
    roll_window(breaker, now_ns);
    breaker->results[0]++;
    breaker->failed[0] += failed;
    breaker->in_a_row = failed ? breaker->in_a_row + 1 : 0;
}

static bool is_too_much(const struct sta_breaker *breaker)
{
    uint64_t results = (uint64_t)breaker->results[0] + breaker->results[1];
    uint64_t failed = (uint64_t)breaker->failed[0] + breaker->failed[1];
    return breaker->in_a_row >= breaker->config.failures ||
           (results >= breaker->config.window_least &&
            failed * 100 >= results * breaker->config.percent);
}

/* ---- changes of state ---- */

static void open_until_probe(struct sta_breaker *breaker, uint64_t now_ns)
{
    unsigned doublings = breaker->probes < 32 ? breaker->probes : 32;
    uint64_t ceiling_ns = breaker->config.probe_max_ns;
    if (breaker->config.probe_min_ns < ceiling_ns >> doublings)
        ceiling_ns = breaker->config.probe_min_ns << doublings;
    uint64_t wait_ns =
        ceiling_ns / 2 + sta_random_below(&breaker->random, ceiling_ns - ceiling_ns / 2 + 1);
    breaker->state = STA_BREAKER_OPEN;
    breaker->probe_at_ns = sta_clock_after(now_ns, wait_ns);
}

static void open_circuit(struct sta_breaker *breaker, uint64_t now_ns)
{
    breaker->opened++;
    breaker->opened_ns = now_ns;
    breaker->probes = 0;
    open_until_probe(breaker, now_ns);
}

static void close_circuit(struct sta_breaker *breaker, uint64_t now_ns)
{
    breaker->state = STA_BREAKER_CLOSED;
    breaker->in_a_row = 0;
    memset(breaker->results, 0, sizeof breaker->results);
    memset(breaker->failed, 0, sizeof breaker->failed);
    breaker->window_at_ns = now_ns;
}

/* ---- a step in each state ---- */

static void step_closed(struct sta_breaker *breaker, enum sta_breaker_event event, uint64_t now_ns)
{
    switch (event) {
    case STA_BREAKER_OK:
    case STA_BREAKER_PROBE_OK: /* of a probe that an OK has overtaken */
        count_result(breaker, false, now_ns);
        break;
    case STA_BREAKER_FAILED:
    case STA_BREAKER_PROBE_FAILED:
        count_result(breaker, true, now_ns);
        if (is_too_much(breaker))
            open_circuit(breaker, now_ns);
        break;
    case STA_BREAKER_SILENT:
        open_circuit(breaker, now_ns);
        break;
    case STA_BREAKER_ASK:
    case STA_BREAKER_LATE: /* neither good nor bad: its time-out has been counted */
        break;
    }
}

static enum sta_breaker_answer step_open(struct sta_breaker *breaker, enum sta_breaker_event event,
                                         uint64_t now_ns)
{
    switch (event) {
    case STA_BREAKER_ASK:
        if (now_ns < breaker->probe_at_ns)
            break;
        breaker->state = STA_BREAKER_HALF_OPEN;
        return STA_BREAKER_PROBE;
    case STA_BREAKER_OK:
    case STA_BREAKER_LATE:
    case STA_BREAKER_PROBE_OK:
        if (now_ns < breaker->probe_at_ns)
            breaker->probe_at_ns = now_ns;
        break;
    case STA_BREAKER_FAILED: /* it is known */
    case STA_BREAKER_SILENT:
    case STA_BREAKER_PROBE_FAILED:
        break;
    }
    return STA_BREAKER_REFUSE;
}

static void step_half_open(struct sta_breaker *breaker, enum sta_breaker_event event,
                           uint64_t now_ns)
{
    switch (event) {
    case STA_BREAKER_OK:
    case STA_BREAKER_PROBE_OK:
        close_circuit(breaker, now_ns);
        break;
    case STA_BREAKER_PROBE_FAILED:
        breaker->probes++;
        open_until_probe(breaker, now_ns);
        break;
    case STA_BREAKER_ASK:
    case STA_BREAKER_LATE: /* the probe will tell */
    case STA_BREAKER_FAILED:
    case STA_BREAKER_SILENT:
        break;
    }
}

enum sta_breaker_answer sta_breaker_step(struct sta_breaker *breaker, enum sta_breaker_event event,
                                         uint64_t now_ns)
{
    enum sta_breaker_answer answer = STA_BREAKER_REFUSE;
    switch (breaker->state) {
    case STA_BREAKER_CLOSED:
        step_closed(breaker, event, now_ns);
        break;
    case STA_BREAKER_OPEN:
        answer = step_open(breaker, event, now_ns);
        break;
    case STA_BREAKER_HALF_OPEN:
        step_half_open(breaker, event, now_ns);
        break;
    }
    if (breaker->state == STA_BREAKER_CLOSED)
        return STA_BREAKER_PASS;
    breaker->refused += event == STA_BREAKER_ASK && answer == STA_BREAKER_REFUSE;
    return answer;
}
