/* SPDX-License-Identifier: MIT
 *
 * The server that plays a script. One thread does all the I/O; everything is guarded by one lock,
 * which the thread lets go of while it waits. Sockets block for writing: a client that does not
 * read what it was sent in SEND_SECONDS has lost its connection.
 */
#include "support/fake_redis.h"

#include <fnmatch.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/fake_redis_words.h"
#include "support/port.h"

#define CLIENTS_MOST 256
#define INPUT_CAP    (1u << 20)
#define TEXT_CAP     256
#define SLOTS_CAP    (1u << 16)
#define BACKLOG      512
#define SEND_SECONDS 5

struct rule {
    struct rule *next;
    struct fake_rule it; /* with copies of its strings */
    unsigned fitted;     /* commands, so far */
};

struct client {
    int fd;
    int number;
    bool hung;
    bool resp3;
    size_t len;
    char *input; /* INPUT_CAP */
};

struct seen {
    int client;
    char text[TEXT_CAP];
};

struct fake_redis {
    pthread_t thread;
    int wake;
    int listener;
    char address[64];

    /* guarded by lock */
    pthread_mutex_t lock;
    bool ending;
    struct rule *rules;
    char slots[SLOTS_CAP]; /* the reply to CLUSTER SLOTS */
    struct seen *seen;
    size_t seen_count;
    size_t seen_cap;
    uint64_t accepted;
    int count;
    struct client clients[CLIENTS_MOST];
};

static void fail(const char *what)
{
    perror(what);
    abort();
}

static void *must(void *memory)
{
    if (memory == NULL)
        fail("fake redis");
    return memory;
}

/* ---- connections ---- */

static void end_client(struct fake_redis *fake, struct client *client, bool reset)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    if (reset)
        (void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    (void)close(client->fd);
    free(client->input);
    *client = fake->clients[--fake->count];
}

