/* SPDX-License-Identifier: MIT
 * cmd_explain_check.c: are the explanations of a model true? Twins and effects of a synthetic hospital, and gates that need no truth. */
#include <math.h>

#include "base/file.h"
#include "json.h"
#include "opt.h"
#include "study/truth.h"

static struct {
    bool json;
    double alpha;
    const char *markdown;
    opt_list also;
} o = {.alpha = 0.1};

static const option options[] = {
    {"json", 0, OPT_FLAG, &o.json, NULL, "the figures as JSON"},
    {"markdown", 0, OPT_TEXT, &o.markdown, "FILE", "the figures and the gates as a report"},
    {"also", 0, OPT_LIST, &o.also, "MODEL", "another model with explanations on that cohort, of another seed say: do its bars agree? may repeat"},
    {"alpha", 0, OPT_NUMBER, &o.alpha, "A", "errors that a verdict may make (0.1)"},
    {0},
};

/* ---- JSON ----------------------------------------------------------------------------------------------------------------------- */

static void number(json_t *j, const char *key, double x)
{
    json_object_set_new(j, key, ecg_json_number(x));
}

static json_t *cause_json(const ecg_truth_cause *c)
{
    json_t *j = json_pack("{s:s, s:s?, s:I, s:I}", "cause", c->cause, "lab", c->lab, "twins", (json_int_t)c->twins, "shams", (json_int_t)c->shams);
    json_t *found = json_object();
    number(j, "before", c->before);
    number(j, "after", c->after);
    number(j, "sham_change", c->sham_change);
    number(j, "fell", c->fell);
    number(j, "auroc", c->auroc);
    number(j, "low", c->lo);
    number(j, "high", c->hi);
    number(j, "named", c->named);
    for (int i = 0; i < ECG_CITERS; i++)
        number(found, ecg_citers[i], c->found[i]);
    json_object_set_new(j, "among_three", found);
    return j;
}

static json_t *coverage_json(const ecg_truth_coverage *c)
{
    json_t *j = json_pack("{s:I, s:I}", "pairs", (json_int_t)c->pairs, "inside", (json_int_t)c->inside);
    number(j, "mean_gap", c->mean_gap);
    json_object_set_new(j, "one_a_patient", json_pack("{s:I, s:I, s:o}", "pairs", (json_int_t)c->people_pairs, "inside", (json_int_t)c->people_inside, "mean_gap",
                                                      ecg_json_number(c->people_gap)));
    number(j, "ece_before", c->ece_before);
    number(j, "ece_after", c->ece_after);
    number(j, "interval_width", c->width);
    return j;
}

static const char *state_text(ecg_gate_state s)
{
    return s == ECG_GATE_PASS ? "PASS" : s == ECG_GATE_FAIL ? "FAIL" : "not told";
}

static json_t *gates_json(const ecg_truth *t)
{
    json_t *list = json_array();
    for (int i = 0; i < t->gates; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "gate", t->gate[i].name, "state", state_text(t->gate[i].state), "found", t->gate[i].found, "rule",
                                              t->gate[i].rule));
    return list;
}

static void print_json(const ecg_truth *t)
{
    json_t *j = ecg_json_answer("ecgraft.explain-check/1"), *causes = json_array(), *named = json_object();
    json_object_set_new(j, "synthetic", json_boolean(t->synthetic));
    json_object_set_new(j, "records", json_integer(t->records));
    number(j, "alpha", t->alpha);
    for (int c = 0; c < ECG_CAUSES; c++)
        json_array_append_new(causes, cause_json(&t->cause[c]));
    for (int i = 0; i < ECG_CITERS; i++) {
        const ecg_truth_named *n = &t->named[i];
        json_t *one = json_object();
        number(one, "per_record", n->per_record);
        number(one, "acts_here", n->active);
        number(one, "acts_elsewhere", n->inactive);
        number(one, "never_acts", n->never);
        json_object_set_new(named, ecg_citers[i], one);
    }
    json_object_set_new(j, "causes", causes);
    json_object_set_new(j, "named", named);
    json_object_set_new(j, "diagnoses", coverage_json(&t->coverage[0]));
    json_object_set_new(j, "labs", coverage_json(&t->coverage[1]));
    number(j, "deletion", t->deletion);
    number(j, "deletion_random", t->deletion_random);
    json_object_set_new(j, "deletion_difference", json_pack("[o,o]", ecg_json_number(t->deletion_lo), ecg_json_number(t->deletion_hi)));
    json_object_set_new(j, "randomisation", json_pack("{s:o, s:o, s:o}", "five_labs", ecg_json_number(t->five), "shuffled", ecg_json_number(t->five_shuffled), "random",
                                                      ecg_json_number(t->five_random)));
    json_object_set_new(j, "models", json_pack("{s:i, s:o, s:o}", "other", t->n_models, "correlation", ecg_json_number(t->models), "three_in_common",
                                               ecg_json_number(t->models_shared)));
    number(j, "completeness", t->completeness);
    number(j, "random", t->random);
    number(j, "control", t->control);
    json_object_set_new(j, "controls", json_integer(t->controls));
    number(j, "stability", t->stability);
    number(j, "with_age_sex", t->with_age_sex);
    json_object_set_new(j, "gates", gates_json(t));
    tool_json_print(j);
}

