/* SPDX-License-Identifier: MIT
 * config.h: every setting of an experiment in one typed, bounded table: section.key. Order: preset < file < --set < flags. */
#ifndef ECG_STUDY_CONFIG_H
#define ECG_STUDY_CONFIG_H

#include "base/status.h"

typedef int64_t ecg_cfg_int;
typedef double ecg_cfg_num;
typedef bool ecg_cfg_bool;
typedef int ecg_cfg_word; /* index into the list of words of the row */

/* X(section, key, kind, lowest, highest, default = preset paper, words, help) */
#define ECG_CFG_TRAIN(X, s)                                                                                                        \
    X(s, seed, int, 0, 9007199254740991, 42, "", "key of every random draw: initial weights, order, crops, dropout")               \
    X(s, split_seed, int, 0, 9007199254740991, 42, "", "key of the cut of validation into halves; the same in all stages")         \
    X(s, memory_mb, int, 0, 1048576, 2048, "", "activations up to this size are kept for the backward pass, the others recomputed")      \
    X(s, checkpoint_seconds, num, 0, 86400, 60, "", "a checkpoint inside an epoch after this time; 0: only after each epoch")      \
    X(s, checkpoint_steps, int, 0, 1000000000, 0, "", "a checkpoint every that many steps; 0: none")                               \
    X(s, labelled, num, 0, 1000000000, 0, "", "diagnosis labels of that many training records only, below 1 of that share; 0: all") \
    X(s, precision, word, 0, 0, 0, "float32|bf16", "operands of the wide products; bf16: rounded, sums stay float32")               \
    X(s, shuffle_pairs, bool, 0, 1, 0, "", "control: stage 1 sees every ECG with the table of another record")
#define ECG_CFG_ENCODER(X, s)                                                                                                      \
    X(s, width, int, 2, 8192, 512, "", "channels H")                                                                               \
    X(s, blocks, int, 1, 31, 4, "", "state-space blocks")                                                                          \
    X(s, state, int, 2, 256, 8, "", "states N of a channel, even")                                                                 \
    X(s, length, int, 8, 100000, 250, "", "samples L of a crop")                                                                   \
    X(s, bidirectional, bool, 0, 1, 1, "", "look forwards and backwards in time")                                                  \
    X(s, dropout, num, 0, 0.95, 0.2, "", "channel dropout in every block")
#define ECG_CFG_PROJECTOR(X, s)                                                                                                    \
    X(s, hidden, int, 1, 16384, 2048, "", "width of both hidden layers of the projectors")                                         \
    X(s, out, int, 2, 16384, 512, "", "size E of the joint embedding")
#define ECG_CFG_PRETRAIN(X, s)                                                                                                     \
    X(s, lambda, num, 0, 10, 0.02, "", "weight of the off-diagonal terms of the Barlow Twins loss")                                \
    X(s, batch, int, 8, 65536, 256, "", "records in a batch: the loss couples all of them")                                        \
    X(s, epochs, int, 1, 100000, 40, "", "passes over the training records")                                                       \
    X(s, updates, int, 0, 1000000000, 0, "", "at least that many updates, if epochs give fewer")                                   \
    X(s, lr, num, 0, 10, 1e-3, "", "learning rate")                                                                                \
    X(s, decay, num, 0, 10, 1e-3, "", "weight decay, decoupled")                                                                   \
    X(s, schedule, word, 0, 0, 0, ECG_CFG_SCHEDULES, "course of the learning rate")                                                \
    X(s, warmup, int, 0, 1000000000, 0, "", "steps of warm-up where the schedule has one")                                         \
    X(s, tabular, word, 0, 0, 0, "all|routine|lab", "columns that stage 1 learns from")                                            \
    X(s, loss, word, 0, 0, 0, "barlow|vicreg", "what joins the two embeddings")                                                    \
    X(s, invariance, num, 0, 1000, 25, "", "vicreg: weight of the distance between the two embeddings")                            \
    X(s, variance, num, 0, 1000, 25, "", "vicreg: weight of the hinge on the spread of each column")                               \
    X(s, covariance, num, 0, 1000, 1, "", "vicreg: weight of the covariances between columns")
