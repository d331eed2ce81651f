/* SPDX-License-Identifier: MIT
 *
 * strata help [COMMAND].
 */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/help.h"
#include "cli/output.h"

/* Prints `text` from column `indent` on (where the cursor stands), broken before column 80. */
static void print_wrapped(const char *text, int indent)
{
    int column = indent;
    while (*text != '\0') {
        int len = (int)strcspn(text, " ");
        if (column > indent && column + 1 + len > 80) {
            (void)printf("\n%*s", indent, "");
            column = indent;
        }
        column += printf("%s%.*s", column > indent ? " " : "", len, text);
        text += len;
        text += strspn(text, " ");
    }
    (void)putchar('\n');
}

static void print_options(const char *title, const struct cli_option *table)
{
    if (table == NULL)
        return;
    (void)printf("\n%s\n", title);
    for (; table->name != NULL; table++) {
        char left[40];
        (void)snprintf(left, sizeof left, "--%s%s%s", table->name, table->value != NULL ? " " : "",
                       table->value != NULL ? table->value : "");
        (void)printf("  %-22s ", left);
        print_wrapped(table->help, 25);
    }
}

static void print_exit_codes(void)
{
    static const struct {
        int code;
        const char *meaning;
    } table[] = {
#define HELP_EXIT(name, code, meaning) {code, meaning},
        CLI_EXIT_LIST(HELP_EXIT)
#undef HELP_EXIT
    };
    (void)puts("\nExit codes");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        (void)printf("  %d  ", table[i].code);
        print_wrapped(table[i].meaning, 5);
    }
}

enum cli_exit cli_help_all(void)
{
    (void)puts(
        "strata [OPTIONS] COMMAND [ARGUMENTS]: talks to stratad, or to any Redis.\n\nCommands");
    for (size_t i = 0; cli_command_table[i] != NULL; i++)
        (void)printf("  %-8s %s\n", cli_command_table[i]->name, cli_command_table[i]->summary);
    print_options("Options, before or after the command", cli_command_options);
    print_exit_codes();
    (void)puts(
        "\nWithout --url, --host and --port the variable STRATA_URL says where to connect, and\n"
        "without that it is redis://127.0.0.1:6380/0. 'strata help COMMAND' says more.");
    return CLI_OK;
}

enum cli_exit cli_help_command(const struct cli_command *command)
{
    (void)printf("strata %s%s%s: %s\n", command->name, command->operands[0] != '\0' ? " " : "",
                 command->operands, command->summary);
    if (command->text != NULL)
        (void)printf("\n%s\n", command->text);
    print_options("Options", command->options);
    print_options("Options of every command", cli_command_options);
    (void)puts("\n'strata help' lists the exit codes.");
    return CLI_OK;
}

static enum cli_exit run_help(struct cli_run *run)
{
    const struct cli_command *command;
    struct strata_error error;
    if (run->count == 0)
        return cli_help_all();
    if (cli_command_find(run->operands[0], &command, &error) < 0)
        return cli_output_failure(run, &error);
    return cli_help_command(command);
}

const struct cli_command cli_command_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .summary = "explain a command",
    .most = 1,
    .run = run_help,
};
