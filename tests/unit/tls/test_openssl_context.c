/* SPDX-License-Identifier: MIT
 *
 * Loading: what is wrong with a file is said when it is loaded, with the option that named it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "strata/tls.h"
#include "tls_link.h"

static struct certificate_folder files;

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

/* `format` with the path in it, where it has a place for one. */
__attribute__((format(printf, 2, 0))) static void check_refused(
    const struct sta_tls_settings *settings, const char *format, const char *path)
{
    struct strata_error error = {0};
    struct sta_tls_context *context = NULL;
    char text[504];
    (void)snprintf(text, sizeof text, format, path);
    assert_int_equal(strata_tls_openssl()->context_open(&context, settings, &error),
                     STRATA_ERR_CONFIG);
    assert_string_equal(error.text, text);
    assert_int_equal(error.status, STRATA_ERR_CONFIG);
    assert_null(context);
    assert_int_equal(ERR_peek_error(), 0); /* the caller's queue has nothing of ours */
}

/* The server of `files` is taken, or why not. */
static void check_taken(const struct sta_tls_settings *settings)
{
    struct tls_link link;
    tls_link_init(&link, settings, &(struct tls_peer_plan){.certificate = &files.server},
                  "localhost");
    tls_link_run(&link);
    if (!link.ready)
        fail_msg("%s", link.reason);
    tls_link_fini(&link);
}

static const char *write_text(const char *name, const char *text)
{
    const char *path = certificate_folder_path(&files, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

/* ---- whom we trust ---- */

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    const char *path = certificate_folder_path(&files, "nothing");
    check_refused(&(struct sta_tls_settings){.ca_file = path},
                  "tls_ca_file=\"%s\": No such file or directory", path);
    check_refused(&(struct sta_tls_settings){.ca_dir = path},
                  "tls_ca_dir=\"%s\": No such file or directory", path);
    check_refused(&(struct sta_tls_settings){.ca_file = files.ca_file, .crl_file = path},
                  "tls_crl_file=\"%s\": No such file or directory", path);
    check_refused(&(struct sta_tls_settings){.ca_file = files.ca_file, .cert_file = path},
                  "tls_cert_file=\"%s\": No such file or directory", path);
    check_refused(&(struct sta_tls_settings){.ca_file = files.ca_file,
                                             .cert_file = files.client_file,
                                             .key_file = path},
                  "tls_key_file=\"%s\": No such file or directory", path);
}

static void a_folder_is_no_file(void **state)
{
    (void)state;
    check_refused(&(struct sta_tls_settings){.ca_file = files.folder},
                  "tls_ca_file=\"%s\": Is a directory", files.folder);
}

static void a_file_without_certificates_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "hello\n", "-----BEGIN CERTIFICATE-----\nnonsense\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct strata_error error = {0};
        struct sta_tls_context *context = NULL;
        const char *path = write_text("empty.crt", texts[i]);
        char text[256];
        (void)snprintf(text, sizeof text,
                       "tls_ca_file=\"%s\": holds no certificate in PEM that can be read (", path);
        assert_int_equal(strata_tls_openssl()->context_open(
                             &context, &(struct sta_tls_settings){.ca_file = path}, &error),
                         STRATA_ERR_CONFIG);
        assert_memory_equal(error.text, text, strlen(text));
    }
    const char *path = write_text("empty.crl", "");
    check_refused(&(struct sta_tls_settings){.ca_file = files.ca_file, .crl_file = path},
                  "tls_crl_file=\"%s\": holds no list in PEM that can be read (no start line)",
                  path);
}

static void a_folder_of_cas_is_read_as_openssl_names_its_files(void **state)
{
    (void)state;
    char name[200];
    const struct certificate *root = &files.root;
    const char *folder = certificate_folder_path(&files, "cas");
    assert_int_equal(mkdir(folder, 0700), 0);
    (void)snprintf(name, sizeof name, "%s/root.pem", folder);
    certificate_write(name, &root, 1);
    check_refused(&(struct sta_tls_settings){.ca_dir = folder},
                  "tls_ca_dir=\"%s\": holds no certificate under a name of its hash; 'openssl "
                  "rehash' on the folder makes them",
                  folder);
    (void)snprintf(name, sizeof name, "%s/%08lx.0", folder, X509_subject_name_hash(root->x509));
    certificate_write(name, &root, 1);
    check_taken(&(struct sta_tls_settings){.ca_dir = folder});
}

/* OpenSSL's own variables for them. */
static void without_file_and_folder_the_systems_cas_are_trusted(void **state)
{
    (void)state;
    const char *nowhere = certificate_folder_path(&files, "nowhere");
    assert_int_equal(setenv("SSL_CERT_DIR", nowhere, 1), 0);
    assert_int_equal(setenv("SSL_CERT_FILE", files.ca_file, 1), 0);
    check_taken(&(struct sta_tls_settings){0});
    assert_int_equal(setenv("SSL_CERT_FILE", nowhere, 1), 0);
    check_refused(&(struct sta_tls_settings){0},
                  "this system trusts no CA (%s): name one in tls_ca_file",
                  "/usr/lib/ssl/cert.pem, /usr/lib/ssl/certs");
    assert_int_equal(unsetenv("SSL_CERT_DIR"), 0);
    assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
}

