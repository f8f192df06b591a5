/* SPDX-License-Identifier: MIT
 * prediction.c: see prediction.h. Sentences are made of the numbers beside them, by rules. */
#include "report/prediction.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY_NOTE "These numbers describe the model and past patients. They do not show a cause in this patient."
#define OCCLUSION_NOTE "fall of the logit when the lead, or the wave of all beats, is a straight line; no such recording occurs, so this says where to look and not why"
#define LOCAL_NOTE "probabilities, intervals and shares flagged are shifted to the local prevalence; verdicts compare with each class by itself and do not change"
#define NO_CALIBRATORS "this model has no calibrators: scores without claims (`ecgraft recalibrate` fits them)"

ecg_status ecg_model_name_of(ecg_model_name *out, const char *path, ecg_err *err)
{
    char file[512];
    const ecg_status st = ecg_model_path(file, sizeof file, path, err);
    if (st)
        return st;
    const char *slash = strrchr(file, '/');
    snprintf(out->name, sizeof out->name, "%.255s", slash ? slash + 1 : file);
    return ecg_sha256_file(out->hash, file, err);
}

const char *ecg_verdict_text(ecg_verdict v)
{
    static const char *const text[] = {NULL, "YES", "NO", "UNCERTAIN"};
    return text[v];
}

char *ecg_prediction_sentence(const ecg_answer *a, int i)
{
    const int size = ecg_answer_sentence(NULL, 0, a, i) + 1;
    char *s = malloc((size_t)size);
    if (s)
        ecg_answer_sentence(s, size, a, i);
    return s;
}

void ecg_verdict_note(char *out, size_t size, const ecg_score *s, const ecg_answer *a)
{
    *out = '\0';
    if (!a->calibrated)
        snprintf(out, size, "this model has no calibrators");
    else if (a->input == ECG_INPUT_REFUSED)
        snprintf(out, size, "withheld: %s", a->doubt[0]);
    else if (s->positives < ECG_CLASS_CASES || s->negatives < ECG_CLASS_CASES)
        snprintf(out, size, "%lld calibration records have it and %lld have not, %d of each are needed", (long long)s->positives, (long long)s->negatives,
                 ECG_CLASS_CASES);
    else if (a->input == ECG_INPUT_CAUTION)
        snprintf(out, size, "withheld: %s", a->doubt[0]);
    else if (s->verdict == ECG_VERDICT_UNCERTAIN && s->p_yes < a->alpha)
        snprintf(out, size, "unusual among those who have it and among those who have not");
}

static void set(json_t *j, const char *key, json_t *value)
{
    json_object_set_new(j, key, value);
}

static void set_number(json_t *j, const char *key, double x)
{
    set(j, key, ecg_json_number(x));
}

static json_t *pair(double lo, double hi)
{
    return isfinite(lo) && isfinite(hi) ? json_pack("[f,f]", lo, hi) : json_null();
}

static json_t *text_or_null(const char *s)
{
    return s && *s ? ecg_json_words(s) : json_null();
}

/* ---- one label ------------------------------------------------------------------------------------------------------------------- */

