/* SPDX-License-Identifier: MIT
 * study_words.c: what the numbers say, by rules that know no wish. A difference is judged by its interval alone: above zero, below zero, or
 * including zero, and then the effect is called small or absent. The page, the Markdown and the JSON print these sentences. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "report/study_parts.h"

const char *ecg_fixed(char out[ECG_DIGITS], double x, int decimals, bool sign)
{
    if (!isfinite(x)) {
        snprintf(out, ECG_DIGITS, "-");
    } else if (fabs(x) >= 1e9) {
        snprintf(out, ECG_DIGITS, "%.3g", x);
    } else {
        snprintf(out, ECG_DIGITS, sign ? "%+.*f" : "%.*f", decimals, x);
        if (!out[strspn(out, "+-0.")]) /* no sign before what rounds to zero */
            snprintf(out, ECG_DIGITS, "%.*f", decimals, 0.0);
    }
    return out;
}

void ecg_words_span(ecg_text *to, ecg_span s, bool sign)
{
    char a[ECG_DIGITS], b[ECG_DIGITS], c[ECG_DIGITS];
    ecg_text_puts(to, ecg_fixed(a, s.point, 3, sign));
    if (isfinite(s.lo) && isfinite(s.hi))
        ecg_text_printf(to, " (%s to %s)", ecg_fixed(b, s.lo, 3, sign), ecg_fixed(c, s.hi, 3, sign));
}

const char *ecg_finding(ecg_span d)
{
    if (!isfinite(d.point) || !isfinite(d.lo) || !isfinite(d.hi))
        return "not known";
    return d.lo > 0 ? "above zero" : d.hi < 0 ? "below zero" : "includes zero";
}

const char *ecg_interval_words(const char *interval)
{
    if (!strcmp(interval, "bootstrap"))
        return "percentiles of resamples of the test records of one cohort and seed";
    if (!strcmp(interval, "mean_bootstrap"))
        return "means, over cohorts and seeds, of bootstrap bounds: not narrowed by their number, and blind to how cohorts differ";
    if (!strcmp(interval, "t"))
        return "t interval of the mean over cohorts";
    return "none";
}

void ecg_words_plain(ecg_text *to, const ecg_text *from)
{
    json_t *whole = from->at ? json_stringn(from->at, from->len) : NULL;
    for (size_t i = 0; i < from->len; i++)
        ecg_text_add(to, !whole && (unsigned char)from->at[i] >= 0x80 ? "?" : from->at + i, 1);
    json_decref(whole);
}

/* ---- sentences ---------------------------------------------------------------------------------------------------------------------- */

static void add(ecg_study_view *v, const char *about, const char *finding, ecg_text *sentence)
{
    ecg_text plain = {0};
    ecg_words_plain(&plain, sentence);
    if (plain.at)
        json_array_append_new(v->verdict, json_pack("{s:s, s:s, s:s}", "about", about, "finding", finding, "text", plain.at));
    ecg_text_clear(&plain);
    ecg_text_clear(sentence);
}

static ecg_span span_of(const json_t *difference)
{
    return ecg_study_has(difference, "difference") ? ecg_study_span(difference, "difference", "lo", "hi") : (ecg_span){NAN, NAN, NAN};
}

static ecg_span span_between(const ecg_study_view *v, const char *a, const char *b, const char *task)
{
    return span_of(ecg_study_difference(v, a, b, task));
}

/* "'Ours' minus 'Supervised, signal only', diagnoses: +0.012 (+0.003 to +0.021). " */
static void begin(ecg_text *to, const ecg_study_view *v, const char *a, const char *b, const char *task, ecg_span d)
{
    ecg_text_printf(to, "'%s' minus '%s', %s: ", ecg_study_title(v, a), ecg_study_title(v, b), task);
    ecg_words_span(to, d, true);
    ecg_text_puts(to, ". ");
}

