/* SPDX-License-Identifier: MIT
 * main.c: the list of commands. */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "opt.h"

static const command *const commands[] = {&cmd_synth, &cmd_doctor, &cmd_cohort, &cmd_pretrain, &cmd_finetune, &cmd_joint, &cmd_evaluate, &cmd_study, &cmd_report, &cmd_embed, &cmd_probe, &cmd_recalibrate, &cmd_explain_check, &cmd_predict, &cmd_serve, &cmd_info, &cmd_convert, &cmd_shrink, &cmd_plot, &cmd_bench};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void help(FILE *to)
{
    fprintf(to, "ecgraft: an ECG encoder that has learned from blood tests and vital signs, and afterwards needs the ECG alone\n\n"
                "  ecgraft COMMAND [arguments]      ecgraft COMMAND --help\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-13s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(to, "\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 some recordings failed, 4 the input was refused, 130 interrupted and saved.\n%s\n",
            ECG_STATEMENT);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--version") == 0) {
        printf("ecgraft %s\n%s\n", ecg_version(), ECG_STATEMENT);
        return EXIT_DONE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        help(stdout);
        return EXIT_DONE;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i]->run(argc - 1, argv + 1);
    if (!*name) {
        help(stderr);
        return EXIT_USAGE;
    }
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++)
        names[i] = commands[i]->name;
    const char *near = ecg_nearest(name, names, COMMANDS);
    fprintf(stderr, "ecgraft: no command %s%s%s%s\n", name, near ? "; did you mean " : "", near ? near : "", near ? "?" : " (ecgraft --help lists them)");
    return EXIT_USAGE;
}