static void accept_client(struct fake_redis *fake)
{
    const struct timeval patience = {.tv_sec = SEND_SECONDS};
    int fd = accept4(fake->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (fake->count == CLIENTS_MOST)
        fail("too many connections");
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    fake->clients[fake->count++] = (struct client){
        .fd = fd,
        .number = (int)fake->accepted++,
        .input = must(malloc(INPUT_CAP)),
    };
}

static bool send_all(const struct client *client, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(client->fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        bytes += sent;
        len -= (size_t)sent;
    }
    return true;
}

/* ---- answers ---- */

static void remember(struct fake_redis *fake, const struct client *client, const char *text)
{
    if (fake->seen_count == fake->seen_cap) {
        fake->seen_cap = fake->seen_cap != 0 ? 2 * fake->seen_cap : 256;
        fake->seen = must(realloc(fake->seen, fake->seen_cap * sizeof *fake->seen));
    }
    struct seen *seen = &fake->seen[fake->seen_count++];
    seen->client = client->number;
    (void)snprintf(seen->text, sizeof seen->text, "%s", text);
}

static struct rule *find_rule(struct fake_redis *fake, const char *text)
{
    for (struct rule *rule = fake->rules; rule != NULL; rule = rule->next) {
        if (fnmatch(rule->it.pattern, text, FNM_CASEFOLD) != 0)
            continue;
        if (rule->it.times != 0 && rule->fitted >= rule->it.skip + rule->it.times)
            continue;
        if (rule->fitted++ >= rule->it.skip)
            return rule;
    }
    return NULL;
}

static bool is(const char *text, const char *pattern)
{
    return fnmatch(pattern, text, FNM_CASEFOLD) == 0;
}

static bool say_hello(struct client *client, const char *text)
{
    client->resp3 = is(text, "HELLO 3*");
    const char *hello = client->resp3
                            ? "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n"
                              "7.0.15\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n$4\r\n"
                              "mode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7"
                              "\r\nmodules\r\n*0\r\n"
                            : "*0\r\n";
    return send_all(client, hello, strlen(hello));
}

static bool say_bulk(const struct client *client, const char *text)
{
    char head[32];
    (void)snprintf(head, sizeof head, "$%zu\r\n", strlen(text));
    return send_all(client, head, strlen(head)) && send_all(client, text, strlen(text)) &&
           send_all(client, "\r\n", 2);
}

static bool say_nulls(const struct client *client, unsigned count)
{
    char head[32];
    const char *null = client->resp3 ? "_\r\n" : "$-1\r\n";
    (void)snprintf(head, sizeof head, "*%u\r\n", count);
    bool good = send_all(client, head, strlen(head));
    for (; good && count > 0; count--)
        good = send_all(client, null, strlen(null));
    return good;
}

static const char *plain_answer(const struct fake_redis *fake, const struct client *client,
                                const char *text)
{
    static const struct {
        const char *pattern;
        const char *answer;
    } answers[] = {
        {"PING", "+PONG\r\n"},   {"AUTH *", "+OK\r\n"},   {"SELECT *", "+OK\r\n"},
        {"CLIENT ID", ":1\r\n"}, {"CLIENT *", "+OK\r\n"}, {"ASKING", "+OK\r\n"},
        {"READONLY", "+OK\r\n"}, {"SET *", "+OK\r\n"},    {"PTTL *", ":-2\r\n"},
        {"DEL *", ":0\r\n"},     {"UNLINK *", ":0\r\n"},
    };
    if (is(text, "CLUSTER SLOTS") && fake->slots[0] != '\0')
        return fake->slots;
    if (is(text, "GET *"))
        return client->resp3 ? "_\r\n" : "$-1\r\n";
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (is(text, answers[i].pattern))
            return answers[i].answer;
    return "-ERR unknown command\r\n";
}

static bool answer_plainly(const struct fake_redis *fake, struct client *client, const char *text,
                           unsigned words)
{
    if (is(text, "HELLO*"))
        return say_hello(client, text);
    if (is(text, "MGET *"))
        return say_nulls(client, words - 1);
    if (is(text, "CLUSTER INFO") && fake->slots[0] != '\0')
        return say_bulk(client, "cluster_state:ok\r\ncluster_slots_assigned:16384\r\n"
                                "cluster_slots_ok:16384\r\ncluster_slots_pfail:0\r\n"
                                "cluster_slots_fail:0\r\ncluster_known_nodes:3\r\n"
                                "cluster_size:3\r\ncluster_current_epoch:1\r\n"
                                "cluster_my_epoch:1\r\n");
    const char *answer = plain_answer(fake, client, text);
    return send_all(client, answer, strlen(answer));
}

/* Whether the connection goes on. */
static bool follow(const struct rule *rule, struct client *client, bool *reset)
{
    size_t len = rule->it.reply_len;
    if (rule->it.cut_after != 0 && rule->it.cut_after < len)
        len = rule->it.cut_after;
    bool good = send_all(client, rule->it.reply, len);
    client->hung = rule->it.deed == FAKE_HANG;
    *reset = rule->it.deed == FAKE_RESET;
    return good && rule->it.deed != FAKE_CLOSE && rule->it.deed != FAKE_RESET;
}

/* Answers all whole commands of the input; whether the connection goes on. */
static bool answer_all(struct fake_redis *fake, struct client *client, bool *reset)
{
    char text[TEXT_CAP];
    unsigned words;
    bool good = true;
    while (good && !client->hung) {
        long used = fake_redis_words(client->input, client->len, text, sizeof text, &words);
        if (used <= 0)
            return used == 0 && client->len < INPUT_CAP;
        remember(fake, client, text);
        client->len -= (size_t)used;
        memmove(client->input, client->input + used, client->len);
        struct rule *rule = find_rule(fake, text);
        good =
            rule != NULL ? follow(rule, client, reset) : answer_plainly(fake, client, text, words);
    }
    return good;
}

static void serve(struct fake_redis *fake, struct client *client)
{
    bool reset = false;
    ssize_t len =
        recv(client->fd, client->input + client->len, INPUT_CAP - client->len, MSG_DONTWAIT);
    client->len += len > 0 ? (size_t)len : 0;
    if (len <= 0 || !answer_all(fake, client, &reset))
        end_client(fake, client, reset);
}

/* ---- the thread ---- */

static void wait_for_work(struct fake_redis *fake, struct pollfd *polled)
{
    int count = fake->count;
    polled[0] = (struct pollfd){.fd = fake->wake, .events = POLLIN};
    polled[1] = (struct pollfd){.fd = fake->listener, .events = POLLIN};
    for (int i = 0; i < count; i++)
        polled[2 + i] = (struct pollfd){
            .fd = fake->clients[i].hung ? -1 : fake->clients[i].fd,
            .events = POLLIN,
        };
    (void)pthread_mutex_unlock(&fake->lock);
    (void)poll(polled, 2 + (nfds_t)count, -1);
    (void)pthread_mutex_lock(&fake->lock);
}

/* Descriptors are looked up again: while the thread waited, connections may have been dropped. */
static void serve_all(struct fake_redis *fake, const struct pollfd *polled, int count)
{
    for (int i = 0; i < count; i++)
        for (int k = 0; k < fake->count && polled[2 + i].revents != 0; k++)
            if (fake->clients[k].fd == polled[2 + i].fd) {
                serve(fake, &fake->clients[k]);
                break;
            }
}

static void *run(void *arg)
{
    struct fake_redis *fake = arg;
    static const int first = 2;
    struct pollfd polled[CLIENTS_MOST + 2];
    (void)pthread_mutex_lock(&fake->lock);
    while (!fake->ending) {
        uint64_t woken;
        int count = fake->count;
        wait_for_work(fake, polled);
        if (polled[0].revents != 0)
            (void)!read(fake->wake, &woken, sizeof woken);
        serve_all(fake, polled, count);
        if (polled[first - 1].revents != 0)
            accept_client(fake);
    }
    while (fake->count > 0)
        end_client(fake, &fake->clients[fake->count - 1], false);
    (void)pthread_mutex_unlock(&fake->lock);
    return NULL;
}

/* ---- life ---- */

static int listen_on(const char *host, int port)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[8];
    int on = 1;
    (void)snprintf(service, sizeof service, "%d", port);
    if (getaddrinfo(host, service, &hints, &found) != 0)
        fail(host);
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
        fail("listening");
    freeaddrinfo(found);
    return fd;
}