static json_t *score_json(const ecg_score *s, const ecg_answer *a)
{
    char text[72], note[200];
    json_t *j = json_object();
    set(j, "code", ecg_json_words(s->code));
    set(j, "text", ecg_json_words(ecg_code_text(text, sizeof text, s->code)));
    set(j, "title", ecg_json_words(s->title));
    set_number(j, "probability", s->probability);
    set_number(j, "raw_probability", s->raw_probability);
    set_number(j, "crop_mean_logit", s->crop_mean_logit);
    set_number(j, "prevalence", s->prevalence);
    set_number(j, "auroc", s->auroc);
    set(j, "auroc_test", isnan(s->test_auroc) ? json_null() : json_pack("{s:f, s:[f,f], s:I, s:I}", "auroc", s->test_auroc, "interval", s->test_lo, s->test_hi,
                                                                       "positives", (json_int_t)s->test_positives, "negatives", (json_int_t)s->test_negatives));
    set(j, "interval", pair(s->lo, s->hi));
    set(j, "verdict", text_or_null(ecg_verdict_text(s->verdict)));
    ecg_verdict_note(note, sizeof note, s, a);
    set(j, "verdict_note", text_or_null(note));
    set(j, "p_values", isnan(s->p_yes) ? json_null() : json_pack("{s:f, s:f}", "yes", s->p_yes, "no", s->p_no));
    set(j, "flagged", isnan(s->truth) ? json_null() : json_pack("{s:f, s:I}", "per_100", 100 * s->truth, "of", (json_int_t)s->truth_of));
    set(j, "calibrator", *s->calibrator ? json_pack("{s:s, s:I, s:I}", "kind", s->calibrator, "positives", (json_int_t)s->positives, "negatives",
                                                     (json_int_t)s->negatives) : json_null());
    if (a->local)
        set_number(j, "local_prevalence", s->local_prevalence);
    if (a->near)
        set(j, "neighbours", json_pack("{s:i, s:i}", "known", s->near_known, "with", s->near_with));
    return j;
}

static void set_lab(json_t *j, const char *code)
{
    char test[64];
    const char *direction;
    ecg_lab_words(test, sizeof test, &direction, code);
    set(j, "test", ecg_json_words(test));
    set(j, "direction", json_string(direction));
}

/* ---- why ------------------------------------------------------------------------------------------------------------------------- */

static json_t *cited_json(const ecg_cited *c)
{
    json_t *j = json_object();
    set(j, "code", ecg_json_words(c->code));
    set_lab(j, c->code);
    set(j, "title", ecg_json_words(c->title));
    set_number(j, "probability", c->probability);
    set_number(j, "prevalence", c->prevalence);
    set_number(j, "auroc", c->auroc);
    set_number(j, "bar", c->bar);
    set(j, "interval", pair(c->lo, c->hi));
    json_t *edit = json_null();
    if (!isnan(c->free)) {
        edit = json_object();
        set_number(edit, "before", c->before);
        set_number(edit, "free", c->free);
        set_number(edit, "isolated", c->isolated);
    }
    set(j, "edit", edit);
    json_t *data = json_null();
    if (!isnan(c->odds)) {
        data = json_pack("{s:I}", "patients", (json_int_t)c->patients);
        set_number(data, "lift", c->lift);
        set_number(data, "odds_ratio", c->odds);
        set(data, "interval", pair(c->odds_lo, c->odds_hi));
        set_number(data, "q", c->q);
    }
    set(j, "data", data);
    set(j, "same_thing", text_or_null(c->same_thing));
    return j;
}

static void __attribute__((format(printf, 2, 3))) say(json_t *sentences, const char *fmt, ...)
{
    char line[400];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    json_array_append_new(sentences, ecg_json_words(line));
}

static const ecg_score *lab_of(const ecg_answer *a, const char *code)
{
    for (int i = 0; i < a->labs; i++)
        if (strcmp(a->lab[i].code, code) == 0)
            return &a->lab[i];
    return NULL;
}

/* "22 of the 50 most similar recordings had I50.9; NT-proBNP was measured in 18 of them and high in 13." */
static void say_neighbours(json_t *list, const ecg_answer *a, const ecg_score *d, const char *text)
{
    const ecg_why *y = d->why;
    char line[400];
    int n = snprintf(line, sizeof line, "%d of the %d most similar recordings had %s", d->near_with, d->near_known, text);
    for (int i = 0; i < y->cited + y->same && i < 3 && n < (int)sizeof line; i++) {
        const ecg_score *lab = lab_of(a, y->cite[i].code);
        char test[64];
        const char *direction;
        ecg_lab_words(test, sizeof test, &direction, y->cite[i].code);
        if (lab)
            n += snprintf(line + n, sizeof line - (size_t)n, "; %s was measured in %d and %s in %d", test, lab->near_known, *direction ? direction : "abnormal", lab->near_with);
    }
    say(list, "%s.", line);
}