/* What a difference says, and what it means when it is above zero, includes it, or is below. */
static void judge(ecg_study_view *v, const char *about, const char *a, const char *b, const char *task, const char *above, const char *zero, const char *below)
{
    ecg_text s = {0};
    char most[ECG_DIGITS];
    const json_t *object = ecg_study_difference(v, a, b, task);
    const ecg_span d = span_of(object);
    const char *finding = ecg_finding(d);
    if (!object)
        return;
    if (isnan(d.point)) {
        const char *why = ecg_study_text(object, "why");
        ecg_text_printf(&s, "'%s' minus '%s', %s: no figure (%s%s%s).", ecg_study_title(v, a), ecg_study_title(v, b), task, ecg_study_state(object), *why ? ": " : "", why);
    } else {
        begin(&s, v, a, b, task, d);
        ecg_text_puts(&s, !strcmp(finding, "above zero") ? above : !strcmp(finding, "below zero") ? below : !strcmp(finding, "includes zero") ? zero :
                      "There is no interval: chance alone may have made it.");
        if (!strcmp(finding, "includes zero")) /* a wide interval says little: it says so itself */
            ecg_text_printf(&s, " Up to %s is not excluded.", ecg_fixed(most, d.hi, 3, true));
    }
    add(v, about, finding, &s);
}

/* The gain must go when the pairs are shuffled. That a shuffled interval includes zero shows little if it would also have held the gain. */
static void judge_shuffled(ecg_study_view *v)
{
    ecg_text s = {0};
    const json_t *object = ecg_study_difference(v, "shuffled", "signal", "diagnoses");
    const ecg_span main = span_between(v, "ours_shared", "signal", "diagnoses"), d = span_of(object), between = span_between(v, "ours_shared", "shuffled", "diagnoses");
    if (isnan(d.point)) {
        const char *why = ecg_study_text(object, "why");
        ecg_text_printf(&s, "The shuffled control has no figure (%s%s%s): whether a gain comes from what an ECG and its table share remains open.",
                        object ? ecg_study_state(object) : "not in this study", *why ? ": " : "", why);
        add(v, "shuffled pairs", "not known", &s);
        return;
    }
    begin(&s, v, "shuffled", "signal", "diagnoses", d);
    if (d.lo > 0)
        ecg_text_puts(&s, "A gain remains with shuffled pairs: that much of it does not come from what an ECG and its table share.");
    else if (!(main.lo > 0))
        ecg_text_puts(&s, "There was no gain above zero that shuffling could have taken away: the control decides nothing here.");
    else if (d.hi < main.point)
        ecg_text_puts(&s, "The gain goes when pairs are shuffled, as it must if it comes from what an ECG and its table share.");
    else
        ecg_text_puts(&s, "The gain is no longer above zero when pairs are shuffled, but this interval would also hold a gain as large as the one above.");
    if (!isnan(between.point)) {
        ecg_text_puts(&s, " True pairs against shuffled ones: ");
        ecg_words_span(&s, between, true);
        ecg_text_printf(&s, ", %s.", strcmp(ecg_finding(between), "not known") ? ecg_finding(between) : "without an interval");
    }
    add(v, "shuffled pairs", ecg_finding(d), &s);
}

static void judge_gap(ecg_study_view *v)
{
    ecg_text s = {0};
    const ecg_span main = span_between(v, "ours_shared", "signal", "diagnoses"), whole = span_between(v, "multi", "signal", "diagnoses");
    if (isnan(whole.point))
        return;
    begin(&s, v, "multi", "signal", "diagnoses", whole);
    if (!(whole.lo > 0))
        ecg_text_puts(&s, "The table adds nothing measurable to the ECG on this cohort: there is no distance to close.");
    else if (isnan(main.point))
        ecg_text_puts(&s, "This is what the table adds to the ECG.");
    else
        ecg_text_printf(&s, "This is what the table adds to the ECG. Ours covers %.0f %% of it without the table at inference (quotient of the point estimates); the "
                            "paper's figures give 47 %%.", 100 * main.point / whole.point);
    add(v, "distance to the multimodal model", ecg_finding(whole), &s);
}

