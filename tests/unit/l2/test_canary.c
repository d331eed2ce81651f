/* SPDX-License-Identifier: MIT
 *
 * The canary, step by step: each row plays what may happen to a round, and says where it stands
 * afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/clock.h"
#include "l2/canary.h"
#include "strata/status.h"

#define NAME        "p:canary:1"
#define SLOT        7u
#define DEADLINE_NS (1000 * STA_NS_SEC)

struct stage {
    struct sta_loop *loop;
    struct sta_canary canary;
    struct sta_request *sent[2]; /* the read's, the write's; NULL: not under way */
    char ways[32];               /* "r" and "w" for what was sent, "f" for failed() */
};

static void note(struct stage *stage, char what)
{
    size_t len = strlen(stage->ways);
    assert_true(len + 1 < sizeof stage->ways);
    stage->ways[len] = what;
}

static void send(void *arg, bool write, struct sta_request *request)
{
    struct stage *stage = arg;
    assert_null(stage->sent[write]);
    assert_int_equal(request->deadline_ns, DEADLINE_NS);
    stage->sent[write] = request;
    note(stage, write ? 'w' : 'r');
}

static void failed(void *arg, int status, struct strata_bytes replies)
{
    (void)status;
    (void)replies;
    note(arg, 'f');
}

static const struct sta_canary_way way = {.send = send, .failed = failed};

static void stage_init(struct stage *stage)
{
    *stage = (struct stage){.canary = {.up = true, .tracked = true, .used = true}};
    assert_int_equal(sta_loop_create(&stage->loop), STRATA_OK);
    assert_int_equal(sta_canary_name(&stage->canary, strata_text(NAME), SLOT, 1), STRATA_OK);
}

static void stage_fini(struct stage *stage)
{
    sta_canary_fini(&stage->canary);
    assert_false(sta_canary_has_name(&stage->canary));
    sta_loop_destroy(&stage->loop);
}

static void answer(struct stage *stage, bool write, int status, const char *replies)
{
    struct sta_request *request = stage->sent[write];
    assert_non_null(request);
    stage->sent[write] = NULL;
    request->done(request, status, strata_text(replies));
}

/* One thing that happens. */
static void play(struct stage *stage, char what)
{
    struct sta_canary *canary = &stage->canary;
    switch (what) {
    case 'b':
        assert_true(sta_canary_is_due(canary));
        sta_canary_begin(canary, stage->loop, &way, stage, DEADLINE_NS);
        break;
    case 'R':
        answer(stage, false, STRATA_OK, "_\r\n");
        break;
    case 'W':
        answer(stage, true, STRATA_OK, "+OK\r\n:1\r\n");
        break;
    case 'E': /* the write is refused; the deletion is not */
        answer(stage, true, STRATA_OK, "-NOPERM no\r\n:0\r\n");
        break;
    case 'e': /* the read is */
        answer(stage, false, STRATA_OK, "-NOPERM no\r\n");
        break;
    case 'l':
        answer(stage, false, STRATA_ERR_LOST, "");
        break;
    case 't':
        answer(stage, true, STRATA_ERR_TIMEOUT, "");
        break;
    case 'P':
        assert_true(sta_canary_is_proven(canary, strata_text(NAME)));
        break;
    case 'p': /* it proves nothing now */
        assert_false(sta_canary_is_proven(canary, strata_text(NAME)));
        break;
    case 'o':
        assert_false(sta_canary_is_proven(canary, strata_text("p:canary:2")));
        assert_false(sta_canary_is_proven(canary, strata_text("p:canary:10")));
        assert_false(sta_canary_is_proven(canary, strata_text("")));
        break;
    case 'd': /* its connection is lost */
        canary->up = false;
        canary->state = STA_CANARY_IDLE;
        break;
    default:
        assert_int_equal(what, 'u');
        canary->up = true;
        break;
    }
}

