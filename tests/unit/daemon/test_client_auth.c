/* SPDX-License-Identifier: MIT
 *
 * Who gets in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/client_auth.h"

static bool accepts(const char *user, const char *password, const char *given_user,
                    const char *given_password)
{
    return sta_client_auth_accepts(user, password, strata_text(given_user),
                                   strata_text(given_password));
}

static void user_and_password_must_both_fit(void **state)
{
    (void)state;
    assert_true(accepts("app", "secret", "app", "secret"));
    assert_false(accepts("app", "secret", "app", "secre"));
    assert_false(accepts("app", "secret", "app", "secrets"));
    assert_false(accepts("app", "secret", "app", ""));
    assert_false(accepts("app", "secret", "default", "secret"));
    assert_false(accepts("app", "secret", "ap", "secret"));
}

static void zero_bytes_do_not_end_a_password(void **state)
{
    (void)state;
    assert_false(
        sta_client_auth_accepts("app", "secret", strata_text("app"), strata_bytes("secret\0", 7)));
    assert_false(sta_client_auth_accepts("app", "", strata_text("app"), strata_bytes("\0", 1)));
}

static void without_a_password_only_the_default_user_is_let_in(void **state)
{
    (void)state;
    assert_true(accepts("default", NULL, "default", "anything"));
    assert_false(accepts("default", NULL, "app", "anything"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(user_and_password_must_both_fit),
        cmocka_unit_test(zero_bytes_do_not_end_a_password),
        cmocka_unit_test(without_a_password_only_the_default_user_is_let_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
