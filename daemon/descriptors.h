/* SPDX-License-Identifier: MIT
 *
 * Room for descriptors: every client takes one, and the limit that a process starts with is made
 * for programs with few.
 */
#ifndef STA_DESCRIPTORS_H
#define STA_DESCRIPTORS_H

#include <stdint.h>

/* Raises the process' limit of open files, as far as it may, so that `clients` fit beside
 * `others`. Returns how many clients do fit, at most `clients`. */
uint64_t sta_descriptors_reserve(uint64_t clients, uint64_t others);

#endif
