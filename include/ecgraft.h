/* SPDX-License-Identifier: MIT
 *
 * ecgraft.h: a 12-lead ECG in, diagnoses and the laboratory abnormalities that the same embedding predicts out.
 *
 *   ecg_model *model;  ecg_record rec;  ecg_answer answer;  ecg_err err;
 *   if (ecg_model_open(&model, "model.safetensors", &err) || ecg_record_read(&rec, "40689238.hea", &err) ||
 *       ecg_predict(&answer, model, &rec, NULL, &err))
 *       fprintf(stderr, "%s\n", err.msg);
 *
 * The library never prints, never exits and keeps no global state. Every function that can fail returns an ecg_status and
 * fills the caller's ecg_err, which may be NULL. Objects of one thread need no lock; an open model may be shared by threads.
 *
 * Research software. Not a medical device. Not for diagnosis or treatment.
 */
#ifndef ECGRAFT_H
#define ECGRAFT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define ECG_API __attribute__((visibility("default")))
#else
#define ECG_API
#endif

#define ECG_STATEMENT "Research software. Not a medical device."

/* ---- errors ------------------------------------------------------------------------------------------------------------- */

#define ECG_STATUS_LIST(X)                                                                                                       \
    X(ECG_OK, "ok")                                                                                                              \
    X(ECG_EIO, "a file could not be read or written")                                                                            \
    X(ECG_EFORMAT, "not a format we read")                                                                                       \
    X(ECG_EUNSUPPORTED, "a known format or feature that is not supported")                                                       \
    X(ECG_EDATA, "the data contradict themselves")                                                                               \
    X(ECG_ECONTRACT, "the input does not fit the model")                                                                         \
    X(ECG_EREFUSED, "the recording is not good enough for an answer")                                                            \
    X(ECG_EARG, "an argument is out of range")                                                                                   \
    X(ECG_ENOMEM, "out of memory")                                                                                               \
    X(ECG_EINTR, "interrupted")

typedef enum {
#define X(code, text) code,
    ECG_STATUS_LIST(X)
#undef X
} ecg_status;

typedef struct {
    ecg_status status;
    char path[512];             /* the file it is about, "" if none */
    int64_t line, column, byte; /* from 1; 0 where not about a place */
    char msg[240];              /* facts, no full stop: "3 signals announced, 2 described" */
} ecg_err;

ECG_API const char *ecg_status_text(ecg_status status);
ECG_API const char *ecg_version(void); /* "0.1.0 (commit, compiler, flags)" */

/* ---- one recording ------------------------------------------------------------------------------------------------------ */

typedef struct {
    char name[32]; /* "I", "aVR", "V1" ... after aliases; as the file spells it where it is no ECG lead; "" if it has none */
    char unit[16]; /* "mV"; other signals keep theirs */
    int per_frame; /* samples of this lead in one frame of the file, 1 for almost all; value[] holds their mean */
    double gain;   /* steps of the recorder per unit; 0 where not known */
} ecg_lead;

/* What a reader noticed but could live with; each bit has a text (ecg_warning_text). */
enum {
    ECG_WARN_CHECKSUM = 1 << 0,     /* checksum of a lead is wrong */
    ECG_WARN_GAIN_ZERO = 1 << 1,    /* gain 0 or absent, 200 per mV assumed */
    ECG_WARN_LEAD_INVALID = 1 << 2, /* every sample of a lead is missing */
    ECG_WARN_LEAD_FLAT = 1 << 3,    /* a lead never moves */
    ECG_WARN_LEAD_LOST = 1 << 4,    /* one of the twelve leads is not in the file */
    ECG_WARN_LONGER = 1 << 5,       /* the file holds more samples than announced */
    ECG_WARN_NO_LENGTH = 1 << 6,    /* sample count left out, taken from the file's size */
    ECG_WARN_TEXT = 1 << 7,         /* odd bytes, CRLF or a byte order mark in the header */
    ECG_WARN_INITIAL = 1 << 8,      /* initial value differs from the header's */
    ECG_WARN_UNIT = 1 << 9,         /* amplitude does not fit the unit: microvolt written as millivolt, or the reverse */
    ECG_WARN_CLIPPED = 1 << 10,     /* samples beyond the model's clipping limit */
    ECG_WARN_SATURATED = 1 << 11,   /* a lead rests at its own extreme */
    ECG_WARN_EINTHOVEN = 1 << 12,   /* II differs from I + III */
    ECG_WARN_MISSING = 1 << 13      /* samples missing, interpolated */
};
ECG_API const char *ecg_warning_text(unsigned one_bit);

typedef struct {
    int leads;
    int64_t samples;  /* per lead */
    double rate_hz;
    ecg_lead *lead;   /* (leads); owned */
    float *value;     /* (leads, samples), in the lead's unit, NAN where the recorder had none; owned */
    char name[64];    /* the record's own name */
    char format[16];  /* "wfdb" ... */
    char when[32];    /* "YYYY-MM-DD HH:MM:SS" or "" */
    unsigned warnings; /* ECG_WARN_ bits */
} ecg_record;

