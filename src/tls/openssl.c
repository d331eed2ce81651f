/* SPDX-License-Identifier: MIT
 *
 * The table, filled with OpenSSL.
 */
#include <openssl/opensslv.h>

#include "openssl_inside.h"
#include "strata/tls.h"

static const struct strata_tls_provider provider = {
    .abi = STA_TLS_ABI,
    .name = OPENSSL_VERSION_TEXT,
    .context_open = sta_openssl_context_open,
    .context_close = sta_openssl_context_close,
    .session_create = sta_openssl_session_create,
    .session_destroy = sta_openssl_session_destroy,
    .handshake = sta_openssl_session_handshake,
    .decrypt = sta_openssl_session_decrypt,
    .encrypt = sta_openssl_session_encrypt,
    .goodbye = sta_openssl_session_goodbye,
    .ticket_destroy = sta_openssl_session_drop_ticket,
};

const struct strata_tls_provider *strata_tls_openssl(void)
{
    return &provider;
}
