/* SPDX-License-Identifier: MIT
 *
 * Opening TLS: is there a provider, is it of our layout, and what does it say to the settings.
 */
#include "net/tls.h"

#include <stdlib.h>

#include "core/error.h"

static int check_provider(const struct strata_tls_provider *provider, struct strata_error *error)
{
    if (provider == NULL)
        return sta_error_set(error, STRATA_ERR_UNSUPPORTED,
                             "rediss:// needs TLS, which is a library of its own: link "
                             "libstrata_tls (-lstrata_tls) and set tls_provider = "
                             "strata_tls_openssl() in the options (strata/tls.h)");
    if (provider->abi != STA_TLS_ABI)
        return sta_error_set(error, STRATA_ERR_UNSUPPORTED,
                             "libstrata_tls is of another version than libstrata (table %u, not "
                             "%u): install both from one version",
                             (unsigned)provider->abi, STA_TLS_ABI);
    return STRATA_OK;
}

int sta_tls_open(struct sta_tls **out, const struct strata_tls_provider *provider,
                 const struct sta_tls_settings *settings, struct strata_error *error)
{
    int status = check_provider(provider, error);
    if (status < 0)
        return status;
    struct sta_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        return sta_error_set(error, STRATA_ERR_NOMEM, "out of memory");
    tls->provider = provider;
    status = provider->context_open(&tls->context, settings, error);
    if (status < 0) {
        free(tls);
        return status;
    }
    *out = tls;
    return STRATA_OK;
}

void sta_tls_close(struct sta_tls **at)
{
    struct sta_tls *tls = *at;
    if (tls == NULL)
        return;
    *at = NULL;
    tls->provider->context_close(&tls->context);
    free(tls);
}

void sta_tls_drop_ticket(const struct sta_tls *tls, struct sta_tls_ticket **ticket)
{
    if (*ticket != NULL)
        tls->provider->ticket_destroy(ticket);
}
