/* SPDX-License-Identifier: MIT
 *
 * From OpenSSL's queue of errors to a status and a text for a log line. OpenSSL names what its
 * code ran into ("wrong version number"); people need what it means ("a plain port").
 */
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <stdio.h>

#include "openssl_inside.h"

static const char no_tls[] = "the peer does not speak TLS: is this a plain port?";
static const char too_old[] = "the server speaks no TLS of version 1.2 or newer";

/* Of the library SSL; what is not here is told in OpenSSL's words. */
static const struct {
    int code;
    int status;
    const char *text;
} known[] = {
    {SSL_R_WRONG_VERSION_NUMBER, STRATA_ERR_PROTOCOL, no_tls},
    {SSL_R_HTTP_REQUEST, STRATA_ERR_PROTOCOL, no_tls},
    {SSL_R_BAD_RECORD_TYPE, STRATA_ERR_PROTOCOL, no_tls},
    {SSL_R_PACKET_LENGTH_TOO_LONG, STRATA_ERR_PROTOCOL, no_tls},
    {SSL_R_UNSUPPORTED_PROTOCOL, STRATA_ERR_PROTOCOL, too_old},
    {SSL_R_WRONG_SSL_VERSION, STRATA_ERR_PROTOCOL, too_old},
    {SSL_R_VERSION_TOO_LOW, STRATA_ERR_PROTOCOL, too_old},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, STRATA_ERR_PROTOCOL, too_old},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, STRATA_ERR_PROTOCOL,
     "a record was changed on its way (its code does not fit)"},
    {SSL_R_TLSV1_UNRECOGNIZED_NAME, STRATA_ERR_PROTOCOL,
     "the server says that it is not the host we ask for"},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, STRATA_ERR_PROTOCOL,
     "the server finds no cipher, or no certificate, that both sides take"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, STRATA_ERR_DENIED,
     "the server wants a client certificate (tls_cert_file)"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, STRATA_ERR_DENIED,
     "the server refuses our certificate (tls_cert_file): it does not know its CA"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, STRATA_ERR_DENIED,
     "the server refuses our certificate (tls_cert_file): it is bad"},
    {SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, STRATA_ERR_DENIED,
     "the server refuses our certificate (tls_cert_file): its kind or purpose is not supported"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED, STRATA_ERR_DENIED,
     "the server refuses our certificate (tls_cert_file): it has been revoked"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, STRATA_ERR_DENIED,
     "the server refuses our certificate (tls_cert_file): it has expired"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, STRATA_ERR_DENIED,
     "the server refuses our certificate (tls_cert_file)"},
    {SSL_R_TLSV1_ALERT_ACCESS_DENIED, STRATA_ERR_DENIED,
     "the server refuses our certificate (tls_cert_file): access denied"},
    {SSL_R_TLSV1_ALERT_DECRYPT_ERROR, STRATA_ERR_DENIED,
     "the server refuses our certificate (tls_cert_file): our signature does not fit"},
};

static const char wanted[] =
    "the server wants a client certificate, and none is configured (tls_cert_file)";

static const char *text_of(unsigned long code)
{
    const char *text = ERR_reason_error_string(code);
    return text != NULL ? text : "no reason given";
}

const char *sta_openssl_reason_first(void)
{
    return text_of(ERR_peek_error());
}

static int say(char *reason, int status, const char *text)
{
    (void)snprintf(reason, STA_TLS_REASON_CAP, "%s", text);
    return status;
}

/* Takes the queue: the first error that the library SSL put there, or else the first; 0: none.
 * Before it may stand what only its own parts understand ("cipher operation failed"), behind it who
 * was told. */
static unsigned long take_errors(bool *no_memory)
{
    unsigned long first = ERR_peek_error();
    unsigned long of_ssl = 0;
    for (unsigned long code = ERR_get_error(); code != 0; code = ERR_get_error()) {
        *no_memory |= ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
        if (of_ssl == 0 && ERR_GET_LIB(code) == ERR_LIB_SSL)
            of_ssl = code;
    }
    return of_ssl != 0 ? of_ssl : first;
}

bool sta_openssl_reason_is_memory(void)
{
    bool no_memory = false;
    (void)take_errors(&no_memory);
    return no_memory;
}

/* A server that lacks our certificate says so in TLS 1.3, and before that that it cannot shake
 * hands. */
int sta_openssl_reason(const struct sta_tls_session *session, char *reason)
{
    bool no_memory = false;
    unsigned long code = take_errors(&no_memory);
    int why = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    if (no_memory)
        return STRATA_ERR_NOMEM;
    if (session->refusal[0] != '\0')
        return say(reason, STRATA_ERR_UNTRUSTED, session->refusal);
    for (size_t i = 0; i < sizeof known / sizeof known[0] && why != 0; i++) {
        if (known[i].code != why)
            continue;
        bool lacks =
            known[i].status == STRATA_ERR_DENIED || why == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE;
        return session->cert_wanted && lacks ? say(reason, STRATA_ERR_DENIED, wanted)
                                             : say(reason, known[i].status, known[i].text);
    }
    (void)snprintf(reason, STA_TLS_REASON_CAP, "TLS: %s", text_of(code));
    return STRATA_ERR_PROTOCOL;
}
