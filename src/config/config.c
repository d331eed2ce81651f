/* SPDX-License-Identifier: MIT
 *
 * Loading: the sources are read into settings, and only when all of them are good do the values
 * go into the targets; see config.h.
 */
#include "config/config.h"

#include <stdlib.h>

#include "config/config_file.h"
#include "config/environment.h"
#include "config/flags.h"
#include "config/setting.h"
#include "core/error.h"

/* Flags come first, because they may ask for help or name the file. Precedence does not depend
 * on the order. */
static int read_sources(struct sta_config *config, const struct sta_config_input *input,
                        struct strata_error *error)
{
    int status = sta_flags_read(config, input, error);
    if (status == STRATA_OK)
        status = sta_environment_read(config, input, error);
    if (status == STRATA_OK)
        status = sta_config_file_read(config, error);
    for (size_t i = 0; status == STRATA_OK && i < config->count; i++) {
        struct sta_setting *setting = &config->settings[i];
        if (setting->default_text != NULL && setting->source == STA_SOURCE_UNSET)
            status = sta_setting_offer(setting, STA_SOURCE_DEFAULT, setting->default_text, error);
    }
    return status;
}

static void store_targets(const struct sta_config *config)
{
    for (size_t i = 0; i < config->count; i++) {
        const struct sta_setting *setting = &config->settings[i];
        if (setting->target != NULL)
            sta_option_value_store(setting->option, &setting->value, setting->target);
    }
}

int sta_config_load(struct sta_config **out, const struct sta_config_input *input,
                    struct strata_error *error)
{
    struct sta_config *config = sta_setting_create(input->sets, input->set_count);
    if (config == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "%s", strata_status_text(STRATA_ERR_NOMEM));
    int status = read_sources(config, input, error);
    if (status != STRATA_OK) {
        sta_config_destroy(&config);
        return status;
    }
    store_targets(config);
    *out = config;
    return STRATA_OK;
}

void sta_config_destroy(struct sta_config **config)
{
    if (*config == NULL)
        return;
    for (size_t i = 0; i < (*config)->count; i++)
        sta_option_value_fini(&(*config)->settings[i].value);
    free((*config)->file);
    free(*config);
    *config = NULL;
}

int sta_config_operands(const struct sta_config *config)
{
    return config->operands;
}
