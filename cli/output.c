/* SPDX-License-Identifier: MIT
 *
 * Printing: values, JSON documents, complaints.
 */
#include "cli/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/utf8.h"

#define ESCAPED_LIMIT ((size_t)1 << 32)

void cli_output_complain(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    /* Keys and what a server said may hold anything; a terminal is not to obey it. */
    struct sta_buffer escaped;
    sta_buffer_init(&escaped, sizeof line * 4);
    (void)fflush(stdout);
    if (cli_output_escape(&escaped, strata_text(line)) == STRATA_OK)
        (void)fprintf(stderr, "strata: %.*s\n", (int)sta_buffer_len(&escaped),
                      (const char *)sta_buffer_bytes(&escaped).data);
    sta_buffer_fini(&escaped);
}

enum cli_exit cli_output_failure(const struct cli_run *run, const struct strata_error *error)
{
    enum cli_exit code = cli_command_exit(error->status);
    cli_output_complain("%s", error->text);
    if (!run->json)
        return code;
    json_t *document = json_object();
    if (document != NULL && cli_output_member(document, "error", strata_text(error->text)) < 0) {
        json_decref(document);
        document = NULL;
    }
    return cli_output_json(document, code);
}

enum cli_exit cli_output_json(json_t *document, enum cli_exit code)
{
    char *text = NULL;
    if (document != NULL && json_object_set_new(document, "exit", json_integer(code)) == 0)
        text = json_dumps(document, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(document);
    if (text == NULL) {
        cli_output_complain("out of memory");
        return CLI_NEGATIVE;
    }
    (void)puts(text);
    free(text);
    return code;
}

int cli_output_member(json_t *object, const char *name, struct strata_bytes value)
{
    if (sta_utf8_valid(value))
        return json_object_set_new(object, name,
                                   json_stringn(value.len == 0 ? "" : value.data, value.len));
    char longer[64];
    struct sta_buffer base64;
    (void)snprintf(longer, sizeof longer, "%s_base64", name);
    sta_buffer_init(&base64, ESCAPED_LIMIT);
    int status = cli_output_base64(&base64, value);
    struct strata_bytes bytes = sta_buffer_bytes(&base64);
    if (status == STRATA_OK)
        status = json_object_set_new(object, longer, json_stringn(bytes.data, bytes.len));
    sta_buffer_fini(&base64);
    return status < 0 ? -1 : 0;
}

bool cli_output_is_terminal(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

void cli_output_value(struct strata_bytes value)
{
    struct sta_buffer escaped;
    sta_buffer_init(&escaped, ESCAPED_LIMIT);
    if (!cli_output_is_terminal())
        (void)fwrite(value.data, 1, value.len, stdout);
    else if (cli_output_escape(&escaped, value) == STRATA_OK)
        (void)fwrite(sta_buffer_bytes(&escaped).data, 1, sta_buffer_len(&escaped), stdout);
    else
        cli_output_complain("out of memory");
    sta_buffer_fini(&escaped);
}

/* Whether a terminal shows the character as itself: no control character (C0, C1, DEL), none
 * that changes the direction of text, no line or paragraph separator. */
static bool is_printable(uint32_t character)
{
    return character >= 0x20 && !(character >= 0x7f && character < 0xa0) &&
           !(character >= 0x200b && character <= 0x200f) &&
           !(character >= 0x2028 && character <= 0x202e) &&
           !(character >= 0x2066 && character <= 0x2069) && character != 0xfeff;
}

/* One byte as an escape sequence of C. */
static int escape_byte(struct sta_buffer *out, uint8_t byte)
{
    char text[8];
    switch (byte) {
    case '\n':
        return sta_buffer_append(out, strata_text("\\n"));
    case '\r':
        return sta_buffer_append(out, strata_text("\\r"));
    case '\t':
        return sta_buffer_append(out, strata_text("\\t"));
    case '\\':
        return sta_buffer_append(out, strata_text("\\\\"));
    default:
        (void)snprintf(text, sizeof text, "\\x%02x", byte);
        return sta_buffer_append(out, strata_text(text));
    }
}

int cli_output_escape(struct sta_buffer *out, struct strata_bytes value)
{
    const uint8_t *bytes = value.data;
    size_t at = 0;
    while (at < value.len) {
        uint32_t character;
        struct strata_bytes rest = strata_bytes(bytes + at, value.len - at);
        size_t len = sta_utf8_next(rest, &character);
        bool shown = len > 0 && is_printable(character) && character != '\\';
        int status = STRATA_OK;
        if (shown)
            status = sta_buffer_append(out, strata_bytes(bytes + at, len));
        for (size_t i = 0; !shown && i < (len > 0 ? len : 1) && status == STRATA_OK; i++)
            status = escape_byte(out, bytes[at + i]);
        if (status < 0)
            return status;
        at += len > 0 ? len : 1;
    }
    return STRATA_OK;
}

int cli_output_base64(struct sta_buffer *out, struct strata_bytes value)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *bytes = value.data;
    for (size_t at = 0; at < value.len; at += 3) {
        size_t count = value.len - at < 3 ? value.len - at : 3;
        uint32_t three = (uint32_t)bytes[at] << 16 |
                         (uint32_t)(count > 1 ? bytes[at + 1] : 0) << 8 |
                         (uint32_t)(count > 2 ? bytes[at + 2] : 0);
        char four[4] = {digits[three >> 18], digits[three >> 12 & 63],
                        count > 1 ? digits[three >> 6 & 63] : '=',
                        count > 2 ? digits[three & 63] : '='};
        int status = sta_buffer_append(out, strata_bytes(four, sizeof four));
        if (status < 0)
            return status;
    }
    return STRATA_OK;
}
