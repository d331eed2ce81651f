/* SPDX-License-Identifier: MIT
 *
 * SHA-1 (FIPS 180-4), because it is what a script in Redis can make of a value. It tells values
 * apart that were not made to deceive; nothing here is to be kept secret or signed by it.
 */
#ifndef STA_SHA1_H
#define STA_SHA1_H

#include <stdint.h>

#include "strata/bytes.h"

#define STA_SHA1_LEN 20u

void sta_sha1(struct strata_bytes bytes, uint8_t digest[STA_SHA1_LEN]);

#endif
