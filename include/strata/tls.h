/* SPDX-License-Identifier: MIT
 *
 * TLS for rediss:// URLs, through OpenSSL. It is a library of its own, libstrata_tls, so that
 * programs without it do not link OpenSSL: link -lstrata_tls (pkg-config strata-tls; CMake
 * strata::tls) and give it to the options.
 *
 *     struct strata_options options = {0};
 *     strata_options_from_environment(&options, &error);
 *     options.tls_provider = strata_tls_openssl();
 *     strata_open(&cache, &options, &error);
 *
 * Both libraries must be of one version; strata_open() says so where they are not.
 */
#ifndef STRATA_TLS_H
#define STRATA_TLS_H

#include "export.h"
#include "options.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Constant, lives for ever; any thread. */
STRATA_API const struct strata_tls_provider *strata_tls_openssl(void);

#ifdef __cplusplus
}
#endif

#endif