static void judge_labels(ecg_study_view *v)
{
    ecg_text s = {0};
    const ecg_span main = span_between(v, "ours_shared", "signal", "diagnoses"), d = span_between(v, "ours_all", "signal_all", "diagnoses");
    if (isnan(d.point))
        return;
    begin(&s, v, "ours_all", "signal_all", "diagnoses", d);
    if (isnan(main.point))
        ecg_text_puts(&s, "There is no figure with fewer labels to compare it to.");
    else if (d.point < main.point)
        ecg_text_puts(&s, "With labels for every training record the gain shrinks, as expected of pre-training.");
    else
        ecg_text_puts(&s, "The gain does not shrink with labels for every training record, against what is expected of pre-training.");
    add(v, "all labels", ecg_finding(d), &s);
}

/* One sentence where the cohort can have no such row, instead of the same for every pair of them. */
static void judge_labs(ecg_study_view *v)
{
    ecg_text s = {0};
    const char *why = ecg_study_without(v, "labs");
    if (why) {
        ecg_text_printf(&s, "No row predicts laboratory values: %s.", *why ? why : "they were left out");
        add(v, "labs", "not known", &s);
        return;
    }
    judge(v, "labs: ours against the ECG alone", "ours_shared", "ecg_labs", "labs", "The shared embedding predicts labs better than a model trained for them from the ECG alone.",
          "The interval includes zero: the effect is small or absent on this cohort.", "One embedding for both tasks costs laboratory AUROC against a model trained for labs alone.");
    judge(v, "labs: branched against the ECG alone", "ours_branched", "ecg_labs", "labs", "The branched model predicts labs better than a model trained for them from the ECG alone.",
          "The interval includes zero: the effect is small or absent on this cohort.", "The branched model does worse on labs than a model trained for them from the ECG alone.");
    judge(v, "labs: multimodal against ours", "multi_labs", "ours_shared", "labs", "With the routine table at inference labs are predicted better than by ours.",
          "The interval includes zero: the routine table at inference is not shown to help.", "Ours predicts labs better than the multimodal model.");
}

static void judge_forgetting(ecg_study_view *v)
{
    ecg_text s = {0};
    char a[ECG_DIGITS], b[ECG_DIGITS], c[ECG_DIGITS];
    const double before = ecg_study_number(ecg_study_stage(v, "pretrain"), "r2_test"), after = ecg_study_number(ecg_study_stage(v, "diagnoses"), "r2_test");
    const double alone = ecg_study_number(ecg_study_stage(v, "signal"), "r2_test");
    if (isnan(before) || isnan(after))
        return;
    ecg_text_printf(&s, "A linear probe from the embedding to the table explains (R2 on the test fold) %s after stage 1 and %s after stage 2", ecg_fixed(a, before, 3, false),
                    ecg_fixed(b, after, 3, false));
    if (!isnan(alone))
        ecg_text_printf(&s, "; of the model that never saw a table %s", ecg_fixed(c, alone, 3, false));
    const double untrained = ecg_study_number(ecg_study_stage(v, "random"), "r2_test");
    const bool learned = before > 0 && !(before <= untrained), forgot = after < 0.95 * before;
    ecg_text_puts(&s, !learned ? ". Stage 1 left nothing in the embedding that this probe could tell: there is nothing to forget." :
                      forgot ? ". Fine-tuning forgets a part of what was transferred." : ". Fine-tuning does not forget what was transferred.");
    add(v, "forgetting", !learned ? "nothing to forget" : forgot ? "forgets" : "keeps", &s);
}

