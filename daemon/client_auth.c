/* SPDX-License-Identifier: MIT
 *
 * Comparison in a time that does not depend on where the bytes differ.
 */
#include "daemon/client_auth.h"

#include <stdint.h>
#include <string.h>

/* Looks at every byte of `given`, however long the expected text is. */
static bool is_equal(struct strata_bytes given, const char *expected)
{
    const uint8_t *bytes = given.data;
    size_t len = strlen(expected);
    unsigned difference = given.len != len;
    for (size_t i = 0; i < given.len; i++)
        difference |= bytes[i] ^ (unsigned)(uint8_t)expected[i < len ? i : len];
    return difference == 0;
}

bool sta_client_auth_accepts(const char *user, const char *password, struct strata_bytes given_user,
                             struct strata_bytes given_password)
{
    bool user_fits = is_equal(given_user, user);
    if (password == NULL)
        return is_equal(given_user, "default");
    bool password_fits = is_equal(given_password, password);
    return user_fits && password_fits;
}
