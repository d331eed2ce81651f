/* SPDX-License-Identifier: MIT
 *
 * CRC-32C (Castagnoli; RFC 3720, appendix B.4): finds every burst of up to 32 wrong bits.
 */
#ifndef STA_CRC32C_H
#define STA_CRC32C_H

#include <stdint.h>

#include "strata/bytes.h"

/* Goes on from the CRC of what came before; 0 at the beginning. */
uint32_t sta_crc32c(uint32_t crc, struct strata_bytes bytes);

/* The same on any processor, slower. */
uint32_t sta_crc32c_by_table(uint32_t crc, struct strata_bytes bytes);

#endif
