/* SPDX-License-Identifier: MIT
 *
 * The BIO between OpenSSL and a session's wire. Input that was all taken is "try again later", so
 * the session waits for more; output is always taken, or the session has failed. So nothing here
 * ever waits to write, and OpenSSL's rules about repeated writes do not come up.
 */
#include <assert.h>
#include <string.h>

#include "openssl_inside.h"

static int wire_read(BIO *bio, char *area, size_t cap, size_t *count)
{
    struct sta_tls_session *session = BIO_get_data(bio);
    struct strata_bytes *in = &session->wire->in;
    BIO_clear_retry_flags(bio);
    if (in->len == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *count = in->len < cap ? in->len : cap;
    memcpy(area, in->data, *count);
    *in = strata_bytes((const char *)in->data + *count, in->len - *count);
    return 1;
}

static int wire_write(BIO *bio, const char *bytes, size_t len, size_t *count)
{
    struct sta_tls_session *session = BIO_get_data(bio);
    const struct sta_tls_wire *wire = session->wire;
    BIO_clear_retry_flags(bio);
    int status = wire->put(wire->arg, strata_bytes(bytes, len));
    if (status < 0) {
        session->put_status = status;
        return 0;
    }
    *count = len;
    return 1;
}

static long wire_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* there is nothing that could wait here */
}

static int wire_init(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

/* No number of its own: OpenSSL has 128 of them for a process, and looks nobody up by it here. */
BIO_METHOD *sta_openssl_wire_create(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "strata wire");
    if (method != NULL && BIO_meth_set_read_ex(method, wire_read) == 1 &&
        BIO_meth_set_write_ex(method, wire_write) == 1 &&
        BIO_meth_set_ctrl(method, wire_control) == 1 && BIO_meth_set_create(method, wire_init) == 1)
        return method;
    BIO_meth_free(method);
    return NULL;
}