static void who_verifies_nobody_needs_no_ca(void **state)
{
    (void)state;
    check_taken(
        &(struct sta_tls_settings){.ca_file = "/nowhere", .verify = STRATA_TLS_VERIFY_NONE});
}

/* ---- who we are ---- */

static void a_key_that_belongs_to_another_certificate_is_refused(void **state)
{
    (void)state;
    struct certificate rsa;
    char text[300];
    const char *rsa_key = certificate_folder_path(&files, "rsa.key");
    certificate_make(&rsa, &(struct certificate_plan){.cn = "Test RSA", .rsa_bits = 2048});
    certificate_write_key(rsa_key, &rsa, NULL);
    const char *const keys[] = {files.server_key, rsa_key};
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(text, sizeof text,
                       "tls_key_file=\"%s\": the key does not match the certificate in %s", keys[i],
                       files.client_file);
        check_refused(&(struct sta_tls_settings){.ca_file = files.ca_file,
                                                 .cert_file = files.client_file,
                                                 .key_file = keys[i]},
                      "%s", text);
    }
    certificate_fini(&rsa);
}

static void a_key_may_stand_in_the_certificates_file(void **state)
{
    (void)state;
    struct sta_tls_context *context = NULL;
    const char *path = certificate_folder_path(&files, "both.pem");
    const struct certificate *client = &files.client;
    certificate_write(path, &client, 1);
    check_refused(
        &(struct sta_tls_settings){.ca_file = files.ca_file, .cert_file = path},
        "tls_cert_file=\"%s\": holds no private key in PEM that can be read (unsupported)", path);
    FILE *file = fopen(path, "ae");
    FILE *key = fopen(files.client_key, "re");
    assert_true(file != NULL && key != NULL);
    for (int c = fgetc(key); c != EOF; c = fgetc(key))
        (void)fputc(c, file);
    (void)fclose(key);
    (void)fclose(file);
    assert_int_equal(strata_tls_openssl()->context_open(
                         &context,
                         &(struct sta_tls_settings){.ca_file = files.ca_file, .cert_file = path},
                         NULL),
                     STRATA_OK);
    strata_tls_openssl()->context_close(&context);
    assert_null(context);
}

static void a_key_alone_is_refused(void **state)
{
    (void)state;
    check_refused(
        &(struct sta_tls_settings){.ca_file = files.ca_file, .key_file = files.client_key},
        "tls_key_file=\"%s\": a key alone is of no use: give tls_cert_file as well",
        files.client_key);
}

/* And nobody is asked on the terminal. */
static void an_encrypted_key_needs_its_password(void **state)
{
    (void)state;
    struct sta_tls_context *context = NULL;
    struct sta_tls_settings settings = {
        .ca_file = files.ca_file,
        .cert_file = files.client_file,
        .key_file = certificate_folder_path(&files, "locked.key"),
    };
    certificate_write_key(settings.key_file, &files.client, "open sesame");
    check_refused(&settings, "tls_key_file=\"%s\": the key is encrypted: give tls_key_password",
                  settings.key_file);
    settings.key_password = "sEcReT";
    check_refused(&settings, "tls_key_file=\"%s\": tls_key_password does not open the key",
                  settings.key_file);
    settings.key_password = "open sesame";
    assert_int_equal(strata_tls_openssl()->context_open(&context, &settings, NULL), STRATA_OK);
    strata_tls_openssl()->context_close(&context);
}

static void a_weak_certificate_of_ours_is_refused(void **state)
{
    (void)state;
    struct certificate weak;
    const struct certificate *chain = &weak;
    const char *path = certificate_folder_path(&files, "weak.crt");
    certificate_make(
        &weak, &(struct certificate_plan){.cn = "Weak", .rsa_bits = 1024, .issuer = &files.root});
    certificate_write(path, &chain, 1);
    check_refused(&(struct sta_tls_settings){.ca_file = files.ca_file, .cert_file = path},
                  "tls_cert_file=\"%s\": cannot be used as our certificate (ee key too small)",
                  path);
    certificate_fini(&weak);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(a_folder_is_no_file),
        cmocka_unit_test(a_file_without_certificates_is_refused),
        cmocka_unit_test(a_folder_of_cas_is_read_as_openssl_names_its_files),
        cmocka_unit_test(without_file_and_folder_the_systems_cas_are_trusted),
        cmocka_unit_test(who_verifies_nobody_needs_no_ca),
        cmocka_unit_test(a_key_that_belongs_to_another_certificate_is_refused),
        cmocka_unit_test(a_key_may_stand_in_the_certificates_file),
        cmocka_unit_test(a_key_alone_is_refused),
        cmocka_unit_test(an_encrypted_key_needs_its_password),
        cmocka_unit_test(a_weak_certificate_of_ours_is_refused),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
