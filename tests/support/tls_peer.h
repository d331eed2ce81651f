/* SPDX-License-Identifier: MIT
 *
 * A TLS server in memory, for tests of our side: bytes in, bytes out, no socket. It takes weak
 * keys and old versions, so that it can offer what we must refuse.
 */
#ifndef TEST_TLS_PEER_H
#define TEST_TLS_PEER_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "strata/bytes.h"
#include "support/certificates.h"

struct tls_peer_plan {
    const struct certificate *certificate;
    const struct certificate *extra;   /* sent along: an intermediate; NULL: nothing is */
    const struct certificate *clients; /* who must have signed the client; NULL: none is wanted */
    int version;                       /* TLS1_2_VERSION, ...; 0: the newest */
};

struct tls_peer {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in;    /* from the wire */
    BIO *out;   /* to the wire */
    bool ready; /* the handshake is complete */
    bool failed;
    bool ended;     /* the client said goodbye */
    uint64_t got;   /* plain bytes */
    uint8_t *plain; /* all of them, got bytes */
    uint64_t room;  /* at plain */
    char alert[64]; /* that the client sent: "certificate unknown"; "" */
};

void tls_peer_open(struct tls_peer *peer, const struct tls_peer_plan *plan);

/* Another connection to the same server. */
void tls_peer_again(struct tls_peer *peer);
void tls_peer_close(struct tls_peer *peer);

/* Bytes from the wire; the handshake goes on, plain bytes are collected. */
void tls_peer_take(struct tls_peer *peer, struct strata_bytes bytes);

/* Plain bytes to the client, in one record for each `record` bytes (0: as OpenSSL likes). */
void tls_peer_say(struct tls_peer *peer, struct strata_bytes bytes, size_t record);

/* What is to go to the wire now; the bytes are dropped from there with drop(). */
struct strata_bytes tls_peer_out(const struct tls_peer *peer);
void tls_peer_drop(struct tls_peer *peer, size_t count);

#endif