static const json_t *find_at_end(const json_t *list, const char *key, const char *tail)
{
    size_t i;
    json_t *x;
    json_array_foreach(list, i, x)
    {
        const char *text = ecg_study_text(x, key);
        const size_t len = strlen(text), n = strlen(tail);
        if (len >= n && !strcmp(text + len - n, tail))
            return x;
    }
    return NULL;
}

/* A baseline that was still improving makes every difference to it look larger than it is: what three times as many epochs make of it decides. */
static void judge_convergence(ecg_study_view *v)
{
    const json_t *curve = find_at_end(ecg_study_list(v->root, "curves"), "folder", "signal/diagnoses");
    const ecg_span longer = span_between(v, "signal_long", "signal", "diagnoses");
    const size_t epochs = json_array_size(ecg_study_list(curve, "epoch"));
    const double best = ecg_study_number(curve, "best_epoch");
    const bool tried = !isnan(longer.lo), same = tried && longer.lo == 0 && longer.hi == 0, better = longer.lo > 0;
    ecg_text s = {0};
    if (isnan(best) || !epochs)
        return;
    const bool early = best <= 0.9 * (double)epochs;
    ecg_text_printf(&s, "The signal-only baseline (%s) was best on validation at epoch %g of %zu%s", ecg_study_text(curve, "folder"), best, epochs,
                    early ? ": it had stopped improving." : tried ? ", within the last tenth of its epochs." :
                    ", within the last tenth of its epochs, so that it may still have been improving and differences to it may be too large.");
    if (same) {
        ecg_text_puts(&s, " Trained three times as long it kept the same epoch: the two rows are one model.");
    } else if (tried) {
        ecg_text_puts(&s, " Three times as many epochs make of it ");
        ecg_words_span(&s, longer, true);
        ecg_text_puts(&s, better ? ": it had not converged, and differences to it are too large." : ": that is no improvement above chance.");
    }
    add(v, "convergence of the baseline", better || (!early && !tried) ? "not converged" : "converged", &s);
}