/* Reads a recording whatever its format (extension .hea or none: WFDB). On failure *rec is empty and need not be cleared.
 * ECG_EFORMAT: no reader knows this file. ECG_EDATA: one does, and the file is broken: err says in which file and line. */
ECG_API ecg_status ecg_record_read(ecg_record *rec, const char *path, ecg_err *err);
ECG_API void ecg_record_clear(ecg_record *rec);

/* What can be said of a recording before any model sees it. A pure function of the recording. */
typedef struct {
    unsigned warnings;          /* ECG_WARN_ bits, the reader's included */
    int leads_found;            /* of the twelve, derived ones included */
    int leads_flat, leads_invalid;
    double missing, clipped, saturated; /* shares of all samples, 0..1 */
    double einthoven_mv;        /* median |II - I - III|; NAN where a lead is absent */
    double seconds;             /* length of the recording */
    char note[256];             /* one line for a person: "V2 flat; 3 % missing", "" if nothing to say */
} ecg_quality;
ECG_API void ecg_record_quality(ecg_quality *out, const ecg_record *rec);

/* ---- a trained model and its answer ------------------------------------------------------------------------------------- */

typedef struct ecg_model ecg_model;

ECG_API ecg_status ecg_model_open(ecg_model **out, const char *path, ecg_err *err); /* a file, or a run folder holding one */
ECG_API void ecg_model_close(ecg_model *model);
/* Memory for so many calls of ecg_predict at a time, and answers not yet cleared, which then take none any more (recordings no longer than those of
 * training, at most 1000 Hz, and no options that read files). One is there from the beginning; others are made when first needed, and kept. */
ECG_API ecg_status ecg_model_reserve(ecg_model *model, int answers, ecg_err *err);
ECG_API bool ecg_model_synthetic(const ecg_model *model); /* trained on the synthetic cohort: say so wherever figures appear */
ECG_API bool ecg_model_has_labs(const ecg_model *model);

/* A laboratory abnormality that a diagnosis score follows. */
typedef struct {
    const char *code, *title;
    double probability, prevalence, auroc;
    double bar, lo, hi;              /* what it adds to the diagnosis logit, 95 % interval */
    double before, free, isolated;   /* probability of the diagnosis as it is, and if the embedding looked neutral for this one; isolated: the others
                                      * cited held where they are; NAN: not to be told */
    double patients, lift;           /* past patients in whom both are known, and how much more often they have both than by chance; NAN */
    double odds, odds_lo, odds_hi, q; /* odds ratio adjusted for age and sex, 95 % interval, false discovery rate; NAN */
    const char *same_thing;          /* why it explains nothing that the diagnosis does not say by itself; NULL: it does */
} ecg_cited;

/* Why a diagnosis scores as it does: logit - baseline = above = labs + age_sex + other, exactly. Figures describe the model, not the patient. */
typedef struct {
    double logit, baseline, above;   /* of the record, mean of the training records, difference */
    double labs, age_sex, other;
    double completeness, random;     /* share of the score's variation that the labs follow on held-out records, and as many random directions; NAN */
    char grade;                      /* 'A' .. 'D' */
    int cited, same, weak;           /* cite[0..cited): by falling bar; then `same` that say the same as the diagnosis; weak: pushing, but not to be told */
    ecg_cited *cite;
} ecg_why;

/* What a part of the recording does for a diagnosis: how far its logit falls when that part is a straight line. Of the model, not of the patient. */
enum { ECG_WAVE_P, ECG_WAVE_QRS, ECG_WAVE_ST_T, ECG_WAVES };
typedef struct {
    double lead[12]; /* I, II, III, aVR, aVL, aVF, V1 ... V6; NAN: the model does not read it */
    double wave[ECG_WAVES]; /* in all leads and beats; NAN: no heartbeats were found */
} ecg_occlusion;

typedef enum { ECG_VERDICT_NONE, ECG_VERDICT_YES, ECG_VERDICT_NO, ECG_VERDICT_UNCERTAIN } ecg_verdict;