/* ---- text ----------------------------------------------------------------------------------------------------------------------- */

static const char *share(char out[8], double x)
{
    if (isnan(x))
        snprintf(out, 8, "-");
    else
        snprintf(out, 8, "%.0f %%", 100 * x);
    return out;
}

static void print_causes(const ecg_truth *t)
{
    char s[5][8];
    printf("counterfactual twins of %lld test records: the cause is taken away, everything else stays\n", (long long)t->records);
    for (int c = 0; c < ECG_CAUSES; c++) {
        const ecg_truth_cause *k = &t->cause[c];
        if (!k->lab || !k->twins) {
            printf("  %s: %s\n", k->cause, k->lab ? "no twin in the test folds" : "the model does not predict it");
            continue;
        }
        printf("  %s (%s): %lld twins, mean logit %.2f to %.2f, sham %+.3f (%lld); fell in %s; fall against sham AUROC %.3f (%.3f to %.3f)\n", k->cause, k->lab,
               (long long)k->twins, k->before, k->after, k->sham_change, (long long)k->shams, share(s[0], k->fell), k->auroc, k->lo, k->hi);
        printf("    among three named: by the explanation %s (it names any in %s), the most probable %s, the most above prevalence %s\n", share(s[1], k->found[0]),
               share(s[4], k->named), share(s[2], k->found[1]), share(s[3], k->found[2]));
    }
    printf("what is named, against the table of effects\n");
    for (int i = 0; i < ECG_CITERS; i++) {
        const ecg_truth_named *n = &t->named[i];
        printf("  %s: %.1f a record; acts on this ECG %s, on others only %s, on none %s\n", ecg_citers[i], n->per_record, share(s[0], n->active), share(s[1], n->inactive),
               share(s[2], n->never));
    }
}

static void print_gates(const ecg_truth *t)
{
    static const char *const sets[] = {"diagnoses", "labs"};
    for (int i = 0; i < 2; i++) {
        const ecg_truth_coverage *c = &t->coverage[i];
        printf("%s: %lld of %lld label-class pairs inside their 99 %% band, coverage %+.3f against %.2f on average; ECE %.3f before, %.3f after; "
               "mean interval width %.3f\n", sets[i], (long long)c->inside, (long long)c->pairs, c->mean_gap, 1 - t->alpha, c->ece_before, c->ece_after, c->width);
    }
    printf("deletion: without the five labs that weigh most the diagnosis AUROC falls by %.3f, without five random directions by %.3f\n", t->deletion,
           t->deletion_random);
    printf("completeness %.2f, as many random directions %.2f; diagnoses without a trace in the ECG %.2f (%d)\n", t->completeness, t->random, t->control, t->controls);
    printf("stability: bars of single crops correlate with those of the record by %.2f (ranks)\n", t->stability);
    printf("age and sex: with them beside it the laboratory part keeps %.0f %% of its variance\n", 100 * t->with_age_sex);
    printf("gates\n");
    for (int i = 0; i < t->gates; i++)
        printf("  %-8s %s: %s\n", state_text(t->gate[i].state), t->gate[i].name, t->gate[i].found);
}

/* ---- markdown ------------------------------------------------------------------------------------------------------------------- */

static void cell(ecg_text *to, double x, const char *fmt)
{
    ecg_text_puts(to, " | ");
    if (isnan(x))
        ecg_text_puts(to, "-");
    else
        ecg_text_printf(to, fmt, x); /* one of the two below */
}
static const char plain[] = "%.3f", percent[] = "%.0f %%";

