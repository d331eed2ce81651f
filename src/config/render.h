/* SPDX-License-Identifier: MIT
 *
 * Text appended piece by piece to a buffer, whole or not at all: after a failure nothing more is
 * appended, and end() takes back what was.
 */
#ifndef STA_RENDER_H
#define STA_RENDER_H

#include "core/buffer.h"

struct sta_render {
    struct sta_buffer *out;
    size_t before; /* bytes that were in `out` */
    size_t column; /* of the line that is being written */
    int status;
};

struct sta_render sta_render_begin(struct sta_buffer *out);
void sta_render_bytes(struct sta_render *render, const char *text, size_t len);
void sta_render_text(struct sta_render *render, const char *text);

/* Each of the texts up to a NULL. */
void sta_render_texts(struct sta_render *render, ...) __attribute__((sentinel));

/* Words, each line after `indent` spaces and broken before column `width`; ends the line. */
void sta_render_wrapped(struct sta_render *render, size_t indent, size_t width, const char *text);

/* STRATA_OK or the first failure. */
int sta_render_end(struct sta_render *render);

#endif