struct fake_redis *fake_redis_start(const char *listen)
{
    struct fake_redis *fake = must(calloc(1, sizeof *fake));
    char host[48] = "127.0.0.1";
    const char *colon = listen != NULL ? strrchr(listen, ':') : NULL;
    int port = colon != NULL ? atoi(colon + 1) : 0;
    if (colon != NULL)
        (void)snprintf(host, sizeof host, "%.*s", (int)(colon - listen), listen);
    port = port != 0 ? port : port_choose(host);
    (void)snprintf(fake->address, sizeof fake->address, "%s:%d", host, port);
    fake->listener = listen_on(host, port);
    fake->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)pthread_mutex_init(&fake->lock, NULL);
    if (fake->wake < 0 || pthread_create(&fake->thread, NULL, run, fake) != 0)
        fail("starting");
    return fake;
}

static void wake(struct fake_redis *fake)
{
    const uint64_t one = 1;
    if (write(fake->wake, &one, sizeof one) != sizeof one)
        fail("waking");
}

void fake_redis_stop(struct fake_redis **pointer)
{
    struct fake_redis *fake = *pointer;
    if (fake == NULL)
        return;
    (void)pthread_mutex_lock(&fake->lock);
    fake->ending = true;
    (void)pthread_mutex_unlock(&fake->lock);
    wake(fake);
    (void)pthread_join(fake->thread, NULL);
    fake_redis_forget(fake);
    (void)close(fake->listener);
    (void)close(fake->wake);
    (void)pthread_mutex_destroy(&fake->lock);
    free(fake->seen);
    free(fake);
    *pointer = NULL;
}

const char *fake_redis_address(const struct fake_redis *fake)
{
    return fake->address;
}

int fake_redis_port(const struct fake_redis *fake)
{
    return atoi(strrchr(fake->address, ':') + 1);
}

/* ---- the script ---- */

