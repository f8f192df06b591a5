/* SPDX-License-Identifier: MIT
 * bench_parts.h: what the files of ecg_bench share: bench_peak.c measures the machine, bench_train.c steps of training on a cohort that
 * bench_files.c writes, bench_infer.c answers, bench_cohort.c hospitals and cohorts. */
#ifndef ECG_STUDY_BENCH_PARTS_H
#define ECG_STUDY_BENCH_PARTS_H

#include "study/bench.h"
#include "model/bundle.h"

typedef struct {
    const ecg_bench_options *o;
    char folder[256];         /* for files, removed in the end */
    double fma, copy;         /* peaks of all threads: operations and bytes a second */
    double bf16;              /* the same of products of bf16; 0: this processor has none */
    double anonymous, least;  /* bytes: most while training, and what is known to be needed */
} ecg_bench_run;

double ecg_bench_bound(const ecg_bench_run *b);              /* operations a second: of the two the one that bounds the engine at its precision */
void ecg_bench_say(const ecg_bench_run *b, ecg_bench_row r); /* precision NULL: that of the engine */

/* Peaks. report: rows for them; else only what the bounds need. */
ecg_status ecg_bench_peak(ecg_bench_run *b, bool report, ecg_err *err);
ecg_status ecg_bench_train(ecg_bench_run *b, bool finetune, ecg_err *err);
ecg_status ecg_bench_latency(ecg_bench_run *b, ecg_err *err);
ecg_status ecg_bench_throughput(ecg_bench_run *b, ecg_err *err);
ecg_status ecg_bench_load(ecg_bench_run *b, ecg_err *err);
ecg_status ecg_bench_hospital(ecg_bench_run *b, bool synth, bool cohort, ecg_err *err);

/* Of the noise: records of little more than a crop, the columns of the published table, so many labels. */
ecg_status ecg_bench_contract(ecg_contract *c, const ecg_bench_options *o, ecg_err *err);
/* A cohort of n such records. */
ecg_status ecg_bench_cohort_file(char path[512], ecg_bench_run *b, int64_t n, ecg_err *err);
/* A model file with random weights and one linear head. */
ecg_status ecg_bench_model_file(char path[512], ecg_bench_run *b, ecg_err *err);
ecg_status ecg_bench_remove(const char *path, ecg_err *err);   /* a file or a folder with all that is in it */
double ecg_bench_bytes(const char *path);                      /* of all files in a folder */

double ecg_bench_median(double *x, int n);                     /* sorts x */
double ecg_bench_quantile(double *x, int n, double q);

#endif