#define ECG_CFG_TUNING(X, s)                                                                                                       \
    X(s, batch, int, 2, 65536, 32, "", "records in a batch")                                                                       \
    X(s, epochs, int, 1, 100000, 40, "", "passes over the training records")                                                       \
    X(s, updates, int, 0, 1000000000, 0, "", "at least that many updates, if epochs give fewer")                                   \
    X(s, lr_encoder, num, 0, 10, 1e-3, "", "learning rate of the encoder")                                                         \
    X(s, lr_scratch, num, 0, 10, 0, "", "learning rate of an encoder that begins with random weights; 0: lr_encoder")              \
    X(s, lr_head, num, 0, 10, 1e-3, "", "learning rate of the head")                                                               \
    X(s, decay, num, 0, 10, 1e-3, "", "weight decay, decoupled")                                                                   \
    X(s, schedule, word, 0, 0, 0, ECG_CFG_SCHEDULES, "course of the learning rate")                                                \
    X(s, warmup, int, 0, 1000000000, 0, "", "steps of warm-up where the schedule has one")                                         \
    X(s, average, num, 0, 0.99999, 0, "", "decay of a running mean of the weights, which is what is judged and kept; 0: none")       \
    X(s, judge_every, int, 1, 100000, 1, "", "epochs from one judgement on validation to the next; the last epoch is always judged")   \
    X(s, frozen_blocks, int, -1, 31, -1, "", "-1: input linear and half of the blocks; 0: nothing; n: input linear and n blocks")  \
    X(s, head_hidden, int, 0, 16384, 512, "", "hidden width of the head; 0: one linear layer")                                     \
    X(s, head_dropout, num, 0, 0.95, 0.5, "", "dropout before the last layer of the head, half of it before the first")            \
    X(s, head_start, word, 0, 0, 0, "random|ridge", "ridge: a head of one linear layer begins as a regression on the embedding")         \
    X(s, gamma, num, 0, 10, 0, "", "focal loss exponent; 0: plain binary cross-entropy")                                           \
    X(s, reduce, word, 0, 0, 0, "mean|sum_classes|class_mean", "how the loss is averaged over labels and records")                 \
    X(s, tabular, word, 0, 0, 0, "none|routine|lab|all", "columns that the head sees beside the ECG")                              \
    X(s, l2sp, num, 0, 1000, 0, "", "pull of the encoder's weights to where they began")                                           \
    X(s, hold, num, 0, 1000, 0, "", "pull of the embedding to what the encoder gave when it began")                                \
    X(s, distill, num, 0, 1000, 0, "", "weight of the teacher's probabilities as targets")                                         \
    X(s, distill_hidden, num, 0, 1000, 0, "", "weight of the distance to the teacher's embedding")
#define ECG_CFG_JOINT(X, s)                                                                                                        \
    X(s, batch, int, 8, 65536, 256, "", "records in a batch")                                                                      \
    X(s, epochs, int, 1, 100000, 40, "", "passes over the training records")                                                       \
    X(s, updates, int, 0, 1000000000, 0, "", "at least that many updates, if epochs give fewer")                                   \
    X(s, lr, num, 0, 10, 1e-3, "", "learning rate")                                                                                \
    X(s, decay, num, 0, 10, 1e-3, "", "weight decay, decoupled")                                                                   \
    X(s, weighting, word, 0, 0, 0, "uncertainty|projection|none", "how the three losses are kept from fighting")                   \
    X(s, alignment, num, 0, 1000, 0.05, "", "weight of the alignment loss before any weighting")
#define ECG_CFG_EVALUATE(X, s)                                                                                                     \
    X(s, resamples, int, 0, 1000000, 1000, "", "bootstrap resamples; 0: no intervals")                                             \
    X(s, unit, word, 0, 0, 0, "patient|ecg", "what the bootstrap draws")

