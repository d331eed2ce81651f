/* SPDX-License-Identifier: MIT
 *
 * Parsing of lists; see option_list.h. Members are gathered in a buffer, one zero-terminated text
 * after another, and then packed with their pointers into one block:
 *
 *     memory: | pointer | pointer | ... | "a:1\0b:2\0..." |
 */
#include "config/option_list.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "config/quota.h"
#include "config/quote.h"
#include "core/buffer.h"
#include "core/error.h"
#include "net/endpoint.h"

#define LIST_BYTES_MOST ((size_t)1 << 20)

struct members {
    const struct sta_option *option;
    struct sta_buffer bytes;
    size_t count;
};

static int check_endpoint(bool nodes, const char *member, const char **reason)
{
    struct sta_endpoint endpoint;
    int status = nodes ? sta_endpoint_parse_tcp(member, &endpoint, reason)
                       : sta_endpoint_parse(member, &endpoint, reason);
    if (status == STRATA_OK && nodes && endpoint.port == 0) {
        *reason = "the port must be 1 to 65535";
        status = STRATA_ERR_INVALID;
    }
    return status;
}

static int check_label(const char *member, const char **reason)
{
    static const char others[] = "_.:/-";
    size_t len = strlen(member);
    bool fine = len >= 1 && len <= STA_OPTION_LABEL_MOST;
    for (size_t i = 0; fine && i < len; i++)
        fine = isascii((unsigned char)member[i]) &&
               (isalnum((unsigned char)member[i]) || strchr(others, member[i]) != NULL);
    *reason = fine ? "the word for all that have no row" : "not a label";
    return fine && strcmp(member, "other") != 0 ? STRATA_OK : STRATA_ERR_INVALID;
}

static int check_member(const struct sta_option *option, const char *member, const char **reason)
{
    struct sta_quota quota;
    switch (option->type) {
    case STA_OPTION_QUOTAS:
        return sta_quota_parse(member, &quota, reason);
    case STA_OPTION_LABELS:
        return check_label(member, reason);
    default:
        return check_endpoint(option->type == STA_OPTION_NODES, member, reason);
    }
}

int sta_option_list_check(const struct sta_option *option, const char *member,
                          struct strata_error *error)
{
    const char *reason = NULL;
    char quoted[STA_QUOTE_CAP], allowed[STA_OPTION_ALLOWED_CAP];
    int status = check_member(option, member, &reason);
    if (status == STRATA_OK)
        return STRATA_OK;
    sta_quote_text(member, strlen(member), quoted, sizeof quoted);
    sta_option_value_allowed(option, allowed, sizeof allowed);
    return sta_error_set(error, STRATA_ERR_CONFIG, "\"%s\": %s; allowed: %s", quoted, reason,
                         allowed);
}

/* Of a quota or label. */
static struct strata_bytes prefix_in(const char *member)
{
    const char *equals = strrchr(member, '=');
    return strata_bytes(member, equals != NULL ? (size_t)(equals - member) : strlen(member));
}

int sta_option_list_check_together(const struct sta_option *option, const char *const *list,
                                   size_t count, struct strata_error *error)
{
    char quoted[STA_QUOTE_CAP];
    bool quotas = option->type == STA_OPTION_QUOTAS;
    for (size_t i = 0; (quotas || option->type == STA_OPTION_LABELS) && i < count; i++) {
        struct strata_bytes prefix = prefix_in(list[i]);
        for (size_t j = 0; j < i; j++) {
            struct strata_bytes other = prefix_in(list[j]);
            if (other.len != prefix.len || memcmp(other.data, prefix.data, prefix.len) != 0)
                continue;
            sta_quote_text(prefix.data, prefix.len, quoted, sizeof quoted);
            return sta_error_set(error, STRATA_ERR_CONFIG,
                                 quotas ? "two quotas for the prefix \"%s\""
                                        : "the prefix \"%s\" is there twice",
                                 quoted);
        }
    }
    return STRATA_OK;
}

