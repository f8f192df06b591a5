/* SPDX-License-Identifier: MIT
 * bundle.h: a trained model as one file (`ecgraft.model`): architecture as data, contract, label tables, medians, training record, parameters
 * under the reference's names. Prefixes: "ecg." "tab." "proj_ecg." "proj_tab." "head_diagnoses." "head_labs.". */
#ifndef ECG_MODEL_BUNDLE_H
#define ECG_MODEL_BUNDLE_H

#include "ecg/contract.h"
#include "net/encoder.h"
#include "net/tabular.h"

typedef struct {
    char set[32];        /* label set of the contract this head predicts */
    char prefix[32];     /* "head_diagnoses." or "head_labs." */
    int hidden;          /* 0: linear */
    float dropout;
    ecg_mlp *net;
    double *prevalence;  /* (K) in the training folds among known; NAN */
    double *auroc;       /* (K) on validation; NAN */
} ecg_head;

/* Which parts a run has; a pre-training run has tab and projectors and no heads, a fine-tuned one heads. */
struct ecg_model {
    ecg_contract contract;
    bool synthetic;
    bool shared_embedding;    /* both heads read the same embedding: decision 1 */
    char preset[32];
    char record[8192];        /* training record, JSON object text: stage, seed, epochs, cohort hash, losses ... */
    ecg_encoder_config shape;
    ecg_params table;
    ecg_encoder *encoder;
    bool has_tabular;
    ecg_tabular *tabular;
    ecg_mlp *proj_ecg, *proj_tab;
    int proj_hidden, proj_E;
    float *median;            /* (contract.columns) medians over training rows; categorical: index; NULL if none */
    int heads;
    ecg_head head[2];
};

/* Declares everything that the filled-in description (contract, shape, has_tabular + proj sizes, heads) asks for, in the order ecg, tab, proj_ecg, proj_tab,
 * head_diagnoses, head_labs, and allocates. hash of tables etc. is checked. */
ecg_status ecg_model_build(ecg_model *m, bool training, ecg_err *err);
void ecg_model_clear(ecg_model *m);

ecg_status ecg_model_save(const ecg_model *m, const char *path, ecg_err *err);
/* Reads what ecg_model_save wrote (path is the file). training: grad and moments allocated. with_tabular: also tab. and proj_. parts where the file has them. */
ecg_status ecg_model_load(ecg_model *m, const char *path, bool training, bool with_tabular, ecg_err *err);
ecg_head *ecg_model_head(ecg_model *m, const char *set_prefix); /* "head_labs."; NULL: none */
/* run folder -> its model.safetensors; a file -> itself */
ecg_status ecg_model_path(char *out, size_t size, const char *path, ecg_err *err);

#endif
