/* SPDX-License-Identifier: MIT
 *
 * Options that change while stratad runs: by SIGHUP, which reads flags, environment and file again,
 * and by an administrator, who names them. Either is taken whole, or nothing changes; what was
 * changed is logged, with where it came from, and so is what differs and needs another start.
 *
 *     SIGHUP --> load --> differences --> what is live --> apply, log
 *     PUT /config --> a copy, settings --'
 *
 * What an administrator has changed holds until the next SIGHUP or start: then file, environment
 * and flags count again.
 * Threads: any. `lock` guards the config in force, and keeps changes apart; nothing is logged under
 * it.
 */
#ifndef STA_ADJUST_H
#define STA_ADJUST_H

#include "daemon/stratad_options.h"
#include "strata/status.h"

struct json_t;
struct sta_adjust;
struct sta_stratad;

/* The stratad's options were loaded (sta_stratad_options.given). STRATA_ERR_NOMEM. */
int sta_adjust_create(struct sta_adjust **out, struct sta_stratad *stratad);

/* NULL is fine. */
void sta_adjust_destroy(struct sta_adjust **adjust);

/* SIGHUP. What goes wrong is one line of the log. */
void sta_adjust_reload(struct sta_adjust *adjust);

/* By an administrator. STRATA_OK with what has changed, as sta_live_differences() has it: the
 * caller's (json_decref). Errors as sta_live_offer(). */
int sta_adjust_set(struct sta_adjust *adjust, const struct strata_setting *settings, size_t count,
                   struct json_t **changed, struct strata_error *error);

/* The options in force, as sta_config_json(). */
struct json_t *sta_adjust_config(struct sta_adjust *adjust);

#endif
