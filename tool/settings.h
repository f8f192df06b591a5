/* SPDX-License-Identifier: MIT
 * settings.h: what pretrain, finetune and joint share: where the settings of a run come from. */
#ifndef ECG_TOOL_SETTINGS_H
#define ECG_TOOL_SETTINGS_H

#include "opt.h"
#include "study/train.h"

typedef struct {
    const char *out, *preset, *config, *roles;
    opt_list set;
    int64_t epochs, batch; /* 0: not given */
    bool resume, force;
} run_options;

#define RUN_OPTIONS(o, set_help)                                                                                                  \
    {"output", 'o', OPT_TEXT, &(o).out, "RUN", "run folder to make"},                                                           \
    {"preset", 0, OPT_TEXT, &(o).preset, "NAME", "paper, small or mdsed-s4"},                                                   \
    {"config", 0, OPT_TEXT, &(o).config, "FILE", "settings in YAML"},                                                           \
    {"set", 0, OPT_LIST, &(o).set, "KEY=VALUE", set_help},                                                                      \
    {"roles", 0, OPT_TEXT, &(o).roles, "ROLES", "folds by role: train:0-17,validation:18,test:19"},                             \
    {"epochs", 0, OPT_INT, &(o).epochs, "N", "passes over the training records"},                                               \
    PRECISION_OPTION,                                                                                                             \
    {"batch", 0, OPT_INT, &(o).batch, "N", "records in a batch"},                                                               \
    {"resume", 0, OPT_FLAG, &(o).resume, NULL, "go on from the last checkpoint in RUN"},                                        \
    {"force", 0, OPT_FLAG, &(o).force, NULL, "start over in a run folder that is not empty"}

/* Preset < file < --set < flags. base: an earlier run whose settings take the place of the preset unless one is named; may be NULL. section: where
 * --epochs and --batch belong. -1: go on; else the exit code. */
int settings_resolve(ecg_config *out, const command *c, const run_options *o, const char *base, const char *section);
/* --set NAME, a label set, among the --set KEY=VALUE; *set unchanged where there is none. -1: go on; else the exit code. */
int settings_label_set(const char **set, const command *c, const run_options *o);
/* 0: *roles unset as none were given; 1: set; -1: wrong, *code holds the exit code. */
int settings_roles(ecg_roles *roles, const command *c, const char *text, int *code);
/* What all training commands do in the end: opens the cohort, runs the stage on it, closes. study: what the command itself asks for (from, set, ...). */
int settings_train(const run_options *o, ecg_study study, const char *cohort, ecg_status (*stage)(const ecg_study *study, ecg_err *err));
/* "ecgraft pretrain ..." before opt_parse moves the arguments about. */
void settings_command(char *out, size_t size, int argc, char **argv);

#endif
