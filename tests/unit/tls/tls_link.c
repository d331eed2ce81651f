/* SPDX-License-Identifier: MIT
 *
 * The fixture of the session tests; see tls_link.h.
 */
#include "tls_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "strata/tls.h"

static int on_put(void *arg, struct strata_bytes bytes)
{
    struct tls_link *link = arg;
    if (link->put_status < 0)
        return link->put_status;
    return sta_buffer_append(&link->wire, bytes);
}

void tls_link_init(struct tls_link *link, const struct sta_tls_settings *settings,
                   const struct tls_peer_plan *plan, const char *host)
{
    struct strata_error error = {0};
    *link = (struct tls_link){.tls = strata_tls_openssl()};
    sta_buffer_init(&link->wire, 64u << 20);
    sta_buffer_init(&link->got, 64u << 20);
    if (link->tls->context_open(&link->context, settings, &error) < 0)
        fail_msg("%s", error.text);
    assert_int_equal(link->tls->session_create(&link->session, link->context, host, &link->ticket),
                     STRATA_OK);
    tls_peer_open(&link->peer, plan);
}

void tls_link_again(struct tls_link *link, const char *host)
{
    link->tls->session_destroy(&link->session);
    sta_buffer_clear(&link->wire);
    sta_buffer_clear(&link->got);
    link->ready = false;
    tls_peer_again(&link->peer);
    assert_int_equal(link->tls->session_create(&link->session, link->context, host, &link->ticket),
                     STRATA_OK);
}

void tls_link_fini(struct tls_link *link)
{
    link->tls->session_destroy(&link->session);
    if (link->ticket != NULL)
        link->tls->ticket_destroy(&link->ticket);
    link->tls->context_close(&link->context);
    tls_peer_close(&link->peer);
    sta_buffer_fini(&link->wire);
    sta_buffer_fini(&link->got);
}

static void decrypt_all(struct tls_link *link, struct sta_tls_wire *wire)
{
    do {
        size_t len = 0;
        assert_int_equal(sta_buffer_reserve(&link->got, 32768), STRATA_OK);
        link->status = link->tls->decrypt(link->session, wire, sta_buffer_end(&link->got), 32768,
                                          &len, link->reason);
        sta_buffer_advance(&link->got, len);
    } while (link->status == STRATA_OK);
}

void tls_link_feed(struct tls_link *link, struct strata_bytes bytes)
{
    struct sta_tls_wire wire = {.in = bytes, .arg = link, .put = on_put};
    if (!link->ready) {
        link->status = link->tls->handshake(link->session, &wire, link->reason);
        link->ready = link->status == STRATA_OK;
        if (!link->ready)
            return;
    }
    decrypt_all(link, &wire);
    if (link->status == STA_TLS_MORE)
        assert_int_equal(wire.in.len, 0);
}

static struct strata_bytes some_of(const struct tls_link *link, struct strata_bytes bytes)
{
    if (link->step > 0 && bytes.len > link->step)
        bytes.len = link->step;
    return bytes;
}

void tls_link_run(struct tls_link *link)
{
    bool quiet = false;
    if (!link->ready && sta_buffer_len(&link->wire) == 0)
        tls_link_feed(link, strata_bytes(NULL, 0));
    while (!quiet) {
        struct strata_bytes out = some_of(link, sta_buffer_bytes(&link->wire));
        tls_peer_take(&link->peer, out);
        sta_buffer_consume(&link->wire, out.len);
        struct strata_bytes in = some_of(link, tls_peer_out(&link->peer));
        quiet = out.len == 0 && in.len == 0;
        if (in.len == 0)
            continue;
        tls_link_feed(link, in);
        tls_peer_drop(&link->peer, in.len);
        if (link->status < 0)
            break;
    }
    tls_peer_take(&link->peer, sta_buffer_bytes(&link->wire)); /* last words */
    sta_buffer_clear(&link->wire);
}

int tls_link_try_to_say(struct tls_link *link, struct strata_bytes bytes)
{
    struct sta_tls_wire wire = {.arg = link, .put = on_put};
    return link->tls->encrypt(link->session, &wire, bytes, link->reason);
}

void tls_link_say(struct tls_link *link, struct strata_bytes bytes)
{
    assert_int_equal(tls_link_try_to_say(link, bytes), STRATA_OK);
    tls_link_run(link);
}

void tls_link_goodbye(struct tls_link *link)
{
    struct sta_tls_wire wire = {.arg = link, .put = on_put};
    link->tls->goodbye(link->session, &wire);
    tls_peer_take(&link->peer, sta_buffer_bytes(&link->wire));
    sta_buffer_clear(&link->wire);
}