/* Takes a member in, with its zero. */
static int members_push(struct members *members, struct strata_bytes text,
                        struct strata_error *error)
{
    size_t len = sta_buffer_len(&members->bytes);
    if (members->count == members->option->most)
        return sta_error_set(error, STRATA_ERR_CONFIG, "more than %llu members",
                             (unsigned long long)members->option->most);
    int status = sta_buffer_append(&members->bytes, text);
    if (status == STRATA_OK)
        status = sta_buffer_append(&members->bytes, strata_bytes("", 1));
    if (status == STRATA_ERR_TOO_BIG)
        return sta_error_set(error, STRATA_ERR_CONFIG, "longer than a list may be");
    if (status < 0)
        return sta_error_set(error, status, "%s", strata_status_text(status));
    members->count++;
    const char *member = (const char *)sta_buffer_bytes(&members->bytes).data + len;
    return sta_option_list_check(members->option, member, error);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct strata_bytes trim(struct strata_bytes text)
{
    const char *begin = text.data;
    const char *end = begin + text.len;
    while (begin < end && is_space(*begin))
        begin++;
    while (begin < end && is_space(end[-1]))
        end--;
    return strata_bytes(begin, (size_t)(end - begin));
}

static int push_commas(struct members *members, struct strata_bytes text,
                       struct strata_error *error)
{
    const char *begin = text.data;
    const char *end = begin + text.len;
    if (trim(text).len == 0)
        return STRATA_OK;
    for (;;) {
        const char *comma = memchr(begin, ',', (size_t)(end - begin));
        const char *stop = comma != NULL ? comma : end;
        int status =
            members_push(members, trim(strata_bytes(begin, (size_t)(stop - begin))), error);
        if (status < 0 || comma == NULL)
            return status;
        begin = comma + 1;
    }
}

static int push_json(struct members *members, struct strata_bytes text, struct strata_error *error)
{
    json_error_t why;
    size_t index;
    json_t *member;
    int status = STRATA_OK;
    json_t *list = json_loadb(text.data, text.len, 0, &why);
    if (list == NULL && json_error_code(&why) == json_error_out_of_memory)
        return sta_error_set(error, STRATA_ERR_NOMEM, "%s", strata_status_text(STRATA_ERR_NOMEM));
    if (list == NULL)
        return sta_error_set(error, STRATA_ERR_CONFIG, "not a JSON list");
    json_array_foreach(list, index, member)
    {
        if (!json_is_string(member))
            status = sta_error_set(error, STRATA_ERR_CONFIG, "a member is not a JSON string");
        else
            status = members_push(
                members, strata_bytes(json_string_value(member), json_string_length(member)),
                error);
        if (status < 0)
            break;
    }
    json_decref(list);
    return status;
}

static int push_text(struct members *members, struct strata_bytes text, struct strata_error *error)
{
    struct strata_bytes inner = trim(text);
    const char *begin = inner.data;
    bool brackets = inner.len >= 2 && begin[0] == '[' && begin[inner.len - 1] == ']';
    if (brackets && memchr(begin, '"', inner.len) != NULL)
        return push_json(members, inner, error);
    if (brackets)
        inner = strata_bytes(begin + 1, inner.len - 2);
    return push_commas(members, inner, error);
}

/* One block for the pointers and the bytes. */
static int members_pack(const struct members *members, struct sta_option_value *out,
                        struct strata_error *error)
{
    struct strata_bytes bytes = sta_buffer_bytes(&members->bytes);
    *out = (struct sta_option_value){.count = members->count};
    if (members->count == 0)
        return STRATA_OK;
    const char **list = malloc(members->count * sizeof *list + bytes.len);
    if (list == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "%s", strata_status_text(STRATA_ERR_NOMEM));
    char *text = (char *)(list + members->count);
    memcpy(text, bytes.data, bytes.len);
    for (size_t i = 0; i < members->count; i++) {
        list[i] = text;
        text += strlen(text) + 1;
    }
    out->list = list;
    out->memory = list;
    return STRATA_OK;
}

int sta_option_list_parse(const struct sta_option *option, const char *text,
                          const struct sta_option_value *before, struct sta_option_value *out,
                          struct strata_error *error)
{
    struct members members = {.option = option};
    int status = STRATA_OK;
    sta_buffer_init(&members.bytes, LIST_BYTES_MOST);
    for (size_t i = 0; status == STRATA_OK && before != NULL && i < before->count; i++)
        status = members_push(&members, strata_text(before->list[i]), error);
    if (status == STRATA_OK)
        status = push_text(&members, strata_text(text), error);
    struct sta_option_value packed;
    if (status == STRATA_OK)
        status = members_pack(&members, &packed, error);
    if (status == STRATA_OK) {
        status = sta_option_list_check_together(option, packed.list, packed.count, error);
        if (status == STRATA_OK)
            *out = packed;
        else
            free(packed.memory);
    }
    sta_buffer_fini(&members.bytes);
    return status;
}
