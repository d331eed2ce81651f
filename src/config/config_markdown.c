/* SPDX-License-Identifier: MIT
 *
 * The tables of docs/configuration.md: one per group, a row per option.
 */
#include <string.h>

#include "config/render.h"
#include "config/setting.h"

/* Inside a table '|' ends a cell. */
static void put_cell(struct sta_render *render, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "|");
        sta_render_bytes(render, text, len);
        text += len;
        if (*text == '|') {
            sta_render_text(render, "\\|");
            text++;
        }
    }
}

static void put_code(struct sta_render *render, const char *text)
{
    if (text == NULL)
        return;
    sta_render_text(render, "`");
    put_cell(render, text);
    sta_render_text(render, "`");
}

static void put_group(struct sta_render *render, const char *group, const char *section)
{
    sta_render_texts(render, "### ", group, "\n\n", NULL);
    if (section != NULL)
        sta_render_texts(render, "In the file these stand under `[", section, "]`.\n\n", NULL);
    sta_render_text(render,
                    "| variable | flag | in the file | default | allowed | live | meaning |\n"
                    "| --- | --- | --- | --- | --- | --- | --- |\n");
}

static void put_row(struct sta_render *render, const struct sta_setting *setting)
{
    const struct sta_option *option = setting->option;
    char allowed[STA_OPTION_ALLOWED_CAP];
    const char *given = setting->default_text;
    sta_option_value_allowed(option, allowed, sizeof allowed);
    sta_render_text(render, "| ");
    put_code(render, option->env);
    sta_render_text(render, " | ");
    put_code(render, option->flag);
    sta_render_text(render, " | ");
    put_code(render, option->name);
    sta_render_text(render, " | ");
    if (given == NULL || given[0] == '\0')
        sta_render_text(render, given == NULL ? "none" : "empty");
    else
        put_code(render, given);
    sta_render_text(render, " | ");
    put_cell(render, allowed);
    sta_render_text(render, setting->fixed == NULL ? " | yes | " : " | no: ");
    if (setting->fixed != NULL)
        sta_render_texts(render, setting->fixed, " | ", NULL);
    put_cell(render, option->help);
    sta_render_text(render, " |\n");
}

int sta_config_markdown(const struct sta_option_set *sets, size_t count, struct sta_buffer *out)
{
    struct sta_render render = sta_render_begin(out);
    const char *group = "";
    struct sta_config *config = sta_setting_create(sets, count);
    if (config == NULL)
        return STRATA_ERR_NOMEM;
    for (size_t i = 0; i < config->count; i++) {
        const struct sta_setting *setting = &config->settings[i];
        if (strcmp(group, setting->option->group) != 0) {
            sta_render_text(&render, i > 0 ? "\n" : "");
            group = setting->option->group;
            put_group(&render, group, setting->section);
        }
        put_row(&render, setting);
    }
    sta_config_destroy(&config);
    return sta_render_end(&render);
}
