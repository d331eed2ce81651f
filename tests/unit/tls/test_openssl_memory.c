/* SPDX-License-Identifier: MIT
 *
 * Out of memory in TLS is a code, and leaks nothing: each run fails the n-th allocation, n = 1, 2,
 * 3, ..., of ours and of OpenSSL's, which is told to allocate through us.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "strata/tls.h"
#include "support/fail_alloc.h"
#include "tls_link.h"

static struct certificate_folder files;

static void *ssl_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return malloc(size);
}

static void *ssl_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return realloc(old, size);
}

static void ssl_free(void *old, const char *file, int line)
{
    (void)file;
    (void)line;
    free(old);
}

static int make_files(void **state)
{
    (void)state;
    certificate_folder_open(&files);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    certificate_folder_close(&files);
    return 0;
}

static struct sta_tls_settings settings(void)
{
    return (struct sta_tls_settings){
        .ca_file = files.ca_file,
        .cert_file = files.client_file,
        .key_file = files.client_key,
        .server_name = "localhost",
    };
}

static void every_allocation_of_loading_may_fail(void **state)
{
    (void)state;
    const struct sta_tls_settings ours = settings();
    const struct strata_tls_provider *tls = strata_tls_openssl();
    bool failed = true;
    unsigned refused = 0;
    for (uint64_t n = 1; failed; n++) {
        struct sta_tls_context *context = NULL;
        struct strata_error error = {0};
        fail_alloc_at(n);
        int status = tls->context_open(&context, &ours, &error);
        failed = fail_alloc_end();
        refused += status < 0;
        /* OpenSSL does not always say that it was memory that a file was not read for. */
        assert_true(status == STRATA_OK || status == STRATA_ERR_NOMEM ||
                    status == STRATA_ERR_CONFIG);
        assert_true(failed || status == STRATA_OK);
        assert_int_equal(context != NULL, status == STRATA_OK); /* some it can do without */
        assert_int_equal(error.status, status);
        tls->context_close(&context);
    }
    assert_true(refused > 100);
}

/* ---- a session ---- */

/* A client's life: handshake, a question, its answer. Only what our side does may fail. */
struct life {
    const struct strata_tls_provider *tls;
    struct sta_tls_context *context;
    struct sta_tls_session *session;
    struct sta_tls_ticket *ticket;
    struct tls_peer peer;
    struct sta_buffer wire;
    bool ready;
    bool answered;
};

static int on_put(void *arg, struct strata_bytes bytes)
{
    struct life *life = arg;
    return sta_buffer_append(&life->wire, bytes);
}

static int our_turn(struct life *life, struct strata_bytes in)
{
    struct sta_tls_wire wire = {.in = in, .arg = life, .put = on_put};
    char reason[STA_TLS_REASON_CAP] = "";
    uint8_t area[4096];
    size_t len = 0;
    int status = STRATA_OK;
    if (!life->ready) {
        status = life->tls->handshake(life->session, &wire, reason);
        life->ready = status == STRATA_OK;
        if (life->ready)
            status = life->tls->encrypt(life->session, &wire, strata_text("PING\r\n"), reason);
    }
    if (life->ready && status >= 0) {
        status = life->tls->decrypt(life->session, &wire, area, sizeof area, &len, reason);
        life->answered |= len > 0;
    }
    return status;
}

static void their_turn(struct life *life, size_t taken)
{
    uint64_t paused = fail_alloc_pause();
    tls_peer_drop(&life->peer, taken);
    tls_peer_take(&life->peer, sta_buffer_bytes(&life->wire));
    sta_buffer_clear(&life->wire);
    if (life->peer.got == 6) {
        life->peer.got = 0;
        tls_peer_say(&life->peer, strata_text("+PONG\r\n"), 0);
    }
    fail_alloc_resume(paused);
}

static int live(struct life *life)
{
    int status =
        life->tls->session_create(&life->session, life->context, "localhost", &life->ticket);
    if (status == STRATA_OK)
        status = our_turn(life, strata_bytes(NULL, 0));
    for (unsigned turn = 0; turn < 8 && status >= 0 && !life->answered; turn++) {
        their_turn(life, 0);
        struct strata_bytes in = tls_peer_out(&life->peer);
        status = our_turn(life, in);
        their_turn(life, in.len);
    }
    return status;
}

static void check_every_allocation_of_a_life(int version)
{
    bool failed = true;
    unsigned refused = 0;
    const struct sta_tls_settings ours = settings();
    struct life life = {.tls = strata_tls_openssl()};
    sta_buffer_init(&life.wire, 1u << 20);
    assert_int_equal(life.tls->context_open(&life.context, &ours, NULL), STRATA_OK);
    tls_peer_open(&life.peer, &(struct tls_peer_plan){.certificate = &files.server,
                                                      .clients = &files.root,
                                                      .version = version});
    SSL_CTX_set_session_cache_mode(life.peer.context, SSL_SESS_CACHE_OFF);
    for (uint64_t n = 1; failed; n += n < 300 ? 1 : 7) { /* there are thousands */
        tls_peer_again(&life.peer);
        life.ready = false;
        life.answered = false;
        fail_alloc_at(n);
        int status = live(&life);
        failed = fail_alloc_end();
        refused += status < 0;
        assert_true(status < 0 || life.answered);
        assert_true(failed || life.answered);
        life.tls->session_destroy(&life.session);
        if (life.ticket != NULL)
            life.tls->ticket_destroy(&life.ticket);
        sta_buffer_clear(&life.wire);
    }
    assert_true(refused > 100);
    tls_peer_close(&life.peer);
    life.tls->context_close(&life.context);
    sta_buffer_fini(&life.wire);
}

static void every_allocation_of_a_session_may_fail(void **state)
{
    (void)state;
    check_every_allocation_of_a_life(TLS1_2_VERSION);
    check_every_allocation_of_a_life(TLS1_3_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_loading_may_fail),
        cmocka_unit_test(every_allocation_of_a_session_may_fail),
    };
    if (CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free) != 1)
        return 1; /* something was allocated already */
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
