/* SPDX-License-Identifier: MIT
 *
 * strata warm, before a stratad: where keys come from, what stratad has afterwards, what it prints,
 * and what it refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "integration/strata_program.h"
#include "strata/strata.h"
#include "support/stratad_process.h"

#define KEYS 250

/* Keys of one pipeline that share a generation cost each other their place in L1 (l1/l1.h): with so
 * many keys most often none, rarely one. */
#define FEW 5

static char folder[] = "/tmp/strata-warm-XXXXXX";
static char path[64];

static int open_all(void **state)
{
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/keys", folder);
    return strata_fixture_open(state);
}

static int close_all(void **state)
{
    (void)unlink(path);
    (void)rmdir(folder);
    return strata_fixture_close(state);
}

static void fill(struct strata_fixture *fixture)
{
    for (int i = 0; i < KEYS; i++)
        freeReplyObject(redisCommand(fixture->redis, "SET key:%d value:%d", i, i));
}

/* A stratad before the fixture's Redis, and its URL. */
static struct stratad_process *start(struct strata_fixture *fixture, const char *const *arguments,
                                     char url[160])
{
    static const char *const patient[] = {"--max-staleness", "60", NULL};
    struct stratad_process *stratad = NULL;
    assert_int_equal(stratad_process_start(&stratad, redis_server_url(fixture->server),
                                           arguments != NULL ? arguments : patient),
                     0);
    (void)snprintf(url, 160, "unix://%s", stratad_process_socket(stratad));
    return stratad;
}

static json_int_t l1_number(struct strata_fixture *fixture, const char *url, const char *name)
{
    json_int_t number = 0;
    command_result_fini(&fixture->result);
    assert_int_equal(strata_run(&fixture->result, NULL, url, "stats", "--json", NULL), 0);
    json_t *document = strata_json(&fixture->result);
    assert_int_equal(json_unpack(document, "{s:{s:I}}", "l1", name, &number), 0);
    json_decref(document);
    return number;
}

static int warm(struct strata_fixture *fixture, const struct command_input *input, const char *url,
                const char *option, const char *value, const char *more)
{
    command_result_fini(&fixture->result);
    return strata_run(&fixture->result, input, url, "--timeout", "30", "warm", option, value, more,
                      NULL);
}

static void assert_says(const char *text, const char *expected)
{
    if (strstr(text, expected) == NULL)
        fail_msg("'%s' has no '%s'", text, expected);
}

static void write_names(int count)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < count; i++)
        (void)fprintf(file, "key:%d\n%s", i, i % 50 == 0 ? "\n" : "");
    (void)fclose(file);
}

static void keys_of_a_file_are_in_l1_afterwards(void **state)
{
    struct strata_fixture *f = *state;
    char url[160];
    fill(f);
    write_names(KEYS + 5);
    struct stratad_process *stratad = start(f, NULL, url);
    assert_int_equal(warm(f, NULL, url, "--keys-from", path, NULL), 0);
    assert_says(f->result.out, "warmed 250 of 255 keys in ");
    assert_says(f->result.out, "; 5 are not in Redis\n");
    assert_string_equal(f->result.err, ""); /* no bar where there is no terminal */
    assert_in_range(l1_number(f, url, "entries"), KEYS - FEW, KEYS);
    json_int_t misses = l1_number(f, url, "misses"), hits = l1_number(f, url, "hits");
    assert_int_equal(warm(f, NULL, url, "--keys-from", path, NULL), 0);
    assert_in_range(l1_number(f, url, "misses"), misses, misses + 5 + FEW);
    assert_in_range(l1_number(f, url, "hits"), hits + KEYS - FEW, hits + KEYS);
    stratad_process_stop(&stratad);
}

