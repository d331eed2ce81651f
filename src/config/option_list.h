/* SPDX-License-Identifier: MIT
 *
 * Lists of endpoints, quotas and labels, in the forms in which people and their shells write them:
 *
 *     ["a:1", "b:2"]    JSON
 *     [a:1,b:2]         the same after a shell has taken the quotes away
 *     a:1, [::1]:2      with commas
 */
#ifndef STA_OPTION_LIST_H
#define STA_OPTION_LIST_H

#include "config/option_value.h"

/* As sta_option_value_parse() for NODES, ENDPOINTS, QUOTAS and LABELS. */
int sta_option_list_parse(const struct sta_option *option, const char *text,
                          const struct sta_option_value *before, struct sta_option_value *out,
                          struct strata_error *error);

/* Checks one member: STRATA_OK, or STRATA_ERR_CONFIG with the reason. */
int sta_option_list_check(const struct sta_option *option, const char *member,
                          struct strata_error *error);

#define STA_OPTION_LABEL_MOST 32u

/* Whether members that are fine by themselves go together: no two quotas for one prefix. Answers as
 * sta_option_list_check(). */
int sta_option_list_check_together(const struct sta_option *option, const char *const *list,
                                   size_t count, struct strata_error *error);

#endif