/* Of a curve that falls: the value at an epoch counted from 0. */
static double value_at(const json_t *curve, size_t epoch)
{
    const json_t *x = json_array_get(ecg_study_list(curve, "value"), epoch);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

/* What stage 1 had to learn from, and whether it was done: the last tenth of the epochs still bringing a twentieth of the whole fall is not. */
static void judge_pretraining(ecg_study_view *v)
{
    const json_t *curve = find_at_end(ecg_study_list(v->root, "curves"), "folder", "ours/pretrain"), *cohort = json_array_get(ecg_study_list(v->root, "cohorts"), 0);
    const json_t *stage = find_at_end(ecg_study_list(v->root, "stages"), "stage", "ours/pretrain");
    const size_t epochs = json_array_size(ecg_study_list(curve, "value"));
    const double first = value_at(curve, 0), late = value_at(curve, epochs - (epochs / 10 ? epochs / 10 : 1) - 1), last = value_at(curve, epochs ? epochs - 1 : 0);
    const int64_t records = ecg_study_count(json_object_get(json_object_get(cohort, "counts"), "train"), "records");
    const int64_t columns = ecg_study_count(json_object_get(cohort, "columns"), "all"), steps = ecg_study_count(stage, "steps");
    char a[ECG_DIGITS], b[ECG_DIGITS];
    ecg_text s = {0};
    if (epochs < 2 || isnan(first) || isnan(last) || records < 0 || columns < 0 || steps < 0)
        return;
    const double fall = first - last;
    const bool fell = fall > 0.05 * fabs(first), going = late - last > 0.05 * fall;
    ecg_text_printf(&s, "Stage 1 saw %" PRId64 " ECGs, each with a table of %" PRId64 " columns, for %zu epochs (%" PRId64 " steps). Its loss on validation went from %s to %s",
                    records, columns, epochs, steps, ecg_fixed(a, first, 2, false), ecg_fixed(b, last, 2, false));
    ecg_text_puts(&s, !fell ? ": it hardly fell, so that little was learned from the pairs." :
                      going ? " and was still falling: longer pre-training may give more." : " and had levelled out.");
    add(v, "stage 1", !fell ? "hardly fell" : going ? "still falling" : "levelled out", &s);
}

static void judge_noise(ecg_study_view *v)
{
    ecg_text s = {0};
    const json_t *main = ecg_study_difference(v, "ours_shared", "signal", "diagnoses");
    const size_t cohorts = json_array_size(ecg_study_list(v->root, "cohorts")), seeds = json_array_size(ecg_study_list(v->root, "seeds"));
    const double spread = ecg_study_number(main, "spread");
    char a[ECG_DIGITS];
    if (cohorts * seeds <= 1)
        ecg_text_puts(&s, "One cohort and one seed: the intervals hold the chance of which patients are in the test fold, and not how another cohort or another "
                          "training run would have turned out.");
    else
        ecg_text_printf(&s, "%zu cohort%s and %zu seed%s%s%s.", cohorts, cohorts == 1 ? "" : "s", seeds, seeds == 1 ? "" : "s",
                        isnan(spread) ? "" : "; standard deviation of ours minus signal only between them: ", isnan(spread) ? "" : ecg_fixed(a, spread, 3, false));
    ecg_text_puts(&s, " Intervals are at 95 %, not corrected for the number of comparisons.");
    add(v, "noise", "stated", &s);
}

static void judge_progress(ecg_study_view *v)
{
    ecg_text s = {0};
    size_t i, open = 0, failed = 0;
    json_t *row;
    json_array_foreach(ecg_study_list(v->root, "rows"), i, row)
    {
        open += !strcmp(ecg_study_text(row, "status"), "pending") || !strcmp(ecg_study_text(row, "status"), "partial");
        failed += !strcmp(ecg_study_text(row, "status"), "failed");
    }
    if (json_is_false(json_object_get(v->root, "complete")) || open)
        ecg_text_printf(&s, "The study is not complete: %zu figure%s of the table %s still open.%s", open, open == 1 ? "" : "s", open == 1 ? "is" : "are", failed ? " " : "");
    if (failed)
        ecg_text_printf(&s, "%zu figure%s could not be made: training failed.", failed, failed == 1 ? "" : "s");
    if (s.at)
        add(v, "completeness", "incomplete", &s);
}

ecg_status ecg_study_judge(ecg_study_view *v, ecg_err *err)
{
    judge_progress(v);
    judge(v, "ours against signal only", "ours_shared", "signal", "diagnoses", "The interval lies above zero: pre-training with the table helps on this cohort.",
          "The interval includes zero: the effect is small or absent on this cohort.", "The interval lies below zero: pre-training with the table does harm on this cohort.");
    judge_shuffled(v);
    judge(v, "ours against random weights", "ours_shared", "ours_random", "diagnoses", "Stage 1 does better than the same recipe from random weights.",
          "The interval includes zero: stage 1 is not shown to do better than the same recipe from random weights.",
          "Stage 1 does worse than the same recipe from random weights.");
    judge_pretraining(v);
    judge_labels(v);
    judge_gap(v);
    judge_labs(v);
    judge_forgetting(v);
    judge_convergence(v);
    judge(v, "ours against the baseline trained three times as long", "ours_shared", "signal_long", "diagnoses", "The gain is not made up for by training the baseline longer.",
          "The interval includes zero: training the baseline longer may make up for the gain.", "The baseline trained longer does better than ours.");
    judge(v, "ours against the baseline with a hidden layer in its head", "ours_shared", "signal_hidden", "diagnoses",
          "The gain is not made up for by a better head for the baseline.", "The interval includes zero: a better head for the baseline may make up for the gain.",
          "The baseline with a better head does better than ours.");
    judge_noise(v);
    return json_array_size(v->verdict) ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for a sentence");
}
