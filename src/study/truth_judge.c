/* SPDX-License-Identifier: MIT
 * truth_judge.c: each figure of a check against the rule that it has to keep (docs/explanations.md). Rules stand here as they are printed. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "study/truth.h"

static ecg_gate *next(ecg_truth *t, const char *name, const char *rule)
{
    ecg_gate *g = &t->gate[t->gates++]; /* ECG_GATES counts them all */
    *g = (ecg_gate){.rule = rule};
    snprintf(g->name, sizeof g->name, "%s", name);
    return g;
}

static void __attribute__((format(printf, 3, 4))) settle(ecg_gate *g, int pass, const char *fmt, ...)
{
    va_list args;
    g->state = pass < 0 ? ECG_GATE_OPEN : pass ? ECG_GATE_PASS : ECG_GATE_FAIL;
    va_start(args, fmt);
    vsnprintf(g->found, sizeof g->found, fmt, args);
    va_end(args);
}

static void causes(ecg_truth *t)
{
    double found[ECG_CITERS] = {0}, twins = 0;
    for (int i = 0; i < ECG_CAUSES; i++) {
        const ecg_truth_cause *c = &t->cause[i];
        char name[64];
        snprintf(name, sizeof name, "twins, %s", c->cause);
        ecg_gate *g = next(t, name, "the cited value falls when its cause is taken away: AUROC against sham, lower end above 0.5; the sham moves it by less than a tenth of that");
        if (!c->lab || c->twins < 10 || isnan(c->auroc)) {
            settle(g, -1, "%lld twins in the test folds, 10 needed", (long long)c->twins);
        } else {
            settle(g, c->lo > 0.5 && fabs(c->sham_change) < 0.1 * fabs(c->after - c->before), "%s: AUROC %.3f (%.3f to %.3f), change %+.3f, sham %+.4f, %lld twins", c->lab,
                   c->auroc, c->lo, c->hi, c->after - c->before, c->sham_change, (long long)c->twins);
        }
        for (int who = 0; who < ECG_CITERS && c->twins; who++)
            found[who] += c->found[who] * (double)c->twins;
        twins += (double)c->twins;
    }
    ecg_gate *g = next(t, "planted cause", "among the three cited oftener than among the three most probable labs, on the same records");
    if (!(twins > 0))
        settle(g, -1, "no twins");
    else
        settle(g, found[0] > found[1], "explanation %.0f %%, most probable %.0f %%, most above prevalence %.0f %% of %.0f records", 100 * found[0] / twins, 100 * found[1] / twins,
               100 * found[2] / twins, twins);
}

static void covered(ecg_truth *t, int i)
{
    const ecg_truth_coverage *c = &t->coverage[i];
    ecg_gate *g = next(t, i ? "coverage, labs" : "coverage, diagnoses", "one record a patient: 97 % of the label-class pairs inside their 99 % band, and 1 point from it on average");
    if (!c->people_pairs)
        settle(g, -1, "no label with enough calibration cases");
    else
        settle(g, (double)c->people_inside >= 0.97 * (double)c->people_pairs && fabs(c->people_gap) <= 0.01, "%lld of %lld inside, %+.1f points; all records: %lld of %lld, %+.1f points",
               (long long)c->people_inside, (long long)c->people_pairs, 100 * c->people_gap, (long long)c->inside, (long long)c->pairs, 100 * c->mean_gap);
    g = next(t, i ? "calibration, labs" : "calibration, diagnoses", "expected calibration error (ten equal masses) not above that of the raw scores by more than 0.005");
    settle(g, isnan(c->ece_after) ? -1 : c->ece_after <= c->ece_before + 0.005, "%.4f, raw %.4f; intervals %.3f wide", c->ece_after, c->ece_before, c->width);
}

void ecg_truth_judge(ecg_truth *t)
{
    t->gates = 0;
    causes(t);
    const ecg_truth_named *mine = &t->named[0], *plain = &t->named[1];
    ecg_gate *g = next(t, "confounders", "of what is cited a larger share acts on this ECG than of the most probable labs");
    settle(g, isnan(mine->active) ? -1 : mine->active > plain->active, "explanation %.0f %% of %.1f a record, most probable %.0f %% of %.1f", 100 * mine->active, mine->per_record,
           100 * plain->active, plain->per_record);
    g = next(t, "randomisation", "five labs taught with shuffled labels follow the scores no better than five random directions (0.02), and worse than with true labels");
    settle(g, isnan(t->five) ? -1 : t->five_shuffled <= t->five_random + 0.02 && t->five_shuffled < t->five, "R2 %.3f, shuffled %.3f, random %.3f", t->five, t->five_shuffled,
           t->five_random);
    g = next(t, "deletion", "the diagnosis AUROC falls more without the five labs that weigh most than without five random directions: interval above 0");
    settle(g, isnan(t->deletion_lo) ? -1 : t->deletion_lo > 0, "%.3f against %.3f; difference over diagnoses %+.3f (%.3f to %.3f)", t->deletion, t->deletion_random,
           t->deletion - t->deletion_random, t->deletion_lo, t->deletion_hi);
    g = next(t, "stability, crops", "ranks of the bars of single crops correlate with those of the record by 0.7");
    settle(g, isnan(t->stability) ? -1 : t->stability >= 0.7, "%.2f", t->stability);
    g = next(t, "stability, models", "ranks of the bars correlate with those of the other models by 0.5");
    settle(g, isnan(t->models) ? -1 : t->models >= 0.5, t->n_models ? "%.2f over %d other models; of the three longest bars they share %.0f %%" : "no other model was named (--also)", t->models,
           t->n_models, 100 * t->models_shared);
    g = next(t, "age and sex", "with age and sex beside it the laboratory part keeps half of its variance");
    settle(g, isnan(t->with_age_sex) ? -1 : t->with_age_sex >= 0.5, "%.0f %%", 100 * t->with_age_sex);
    g = next(t, "negative controls", "diagnoses without a trace in the ECG are followed no better, against random directions, than the others");
    settle(g, isnan(t->control_gain) ? -1 : t->control_gain <= t->other_gain, "%+.3f in %d controls, %+.3f in the others", t->control_gain, t->controls, t->other_gain);
    covered(t, 0);
    covered(t, 1);
}
