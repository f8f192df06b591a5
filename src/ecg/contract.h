/* SPDX-License-Identifier: MIT
 * contract.h: what a model expects of its input and what its numbers mean. Written by `cohort build`, carried by cohorts and models,
 * compared by one function that names the first difference. */
#ifndef ECG_ECG_CONTRACT_H
#define ECG_ECG_CONTRACT_H

#include "ecg/record.h"

typedef struct {
    char name[64];    /* "labvalues_potassium_mean" */
    bool categorical;
    int vocabulary;   /* categorical: values 0..vocabulary-1 in the store (acuity 1..5 is stored as 0..4) */
    char unit[16];
    char group[12];   /* "routine" or "lab" */
} ecg_column;

typedef struct {
    char code[64];    /* "I480" without dot, upper case; "Hemoglobin_high" */
    char title[160];
    int64_t count;    /* positives in the whole cohort */
    char itemid[16], loinc[16], fluid[24]; /* labs only, else "" */
} ecg_label;

typedef struct {
    char set[32];     /* "diagnoses", "labs", "superclass" */
    int n;
    ecg_label *label; /* (n), ascending code; owned by the contract */
    char hash[65];    /* SHA-256 of the CSV form index,code,title,count */
} ecg_label_table;

typedef struct {
    double rate_hz;   /* 100 */
    int leads;        /* 12 */
    char lead[ECG_LEADS][8]; /* I II V1 V2 V3 V4 V5 V6 III aVR aVL aVF */
    int samples;      /* 1000 per stored record */
    int crop;         /* 250: training at a uniform start, evaluation disjoint */
    double clip_mv;   /* 3, before resampling */
    char filter[32];  /* "kaiser_best" */
    int columns;      /* tabular */
    ecg_column *column; /* owned */
    char **words;       /* (columns) or NULL: what the values of a categorical column stand for, category 0 first, one a line; NULL: nothing
                         * but their numbers; owned */
    int sets;
    ecg_label_table *table; /* (sets); owned */
} ecg_contract;

enum { ECG_WORDS = 64, ECG_WORD = 64 }; /* at most so many words a column, each shorter than this */

void ecg_contract_default(ecg_contract *c); /* the signal part of formats.md section 2, no columns, no tables */
void ecg_contract_clear(ecg_contract *c);
ecg_status ecg_contract_copy(ecg_contract *to, const ecg_contract *from, ecg_err *err);

/* JSON text for the metadata of cohorts and models; *out is malloc'ed. Tables and columns included. */
ecg_status ecg_contract_to_json(char **out, const ecg_contract *c, ecg_err *err);
ecg_status ecg_contract_from_json(ecg_contract *c, const char *json, ecg_err *err); /* hostile text; hashes are recomputed and compared */

const ecg_label_table *ecg_contract_table(const ecg_contract *c, const char *set); /* NULL: none */
/* Sorts by ascending code (strcmp) and fills hash; bytes of codes and titles that are no UTF-8 become "?". */
void ecg_label_table_hash(ecg_label_table *t);
bool ecg_is_utf8(const char *s);

/* ECG_ECONTRACT naming the first difference ("rate: 500 Hz in the cohort, 100 Hz in the model"). parts: bits below.
 * Tables: each of a's must be in b, row by row; b may have more. */
enum { ECG_CONTRACT_SIGNAL = 1, ECG_CONTRACT_COLUMNS = 2, ECG_CONTRACT_TABLES = 4 };
ecg_status ecg_contract_fits(const ecg_contract *a, const char *a_is, const ecg_contract *b, const char *b_is, unsigned parts, ecg_err *err);

#endif
