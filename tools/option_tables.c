/* SPDX-License-Identifier: MIT
 *
 * Prints the tables of docs/configuration.md that come from option tables: of "library" or of
 * "stratad". tools/option_docs puts them into the page.
 */
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "daemon/stratad_options.h"

#define TABLES_MOST ((size_t)1 << 20)

static int library_tables(struct sta_buffer *out)
{
    struct sta_option_set set = {.options = sta_option_table, .count = STA_OPTION_TABLE_COUNT};
    return sta_config_markdown(&set, 1, out);
}

int main(int argc, char **argv)
{
    struct sta_buffer out;
    int status = STRATA_ERR_INVALID;
    sta_buffer_init(&out, TABLES_MOST);
    if (argc == 2 && strcmp(argv[1], "library") == 0)
        status = library_tables(&out);
    else if (argc == 2 && strcmp(argv[1], "stratad") == 0)
        status = sta_stratad_options_markdown(&out);
    if (status == STRATA_OK)
        (void)fwrite(sta_buffer_bytes(&out).data, 1, sta_buffer_len(&out), stdout);
    else
        (void)fprintf(stderr, "option_tables: %s\n", strata_status_text(status));
    sta_buffer_fini(&out);
    return status == STRATA_OK && fflush(stdout) == 0 ? 0 : 1;
}
