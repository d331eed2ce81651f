/* SPDX-License-Identifier: MIT
 *
 * Why a server's certificate is refused, in words that say what to look at. Written while OpenSSL
 * verifies, because afterwards it has dropped the certificate.
 *
 * What stands in a certificate was written by whoever made it: only printable ASCII gets into a
 * text, and not much of it.
 */
#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "openssl_inside.h"

#define NAME_CAP 80

static void clean(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~' || *text == '"')
            *text = '?';
}

/* The common name, or what else there is. */
static void name_of(const X509_NAME *name, char text[NAME_CAP])
{
    if (X509_NAME_get_text_by_NID(name, NID_commonName, text, NAME_CAP) <= 0 &&
        X509_NAME_get_text_by_NID(name, NID_organizationName, text, NAME_CAP) <= 0)
        (void)snprintf(text, NAME_CAP, "?");
    clean(text);
}

static void date_of(const ASN1_TIME *when, char text[NAME_CAP])
{
    struct tm parts;
    if (when == NULL || ASN1_TIME_to_tm(when, &parts) != 1 ||
        strftime(text, NAME_CAP, "%Y-%m-%d %H:%M:%S UTC", &parts) == 0)
        (void)snprintf(text, NAME_CAP, "an unknown time");
}

static bool looks_like_an_address(const char *name)
{
    uint8_t address[16];
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* One name of a certificate; "" for kinds that name no host. An address that was put down as a name
 * is a common mistake, and counts for nothing. */
static void alternative_name(const GENERAL_NAME *name, char text[NAME_CAP])
{
    char host[NAME_CAP - 4];
    text[0] = '\0';
    if (name->type == GEN_DNS) {
        (void)snprintf(host, sizeof host, "%.*s", ASN1_STRING_length(name->d.dNSName),
                       (const char *)ASN1_STRING_get0_data(name->d.dNSName));
        (void)snprintf(text, NAME_CAP, "%s%s", looks_like_an_address(host) ? "DNS:" : "", host);
    } else if (name->type == GEN_IPADD) {
        const uint8_t *address = ASN1_STRING_get0_data(name->d.iPAddress);
        int len = ASN1_STRING_length(name->d.iPAddress);
        if (len == 4 || len == 16)
            (void)inet_ntop(len == 4 ? AF_INET : AF_INET6, address, text, NAME_CAP);
    }
    clean(text);
}

/* "a.example, b.example and 3 more"; "" where no host is named. */
static void names_of(const X509 *certificate, char *text, size_t cap)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    unsigned left_out = 0;
    size_t len = 0;
    text[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        char name[NAME_CAP];
        alternative_name(sk_GENERAL_NAME_value(names, i), name);
        if (name[0] == '\0')
            continue;
        if (len + strlen(name) + 2 < cap - 16)
            len += (size_t)snprintf(text + len, cap - len, "%s%s", len > 0 ? ", " : "", name);
        else
            left_out++;
    }
    if (left_out > 0)
        (void)snprintf(text + len, cap - len, " and %u more", left_out > 999 ? 999 : left_out);
    GENERAL_NAMES_free(names);
}

static void say_wrong_name(struct sta_tls_session *session, const X509 *certificate)
{
    char names[110];
    names_of(certificate, names, sizeof names);
    if (names[0] != '\0')
        (void)snprintf(session->refusal, sizeof session->refusal,
                       "the server's certificate is for %s, not for %.100s", names, session->host);
    else
        (void)snprintf(session->refusal, sizeof session->refusal,
                       "the server's certificate names no host, and should name %.100s (a common "
                       "name does not count: it needs a subjectAltName)",
                       session->host);
}

/* "the server's certificate", or which of those above it; returns the length. */
static size_t say_who(const X509 *certificate, int depth, char *text, size_t cap)
{
    char name[NAME_CAP];
    if (depth == 0)
        return (size_t)snprintf(text, cap, "the server's certificate ");
    name_of(X509_get_subject_name(certificate), name);
    return (size_t)snprintf(text, cap, "the certificate of the CA \"%s\" ", name);
}

/* What is wrong with `certificate`, behind its name. */
static void say_what(int error, const X509 *certificate, char *text, size_t cap)
{
    char word[NAME_CAP] = "?";
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        date_of(X509_get0_notAfter(certificate), word);
        (void)snprintf(text, cap, "has expired (%s)", word);
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        date_of(X509_get0_notBefore(certificate), word);
        (void)snprintf(text, cap, "is not valid yet (before %s)", word);
        break;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        (void)snprintf(text, cap, "is self-signed, and not one that we trust (tls_ca_file)");
        break;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        (void)snprintf(text, cap, "is none that we trust (tls_ca_file)");
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        name_of(X509_get_issuer_name(certificate), word);
        (void)snprintf(text, cap,
                       "is signed by \"%s\", which we neither trust nor were sent: an unknown CA, "
                       "or the server leaves out an intermediate certificate",
                       word);
        break;
    case X509_V_ERR_INVALID_PURPOSE:
        (void)snprintf(text, cap, "is not made for servers (extended key usage)");
        break;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
        (void)snprintf(text, cap, "has a key that is too short (%d bits)",
                       EVP_PKEY_get_bits(X509_get0_pubkey(certificate)));
        break;
    case X509_V_ERR_CA_MD_TOO_WEAK:
        (void)snprintf(text, cap, "is signed with a hash that is too weak (%s)",
                       OBJ_nid2ln(X509_get_signature_nid(certificate)));
        break;
    case X509_V_ERR_CERT_REVOKED:
        (void)snprintf(text, cap, "has been revoked (tls_crl_file)");
        break;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
        name_of(X509_get_issuer_name(certificate), word);
        (void)snprintf(text, cap, "may be revoked: tls_crl_file holds no list by \"%s\"", word);
        break;
    case X509_V_ERR_CRL_HAS_EXPIRED:
        name_of(X509_get_issuer_name(certificate), word);
        (void)snprintf(text, cap, "may be revoked: the list by \"%s\" in tls_crl_file has expired",
                       word);
        break;
    default:
        (void)snprintf(text, cap, "is refused: %s", X509_verify_cert_error_string(error));
        break;
    }
}

/* Called once for each certificate, and for each thing wrong with one. Whatever it is ends the
 * verification: `good` is returned as it came. */
int sta_openssl_refusal_note(int good, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct sta_tls_session *session = SSL_get_app_data(ssl);
    const X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    int error = X509_STORE_CTX_get_error(store);
    int depth = X509_STORE_CTX_get_error_depth(store);
    char *text = session->refusal;
    size_t cap = sizeof session->refusal;
    if (good != 0 || *text != '\0')
        return good;
    if (certificate == NULL) {
        (void)snprintf(text, cap, "the server's certificate is refused: %s",
                       X509_verify_cert_error_string(error));
    } else if (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        say_wrong_name(session, certificate);
    } else {
        size_t len = say_who(certificate, depth, text, cap);
        say_what(error, certificate, text + len, cap - len);
    }
    return good;
}
