/* SPDX-License-Identifier: MIT
 *
 * Text into a buffer; see render.h.
 */
#include "config/render.h"

#include <stdarg.h>
#include <string.h>

#include "strata/status.h"

struct sta_render sta_render_begin(struct sta_buffer *out)
{
    return (struct sta_render){.out = out, .before = sta_buffer_len(out)};
}

void sta_render_bytes(struct sta_render *render, const char *text, size_t len)
{
    const char *lf = memrchr(text, '\n', len);
    if (render->status == STRATA_OK)
        render->status = sta_buffer_append(render->out, strata_bytes(text, len));
    render->column = lf != NULL ? (size_t)(text + len - (lf + 1)) : render->column + len;
}

void sta_render_text(struct sta_render *render, const char *text)
{
    sta_render_bytes(render, text, strlen(text));
}

void sta_render_texts(struct sta_render *render, ...)
{
    va_list texts;
    va_start(texts, render);
    for (const char *text = va_arg(texts, const char *); text != NULL;
         text = va_arg(texts, const char *))
        sta_render_text(render, text);
    va_end(texts);
}

static void indent_to(struct sta_render *render, size_t column)
{
    while (render->column < column)
        sta_render_bytes(render, " ", 1);
}

void sta_render_wrapped(struct sta_render *render, size_t indent, size_t width, const char *text)
{
    indent_to(render, indent);
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (render->column > indent && render->column + 1 + len > width) {
            sta_render_text(render, "\n");
            indent_to(render, indent);
        } else if (render->column > indent) {
            sta_render_text(render, " ");
        }
        sta_render_bytes(render, text, len);
        text += len;
        text += strspn(text, " ");
    }
    sta_render_text(render, "\n");
}

int sta_render_end(struct sta_render *render)
{
    if (render->status < 0)
        render->out->tail -= sta_buffer_len(render->out) - render->before;
    return render->status;
}
