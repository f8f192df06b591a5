/* SPDX-License-Identifier: MIT
 * explain.h: why a diagnosis, in laboratory words. Three layers, each with the claim it allows (docs/explanations.md):
 * the decomposition of the score, the edit of the embedding, and what past patients had together.
 *
 *   s_k - mean s_k  =  sum_p beta_kp u_p  +  gamma_k (age, sex as the ECG shows them)  +  rest
 *
 *   u = own (x - mean x)  laboratory logits and patterns without what they share (share.c)
 *   s (K)  diagnosis logits, a (P)  laboratory logits, h (H)  the embedding, all of them means over the crops of a recording. */
#ifndef ECG_EXPLAIN_EXPLAIN_H
#define ECG_EXPLAIN_EXPLAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "explain/associate.h"
#include "explain/outlier.h"

enum { ECG_PATTERNS = 2 /* age, sex */, ECG_PARTS = 10 /* of the training patients, left out in turn */, ECG_RANDOM_DRAWS = 5 };

typedef struct {
    int K, P, H;
    int64_t rows, held_out;  /* records it was fitted on, and those it was measured on */
    double penalty;
    /* decomposition; F = P + ECG_PATTERNS */
    double *score_mean;      /* (K) */
    double *feature_mean;    /* (F) */
    double *own;             /* (F, F) what is a feature's own: u from x */
    double *beta, *error;    /* (K, F): weights of u, and their standard errors by leaving out a tenth of the patients */
    double *completeness, *random; /* (K) held-out R2 of the laboratory part, and of as many random directions of the embedding */
    /* linear read-outs of h: laboratory logits, then age and sex */
    double *view;            /* (F, H + 1), the constant last */
    double *agreement;       /* (F) held-out R2 of the read-out */
    double *neutral;         /* (P) read-out of the average training record whose measurement was normal; NAN: none was */
    double *spread;          /* (P, H) rows of view times the covariance of h */
    ecg_association *data;   /* (K, P) */
} ecg_explainer;            /* all owned */

typedef struct {
    int64_t n;
    int K, P, H;
    const float *h;          /* (n, H) */
    const double *score, *lab; /* (n, K), (n, P) mean logits */
    const int8_t *label, *measured; /* (n, K), (n, P): 1, 0, else unknown */
    const double *pattern;   /* (n, ECG_PATTERNS) years, 1 for men; NAN unknown */
    const int64_t *patient;  /* (n) */
} ecg_explain_rows;

/* train: training folds. held: records that neither trained nor calibrate. 0; -1: out of memory or no rows. */
int ecg_explainer_fit(ecg_explainer *out, const ecg_explain_rows *train, const ecg_explain_rows *held, const ecg_moments *m, uint64_t seed, ecg_pool *pool);
int ecg_explainer_alloc(ecg_explainer *e); /* K, P, H are set; arrays of zeros. 0; -1: out of memory, *e is empty */
void ecg_explainer_clear(ecg_explainer *e);
const char *ecg_explainer_check(const ecg_explainer *e); /* NULL: fine */

/* The patterns of one record from its embedding: out (ECG_PATTERNS). */
void ecg_explainer_patterns(double out[ECG_PATTERNS], const ecg_explainer *e, const float *h);

/* u (F): what is each feature's own in this record. */
void ecg_explainer_own(double *u, const ecg_explainer *e, const double *lab, const double patterns[ECG_PATTERNS]);
/* bar (F): what each feature adds to the score of k. above = labs + patterns + rest, exactly as rest is what is left. */
typedef struct { double above, labs, patterns, rest; } ecg_parts;
ecg_parts ecg_explainer_parts(double *bar, const ecg_explainer *e, int k, double score, const double *u);
char ecg_explainer_grade(double completeness, double random); /* 'A' .. 'D' */

/* The smallest move of h in Mahalanobis distance that brings the read-out of lab p to neutral and leaves those of held[n_held] where they are:
 * out (H) is what has to be added. n_held 0: free. False: no neutral value, or the labs cannot be told apart. */
enum { ECG_EDIT_MOST = 8 };
bool ecg_explainer_edit(double *out, const ecg_explainer *e, const float *h, int p, const int *held, int n_held);

/* "Potassium_high" -> "Potassium", "high"; direction "" where there is none. */
void ecg_lab_words(char *test, int size, const char **direction, const char *code);
/* Do diagnosis and laboratory test say the same by definition? A text that says so, NULL: no. */
const char *ecg_same_thing(const char *code, const char *lab);

#endif
