/* SPDX-License-Identifier: MIT
 *
 * One line a second, and the last word is the last state.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "net/paced_log.h"
#include "strata/status.h"

struct rig {
    struct sta_loop *loop;
    struct sta_log real;
    struct sta_paced_log log;
    struct sta_timer end;
    char lines[1024];
    unsigned count;
};

static void sink(void *arg, enum strata_log_level level, const char *room, const char *line)
{
    struct rig *rig = arg;
    size_t len = strlen(rig->lines);
    (void)level;
    assert_string_equal(room, "l2");
    rig->count++;
    (void)snprintf(rig->lines + len, sizeof rig->lines - len, "%s;", line);
}

static void stop_loop(struct sta_timer *timer)
{
    sta_loop_stop(STA_CONTAINER(timer, struct rig, end)->loop);
}

static void rig_run_ms(struct rig *rig, unsigned ms)
{
    sta_timer_init(&rig->end, stop_loop);
    sta_timer_start(rig->loop, &rig->end, sta_clock_now_ns() + ms * STA_NS_MS);
    sta_loop_run(rig->loop);
}

static void rig_init(struct rig *rig)
{
    *rig = (struct rig){.count = 0};
    assert_int_equal(sta_loop_create(&rig->loop), STRATA_OK);
    sta_log_init(&rig->real, sink, rig, STRATA_LOG_DEBUG);
    sta_paced_log_init(&rig->log, &rig->real, STA_ROOM_L2, rig->loop);
}

static void rig_fini(struct rig *rig)
{
    sta_paced_log_fini(&rig->log);
    sta_loop_destroy(&rig->loop);
}

static void say(struct rig *rig, const char *text)
{
    sta_log_write(&rig->log.log, STRATA_LOG_WARNING, STA_ROOM_L2, "%s", text);
}

static void one_line_a_second_and_the_last_word_is_the_last_state(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    say(&rig, "lost");
    for (unsigned i = 0; i < 9; i++)
        say(&rig, "tries");
    say(&rig, "ready");
    assert_string_equal(rig.lines, "lost;");
    rig_run_ms(&rig, 1100);
    assert_string_equal(rig.lines, "lost;ready (9 lines before it left out);");
    say(&rig, "lost again");
    rig_run_ms(&rig, 1100);
    assert_string_equal(rig.lines, "lost;ready (9 lines before it left out);lost again;");
    rig_fini(&rig);
}

static void a_held_line_is_written_at_the_end(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    say(&rig, "lost");
    say(&rig, "ready");
    rig_fini(&rig);
    assert_string_equal(rig.lines, "lost;ready;");
}

static void debug_lines_are_not_held_back(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    for (unsigned i = 0; i < 5; i++)
        sta_log_write(&rig.log.log, STRATA_LOG_DEBUG, STA_ROOM_L2, "x");
    assert_int_equal(rig.count, 5);
    rig_fini(&rig);
}

static void without_a_log_nothing_is_written(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig);
    sta_paced_log_init(&rig.log, NULL, STA_ROOM_L2, rig.loop);
    say(&rig, "lost");
    say(&rig, "ready");
    rig_fini(&rig);
    assert_int_equal(rig.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_a_second_and_the_last_word_is_the_last_state),
        cmocka_unit_test(a_held_line_is_written_at_the_end),
        cmocka_unit_test(debug_lines_are_not_held_back),
        cmocka_unit_test(without_a_log_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
