/* SPDX-License-Identifier: MIT
 *
 * Certificates for tests, good ones and all kinds of bad ones, made when they are needed: nothing
 * in the tree that could expire. Whatever fails in here fails the test.
 */
#ifndef TEST_CERTIFICATES_H
#define TEST_CERTIFICATES_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

struct certificate {
    X509 *x509;
    EVP_PKEY *key;
};

/* What a certificate says. A zeroed plan but for `cn` and `issuer` is an ordinary good leaf that
 * names nobody. */
struct certificate_plan {
    const char *cn;
    const char *names; /* subjectAltName, in OpenSSL's words: "DNS:localhost,IP:::1"; NULL: none */
    const char *usage; /* extendedKeyUsage: "serverAuth"; NULL: none, good for all */
    bool ca;
    long from_s;                      /* of its life, from now; 0: an hour ago */
    long until_s;                     /* 0: tomorrow */
    int rsa_bits;                     /* 0: a key on the curve P-256 */
    const char *digest;               /* of the signature; NULL: SHA256 */
    const struct certificate *issuer; /* NULL: itself */
};

void certificate_make(struct certificate *certificate, const struct certificate_plan *plan);
void certificate_fini(struct certificate *certificate);

/* PEM: the certificates of a chain, leaf first, to a file. */
void certificate_write(const char *path, const struct certificate *const *chain, size_t count);

/* PEM: a key, encrypted where there is a password (NULL: it is not). */
void certificate_write_key(const char *path, const struct certificate *certificate,
                           const char *password);

/* PEM: the list of what `issuer` has revoked: `revoked`, or nothing (NULL). `until_s` from now. */
void certificate_write_crl(const char *path, const struct certificate *issuer,
                           const struct certificate *revoked, long until_s);

/* What most tests need: a root, and what it has signed: a server for localhost, 127.0.0.1 and ::1,
 * and a client. In a folder of its own, with the paths of their files. */
struct certificate_folder {
    char folder[64];
    struct certificate root;
    struct certificate server;
    struct certificate client;
    char ca_file[96];
    char server_file[96];
    char server_key[96];
    char client_file[96];
    char client_key[96];
};

void certificate_folder_open(struct certificate_folder *folder);
void certificate_folder_close(struct certificate_folder *folder); /* removes all that lies there */

/* "<folder>/<name>" in one of a few buffers that are used in turn. */
const char *certificate_folder_path(const struct certificate_folder *folder, const char *name);

#endif