static void a_round_ends_as_it_must(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        const char *ways;
        enum sta_canary_state state;
        bool due;
    } rows[] = {
        {"", "", STA_CANARY_IDLE, true},
        {"b", "r", STA_CANARY_READING, false},
        {"bR", "rw", STA_CANARY_LISTENING, false},
        {"bRW", "rw", STA_CANARY_LISTENING, false},
        {"bRWP", "rw", STA_CANARY_IDLE, true},
        /* A push before the read's answer is of an older round: it is not what is listened for. */
        {"bp", "r", STA_CANARY_READING, false},
        /* A full table names it before the write is answered: proven, but the write is under
         * way. */
        {"bRP", "rw", STA_CANARY_IDLE, false},
        {"bRPW", "rw", STA_CANARY_IDLE, true},
        {"bRPE", "rw", STA_CANARY_IDLE, true},
        {"bRoWo", "rw", STA_CANARY_LISTENING, false},
        {"bRWPp", "rw", STA_CANARY_IDLE, true},
        /* What is not carried out is told, and ends the round. */
        {"be", "rf", STA_CANARY_IDLE, true},
        {"bl", "rf", STA_CANARY_IDLE, true},
        {"bRE", "rwf", STA_CANARY_IDLE, true},
        {"bRt", "rwf", STA_CANARY_IDLE, true},
        {"bREp", "rwf", STA_CANARY_IDLE, true},
        /* A lost connection: no answer of it goes on with the round. */
        {"bdR", "rf", STA_CANARY_IDLE, false},
        {"bRdW", "rw", STA_CANARY_IDLE, false},
        {"bRdup", "rw", STA_CANARY_IDLE, false},
        {"bRdutb", "rwr", STA_CANARY_READING, false},
        {"bRWPbRWP", "rwrw", STA_CANARY_IDLE, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct stage stage;
        stage_init(&stage);
        for (const char *what = rows[i].what; *what != 0; what++)
            play(&stage, *what);
        if (strcmp(stage.ways, rows[i].ways) != 0 || stage.canary.state != rows[i].state ||
            sta_canary_is_due(&stage.canary) != rows[i].due)
            fail_msg("%s: %s, state %d, %s", rows[i].what, stage.ways, stage.canary.state,
                     sta_canary_is_due(&stage.canary) ? "due" : "not due");
        stage_fini(&stage);
    }
}

static void it_is_due_only_where_there_is_something_to_prove(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 16; bits++) {
        struct sta_canary canary = {.up = (bits & 1) != 0,
                                    .tracked = (bits & 2) != 0,
                                    .used = (bits & 4) != 0,
                                    .writing = (bits & 8) != 0};
        assert_int_equal(sta_canary_is_due(&canary), bits == 7);
    }
}

static void its_push_is_missing_only_after_the_write_was_acknowledged(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    struct sta_canary *canary = &stage.canary;
    const uint64_t patience_ns = STA_NS_SEC;
    assert_false(sta_canary_is_missing(canary, STA_NEVER, patience_ns));
    play(&stage, 'b');
    assert_false(sta_canary_is_missing(canary, STA_NEVER, patience_ns));
    play(&stage, 'R');
    assert_false(sta_canary_is_missing(canary, STA_NEVER, patience_ns)); /* it may not be written */
    play(&stage, 'W');
    uint64_t late_ns = canary->written_ns + patience_ns;
    assert_false(sta_canary_is_missing(canary, late_ns, patience_ns));
    assert_true(sta_canary_is_missing(canary, late_ns + 1, patience_ns));
    play(&stage, 'P');
    assert_false(sta_canary_is_missing(canary, STA_NEVER, patience_ns));
    stage_fini(&stage);
}

static void it_reads_on_its_own_then_sets_and_deletes(void **state)
{
    (void)state;
    static const char get[] = "*2\r\n$3\r\nGET\r\n$10\r\n" NAME "\r\n";
    static const char set_del[] =
        "*5\r\n$3\r\nSET\r\n$10\r\n" NAME "\r\n$1\r\n1\r\n$2\r\nPX\r\n$1\r\n"
        "1\r\n*2\r\n$3\r\nDEL\r\n$10\r\n" NAME "\r\n";
    struct stage stage;
    stage_init(&stage);
    assert_int_equal(stage.canary.slot, SLOT);
    play(&stage, 'b');
    assert_int_equal(stage.sent[false]->commands, 1);
    assert_int_equal(stage.sent[false]->wire.len, sizeof get - 1);
    assert_memory_equal(stage.sent[false]->wire.data, get, sizeof get - 1);
    play(&stage, 'R');
    assert_int_equal(stage.sent[true]->commands, 2);
    assert_int_equal(stage.sent[true]->wire.len, sizeof set_del - 1);
    assert_memory_equal(stage.sent[true]->wire.data, set_del, sizeof set_del - 1);
    stage_fini(&stage);
}

static void it_may_be_given_another_name(void **state)
{
    (void)state;
    struct stage stage;
    stage_init(&stage);
    assert_int_equal(sta_canary_name(&stage.canary, strata_text("q:2"), 9, 1), STRATA_OK);
    assert_int_equal(stage.canary.slot, 9);
    play(&stage, 'b');
    play(&stage, 'R');
    play(&stage, 'p');
    assert_true(sta_canary_is_proven(&stage.canary, strata_text("q:2")));
    stage_fini(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_round_ends_as_it_must),
        cmocka_unit_test(it_is_due_only_where_there_is_something_to_prove),
        cmocka_unit_test(its_push_is_missing_only_after_the_write_was_acknowledged),
        cmocka_unit_test(it_reads_on_its_own_then_sets_and_deletes),
        cmocka_unit_test(it_may_be_given_another_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
