/* SPDX-License-Identifier: MIT
 * bundle.h: a trained model as one file (`ecgraft.model`): architecture as data, contract with label tables, medians, training record,
 * parameters under the reference's names. Prefixes: "ecg." "tab." "proj_ecg." "proj_tab." "head_diagnoses." "head_labs." "fusion.". */
#ifndef ECG_MODEL_BUNDLE_H
#define ECG_MODEL_BUNDLE_H

#include "ecg/contract.h"
#include "explain/explain.h"
#include "explain/uncertain.h"
#include "net/encoder.h"
#include "net/tabular.h"

#define ECG_HEAD_DIAGNOSES "head_diagnoses."
#define ECG_HEAD_LABS "head_labs."
#define ECG_HEAD_FUSION "fusion." /* reads [h, h_m]: the embedding and what Phi_m makes of the visit's table; stands alone in a model */

typedef struct {
    char set[32];        /* label set of the contract this head predicts */
    char prefix[32];     /* one of the three above */
    bool labs;           /* trained as a laboratory head; follows from the prefix unless that is ECG_HEAD_FUSION */
    int hidden;          /* 0: linear */
    float dropout;
    ecg_mlp *net;
    double *prevalence;  /* (K) in the training folds among known; NAN */
    double *auroc;       /* (K) on validation; NAN */
} ecg_head;

/* Which parts a run has; a pre-training run has tab and projectors and no heads, a fine-tuned one heads. = {0} to begin. */
struct ecg_model {
    ecg_contract contract;
    bool synthetic;
    bool shared_embedding;    /* both heads read the same embedding: decision 1 */
    char preset[32];
    char record[8192];        /* training record, JSON object text ("" is "{}"): stage, seed, epochs, cohort hash, losses ... */
    ecg_encoder_config shape;
    ecg_params table;
    ecg_encoder *encoder;
    bool has_tabular;
    char group[12];           /* columns that Phi_m reads: "routine", "lab"; "" or "all": all of them */
    ecg_tabular_config tab;   /* out 0: ecg_model_build fills it from the contract's columns (protocol 5.5) */
    ecg_tabular *tabular;
    ecg_mlp *proj_ecg, *proj_tab; /* linear maps without bias; proj_E 0: none */
    int proj_hidden, proj_E;
    int map_out;              /* of a linear map from the embedding that is trained and checkpointed but never saved (distillation); 0: none */
    ecg_mlp *map;
    int balance;              /* so many log-variances that weigh losses: trained and checkpointed, never saved (joint training); 0: none */
    float *median;            /* (contract.columns) medians over training rows; categorical: index; NULL if none; owned (malloc) */
    int heads;
    ecg_head head[2];
    ecg_uncertainty uncertain[2]; /* of each head; K 0: none (study/recalibrate.h fits them) */
    ecg_outlier outlier;      /* width 0: none */
    ecg_explainer explainer;  /* K 0: none; only with both heads on one embedding */
    char calibration[512];    /* {"records", "patients", "cohort", "half"}: what uncertain and outlier were fitted on; "" none */
    ecg_exec exec;            /* of ecg_predict: the best kernels and no pool unless ecg_model_use says otherwise */
    ecg_tensors *file;        /* mapped, where parameters stay in it (ecg_model_load_with); NULL: they were copied */
    struct ecg_infer *infer;  /* what of the encoder depends on parameters alone; NULL while training */
    struct ecg_shelf *shelf;  /* sessions (model/session.h) */
    struct ecg_crew *crew;    /* the pool's threads, for one call at a time; NULL without a pool */
};

/* Declares everything that the filled-in description (contract, shape, has_tabular, group, tab, proj sizes, heads' set, prefix, labs, hidden,
 * dropout, map_out, balance) asks for, in the order ecg, tab, proj_ecg, proj_tab, heads, map, balance, and allocates: parameters (zero, not initialised), prevalence and auroc of each head
 * (NAN) where they are NULL. With has_tabular the projectors come along unless proj_E is 0. On failure *m is cleared. */
ecg_status ecg_model_build(ecg_model *m, bool training, ecg_err *err);
void ecg_model_clear(ecg_model *m);

/* prevalence, auroc and median are written as they stand. The file appears complete or not at all. */
ecg_status ecg_model_save(const ecg_model *m, const char *path, ecg_err *err);
/* The same with the matrices in fewer bits (model/weights.h): format_version 2. */
typedef enum { ECG_WEIGHTS_FLOAT32, ECG_WEIGHTS_BF16, ECG_WEIGHTS_INT8 } ecg_weights;
ecg_status ecg_model_save_as(const ecg_model *m, const char *path, ecg_weights weights, ecg_err *err);
/* Reads what ecg_model_save wrote (path is the file); the encoder is prepared and refreshed, ready to run. training: grad and moments
 * allocated. with_tabular: also the tab. and proj_ parts where the file has them; without, has_tabular is false afterwards. ECG_EDATA: the
 * file is broken or contradicts itself, with the cause. On failure *m is cleared. A head that reads the table brings tab. along in any case. */
ecg_status ecg_model_load(ecg_model *m, const char *path, bool training, bool with_tabular, ecg_err *err);
/* The same for predictions, with kernels and threads of the caller. */
ecg_status ecg_model_load_with(ecg_model *m, const char *path, const ecg_exec *exec, ecg_err *err);
ecg_head *ecg_model_head(ecg_model *m, const char *prefix); /* ECG_HEAD_LABS; NULL: none */
bool ecg_head_fused(const ecg_head *h);                     /* reads the table of the visit too */
const char *ecg_head_task(const ecg_head *h);               /* "diagnoses" or "labs" */
bool ecg_model_fused(const ecg_model *m);                   /* any head does: predict cannot answer */
bool ecg_column_in(const ecg_column *c, const char *group); /* group as in ecg_model.group */
int ecg_head_labels(const ecg_model *m, const ecg_head *h, const ecg_label_table **table); /* K; table may be NULL */
/* run folder -> its model.safetensors; a file -> itself */
ecg_status ecg_model_path(char *out, size_t size, const char *path, ecg_err *err);

/* Another level of kernels, or a pool, whose threads then share the crops of one call (two calls at a time: one of them works alone). Makes what
 * predictions need of the parameters: to be called again after these have changed, and while no one predicts. */
void ecg_model_use(ecg_model *m, const ecg_exec *exec);
/* ecg_model_open with these kernels and this pool. */
ecg_status ecg_model_open_with(ecg_model **out, const char *path, const ecg_exec *exec, ecg_err *err);

/* "I480" -> "I48.0": a code of the form letter, digit, letters or digits gets its dot after the third character; "NORM" stays. Returns out. */
char *ecg_code_text(char *out, size_t size, const char *code);

#endif