/* the reference's names, in the order of ecg_lr_kind */
#define ECG_CFG_SCHEDULES                                                                                                          \
    "const|linear_nowarmup|warmup_const|linear_warmup|warmup_cos_halfcycle|warmup_cos_restart3|warmup_invsqrt|warmup_poly_power1"

/* All sections: Y(section, list of keys, type) */
#define ECG_CFG_SECTIONS(Y)                                                                                                        \
    Y(train, ECG_CFG_TRAIN, ecg_cfg_train)                                                                                         \
    Y(encoder, ECG_CFG_ENCODER, ecg_cfg_encoder)                                                                                   \
    Y(projector, ECG_CFG_PROJECTOR, ecg_cfg_projector)                                                                             \
    Y(pretrain, ECG_CFG_PRETRAIN, ecg_cfg_pretrain)                                                                                \
    Y(finetune, ECG_CFG_TUNING, ecg_cfg_tuning)                                                                                    \
    Y(labs, ECG_CFG_TUNING, ecg_cfg_tuning)                                                                                        \
    Y(joint, ECG_CFG_JOINT, ecg_cfg_joint)                                                                                         \
    Y(evaluate, ECG_CFG_EVALUATE, ecg_cfg_evaluate)

#define ECG_CFG_FIELD(s, key, kind, lo, hi, def, words, help) ecg_cfg_##kind key;
typedef struct { ECG_CFG_TRAIN(ECG_CFG_FIELD, ) } ecg_cfg_train;
typedef struct { ECG_CFG_ENCODER(ECG_CFG_FIELD, ) } ecg_cfg_encoder;
typedef struct { ECG_CFG_PROJECTOR(ECG_CFG_FIELD, ) } ecg_cfg_projector;
typedef struct { ECG_CFG_PRETRAIN(ECG_CFG_FIELD, ) } ecg_cfg_pretrain;
typedef struct { ECG_CFG_TUNING(ECG_CFG_FIELD, ) } ecg_cfg_tuning;
typedef struct { ECG_CFG_JOINT(ECG_CFG_FIELD, ) } ecg_cfg_joint;
typedef struct { ECG_CFG_EVALUATE(ECG_CFG_FIELD, ) } ecg_cfg_evaluate;

typedef struct {
    char preset[32];
#define ECG_CFG_SECTION(section, list, type) type section;
    ECG_CFG_SECTIONS(ECG_CFG_SECTION)
#undef ECG_CFG_SECTION
} ecg_config;

/* Everything from a preset: paper, small, mdsed-s4. ECG_EARG names the nearest. */
ecg_status ecg_config_preset(ecg_config *c, const char *preset, ecg_err *err);
const char *ecg_config_presets(void); /* "paper, small, mdsed-s4" */

/* One "section.key" to a value. ECG_EARG: unknown key (the nearest is named), wrong type, out of bounds. */
ecg_status ecg_config_set(ecg_config *c, const char *name, const char *value, ecg_err *err);
ecg_status ecg_config_assign(ecg_config *c, const char *text, ecg_err *err); /* "section.key=value" */

/* YAML of two levels. A `preset: NAME` at the top resets everything first unless keep_preset. Errors carry name and line; on failure
 * *c is unchanged. */
ecg_status ecg_config_parse(ecg_config *c, const void *bytes, size_t len, const char *name, bool keep_preset, ecg_err *err);
ecg_status ecg_config_load(ecg_config *c, const char *path, bool keep_preset, ecg_err *err);

/* All keys as YAML, each with its help. *out is malloc'ed. */
ecg_status ecg_config_text(char **out, const ecg_config *c, ecg_err *err);
/* What is impossible together (an odd state size). */
ecg_status ecg_config_check(const ecg_config *c, ecg_err *err);

/* The first key that differs outside what may change between sessions of one run (memory, checkpoints, epochs, evaluation), as
 * "pretrain.lr: 0.001 in the run, 0.002 asked"; false: none. */
bool ecg_config_differs(char *out, size_t size, const ecg_config *was, const ecg_config *now);

#endif
