/* SPDX-License-Identifier: MIT
 *
 * What the forms for many rows are worth on PostgreSQL: 100 rows in one call beside 100 calls, in
 * one transaction, on a private server behind a unix socket. Wall time; ratios are taken within a
 * round.
 */
#ifndef BENCH_REPOSITORY_MANY_H
#define BENCH_REPOSITORY_MANY_H

void bench_repository_many(unsigned rounds);

#endif