typedef struct {
    const char *code;       /* "I48.0" is stored without dot: "I480"; labs: "Hemoglobin_high" */
    const char *title;      /* "" if none */
    double probability;     /* calibrated where the model has calibrators, else raw_probability */
    double crop_mean_logit; /* mean of the crops' logits: what calibrators and explanations read */
    double prevalence;      /* of this label in the training folds, among those where it is known; NAN if not recorded */
    double auroc;           /* on validation, NAN if not recorded */
    double raw_probability; /* mean of the crops' sigmoids */
    double lo, hi;          /* Venn-Abers interval, lo <= probability <= hi; NAN: no calibrator */
    double p_yes, p_no;     /* conformal p-values: how ordinary the score is among records with and without the label; NAN: under 20 of them */
    double truth;           /* share with the label among calibration records that score as high or higher; NAN */
    int64_t truth_of;       /* how many those are */
    int64_t positives, negatives; /* calibration records */
    const char *calibrator; /* "isotonic", "platt", "shared"; "" none */
    ecg_verdict verdict;    /* at the answer's alpha */
    const ecg_why *why;     /* NULL: not explained */
    int row;                /* of the model's label table */
    double test_auroc, test_lo, test_hi; /* on the test folds, which took no part in anything, and its 95 % interval; NAN: not recorded */
    int64_t test_positives, test_negatives;
    double local_prevalence; /* that probability, interval and truth were shifted to; NAN: they are those of the calibration records */
    int near_known, near_with; /* of the most similar recordings: where it is known, and those that have it */
    const ecg_occlusion *occlusion; /* NULL: not asked for, not explained, or no claims */
} ecg_score;

typedef enum { ECG_INPUT_OK, ECG_INPUT_CAUTION /* no YES and no NO */, ECG_INPUT_REFUSED /* no claims at all */ } ecg_input_state;

typedef struct {
    ecg_quality quality;
    int crops;
    bool calibrated, synthetic, has_labs;
    int diagnoses, labs, reasons;
    ecg_score *diagnosis; /* (diagnoses), by falling probability; codes and titles belong to the model */
    ecg_score *lab;       /* (labs), by falling probability */
    ecg_score *reason;    /* (reasons <= 3): labs with probability / prevalence > 1.5 and AUROC > 0.6, by that ratio */
    double alpha;
    ecg_input_state input;
    int doubts;           /* what speaks against the recording */
    char doubt[8][160];
    double distance, percentile; /* of the embedding from those of training; 0..100 among held-out records; NAN: the model cannot tell */
    bool explained;
    const char *not_explained;   /* why there is no explanation; "" where there is */
    int yes, no, uncertain;      /* verdicts over all diagnoses */
    int confirms, confirm[3];    /* places in lab[]: worth a blood test */
    ecg_why *why;                /* those the diagnoses point to */
    int whys;
    void *held;                  /* what all lists lie in; ecg_answer_clear gives it back to the model */
    ecg_occlusion *occlusion;    /* as why */
    int occlusions, beats;       /* beats: found and occluded */
    int near;                    /* so many similar recordings were looked at, of near_of; 0: none */
    int64_t near_of;
    int local;                   /* labels with a local prevalence */
} ecg_answer;

/* Recordings to compare with: a file of embeddings, diagnoses and measured values that `ecgraft recalibrate --neighbours-out` makes. It holds data of
 * patients, without names, and stays where it was made. ECG_ECONTRACT: made with another encoder or other labels. */
typedef struct ecg_neighbours ecg_neighbours;
ECG_API ecg_status ecg_neighbours_open(ecg_neighbours **out, const char *path, const ecg_model *model, ecg_err *err);
ECG_API void ecg_neighbours_close(ecg_neighbours *n);

/* How frequent labels are where the model is used: a table with the columns code, prevalence (above 0, below 1). Codes that the model does not know
 * are passed over; ECG_EDATA: it knows none of them. */
typedef struct ecg_prevalence ecg_prevalence;
ECG_API ecg_status ecg_prevalence_open(ecg_prevalence **out, const char *path, const ecg_model *model, ecg_err *err);
ECG_API void ecg_prevalence_close(ecg_prevalence *p);

typedef struct {
    bool allow_missing_leads; /* a lead that is absent enters as zeros instead of a refusal */
    double alpha;             /* of verdicts, 0.005 to 0.5; 0: 0.1 */
    int explain;              /* so many of the most probable diagnoses get a WHY; -1: all */
    bool occlusion;           /* of the same diagnoses: every lead and wave taken away in turn, 15 times the work */
    const ecg_neighbours *neighbours; /* NULL: none */
    const ecg_prevalence *prevalence; /* NULL: that of the calibration records */
} ecg_predict_options;

/* options may be NULL. ECG_EREFUSED: under 250 samples at the model's rate, a lead absent, nothing but missing samples. */
ECG_API ecg_status ecg_predict(ecg_answer *out, const ecg_model *model, const ecg_record *rec, const ecg_predict_options *options,
                               ecg_err *err);
ECG_API void ecg_answer_clear(ecg_answer *answer);

/* The paper's sentence for diagnosis i of the answer ("predicts I48.0 ... (0.91), and it does so as it also predicts
 * Hemoglobin_low (0.62), ..."). Writes at most size bytes with the final 0; returns the length it would have had. */
ECG_API int ecg_answer_sentence(char *out, int size, const ecg_answer *answer, int i);

#ifdef __cplusplus
}
#endif
#endif
