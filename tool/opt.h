/* SPDX-License-Identifier: MIT
 * opt.h: one table of options drives parsing, usage and help. A command is one file: options, run, nothing clever.
 * Data go to stdout, narration and progress to stderr. */
#ifndef ECG_TOOL_OPT_H
#define ECG_TOOL_OPT_H

#include <stdio.h>

#include "base/status.h"
#include "base/watch.h"
#include "num/kernels.h"

typedef enum { OPT_FLAG /* bool */, OPT_INT /* int64_t */, OPT_NUMBER /* double */, OPT_TEXT /* const char * */, OPT_LIST /* opt_list, may repeat */ } opt_kind;

typedef struct {
    const char *at[64];
    int n;
} opt_list;

typedef struct {
    const char *name;  /* "patients" for --patients; ends the table with NULL */
    char letter;       /* 'n' for -n, 0: none */
    opt_kind kind;
    void *at;
    const char *value; /* "N", "FILE"; NULL for flags */
    const char *help;
} option;

typedef struct {
    const char *name, *summary;
    const char *usage;   /* "MODEL RECORDING... [options]" */
    const char *example; /* shown first */
    const char *more;    /* further help text, may be NULL */
    int (*run)(int argc, char **argv);
} command;

/* Options that every command has; filled by opt_parse. */
typedef struct {
    int64_t threads; /* default: number of processors */
    int64_t seed;    /* 42 */
    bool seed_given, quiet, help;
    const char *precision; /* NULL: not given; for commands that have PRECISION_OPTION */
} opt_common;
extern opt_common common;

/* Parses argv[1..]; positional arguments are moved to the front of argv[1..] and counted in *positional. Returns -1 to go on, else the exit
 * code to return at once (0 after --help, 2 after a mistake, which it has explained with the nearest name). min, max: number of positionals, max -1: any. */
int opt_parse(const command *c, const option *options, int argc, char **argv, int *positional, int min, int max);

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SOME = 3, EXIT_REFUSED = 4, EXIT_INTERRUPTED = 130 };

/* Prints "ecgraft: PLACE: message" to stderr and returns the exit code for the status (EREFUSED, ECONTRACT 4; EINTR 130; EARG 2 only where usage is wrong, else 1). */
int tool_fail(const ecg_err *err);
int tool_usage(const command *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Narration on stderr unless -q; a progress line with ETA when stderr is a terminal; Ctrl-C sets *stop. */
const ecg_watch *tool_watch(void);
/* Kernels for this machine (ECGRAFT_CPU) at common.precision and a pool of common.threads. */
ecg_status tool_exec(ecg_exec *x, ecg_err *err);
void tool_exec_done(ecg_exec *x);
/* of a command that runs a network; opt_parse refuses other names */
#define PRECISION_OPTION {"precision", 0, OPT_TEXT, &common.precision, "NAME", "float32 (default) or bf16: operands of the wide products are rounded"}
void tool_synthetic_note(void); /* "synthetic cohort: ..." on stderr, once */

extern const command cmd_synth, cmd_cohort, cmd_doctor, cmd_pretrain, cmd_finetune, cmd_joint, cmd_evaluate, cmd_study, cmd_report, cmd_embed, cmd_probe, cmd_recalibrate, cmd_explain_check, cmd_predict, cmd_serve, cmd_info, cmd_convert, cmd_shrink, cmd_plot, cmd_bench;

#endif
