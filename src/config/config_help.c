/* SPDX-License-Identifier: MIT
 *
 * The part of --help that lists the flags, from the tables:
 *
 *     L1: memory of this process
 *
 *       --l1-ttl SECONDS
 *           How long a value may be answered from memory. ...
 *           Allowed: seconds, 0.001 to 31536000, fractions allowed, or unlimited.
 *           Default: 300. Variable: CACHE_L1_TTL.
 *
 * What has no flag is listed by its variable.
 */
#include <stdio.h>
#include <string.h>

#include "config/render.h"
#include "config/setting.h"

#define HELP_WIDTH  80u
#define HELP_INDENT 10u

static const char *const operands[] = {
    [STA_OPTION_SWITCH] = "BOOLEAN",    [STA_OPTION_COUNT] = "NUMBER",
    [STA_OPTION_BYTES] = "BYTES",       [STA_OPTION_SECONDS] = "SECONDS",
    [STA_OPTION_CHOICE] = "WORD",       [STA_OPTION_STRING] = "TEXT",
    [STA_OPTION_URL] = "URL",           [STA_OPTION_NODES] = "HOST:PORT,...",
    [STA_OPTION_ENDPOINTS] = "ADDRESS", [STA_OPTION_QUOTAS] = "PREFIX=BYTES,...",
    [STA_OPTION_LABELS] = "PREFIX,...",
};

static void put_paragraph(struct sta_render *render, const char *text)
{
    sta_render_wrapped(render, HELP_INDENT, HELP_WIDTH, text);
}

static void put_default(struct sta_render *render, const char *text, const char *env, bool live)
{
    char line[256];
    const char *shown = text == NULL ? "none" : text[0] == '\0' ? "empty" : text;
    (void)snprintf(line, sizeof line, "Default: %s.%s%s%s%s", shown,
                   env != NULL ? " Variable: " : "", env != NULL ? env : "", env != NULL ? "." : "",
                   live ? " Live." : "");
    put_paragraph(render, line);
}

static void put_option(struct sta_render *render, const struct sta_setting *setting)
{
    const struct sta_option *option = setting->option;
    char allowed[STA_OPTION_ALLOWED_CAP];
    char line[STA_OPTION_ALLOWED_CAP + 64];
    sta_option_value_allowed(option, allowed, sizeof allowed);
    (void)snprintf(line, sizeof line, "Allowed: %s.%s", allowed,
                   sta_option_value_is_list(option) ? " May be given several times." : "");
    if (option->flag != NULL)
        sta_render_texts(render, "  ", option->flag, " ", operands[option->type], "\n", NULL);
    else
        sta_render_texts(render, "  ", option->env, "=", operands[option->type], "\n", NULL);
    put_paragraph(render, option->help);
    put_paragraph(render, line);
    put_default(render, setting->default_text, option->flag != NULL ? option->env : NULL,
                setting->fixed == NULL);
}

static void put_general(struct sta_render *render)
{
    sta_render_text(render, "General\n\n  --config FILE\n");
    put_paragraph(render,
                  "A file with lines \"name = value\"; a name is its flag without --, with "
                  "_ for -. Flags go before variables, variables before the file. What is live "
                  "changes while the program runs, too.");
    put_default(render, NULL, "STRATA_CONFIG_FILE", false);
    sta_render_text(render, "  --help, -h\n");
    put_paragraph(render, "This text.");
    sta_render_text(render, "  --version\n");
    put_paragraph(render, "The version.");
}

int sta_config_help(const struct sta_option_set *sets, size_t count, struct sta_buffer *out)
{
    struct sta_render render = sta_render_begin(out);
    const char *group = "";
    struct sta_config *config = sta_setting_create(sets, count);
    if (config == NULL)
        return STRATA_ERR_NOMEM;
    for (size_t i = 0; i < config->count; i++) {
        const struct sta_setting *setting = &config->settings[i];
        if (setting->option->flag == NULL && setting->option->env == NULL)
            continue;
        if (strcmp(group, setting->option->group) != 0) {
            group = setting->option->group;
            sta_render_texts(&render, group, "\n\n", NULL);
        }
        put_option(&render, setting);
        sta_render_text(&render, "\n");
    }
    put_general(&render);
    sta_config_destroy(&config);
    return sta_render_end(&render);
}
