/* SPDX-License-Identifier: MIT
 *
 * See quota.h.
 */
#include "config/quota.h"

#include <string.h>

#include "core/number.h"
#include "strata/status.h"

static int refuse(const char **reason, const char *why)
{
    *reason = why;
    return STRATA_ERR_INVALID;
}

int sta_quota_parse(const char *text, struct sta_quota *out, const char **reason)
{
    const char *equals = strrchr(text, '=');
    struct sta_quota quota = {0};
    if (equals == NULL)
        return refuse(reason, "the = between prefix and bound is missing");
    if (equals == text)
        return refuse(reason, "the prefix is missing");
    const char *bytes = equals + 1;
    const char *slash = strchr(bytes, '/');
    size_t bytes_len = slash != NULL ? (size_t)(slash - bytes) : strlen(bytes);
    quota.prefix = strata_bytes(text, (size_t)(equals - text));
    if (bytes_len == 0 && slash == NULL)
        return refuse(reason, "the bound is missing");
    if (bytes_len > 0 &&
        (sta_number_parse_bytes(strata_bytes(bytes, bytes_len), &quota.max_bytes) != STRATA_OK ||
         quota.max_bytes == 0))
        return refuse(reason, "the bytes must be 1 or more, or with KiB, MiB, GiB");
    if (slash != NULL &&
        (sta_number_parse(strata_text(slash + 1), UINT32_MAX, &quota.max_entries) != STRATA_OK ||
         quota.max_entries == 0))
        return refuse(reason, "the entries must be 1 to 4294967295");
    *out = quota;
    return STRATA_OK;
}