static void write_causes(ecg_text *to, const ecg_truth *t)
{
    ecg_text_puts(to, "\n## Counterfactual twins\n\n| cause taken away | lab | twins | mean logit | without | sham | fell | AUROC of the fall against sham | 95 % | among three: explanation | "
                      "most probable | above prevalence |\n|---|---|--:|--:|--:|--:|--:|--:|---|--:|--:|--:|\n");
    for (int c = 0; c < ECG_CAUSES; c++) {
        const ecg_truth_cause *k = &t->cause[c];
        ecg_text_printf(to, "| %s | %s | %lld", k->cause, k->lab ? k->lab : "-", (long long)k->twins);
        cell(to, k->before, plain);
        cell(to, k->after, plain);
        cell(to, k->sham_change, "%+.4f");
        cell(to, 100 * k->fell, percent);
        cell(to, k->auroc, plain);
        if (isnan(k->lo))
            ecg_text_puts(to, " | -");
        else
            ecg_text_printf(to, " | %.3f to %.3f", k->lo, k->hi);
        for (int i = 0; i < ECG_CITERS; i++)
            cell(to, 100 * k->found[i], percent);
        ecg_text_puts(to, " |\n");
    }
    ecg_text_puts(to, "\n| who names | labs a record | act on this ECG | on others only | on none |\n|---|--:|--:|--:|--:|\n");
    for (int i = 0; i < ECG_CITERS; i++) {
        const ecg_truth_named *n = &t->named[i];
        ecg_text_printf(to, "| %s", ecg_citers[i]);
        cell(to, n->per_record, "%.1f");
        cell(to, 100 * n->active, percent);
        cell(to, 100 * n->inactive, percent);
        cell(to, 100 * n->never, percent);
        ecg_text_puts(to, " |\n");
    }
}

static ecg_status write_markdown(const ecg_truth *t, const char *model, ecg_err *err)
{
    ecg_text to = {0};
    ecg_text_printf(&to, "# Are the explanations true?\n\n%s%s\n\nModel `%s`; %lld records of the test folds; alpha %g.\n", ECG_STATEMENT,
                    t->synthetic ? " Synthetic cohort: figures say nothing of real patients." : "", model, (long long)t->records, t->alpha);
    ecg_text_puts(&to, "\n## Gates\n\n| gate | | found | rule |\n|---|---|---|---|\n");
    for (int i = 0; i < t->gates; i++)
        ecg_text_printf(&to, "| %s | **%s** | %s | %s |\n", t->gate[i].name, state_text(t->gate[i].state), t->gate[i].found, t->gate[i].rule);
    write_causes(&to, t);
    ecg_text_puts(&to, "\n## Other figures\n\n");
    ecg_text_printf(&to, "Completeness of all laboratory logits %.3f, of as many random directions %.3f, in %d diagnoses without a trace in the ECG %.3f.\n", t->completeness,
                    t->random, t->controls, t->control);
    const ecg_status st = to.failed ? ecg_fail(err, ECG_ENOMEM, "out of memory") : ecg_file_write_whole(o.markdown, to.at, to.len, err);
    ecg_text_clear(&to);
    return st;
}

static int run(int argc, char **argv)
{
    int n;
    ecg_truth result;
    ecg_exec exec = {0};
    ecg_err err = {0};
    const int done = opt_parse(&cmd_explain_check, options, argc, argv, &n, 3, 3);
    if (done >= 0)
        return done;
    if (!(o.alpha >= 0.005 && o.alpha <= 0.5))
        return tool_usage(&cmd_explain_check, "--alpha %g: 0.005 to 0.5", o.alpha);
    ecg_status st = tool_exec(&exec, &err);
    if (!st) {
        const ecg_truth_task task = {.model = argv[1], .cohort = argv[2], .hospital = argv[3], .alpha = o.alpha, .also = o.also.at, .n_also = o.also.n, .exec = &exec, .watch = tool_watch()};
        st = ecg_truth_check(&result, &task, &err);
    }
    if (!st && o.markdown)
        st = write_markdown(&result, argv[1], &err);
    if (!st) {
        if (result.synthetic)
            tool_synthetic_note();
        if (o.json) {
            print_json(&result);
        } else {
            print_causes(&result);
            print_gates(&result);
            printf("%s\n", ECG_STATEMENT);
        }
    }
    tool_exec_done(&exec);
    return st ? tool_fail(&err) : EXIT_DONE;
}

const command cmd_explain_check = {
    .name = "explain-check",
    .summary = "are a model's explanations true? twins and effects of a synthetic hospital",
    .usage = "MODEL COHORT HOSPITAL [--also MODEL]... [--markdown FILE] [--alpha A] [--json]",
    .example = "ecgraft explain-check runs/labs/calibrated.safetensors hospital.cohort hospital",
    .more = "MODEL with explanations (recalibrate), the COHORT of its training, and the synthetic HOSPITAL that was built from, with truth/.\n"
            "Only records of the test folds count.",
    .run = run,
};