static void keys_may_come_from_standard_input_and_the_answer_be_json(void **state)
{
    struct strata_fixture *f = *state;
    char url[160];
    const char names[] = "key:1\nkey:2\nnone"; /* the last one without a newline */
    const struct command_input input = {.data = names, .len = sizeof names - 1};
    fill(f);
    struct stratad_process *stratad = start(f, NULL, url);
    assert_int_equal(warm(f, &input, url, "--keys-from", "-", "--json"), 0);
    json_t *document = strata_json(&f->result);
    json_int_t keys = 0, warmed = 0, missing = 0, failed = 1;
    int full = 1, torn = 1;
    assert_int_equal(json_unpack(document, "{s:I,s:I,s:I,s:I,s:b,s:b}", "keys", &keys, "warmed",
                                 &warmed, "missing", &missing, "failed", &failed, "full", &full,
                                 "torn", &torn),
                     0);
    json_decref(document);
    assert_int_equal(keys, 3);
    assert_int_equal(warmed, 2);
    assert_int_equal(missing, 1);
    assert_true(failed == 0 && full == 0 && torn == 0);
    stratad_process_stop(&stratad);
}

static void all_keys_that_match_a_pattern(void **state)
{
    struct strata_fixture *f = *state;
    char url[160];
    fill(f);
    struct stratad_process *stratad = start(f, NULL, url);
    assert_int_equal(warm(f, NULL, url, "--pattern", "key:1*", NULL), 0);
    assert_says(f->result.out, "warmed 111 of 111 keys");
    assert_in_range(l1_number(f, url, "entries"), 111 - FEW, 111);
    stratad_process_stop(&stratad);
}

/* What a program of the library has saved. */
static void save_hot(struct strata_fixture *f)
{
    struct strata *cache = NULL;
    const struct strata_options options = {.redis_url = redis_server_url(f->server),
                                           .l2_key_prefix = ""};
    assert_int_equal(strata_open(&cache, &options, NULL), STRATA_OK);
    for (int i = 0; i < KEYS; i++) {
        char name[32];
        struct strata_value value = {0};
        (void)snprintf(name, sizeof name, "key:%d", i);
        assert_int_equal(strata_get(cache, strata_text(name), &value), STRATA_OK);
        strata_release(&value);
    }
    assert_int_equal(strata_save_hot(cache, path, NULL, NULL, NULL), STRATA_OK);
    strata_close(&cache);
}

static void a_saved_hot_set_whole_and_torn(void **state)
{
    struct strata_fixture *f = *state;
    char url[160];
    fill(f);
    save_hot(f);
    struct stratad_process *stratad = start(f, NULL, url);
    assert_int_equal(warm(f, NULL, url, "--hot", path, NULL), 0);
    assert_says(f->result.out, "warmed 250 of 250 keys");
    assert_in_range(l1_number(f, url, "entries"), KEYS - FEW, KEYS);
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(warm(f, NULL, url, "--hot", path, NULL), 6);
    assert_says(f->result.err, "torn after 2 of 250 keys");
    assert_int_equal(truncate(path, 10), 0);
    assert_int_equal(warm(f, NULL, url, "--hot", path, NULL), 2);
    assert_says(f->result.err, "cut off");
    assert_int_equal(warm(f, NULL, url, "--hot", "/etc/passwd", NULL), 2);
    assert_says(f->result.err, "/etc/passwd: not a saved hot set");
    assert_int_equal(warm(f, NULL, url, "--hot", "/nowhere", NULL), 1);
    assert_says(f->result.err, "/nowhere: cannot be opened");
    stratad_process_stop(&stratad);
}

static void it_ends_where_l1_is_full(void **state)
{
    static const char *const arguments[] = {"--l1-max-size", "50", NULL};
    struct strata_fixture *f = *state;
    char url[160], name[32];
    fill(f);
    for (int i = KEYS; i < 2000; i++)
        freeReplyObject(redisCommand(f->redis, "SET key:%d v", i));
    write_names(2000);
    struct stratad_process *stratad = start(f, arguments, url);
    assert_int_equal(warm(f, NULL, url, "--keys-from", path, NULL), 0);
    assert_says(f->result.out, "; stratad's L1 is full\n");
    (void)snprintf(name, sizeof name, "of %d keys", 500); /* it looks now and then */
    assert_says(f->result.out, name);
    stratad_process_stop(&stratad);
}

