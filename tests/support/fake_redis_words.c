/* SPDX-License-Identifier: MIT
 *
 * The commands that the scripted server receives, as text.
 */
#include "support/fake_redis_words.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

struct cursor {
    const char *at;
    const char *end;
};

/* A number behind `mark`, with its line end: 1, 0 where it is not whole yet, -1 where it is
 * none. */
static int take_number(struct cursor *cursor, char mark, size_t *number)
{
    const char *line = cursor->at;
    const char *lf = memchr(line, '\n', (size_t)(cursor->end - line));
    if (line < cursor->end && *line != mark)
        return -1;
    if (lf == NULL)
        return 0;
    *number = 0;
    for (line++; line < lf && isdigit((unsigned char)*line) && *number < 1u << 28; line++)
        *number = 10 * *number + (size_t)(*line - '0');
    cursor->at = lf + 1;
    return *line == '\r' && line + 1 == lf ? 1 : -1;
}

static void append(char *text, size_t cap, size_t *used, const char *word, size_t len)
{
    for (size_t i = 0; i < len && *used + 1 < cap; i++)
        text[(*used)++] = isprint((unsigned char)word[i]) ? word[i] : '.';
}

static int take_bulk(struct cursor *cursor, char *text, size_t cap, size_t *used)
{
    size_t len;
    int result = take_number(cursor, '$', &len);
    if (result <= 0)
        return result;
    if ((size_t)(cursor->end - cursor->at) < len + 2)
        return 0;
    append(text, cap, used, cursor->at, len);
    cursor->at += len + 2;
    return 1;
}

static long take_inline(const char *input, size_t len, char *text, size_t cap, unsigned *words)
{
    const char *lf = memchr(input, '\n', len);
    size_t used = 0;
    if (lf == NULL)
        return 0;
    size_t line = (size_t)(lf - input);
    append(text, cap, &used, input, line > 0 && lf[-1] == '\r' ? line - 1 : line);
    text[used] = '\0';
    *words = 1;
    for (const char *blank = strchr(text, ' '); blank != NULL; blank = strchr(blank + 1, ' '))
        ++*words;
    return (long)line + 1;
}

long fake_redis_words(const char *input, size_t len, char *text, size_t cap, unsigned *words)
{
    struct cursor cursor = {.at = input, .end = input + len};
    size_t count;
    size_t used = 0;
    if (len == 0)
        return 0;
    if (*input != '*')
        return take_inline(input, len, text, cap, words);
    int result = take_number(&cursor, '*', &count);
    for (size_t i = 0; i < count && result > 0; i++) {
        if (i > 0)
            append(text, cap, &used, " ", 1);
        result = take_bulk(&cursor, text, cap, &used);
    }
    text[used] = '\0';
    *words = (unsigned)count;
    return result > 0 ? cursor.at - input : result;
}
