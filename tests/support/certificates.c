/* SPDX-License-Identifier: MIT
 *
 * Certificates for tests; see certificates.h.
 */
#include "support/certificates.h"

#include <ftw.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HOUR_S 3600
#define DAY_S  86400

/* ---- one certificate ---- */

static void add_extension(X509 *x509, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(x509, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void set_serial(X509 *x509)
{
    uint64_t serial;
    assert_int_equal(RAND_bytes((uint8_t *)&serial, sizeof serial), 1);
    assert_int_equal(ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial >> 1), 1);
}

static void set_subject(X509 *x509, const char *cn)
{
    X509_NAME *name = X509_get_subject_name(x509);
    assert_int_equal(
        X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const uint8_t *)"strata", -1, -1, 0),
        1);
    assert_int_equal(
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)cn, -1, -1, 0), 1);
}

static void set_life(X509 *x509, const struct certificate_plan *plan)
{
    long from_s = plan->from_s != 0 ? plan->from_s : -HOUR_S;
    long until_s = plan->until_s != 0 ? plan->until_s : DAY_S;
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x509), from_s));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x509), until_s));
}

void certificate_make(struct certificate *certificate, const struct certificate_plan *plan)
{
    EVP_PKEY *key =
        plan->rsa_bits > 0 ? EVP_RSA_gen((unsigned)plan->rsa_bits) : EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    assert_non_null(key);
    assert_non_null(x509);
    X509 *issuer = plan->issuer != NULL ? plan->issuer->x509 : x509;
    EVP_PKEY *signer = plan->issuer != NULL ? plan->issuer->key : key;
    assert_int_equal(X509_set_version(x509, X509_VERSION_3), 1);
    assert_int_equal(X509_set_pubkey(x509, key), 1);
    set_serial(x509);
    set_subject(x509, plan->cn);
    set_life(x509, plan);
    assert_int_equal(X509_set_issuer_name(x509, X509_get_subject_name(issuer)), 1);
    add_extension(x509, issuer, NID_basic_constraints,
                  plan->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (plan->ca)
        add_extension(x509, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(x509, issuer, NID_subject_key_identifier, "hash");
    add_extension(x509, issuer, NID_authority_key_identifier, "keyid:always");
    if (plan->names != NULL)
        add_extension(x509, issuer, NID_subject_alt_name, plan->names);
    if (plan->usage != NULL)
        add_extension(x509, issuer, NID_ext_key_usage, plan->usage);
    const EVP_MD *digest = EVP_get_digestbyname(plan->digest != NULL ? plan->digest : "SHA256");
    assert_true(X509_sign(x509, signer, digest) > 0);
    *certificate = (struct certificate){.x509 = x509, .key = key};
}

void certificate_fini(struct certificate *certificate)
{
    X509_free(certificate->x509);
    EVP_PKEY_free(certificate->key);
    *certificate = (struct certificate){0};
}

/* ---- files ---- */

static FILE *create_file(const char *path)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    return file;
}

static void close_file(FILE *file)
{
    assert_int_equal(fclose(file), 0);
}

void certificate_write(const char *path, const struct certificate *const *chain, size_t count)
{
    FILE *file = create_file(path);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(PEM_write_X509(file, chain[i]->x509), 1);
    close_file(file);
}

void certificate_write_key(const char *path, const struct certificate *certificate,
                           const char *password)
{
    FILE *file = create_file(path);
    assert_int_equal(PEM_write_PKCS8PrivateKey(
                         file, certificate->key, password != NULL ? EVP_aes_256_cbc() : NULL,
                         password, password != NULL ? (int)strlen(password) : 0, NULL, NULL),
                     1);
    close_file(file);
}

void certificate_write_crl(const char *path, const struct certificate *issuer,
                           const struct certificate *revoked, long until_s)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = X509_gmtime_adj(NULL, -2 * HOUR_S);
    ASN1_TIME *until = X509_gmtime_adj(NULL, until_s);
    assert_int_equal(X509_CRL_set_version(crl, X509_CRL_VERSION_2), 1);
    assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509)), 1);
    assert_int_equal(X509_CRL_set1_lastUpdate(crl, from), 1);
    assert_int_equal(X509_CRL_set1_nextUpdate(crl, until), 1);
    if (revoked != NULL) {
        X509_REVOKED *entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->x509));
        X509_REVOKED_set_revocationDate(entry, from);
        assert_int_equal(X509_CRL_add0_revoked(crl, entry), 1);
    }
    assert_true(X509_CRL_sign(crl, issuer->key, EVP_sha256()) > 0);
    FILE *file = create_file(path);
    assert_int_equal(PEM_write_X509_CRL(file, crl), 1);
    close_file(file);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    X509_CRL_free(crl);
}

/* ---- a folder of them ---- */

const char *certificate_folder_path(const struct certificate_folder *folder, const char *name)
{
    static char paths[8][128];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    (void)snprintf(path, sizeof paths[0], "%s/%s", folder->folder, name);
    return path;
}

static void write_pair(const struct certificate *certificate, const struct certificate_folder *at,
                       const char *name, char *file, char *key, size_t cap)
{
    (void)snprintf(file, cap, "%s/%s.crt", at->folder, name);
    (void)snprintf(key, cap, "%s/%s.key", at->folder, name);
    certificate_write(file, &certificate, 1);
    certificate_write_key(key, certificate, NULL);
}

void certificate_folder_open(struct certificate_folder *at)
{
    const char *parent = getenv("TMPDIR");
    *at = (struct certificate_folder){0};
    if (parent == NULL || strlen(parent) > 32)
        parent = "/tmp";
    (void)snprintf(at->folder, sizeof at->folder, "%s/strata-tls-XXXXXX", parent);
    assert_non_null(mkdtemp(at->folder));
    certificate_make(&at->root, &(struct certificate_plan){.cn = "Test Root", .ca = true});
    certificate_make(&at->server,
                     &(struct certificate_plan){.cn = "Test Server",
                                                .names = "DNS:localhost,IP:127.0.0.1,IP:::1",
                                                .usage = "serverAuth",
                                                .issuer = &at->root});
    certificate_make(&at->client, &(struct certificate_plan){.cn = "Test Client",
                                                             .usage = "clientAuth",
                                                             .issuer = &at->root});
    const struct certificate *root = &at->root;
    (void)snprintf(at->ca_file, sizeof at->ca_file, "%s/ca.crt", at->folder);
    certificate_write(at->ca_file, &root, 1);
    write_pair(&at->server, at, "server", at->server_file, at->server_key, sizeof at->server_key);
    write_pair(&at->client, at, "client", at->client_file, at->client_key, sizeof at->client_key);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    (void)remove(path);
    return 0;
}

void certificate_folder_close(struct certificate_folder *at)
{
    certificate_fini(&at->root);
    certificate_fini(&at->server);
    certificate_fini(&at->client);
    if (at->folder[0] != '\0')
        (void)nftw(at->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    at->folder[0] = '\0';
}
