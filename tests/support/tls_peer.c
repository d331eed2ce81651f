/* SPDX-License-Identifier: MIT
 *
 * A TLS server in memory; see tls_peer.h.
 */
#include "support/tls_peer.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void on_info(const SSL *ssl, int where, int value)
{
    struct tls_peer *peer = SSL_get_app_data(ssl);
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && (value & 0xff) != SSL_AD_CLOSE_NOTIFY)
        (void)snprintf(peer->alert, sizeof peer->alert, "%s", SSL_alert_desc_string_long(value));
}

static void set_clients(SSL_CTX *context, const struct certificate *issuer)
{
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), issuer->x509), 1);
    assert_int_equal(SSL_CTX_add_client_CA(context, issuer->x509), 1);
}

void tls_peer_open(struct tls_peer *peer, const struct tls_peer_plan *plan)
{
    *peer = (struct tls_peer){.context = SSL_CTX_new(TLS_server_method())};
    assert_non_null(peer->context);
    SSL_CTX_set_security_level(peer->context, 0);
    assert_int_equal(SSL_CTX_set_min_proto_version(peer->context, plan->version), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(peer->context, plan->version), 1);
    assert_int_equal(SSL_CTX_use_certificate(peer->context, plan->certificate->x509), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(peer->context, plan->certificate->key), 1);
    if (plan->extra != NULL)
        assert_int_equal(SSL_CTX_add1_chain_cert(peer->context, plan->extra->x509), 1);
    else
        (void)SSL_CTX_set_mode(peer->context, SSL_MODE_NO_AUTO_CHAIN);
    if (plan->clients != NULL)
        set_clients(peer->context, plan->clients);
    (void)SSL_CTX_set_session_id_context(peer->context, (const uint8_t *)"test", 4);
    tls_peer_again(peer);
}

static void end_connection(struct tls_peer *peer)
{
    SSL_free(peer->ssl); /* with its BIOs */
    free(peer->plain);
    *peer = (struct tls_peer){.context = peer->context};
}

void tls_peer_again(struct tls_peer *peer)
{
    end_connection(peer);
    peer->ssl = SSL_new(peer->context);
    peer->in = BIO_new(BIO_s_mem());
    peer->out = BIO_new(BIO_s_mem());
    assert_true(peer->ssl != NULL && peer->in != NULL && peer->out != NULL);
    (void)BIO_set_mem_eof_return(peer->in, -1);
    SSL_set_bio(peer->ssl, peer->in, peer->out);
    SSL_set_accept_state(peer->ssl);
    SSL_set_app_data(peer->ssl, peer);
    SSL_set_info_callback(peer->ssl, on_info);
}

void tls_peer_close(struct tls_peer *peer)
{
    end_connection(peer);
    SSL_CTX_free(peer->context);
    *peer = (struct tls_peer){0};
}

static void judge(struct tls_peer *peer, int result)
{
    int error = SSL_get_error(peer->ssl, result);
    peer->ended = error == SSL_ERROR_ZERO_RETURN;
    peer->failed = error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL;
    ERR_clear_error();
}

static void keep(struct tls_peer *peer, const uint8_t *bytes, size_t count)
{
    if (peer->got + count > peer->room) {
        peer->room = 2 * (peer->got + count);
        peer->plain = realloc(peer->plain, peer->room);
        assert_non_null(peer->plain);
    }
    memcpy(peer->plain + peer->got, bytes, count);
    peer->got += count;
}

void tls_peer_take(struct tls_peer *peer, struct strata_bytes bytes)
{
    uint8_t chunk[16384];
    size_t count = 0;
    int result = 1;
    ERR_clear_error();
    if (bytes.len > 0)
        assert_int_equal(BIO_write(peer->in, bytes.data, (int)bytes.len), bytes.len);
    if (!peer->ready && !peer->failed) {
        result = SSL_do_handshake(peer->ssl);
        peer->ready = result == 1;
        if (!peer->ready)
            judge(peer, result);
    }
    while (peer->ready && !peer->failed && !peer->ended) {
        result = SSL_read_ex(peer->ssl, chunk, sizeof chunk, &count);
        if (result != 1) {
            judge(peer, result);
            break;
        }
        keep(peer, chunk, count);
    }
}

void tls_peer_say(struct tls_peer *peer, struct strata_bytes bytes, size_t record)
{
    const uint8_t *data = bytes.data;
    for (size_t at = 0; at < bytes.len;) {
        size_t len = bytes.len - at;
        size_t count = 0;
        if (record > 0 && len > record)
            len = record;
        assert_int_equal(SSL_write_ex(peer->ssl, data + at, len, &count), 1);
        at += count;
    }
}

struct strata_bytes tls_peer_out(const struct tls_peer *peer)
{
    char *bytes;
    long len = BIO_get_mem_data(peer->out, &bytes);
    return strata_bytes(bytes, (size_t)len);
}

void tls_peer_drop(struct tls_peer *peer, size_t count)
{
    uint8_t chunk[4096];
    while (count > 0) {
        int most = count < sizeof chunk ? (int)count : (int)sizeof chunk;
        assert_int_equal(BIO_read(peer->out, chunk, most), most);
        count -= (size_t)most;
    }
}
