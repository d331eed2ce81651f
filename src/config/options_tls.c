/* SPDX-License-Identifier: MIT
 *
 * TLS, from the options and from what the URL says in their place; see config/options.h.
 */
#include <string.h>

#include "config/option_value.h"
#include "config/options.h"
#include "core/error.h"
#include "l2/redis_url.h"

static const char *given(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

/* What belongs together is replaced together: a URL that names a CA means that one and no other,
 * and a certificate comes with its key. */
static void merge(const struct strata_options *options, const struct sta_redis_url_tls *url,
                  struct sta_tls_settings *out)
{
    bool own_ca = given(url->ca_file) != NULL || given(url->ca_dir) != NULL;
    bool own_cert = given(url->cert_file) != NULL || given(url->key_file) != NULL;
    *out = (struct sta_tls_settings){
        .ca_file = own_ca ? given(url->ca_file) : options->tls_ca_file,
        .ca_dir = own_ca ? given(url->ca_dir) : options->tls_ca_dir,
        .crl_file = options->tls_crl_file,
        .cert_file = own_cert ? given(url->cert_file) : options->tls_cert_file,
        .key_file = own_cert ? given(url->key_file) : options->tls_key_file,
        .key_password = options->tls_key_password,
        .server_name =
            given(url->server_name) != NULL ? url->server_name : options->tls_server_name,
        .verify = url->verify != STRATA_TLS_VERIFY_DEFAULT ? url->verify : options->tls_verify,
    };
}

int sta_options_open_tls(struct sta_tls **out, const struct strata_options *options,
                         const struct sta_log *log, struct strata_error *error)
{
    struct sta_redis_url url;
    struct sta_redis_url_tls said;
    struct sta_tls_settings settings;
    int status = sta_redis_url_parse_tls(options->redis_url, &url, &said, error);
    if (status < 0)
        return status;
    if (!url.tls) {
        *out = NULL;
        return STRATA_OK;
    }
    merge(options, &said, &settings);
    status = sta_tls_open(out, options->tls_provider, &settings, error);
    if (status == STRATA_OK && settings.verify == STRATA_TLS_VERIFY_NONE)
        sta_log_write(log, STRATA_LOG_WARNING, STA_ROOM_L2,
                      "rediss:// without verification (tls_verify is none): whoever is in between "
                      "can read and change everything");
    return status;
}

/* ---- for programs that take nothing else from the environment ---- */

static const char *variable(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++)
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return *environment + len + 1;
    return NULL;
}

static int read_option(const struct sta_option *option, const char *text,
                       struct strata_options *out, struct strata_error *error)
{
    struct strata_error why = {0};
    struct sta_option_value value = {0};
    if (option->type == STA_OPTION_STRING)
        value.text = text;
    int status = option->type == STA_OPTION_STRING
                     ? sta_option_value_check(option, &value, &why)
                     : sta_option_value_parse(option, text, NULL, &value, &why);
    if (status < 0)
        return sta_error_set(error, status, "%s: %s", option->env, why.text);
    sta_option_value_store(option, &value, out);
    return STRATA_OK;
}

int sta_options_read_tls(struct strata_options *out, char *const *environment,
                         struct strata_error *error)
{
    int status = STRATA_OK;
    for (size_t i = 0; i < STA_OPTION_TABLE_COUNT && status == STRATA_OK; i++) {
        const struct sta_option *option = &sta_option_table[i];
        const char *text = option->env != NULL ? variable(environment, option->env) : NULL;
        if (text != NULL && strncmp(option->name, "tls_", 4) == 0)
            status = read_option(option, text, out, error);
    }
    return status;
}