static json_t *sentences_json(const ecg_answer *a, const ecg_score *d)
{
    const ecg_why *y = d->why;
    const char *code = d->code;
    json_t *list = json_array();
    char text[72];
    ecg_code_text(text, sizeof text, code);
    say(list, "The score of %s lies %.2f logits %s that of an average training record: %+.2f go with the predicted laboratory abnormalities, %+.2f with the age "
        "and sex that the ECG shows, %+.2f with neither.", text, fabs(y->above), y->above < 0 ? "below" : "above", y->labs, y->age_sex, y->other);
    if (y->grade == 'D')
        say(list, "The laboratory part follows the score no better than as many random directions would: it explains nothing.");
    if (!y->cited)
        say(list, "No laboratory abnormality can be cited.");
    for (int i = 0; i < y->cited; i++) {
        const ecg_cited *c = &y->cite[i];
        char test[64];
        const char *direction;
        ecg_lab_words(test, sizeof test, &direction, c->code);
        say(list, "%s%s%s, predicted with probability %.2f, adds %+.2f (%.2f to %.2f).", test, *direction ? " " : "", direction, c->probability, c->bar, c->lo, c->hi);
        if (!isnan(c->free))
            say(list, "If the embedding looked neutral for it, the model would say %.2f instead of %.2f.", c->free, c->before);
        if (c->odds_lo > 1 && c->q < 0.05)
            say(list, "In past patients the two go together: odds ratio %.1f (%.1f to %.1f) after age and sex.", c->odds, c->odds_lo, c->odds_hi);
        else
            say(list, "In past patients the two do not clearly go together.");
    }
    if (a->near)
        say_neighbours(list, a, d, text);
    return list;
}

static json_t *why_json(const ecg_answer *a, const ecg_score *d)
{
    const ecg_why *y = d->why;
    json_t *j = json_object(), *cited = json_array(), *same = json_array();
    set_number(j, "logit", y->logit);
    set_number(j, "baseline", y->baseline);
    set_number(j, "above", y->above);
    set(j, "parts", json_pack("{s:f, s:f, s:f}", "labs", y->labs, "age_sex", y->age_sex, "other", y->other));
    set_number(j, "completeness", y->completeness);
    set_number(j, "random", y->random);
    set(j, "grade", json_stringn(&y->grade, 1));
    for (int i = 0; i < y->cited + y->same; i++)
        json_array_append_new(i < y->cited ? cited : same, cited_json(&y->cite[i]));
    set(j, "cited", cited);
    set(j, "same_thing", same);
    set(j, "weak", json_integer(y->weak));
    set(j, "sentences", sentences_json(a, d));
    set(j, "note", json_string(WHY_NOTE));
    return j;
}

/* Falls of the logit; what was not taken away is null. */
static json_t *occlusion_json(const ecg_occlusion *o)
{
    static const char *const waves[ECG_WAVES] = {"P", "QRS", "ST-T"};
    json_t *leads = json_object(), *parts = json_object(), *j = json_object();
    for (int l = 0; l < ECG_LEADS; l++)
        set_number(leads, ecg_lead_names[l], o->lead[l]);
    for (int w = 0; w < ECG_WAVES; w++)
        set_number(parts, waves[w], o->wave[w]);
    set(j, "leads", leads);
    set(j, "waves", parts);
    return j;
}

/* ---- the answer ------------------------------------------------------------------------------------------------------------------ */

static json_t *input_json(const ecg_answer *a)
{
    static const char *const states[] = {"ok", "caution", "refused"};
    json_t *reasons = json_array(), *j = json_object();
    set(j, "state", json_string(states[a->input]));
    for (int i = 0; i < a->doubts; i++)
        json_array_append_new(reasons, ecg_json_words(a->doubt[i]));
    set(j, "reasons", reasons);
    set(j, "similarity", isfinite(a->percentile) && isfinite(a->distance) ? json_pack("{s:f, s:f}", "distance", a->distance, "percentile", a->percentile)
                                                                         : json_null());
    return j;
}

