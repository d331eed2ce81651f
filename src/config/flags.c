/* SPDX-License-Identifier: MIT
 *
 * Reading of flags. Every flag takes a value, switches too, so that a flag means the same
 * wherever it stands; only --help and --version take none.
 */
#include "config/flags.h"

#include <string.h>

#include "config/quote.h"
#include "core/error.h"
#include "core/spelling.h"

static int refuse_unknown(const struct sta_config *config, const char *flag, size_t len,
                          struct strata_error *error)
{
    char quoted[STA_SPELLING_MAX + 1];
    sta_quote_text(flag, len, quoted, sizeof quoted);
    struct sta_spelling spelling = {.wanted = quoted};
    for (size_t i = 0; i < config->count; i++) {
        if (config->settings[i].option->flag != NULL)
            sta_spelling_offer(&spelling, config->settings[i].option->flag);
    }
    sta_spelling_offer(&spelling, "--config");
    sta_spelling_offer(&spelling, "--help");
    sta_spelling_offer(&spelling, "--version");
    if (spelling.nearest == NULL)
        return sta_error_set(error, STRATA_ERR_INVALID, "%s: not a flag; see --help", quoted);
    return sta_error_set(error, STRATA_ERR_INVALID, "%s: not a flag; did you mean %s?", quoted,
                         spelling.nearest);
}

static int refuse_operand(const char *operand, struct strata_error *error)
{
    char quoted[STA_QUOTE_CAP];
    sta_quote_text(operand, strlen(operand), quoted, sizeof quoted);
    return sta_error_set(error, STRATA_ERR_INVALID, "\"%s\": not expected; see --help", quoted);
}

/* The flag at *index, whose value may be the argument after it; *index moves on to what was
 * used last. */
static int read_flag(struct sta_config *config, const struct sta_config_input *input, int *index,
                     struct strata_error *error)
{
    const char *flag = input->argv[*index];
    size_t len = strcspn(flag, "=");
    bool is_config = len == strlen("--config") && memcmp(flag, "--config", len) == 0;
    struct sta_setting *setting = is_config ? NULL : sta_setting_by_flag(config, flag, len);
    if (!is_config && setting == NULL)
        return refuse_unknown(config, flag, len, error);

    const char *value = flag[len] == '=' ? flag + len + 1 : NULL;
    if (value == NULL && *index + 1 < input->argc && strncmp(input->argv[*index + 1], "--", 2) != 0)
        value = input->argv[++*index];
    if (value == NULL)
        return sta_error_set(error, STRATA_ERR_INVALID,
                             "%s: needs a value; one that begins with -- is written %s=--...", flag,
                             flag);
    if (is_config)
        return sta_setting_offer_file(config, STA_SOURCE_FLAG, value, error);
    return sta_setting_offer(setting, STA_SOURCE_FLAG, value, error);
}

int sta_flags_read(struct sta_config *config, const struct sta_config_input *input,
                   struct strata_error *error)
{
    int index = 1;
    for (; index < input->argc; index++) {
        const char *argument = input->argv[index];
        if (strcmp(argument, "--") == 0) {
            index++;
            break;
        }
        if (argument[0] != '-' || argument[1] == '\0')
            break;
        if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)
            return STA_CONFIG_HELP;
        if (strcmp(argument, "--version") == 0)
            return STA_CONFIG_VERSION;
        int status = read_flag(config, input, &index, error);
        if (status < 0)
            return status;
    }
    config->operands = index < input->argc ? index : input->argc;
    if (config->operands < input->argc && !input->operands)
        return refuse_operand(input->argv[config->operands], error);
    return STRATA_OK;
}