/* 250 keys at 1000 a second: the last 100 of them are not asked for before 150 ms have gone. */
static void a_rate_is_kept(void **state)
{
    struct strata_fixture *f = *state;
    char url[160];
    fill(f);
    write_names(KEYS);
    struct stratad_process *stratad = start(f, NULL, url);
    uint64_t begun_ms = sta_clock_now_ms();
    command_result_fini(&f->result);
    assert_int_equal(
        strata_run(&f->result, NULL, url, "warm", "--keys-from", path, "--rate", "1000", NULL), 0);
    assert_true(sta_clock_now_ms() - begun_ms >= 149);
    stratad_process_stop(&stratad);
}

static void to_a_terminal_it_shows_how_far_it_is(void **state)
{
    struct strata_fixture *f = *state;
    char url[160];
    const struct command_input terminal = {.terminal = true};
    fill(f);
    save_hot(f);
    struct stratad_process *stratad = start(f, NULL, url);
    command_result_fini(&f->result);
    assert_int_equal(
        strata_run(&f->result, &terminal, url, "warm", "--hot", path, "--rate", "500", NULL), 0);
    assert_says(f->result.out, " %  ");
    assert_says(f->result.out, "/s");
    write_names(KEYS);
    assert_int_equal(warm(f, &terminal, url, "--keys-from", path, NULL), 0);
    assert_says(f->result.out, "250 keys  ");
    stratad_process_stop(&stratad);
}

static void keys_that_are_refused_are_counted(void **state)
{
    struct strata_fixture *f = *state;
    char url[160];
    const char names[] = "list\nkey:1\n", none[] = "list\n";
    const struct command_input input = {.data = names, .len = sizeof names - 1};
    const struct command_input bad = {.data = none, .len = sizeof none - 1};
    fill(f);
    freeReplyObject(redisCommand(f->redis, "RPUSH list a"));
    struct stratad_process *stratad = start(f, NULL, url);
    assert_int_equal(warm(f, &input, url, "--keys-from", "-", NULL), 6);
    assert_says(f->result.err, "1 keys were refused, the first: WRONGTYPE");
    assert_says(f->result.out, "warmed 1 of 2 keys");
    assert_int_equal(warm(f, &bad, url, "--keys-from", "-", NULL), 1);
    stratad_process_stop(&stratad);
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const char *const off[] = {"--l1-enabled", "false", NULL};
    struct strata_fixture *f = *state;
    char url[160];
    assert_int_equal(warm(f, NULL, f->url, NULL, NULL, NULL), 2);
    assert_says(f->result.err, "exactly one of --keys-from FILE, --pattern GLOB and --hot FILE");
    assert_int_equal(warm(f, NULL, f->url, "--pattern", "", NULL), 2);
    assert_int_equal(warm(f, NULL, f->url, "--keys-from", "/nowhere", NULL), 1);
    assert_says(f->result.err, "/nowhere: cannot be opened");
    write_names(1);
    assert_int_equal(warm(f, NULL, f->url, "--keys-from", path, NULL), 1);
    assert_says(f->result.err, "is not stratad");
    struct stratad_process *stratad = start(f, off, url);
    assert_int_equal(warm(f, NULL, url, "--keys-from", path, NULL), 1);
    assert_says(f->result.err, "L1 is off");
    stratad_process_stop(&stratad);
    assert_int_equal(warm(f, NULL, "redis://127.0.0.1:1/0", "--keys-from", path, NULL), 3);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, strata_fixture_empty, strata_fixture_discard)
    const struct CMUnitTest tests[] = {
        TEST(keys_of_a_file_are_in_l1_afterwards),
        TEST(keys_may_come_from_standard_input_and_the_answer_be_json),
        TEST(all_keys_that_match_a_pattern),
        TEST(a_saved_hot_set_whole_and_torn),
        TEST(it_ends_where_l1_is_full),
        TEST(a_rate_is_kept),
        TEST(to_a_terminal_it_shows_how_far_it_is),
        TEST(keys_that_are_refused_are_counted),
        TEST(what_makes_no_sense_is_refused),
    };
#undef TEST
    return cmocka_run_group_tests(tests, open_all, close_all);
}
