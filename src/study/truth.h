/* SPDX-License-Identifier: MIT
 * truth.h: are the explanations of a model true? On a synthetic hospital the cause is known: its counterfactual twins tell whether what is cited falls when
 * the cause is taken away, its table of effects whether what is cited acts on the ECG at all. Beside it what needs no truth: coverage of the
 * verdicts, deletion, random directions, stability. Only records of the test folds. */
#ifndef ECG_STUDY_TRUTH_H
#define ECG_STUDY_TRUTH_H

#include "base/watch.h"
#include "cohort/store.h"
#include "num/kernels.h"

enum { ECG_CAUSES = 4 /* hyperkalaemia, hypokalaemia, hypocalcaemia, anaemia */, ECG_CITERS = 3 };

typedef struct {
    const char *model, *cohort, *hospital; /* the hospital the cohort was built from, with truth/ */
    double alpha;
    const char *const *also;               /* (n_also) other models with explanations on that cohort, other seeds say; may be NULL */
    int n_also;
    const ecg_exec *exec;
    const ecg_watch *watch;                /* may be NULL */
} ecg_truth_task;

/* Who names three laboratory abnormalities: the explanation of the diagnosis that falls most when the cause is taken away; the most probable ones; those
 * most above their prevalence. */
extern const char *const ecg_citers[ECG_CITERS]; /* "explanation", "most probable", "above prevalence" */

typedef struct {
    const char *cause, *lab;   /* "hyperkalaemia", "Potassium_high"; lab NULL: the model does not predict it */
    int64_t twins, shams;
    double before, after, sham_change; /* mean logits of the lab */
    double fell;               /* share of the twins whose logit fell */
    double auroc, lo, hi;      /* of the fall, cause against sham; Hanley and McNeil */
    double found[ECG_CITERS];  /* share of the twins where the cause is among the three named */
    double named;              /* share in which the explanation named anything */
} ecg_truth_cause;

typedef struct {
    double active, inactive, never; /* shares of the labs named: their cause acts on this ECG, acts on others, acts on none */
    double per_record;
} ecg_truth_named;

typedef struct {
    int64_t pairs, inside;     /* label-class pairs with enough calibration cases; those inside their 99 % band */
    double mean_gap;           /* mean of coverage - (1 - alpha) over pairs */
    int64_t people_pairs, people_inside; /* the same from one record of each patient, drawn at random: those are exchangeable */
    double people_gap;
    double ece_before, ece_after, width; /* means over labels: expected calibration error (10 equal masses) raw and calibrated; Venn-Abers */
} ecg_truth_coverage;

typedef enum { ECG_GATE_OPEN /* cannot be told */, ECG_GATE_PASS, ECG_GATE_FAIL } ecg_gate_state;
typedef struct {
    char name[64];
    const char *rule;
    char found[240];
    ecg_gate_state state;
} ecg_gate;
enum { ECG_GATES = ECG_CAUSES + 12 };

typedef struct {
    bool synthetic;
    int64_t records;           /* of the test folds */
    double alpha;
    ecg_truth_cause cause[ECG_CAUSES];
    ecg_truth_named named[ECG_CITERS];
    ecg_truth_coverage coverage[2]; /* diagnoses, labs */
    double deletion, deletion_random; /* mean fall of the diagnosis AUROC when the five labs that weigh most are made constant, and five random directions */
    double deletion_lo, deletion_hi;  /* 95 % interval of their difference over diagnoses */
    double five, five_shuffled, five_random; /* mean held-out R2 of the diagnosis scores by linear read-outs of five labs: taught, taught with shuffled labels, random */
    double completeness, random;   /* means over diagnoses, as the model records them */
    double stability;          /* mean rank correlation of the bars of single crops with those of the record */
    double with_age_sex;       /* variance of the laboratory part with age and sex beside it, over that without */
    double control;            /* mean completeness of diagnoses without a trace in the ECG: the floor of confounding; NAN */
    int controls;
    double control_gain, other_gain; /* mean of completeness - random in the controls and in the other diagnoses */
    double models, models_shared; /* mean rank correlation of bars with those of other models; share of the three longest in common; NAN */
    int n_models;
    int gates;
    ecg_gate gate[ECG_GATES];
} ecg_truth;

/* ECG_ECONTRACT: a model without explanations, a hospital without truth. */
void ecg_truth_judge(ecg_truth *t); /* fills gate[] from the figures; ecg_truth_check calls it */
ecg_status ecg_truth_check(ecg_truth *out, const ecg_truth_task *t, ecg_err *err);

#endif
