/* SPDX-License-Identifier: MIT
 * occlude.c: what a lead, or a wave of all beats, does for a diagnosis: the recording once more through the network with that part replaced by a
 * straight line. Such a recording does not occur, and a model may answer oddly to it: the figures say where to look, not why. */
#include <math.h>

#include "explain/beats.h"
#include "model/parts.h"

enum { MOST_BEATS_PER_S = 5 };

typedef struct {
    ecg_answer *a;
    const ecg_model *m;
    const ecg_head *head;
    const float *x;      /* (n, leads) */
    int64_t n;
    float *changed, *h;  /* (n, leads), (crops, width) */
    double *logit;       /* (K) */
    int n_told;
} work;

/* Runs `changed`; its place in each told diagnosis gets the fall of the logit. place: offset in doubles into ecg_occlusion. */
static void fall(work *w, int place)
{
    ecg_embed_in(w->h, w->a, w->m, w->changed, w->a->crops);
    ecg_head_means_in(w->logit, NULL, w->a, w->m, w->head, w->h);
    for (int i = 0; i < w->n_told; i++) {
        const ecg_score *s = &w->a->diagnosis[i];
        ecg_occlusion *o = &w->a->occlusion[i];
        const double d = s->crop_mean_logit - w->logit[s->row];
        *(place < ECG_LEADS ? &o->lead[place] : &o->wave[place - ECG_LEADS]) = d;
    }
}

static ecg_status all_parts(work *w, ecg_err *err)
{
    const ecg_contract *c = &w->m->contract;
    const int64_t most = (int64_t)((double)w->n / c->rate_hz * MOST_BEATS_PER_S) + 1;
    double *room = ecg_answer_take(w->a, (size_t)w->n * 2, sizeof *room);
    int64_t *beat = ecg_answer_take(w->a, (size_t)most, sizeof *beat);
    if (!room || !beat)
        return ecg_fail(err, ECG_ENOMEM, "no memory for occlusion");
    for (int l = 0; l < c->leads; l++) {
        const int lead = ecg_lead_from_name(c->lead[l]);
        if (lead < 0)
            continue;
        ecg_without_lead(w->changed, room, w->x, w->n, c->leads, l);
        fall(w, lead);
    }
    const int64_t beats = ecg_find_beats(beat, most, room, w->x, w->n, c->leads, c->rate_hz);
    w->a->beats = (int)beats;
    for (int wave = 0; wave < ECG_WAVES && beats > 0; wave++) {
        ecg_without_wave(w->changed, w->x, w->n, c->leads, wave, beat, beats, c->rate_hz);
        fall(w, ECG_LEADS + wave);
    }
    return ECG_OK;
}

ecg_status ecg_occlude_answer(ecg_answer *a, const ecg_model *m, const float *x, int64_t n, int most, ecg_err *err)
{
    const int told = most < 0 || most > a->diagnoses ? a->diagnoses : most;
    const ecg_head *head = ecg_model_head((ecg_model *)m, ECG_HEAD_DIAGNOSES);
    if (!told || !head || a->input == ECG_INPUT_REFUSED)
        return ECG_OK;
    work w = {.a = a, .m = m, .head = head, .x = x, .n = n, .n_told = told};
    w.changed = ecg_answer_take(a, (size_t)n * (size_t)m->contract.leads, sizeof *w.changed);
    w.h = ecg_answer_take(a, (size_t)a->crops * (size_t)m->shape.width, sizeof *w.h);
    w.logit = ecg_answer_take(a, (size_t)a->diagnoses, sizeof *w.logit);
    a->occlusion = ecg_answer_take(a, (size_t)told, sizeof *a->occlusion);
    ecg_status st = w.changed && w.h && w.logit && a->occlusion ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for occlusion");
    for (int i = 0; i < told && !st; i++) {
        ecg_occlusion *o = &a->occlusion[i];
        for (int l = 0; l < ECG_LEADS; l++)
            o->lead[l] = NAN;
        for (int wave = 0; wave < ECG_WAVES; wave++)
            o->wave[wave] = NAN;
        a->diagnosis[i].occlusion = o;
    }
    if (!st) {
        a->occlusions = told;
        st = all_parts(&w, err);
    }
    return st;
}
