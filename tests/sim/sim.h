/* SPDX-License-Identifier: MIT
 *
 * The world of the deterministic simulator: virtual time, what is to happen when, chance from one
 * seed, and a log. Everything runs on the calling thread, and nothing but the seed decides.
 * docs/internals/simulator.md says what is real in it and what is modelled.
 *
 * One world at a time: clocks and seeds of the code under test come from it.
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim;

/* Two ways to hear of a run: the text of each event, and one number for all of them. */
struct sim_hearing {
    bool aloud;  /* to standard output */
    bool hashed; /* sim_hash() */
};

struct sim *sim_create(uint64_t seed, struct sim_hearing hearing);
void sim_destroy(struct sim **sim);
struct sim *sim_current(void);

/* ---- time ---- */

uint64_t sim_now_ns(const struct sim *sim);
static inline uint64_t sim_now_ms(const struct sim *sim)
{
    return sim_now_ns(sim) / 1000000u;
}

/* run(arg) happens then; what happens at the same time happens in the order of these calls. */
void sim_at(struct sim *sim, uint64_t at_ns, void (*run)(void *arg), void *arg);

/* Nothing that was asked for with this arg happens any more. Looks at all that is to happen. */
void sim_call_off(struct sim *sim, const void *arg);

/* Lets happen what is due up to `until_ns`, or until something fails. */
void sim_run_until(struct sim *sim, uint64_t until_ns);

/* ---- chance ---- */

uint64_t sim_below(struct sim *sim, uint64_t bound); /* 0 .. bound - 1; 0 where bound is 0 */
uint64_t sim_between(struct sim *sim, uint64_t least, uint64_t most);
bool sim_chance(struct sim *sim, unsigned per_mille);

/* ---- the log, and the verdict ---- */

bool sim_is_heard(const struct sim *sim);
void sim_log(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t sim_hash(const struct sim *sim);

/* The first one counts, and ends the run. */
void sim_fail(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *sim_failure(const struct sim *sim); /* NULL: none */

#endif
