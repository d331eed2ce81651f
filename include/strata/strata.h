/* SPDX-License-Identifier: MIT
 *
 * Everything libstrata offers. Include this, or the small headers one by one.
 */
#ifndef STRATA_STRATA_H
#define STRATA_STRATA_H

#include "bytes.h"
#include "cache.h"
#include "cluster.h"
#include "events.h"
#include "keys.h"
#include "l1.h"
#include "l2.h"
#include "load.h"
#include "log.h"
#include "observe.h"
#include "options.h"
#include "pattern.h"
#include "status.h"
#include "tags.h"
#include "version.h"
#include "warm.h"

#endif
