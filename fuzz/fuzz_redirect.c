/* SPDX-License-Identifier: MIT
 *
 * Error replies, redirects among them: the input is one, without its '-'.
 *
 * Facts: whatever is followed has a slot, a port and a host that make the same redirect again;
 * a decision is never before now nor at or past the deadline, and every call comes to an end
 * within its attempts.
 */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "fuzz/arrival.h"
#include "l2/redirect.h"
#include "l2/slot.h"
#include "strata/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_redirect(const struct sta_redirect *redirect)
{
    return redirect->kind == STA_REDIRECT_MOVED || redirect->kind == STA_REDIRECT_ASKED;
}

static void check_again(const struct sta_redirect *redirect, const struct sta_endpoint *answered_by)
{
    char text[400];
    struct sta_redirect again;
    const char *word = redirect->kind == STA_REDIRECT_MOVED ? "MOVED" : "ASK";
    const char *host = redirect->endpoint.address[0] != '\0' ? redirect->endpoint.address : "?";
    CHECK(redirect->slot < STA_SLOT_COUNT && redirect->endpoint.port > 0);
    snprintf(text, sizeof text, "%s %u %s:%u", word, (unsigned)redirect->slot, host,
             (unsigned)redirect->endpoint.port);
    sta_redirect_parse(&again, strata_text(text), answered_by);
    CHECK(again.kind == redirect->kind && again.slot == redirect->slot);
    CHECK(sta_endpoint_equal(&again.endpoint, &redirect->endpoint));
}

static void check_call(const struct sta_redirect *redirect, uint64_t budget_ns, uint64_t random)
{
    uint64_t now_ns = 1;
    struct sta_redirect_call call = {.deadline_ns = sta_clock_after(now_ns, budget_ns),
                                     .splittable = (random & 1) != 0};
    for (;;) {
        CHECK(++call.attempts <= STA_REDIRECT_ATTEMPTS_MAX);
        struct sta_redirect_decision decision =
            sta_redirect_decide(redirect, &call, now_ns, &random);
        CHECK(!decision.patch ||
              (redirect->kind == STA_REDIRECT_MOVED && redirect->endpoint.address[0] != '\0'));
        if (decision.action == STA_REDIRECT_GIVE_UP) {
            CHECK(decision.status < 0);
            return;
        }
        CHECK(decision.at_ns >= now_ns && decision.at_ns < call.deadline_ns);
        CHECK((decision.action != STA_REDIRECT_GO && decision.action != STA_REDIRECT_ASK) ||
              is_redirect(redirect));
        CHECK(decision.action != STA_REDIRECT_SPLIT || call.splittable);
        call.splittable = call.splittable && decision.action != STA_REDIRECT_SPLIT;
        now_ns = decision.at_ns;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sta_endpoint nodes[] = {
        {.kind = STA_ENDPOINT_TCP, .port = 7000, .address = "::1"},
        {.kind = STA_ENDPOINT_UNIX, .address = "/run/redis.sock"},
    };
    struct arrival arrival;
    struct sta_redirect redirect;
    arrival_init(&arrival, data, size, 0);
    arrival_all(&arrival);
    for (size_t i = 0; i < 2; i++) {
        sta_redirect_parse(&redirect, arrival_bytes(&arrival), &nodes[i]);
        if (is_redirect(&redirect))
            check_again(&redirect, &nodes[i]);
        check_call(&redirect, 5 * STA_NS_SEC, size);
        check_call(&redirect, STA_NEVER, size + 1);
        check_call(&redirect, size, size);
    }
    arrival_fini(&arrival);
    return 0;
}