void fake_redis_rule(struct fake_redis *fake, const struct fake_rule *rule)
{
    struct rule *added = must(calloc(1, sizeof *added));
    size_t len = rule->reply == NULL ? 0 : rule->reply_len;
    if (rule->reply != NULL && len == 0)
        len = strlen(rule->reply);
    char *reply = must(malloc(len + 1));
    if (len > 0)
        memcpy(reply, rule->reply, len);
    added->it = *rule;
    added->it.pattern = must(strdup(rule->pattern));
    added->it.reply = reply;
    added->it.reply_len = len;
    (void)pthread_mutex_lock(&fake->lock);
    struct rule **last = &fake->rules;
    while (*last != NULL)
        last = &(*last)->next;
    *last = added;
    (void)pthread_mutex_unlock(&fake->lock);
}

void fake_redis_say(struct fake_redis *fake, const char *pattern, unsigned times, const char *reply)
{
    fake_redis_rule(fake, &(struct fake_rule){
                              .pattern = pattern,
                              .times = times,
                              .reply = reply,
                          });
}

void fake_redis_forget(struct fake_redis *fake)
{
    (void)pthread_mutex_lock(&fake->lock);
    while (fake->rules != NULL) {
        struct rule *rule = fake->rules;
        fake->rules = rule->next;
        free((void *)(uintptr_t)rule->it.pattern);
        free((void *)(uintptr_t)rule->it.reply);
        free(rule);
    }
    (void)pthread_mutex_unlock(&fake->lock);
}

void fake_redis_set_slots(struct fake_redis *fake, const struct fake_range *ranges, size_t count)
{
    (void)pthread_mutex_lock(&fake->lock);
    int len = snprintf(fake->slots, SLOTS_CAP, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) {
        const struct fake_range *range = &ranges[i];
        len += snprintf(fake->slots + len, SLOTS_CAP - (size_t)len, "*3\r\n:%u\r\n:%u\r\n*3\r\n",
                        range->first, range->last);
        if (range->host != NULL)
            len += snprintf(fake->slots + len, SLOTS_CAP - (size_t)len, "$%zu\r\n%s\r\n",
                            strlen(range->host), range->host);
        else
            len += snprintf(fake->slots + len, SLOTS_CAP - (size_t)len, "$-1\r\n");
        len += snprintf(fake->slots + len, SLOTS_CAP - (size_t)len, ":%d\r\n$40\r\n%040d\r\n",
                        range->port, range->port);
        if ((size_t)len > SLOTS_CAP - 256)
            fail("too many ranges");
    }
    (void)pthread_mutex_unlock(&fake->lock);
}

void fake_redis_push(struct fake_redis *fake, const char *bytes)
{
    (void)pthread_mutex_lock(&fake->lock);
    for (int i = 0; i < fake->count; i++)
        (void)send_all(&fake->clients[i], bytes, strlen(bytes));
    (void)pthread_mutex_unlock(&fake->lock);
}

void fake_redis_drop(struct fake_redis *fake, bool reset)
{
    (void)pthread_mutex_lock(&fake->lock);
    while (fake->count > 0)
        end_client(fake, &fake->clients[fake->count - 1], reset);
    (void)pthread_mutex_unlock(&fake->lock);
    wake(fake);
}

/* ---- what has come ---- */

uint64_t fake_redis_seen(struct fake_redis *fake, const char *pattern)
{
    uint64_t count = 0;
    (void)pthread_mutex_lock(&fake->lock);
    for (size_t i = 0; i < fake->seen_count; i++)
        count += is(fake->seen[i].text, pattern);
    (void)pthread_mutex_unlock(&fake->lock);
    return count;
}

uint64_t fake_redis_connections(struct fake_redis *fake)
{
    (void)pthread_mutex_lock(&fake->lock);
    uint64_t count = fake->accepted;
    (void)pthread_mutex_unlock(&fake->lock);
    return count;
}

int fake_redis_command(struct fake_redis *fake, size_t n, char *text, size_t cap)
{
    int client = -1;
    (void)pthread_mutex_lock(&fake->lock);
    if (n < fake->seen_count) {
        client = fake->seen[n].client;
        (void)snprintf(text, cap, "%s", fake->seen[n].text);
    }
    (void)pthread_mutex_unlock(&fake->lock);
    return client;
}
