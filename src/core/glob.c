/* SPDX-License-Identifier: MIT
 *
 * Glob patterns (glob.h): compiling, matching.
 */
#include "core/glob.h"

#include <stdlib.h>
#include <string.h>

#include "strata/status.h"

enum kind { KIND_BYTE, KIND_ANY, KIND_CLASS, KIND_STAR };

/* What is left of the pattern. */
struct source {
    const uint8_t *at;
    size_t left;
};

static uint8_t next_byte(struct source *source)
{
    source->left--;
    return *source->at++;
}

static void class_add(struct sta_glob_class *class, uint8_t from, uint8_t to)
{
    uint8_t low = from < to ? from : to;
    uint8_t high = from < to ? to : from;
    for (unsigned byte = low; byte <= high; byte++)
        class->bits[byte / 8] |= (uint8_t)(1u << byte % 8);
}

/* From behind the [ to behind the ]. */
static void compile_class(struct sta_glob_class *class, struct source *source)
{
    bool not = source->left > 0 && *source->at == '^';
    if (not )
        next_byte(source);
    while (source->left > 0) {
        uint8_t byte = next_byte(source);
        if (byte == ']')
            break;
        if (byte == '\\' && source->left >= 1) {
            byte = next_byte(source);
            class_add(class, byte, byte);
        } else if (source->left >= 2 && *source->at == '-') {
            next_byte(source);
            class_add(class, byte, next_byte(source));
        } else {
            class_add(class, byte, byte);
        }
    }
    for (size_t i = 0; not &&i < sizeof class->bits; i++)
        class->bits[i] = (uint8_t) ~class->bits[i];
}

static void compile(struct sta_glob *glob, struct source source)
{
    uint16_t classes = 0;
    while (source.left > 0) {
        struct sta_glob_token *token = &glob->tokens[glob->count];
        uint8_t byte = next_byte(&source);
        *token = (struct sta_glob_token){.kind = KIND_BYTE, .byte = byte};
        if (byte == '*') {
            token->kind = KIND_STAR;
            while (source.left > 0 && *source.at == '*') /* many are one */
                next_byte(&source);
        } else if (byte == '?') {
            token->kind = KIND_ANY;
        } else if (byte == '[') {
            token->kind = KIND_CLASS;
            token->class = classes;
            compile_class(&glob->classes[classes++], &source);
        } else if (byte == '\\' && source.left > 0) {
            token->byte = next_byte(&source);
        }
        glob->count++;
    }
}

static void compile_plain(struct sta_glob *glob, struct strata_bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        glob->tokens[glob->count++] =
            (struct sta_glob_token){.kind = KIND_BYTE, .byte = ((const uint8_t *)text.data)[i]};
}

int sta_glob_init(struct sta_glob *glob, struct strata_bytes pattern)
{
    return sta_glob_init_behind(glob, strata_bytes(NULL, 0), pattern);
}

int sta_glob_init_behind(struct sta_glob *glob, struct strata_bytes before,
                         struct strata_bytes pattern)
{
    size_t classes = 0;
    if (pattern.len > STA_GLOB_MAX)
        return STRATA_ERR_TOO_BIG;
    for (size_t i = 0; i < pattern.len; i++)
        classes += ((const uint8_t *)pattern.data)[i] == '[';
    *glob =
        (struct sta_glob){.tokens = malloc((before.len + pattern.len + 1) * sizeof *glob->tokens),
                          .classes = calloc(classes + 1, sizeof *glob->classes)};
    if (glob->tokens == NULL || glob->classes == NULL) {
        sta_glob_fini(glob);
        return STRATA_ERR_NOMEM;
    }
    compile_plain(glob, before);
    compile(glob, (struct source){pattern.data, pattern.len});
    return STRATA_OK;
}

void sta_glob_fini(struct sta_glob *glob)
{
    free(glob->tokens);
    free(glob->classes);
    *glob = (struct sta_glob){0};
}

static bool takes(const struct sta_glob *glob, const struct sta_glob_token *token, uint8_t byte)
{
    if (token->kind == KIND_BYTE)
        return token->byte == byte;
    if (token->kind == KIND_CLASS)
        return (glob->classes[token->class].bits[byte / 8] >> byte % 8 & 1) != 0;
    return token->kind == KIND_ANY;
}

bool sta_glob_match(const struct sta_glob *glob, struct strata_bytes text)
{
    const uint8_t *bytes = text.data;
    size_t token = 0;
    size_t at = 0;
    size_t after_star = SIZE_MAX; /* the token behind the last *; SIZE_MAX: there was none */
    size_t star_ends = 0;         /* where the text begins that it leaves to the others */
    while (at < text.len) {
        if (token < glob->count && glob->tokens[token].kind == KIND_STAR) {
            after_star = ++token;
            star_ends = at;
        } else if (token < glob->count && takes(glob, &glob->tokens[token], bytes[at])) {
            token++;
            at++;
        } else if (after_star != SIZE_MAX) {
            token = after_star;
            at = ++star_ends;
        } else {
            return false;
        }
    }
    while (token < glob->count && glob->tokens[token].kind == KIND_STAR)
        token++;
    return token == glob->count;
}

size_t sta_glob_literal(const struct sta_glob *glob)
{
    size_t count = 0;
    while (count < glob->count && glob->tokens[count].kind == KIND_BYTE)
        count++;
    return count;
}