static json_t *verdicts_json(const ecg_answer *a)
{
    json_t *yes = json_array();
    for (int i = 0; i < a->diagnoses; i++)
        if (a->diagnosis[i].verdict == ECG_VERDICT_YES)
            json_array_append_new(yes, ecg_json_words(a->diagnosis[i].code));
    return json_pack("{s:o, s:i, s:i, s:i}", "yes", yes, "no", a->no, "uncertain", a->uncertain, "none", a->diagnoses - a->yes - a->no - a->uncertain);
}

static void set_claims(json_t *j, const ecg_answer *a, const ecg_model *m)
{
    json_t *calibration = a->calibrated ? json_loads(m->calibration, 0, NULL) : NULL;
    set(j, "calibrated", json_boolean(a->calibrated));
    set(j, "calibration", calibration ? calibration : json_null());
    set(j, "calibration_note", text_or_null(a->calibrated ? NULL : NO_CALIBRATORS));
    set_number(j, "alpha", a->alpha);
    set(j, "laboratory_head", json_boolean(a->has_labs));
    set(j, "explained", json_boolean(a->explained));
    set(j, "explained_note", text_or_null(a->not_explained));
    set(j, "verdicts", verdicts_json(a));
    if (a->near)
        set(j, "neighbours", json_pack("{s:i, s:I}", "looked_at", a->near, "of", (json_int_t)a->near_of));
    if (a->local)
        set(j, "local_prevalence", json_pack("{s:i, s:s}", "labels", a->local, "note", LOCAL_NOTE));
    if (a->occlusions)
        set(j, "occlusion", json_pack("{s:i, s:s}", "beats", a->beats, "note", OCCLUSION_NOTE));
}

json_t *ecg_prediction_json(const char *recording, const ecg_answer *a, const ecg_model *m, const ecg_model_name *name, int top)
{
    json_t *j = ecg_json_answer("ecgraft.prediction/1"), *diagnoses = json_array(), *labs = json_array(), *confirm = json_array(), *reasons = json_array();
    json_t *sentences = json_array();
    const int d = top && top < a->diagnoses ? top : a->diagnoses, l = top && top < a->labs ? top : a->labs;
    set(j, "synthetic", json_boolean(a->synthetic));
    if (a->synthetic)
        set(j, "note", json_string(ECG_SYNTHETIC_NOTE));
    set(j, "recording", ecg_json_words(recording));
    set(j, "model", json_pack("{s:o, s:s, s:o}", "name", ecg_json_words(name->name), "sha256", name->hash, "preset", ecg_json_words(m->preset)));
    set(j, "quality", ecg_json_quality(&a->quality));
    set(j, "crops", json_integer(a->crops));
    set(j, "input", input_json(a));
    set_claims(j, a, m);
    for (int i = 0; i < d; i++) {
        const ecg_score *s = &a->diagnosis[i];
        json_t *one = score_json(s, a);
        set(one, "why", s->why ? why_json(a, s) : json_null());
        if (s->occlusion)
            set(one, "occlusion", occlusion_json(s->occlusion));
        json_array_append_new(diagnoses, one);
        char *text = ecg_prediction_sentence(a, i);
        json_array_append_new(sentences, ecg_json_words(text ? text : ""));
        free(text);
    }
    for (int i = 0; i < l + a->reasons; i++) {
        const ecg_score *s = i < l ? &a->lab[i] : &a->reason[i - l];
        json_t *one = score_json(s, a);
        set_lab(one, s->code);
        json_array_append_new(i < l ? labs : reasons, one);
    }
    for (int i = 0; i < a->confirms; i++)
        json_array_append_new(confirm, ecg_json_words(a->lab[a->confirm[i]].code));
    set(j, "diagnoses", diagnoses);
    set(j, "labs", labs);
    set(j, "confirm", confirm);
    set(j, "reasons", reasons);
    set(j, "sentences", sentences);
    return j;
}

json_t *ecg_prediction_refused(const char *recording, const char *why, const ecg_model *m, const ecg_model_name *name)
{
    return json_pack("{s:b, s:o, s:{s:s, s:s}, s:{s:s, s:[o]}}", "synthetic", ecg_model_synthetic(m), "recording", ecg_json_words(recording), "model", "name",
                     name->name, "sha256", name->hash, "input", "state", "refused", "reasons", ecg_json_words(why));
}
