/* SPDX-License-Identifier: MIT
 *
 * RESP3 replies in the words of RESP2, by type alone. Flat: each head is rewritten where it
 * stands, elements follow by themselves, and only attributes are passed over.
 *
 * A frame grows by at most 7 bytes for 4 ("," with one digit), so the output is less than twice
 * the input.
 */
#include <strings.h>

#include "resp/resp.h"
#include "strata/status.h"

static int downgrade_line(struct sta_buffer *out, const struct sta_resp_value *value)
{
    switch (value->type) {
    case STA_RESP_NULL:
        return sta_resp_write_null(out, 2);
    case STA_RESP_BOOLEAN:
        return sta_resp_write_boolean(out, value->integer != 0, 2);
    case STA_RESP_DOUBLE:
        return sta_resp_write_bulk(out, value->bytes); /* the text: no digit is lost */
    case STA_RESP_BIG_NUMBER:
        return sta_resp_write_big_number(out, value->bytes, 2);
    default: /* the same in both: simple, error, integer, null array */
        return sta_buffer_append(out, value->raw);
    }
}

static int downgrade_value(struct sta_buffer *out, struct sta_resp_walk *walk,
                           const struct sta_resp_value *value)
{
    switch (value->type) {
    case STA_RESP_BULK:
        return sta_buffer_append(out, value->raw);
    case STA_RESP_VERBATIM:
        return sta_resp_write_verbatim(out, value->format, value->bytes, 2);
    case STA_RESP_BULK_ERROR:
        return sta_resp_write_bulk_error(out, value->bytes, 2);
    case STA_RESP_ARRAY:
    case STA_RESP_SET:
    case STA_RESP_PUSH:
    case STA_RESP_MAP:
        return sta_resp_write_header(out, value->type, value->count, 2);
    case STA_RESP_ATTRIBUTE:
        for (uint64_t i = 0; i < value->count * 2; i++) {
            if (sta_resp_skip(walk, NULL) != STRATA_OK)
                return STRATA_ERR_PROTOCOL;
        }
        return STRATA_OK;
    default:
        return downgrade_line(out, value);
    }
}

int sta_resp_downgrade(struct sta_buffer *out, struct strata_bytes frame)
{
    const size_t before = sta_buffer_len(out);
    struct sta_resp_walk walk = sta_resp_walk(frame);
    struct sta_resp_value value;
    int status;
    while ((status = sta_resp_next(&walk, &value)) == STRATA_OK) {
        status = downgrade_value(out, &walk, &value);
        if (status < 0)
            break;
    }
    if (status != STRATA_MISS) {
        out->tail = out->head + before;
        return status;
    }
    return STRATA_OK;
}

/* ---- which commands ---- */

/* Replies of two shapes. Where `option` is set, only with that argument; where `argc` is set, only
 * with at least so many arguments. tests/integration/test_downgrade.c runs them all. */
static const struct {
    const char *name;
    const char *option;
    size_t argc;
} two_shapes[] = {
    /* pairs: nested in RESP3, flat in RESP2 */
    {"zrange", "withscores", 0},
    {"zrevrange", "withscores", 0},
    {"zrangebyscore", "withscores", 0},
    {"zrevrangebyscore", "withscores", 0},
    {"zunion", "withscores", 0},
    {"zinter", "withscores", 0},
    {"zdiff", "withscores", 0},
    {"zrandmember", "withscores", 0},
    {"hrandfield", "withvalues", 0},
    {"zpopmin", NULL, 3},
    {"zpopmax", NULL, 3},
    /* a map in RESP3, nested pairs in RESP2 */
    {"xread", NULL, 0},
    {"xreadgroup", NULL, 0},
    /* an array that is missing */
    {"lpop", NULL, 3},
    {"rpop", NULL, 3},
    {"blpop", NULL, 0},
    {"brpop", NULL, 0},
    {"blmove", NULL, 0},
    {"brpoplpush", NULL, 0},
    {"bzpopmin", NULL, 0},
    {"bzpopmax", NULL, 0},
    {"lmpop", NULL, 0},
    {"blmpop", NULL, 0},
    {"zmpop", NULL, 0},
    {"bzmpop", NULL, 0},
    {"geopos", NULL, 0},
    {"xpending", NULL, 0},
    {"exec", NULL, 0},
    {"zrank", "withscore", 0}, /* since 7.2 */
    {"zrevrank", "withscore", 0},
    /* tells the protocol itself */
    {"hello", NULL, 0},
};

static bool arg_is(struct strata_bytes arg, const char *word)
{
    return arg.len == strlen(word) && strncasecmp(arg.data, word, arg.len) == 0;
}

bool sta_resp_downgrade_is_exact(const struct strata_bytes *argv, size_t argc)
{
    for (size_t i = 0; i < sizeof(two_shapes) / sizeof(two_shapes[0]); i++) {
        if (argc == 0 || !arg_is(argv[0], two_shapes[i].name))
            continue;
        bool has_option = two_shapes[i].option == NULL;
        for (size_t k = 1; k < argc && !has_option; k++)
            has_option = arg_is(argv[k], two_shapes[i].option);
        return !has_option || argc < two_shapes[i].argc;
    }
    return true;
}
