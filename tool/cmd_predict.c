/* SPDX-License-Identifier: MIT
 * cmd_predict.c: recordings to diagnoses, each with the laboratory abnormalities that the same embedding predicts. One recording after the
 * other; one that cannot be answered is reported and the rest is done. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "model/bundle.h"
#include "opt.h"

static struct {
    bool json, csv, allow_missing_leads;
    int64_t top;
} o = {.top = 5};

static const option options[] = {
    {"json", 0, OPT_FLAG, &o.json, NULL, "one JSON object a recording, one line each"},
    {"csv", 0, OPT_FLAG, &o.csv, NULL, "one row a label: recording,set,code,title,probability,crop_mean_logit"},
    {"top", 0, OPT_INT, &o.top, "N", "labels to list, the most probable first (5); 0: all"},
    {"allow-missing-leads", 0, OPT_FLAG, &o.allow_missing_leads, NULL, "absent leads enter as zeros instead of a refusal"},
    {0},
};

#define SYNTHETIC_NOTE "synthetic cohort: the model learned from patients that never lived, its figures say nothing of real ones"

static int listed(int labels)
{
    return o.top && o.top < labels ? (int)o.top : labels;
}

/* ---- JSON ----------------------------------------------------------------------------------------------------------------------- */

static json_t *scores_json(const ecg_score *s, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++) {
        json_t *one = json_object();
        json_object_set_new(one, "code", tool_json_text(s[i].code));
        json_object_set_new(one, "title", tool_json_text(s[i].title));
        json_object_set_new(one, "probability", tool_json_number(s[i].probability));
        json_object_set_new(one, "crop_mean_logit", tool_json_number(s[i].crop_mean_logit));
        json_object_set_new(one, "prevalence", tool_json_number(s[i].prevalence));
        json_object_set_new(one, "auroc", tool_json_number(s[i].auroc));
        json_array_append_new(list, one);
    }
    return list;
}

/* Sentence i, malloc'ed. */
static char *sentence(const ecg_answer *a, int i)
{
    const int size = ecg_answer_sentence(NULL, 0, a, i) + 1;
    char *s = malloc((size_t)size);
    if (s)
        ecg_answer_sentence(s, size, a, i);
    return s;
}

static void print_json(const char *path, const ecg_answer *a)
{
    json_t *j = tool_json_answer("ecgraft.prediction/1"), *sentences = json_array();
    json_object_set_new(j, "synthetic", json_boolean(a->synthetic));
    if (a->synthetic)
        json_object_set_new(j, "note", json_string(SYNTHETIC_NOTE));
    json_object_set_new(j, "recording", tool_json_text(path));
    json_object_set_new(j, "quality", tool_json_quality(&a->quality));
    json_object_set_new(j, "crops", json_integer(a->crops));
    json_object_set_new(j, "calibrated", json_boolean(a->calibrated));
    json_object_set_new(j, "laboratory_head", json_boolean(a->has_labs));
    json_object_set_new(j, "diagnoses", scores_json(a->diagnosis, listed(a->diagnoses)));
    json_object_set_new(j, "labs", scores_json(a->lab, listed(a->labs)));
    json_object_set_new(j, "reasons", scores_json(a->reason, a->reasons));
    for (int i = 0; i < listed(a->diagnoses); i++) {
        char *s = sentence(a, i);
        json_array_append_new(sentences, tool_json_text(s ? s : ""));
        free(s);
    }
    json_object_set_new(j, "sentences", sentences);
    tool_json_print(j);
}

/* ---- CSV and text --------------------------------------------------------------------------------------------------------------- */

static void print_field(const char *s)
{
    if (!strpbrk(s, ",\"\r\n")) {
        fputs(s, stdout);
        return;
    }
    putchar('"');
    for (; *s; s++) {
        if (*s == '"')
            putchar('"');
        putchar(*s);
    }
    putchar('"');
}

static void print_csv(const char *path, const char *set, const ecg_score *s, int n)
{
    for (int i = 0; i < n; i++) {
        const char *const fields[] = {path, set, s[i].code, s[i].title};
        for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
            print_field(fields[f]);
            putchar(',');
        }
        printf("%.9g,%.9g\n", s[i].probability, s[i].crop_mean_logit);
    }
}

static void print_text(const char *path, const ecg_answer *a)
{
    printf("%s: %.1f s, %d of 12 leads, %d crop%s%s%s\n", path, a->quality.seconds, a->quality.leads_found, a->crops, a->crops == 1 ? "" : "s",
           a->quality.note[0] ? "; " : "", a->quality.note);
    for (int i = 0; i < listed(a->diagnoses); i++) {
        char *s = sentence(a, i);
        printf("  %s\n", s ? s : "");
        free(s);
    }
    if (!a->diagnoses)
        printf("  this model has no diagnosis head\n");
    for (int i = 0; i < listed(a->labs); i++) {
        printf("%s%s %.2f", i ? ", " : "  laboratory abnormalities, predicted and not measured: ", a->lab[i].code, a->lab[i].probability);
        if (!isnan(a->lab[i].prevalence))
            printf(" (prevalence %.2f)", a->lab[i].prevalence);
    }
    if (a->labs)
        putchar('\n');
}

/* ---- the command ---------------------------------------------------------------------------------------------------------------- */

static const char *set_of(ecg_model *m, const char *prefix)
{
    const ecg_head *h = ecg_model_head(m, prefix);
    return h ? h->set : "";
}

static ecg_status answer_one(ecg_model *m, const char *path, ecg_err *err)
{
    ecg_record rec;
    ecg_answer a;
    const ecg_predict_options how = {.allow_missing_leads = o.allow_missing_leads};
    ecg_status st = ecg_record_read(&rec, path, err);
    if (st)
        return ecg_fail_in(err, st, path);
    st = ecg_predict(&a, m, &rec, &how, err);
    ecg_record_clear(&rec);
    if (st)
        return ecg_fail_in(err, st, path);
    if (o.json) {
        print_json(path, &a);
    } else if (o.csv) {
        print_csv(path, set_of(m, ECG_HEAD_DIAGNOSES), a.diagnosis, listed(a.diagnoses));
        print_csv(path, set_of(m, ECG_HEAD_LABS), a.lab, listed(a.labs));
    } else {
        print_text(path, &a);
    }
    ecg_answer_clear(&a);
    return ECG_OK;
}

/* All refused 4, all failed 1, some 3. */
static int answer_all(ecg_model *m, char **paths, int n)
{
    const ecg_watch *watch = tool_watch();
    int answered = 0, refused = 0;
    if (o.csv)
        printf("recording,set,code,title,probability,crop_mean_logit\n");
    for (int i = 0; i < n; i++) {
        ecg_err err = {0};
        if (ecg_stopped(watch))
            return EXIT_INTERRUPTED;
        if (n > 1)
            ecg_progress(watch, "predict", i, n, paths[i]);
        if (answer_one(m, paths[i], &err) == ECG_OK)
            answered++;
        else
            refused += tool_fail(&err) == EXIT_REFUSED;
    }
    if (n > 1)
        ecg_progress(watch, "predict", n, n, NULL);
    if (answered && !o.json && !o.csv)
        printf("%s%s%s\n", ECG_STATEMENT, ecg_model_synthetic(m) ? "\n" : "", ecg_model_synthetic(m) ? SYNTHETIC_NOTE : "");
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "ecgraft: standard output: cannot be written\n");
        return EXIT_FAILED;
    }
    return answered == n ? EXIT_DONE : answered ? EXIT_SOME : refused == n ? EXIT_REFUSED : EXIT_FAILED;
}

static int run(int argc, char **argv)
{
    int n;
    ecg_err err = {0};
    ecg_exec exec = {0};
    ecg_model *m = NULL;
    const int done = opt_parse(&cmd_predict, options, argc, argv, &n, 2, -1);
    if (done >= 0)
        return done;
    if (o.top < 0)
        return tool_usage(&cmd_predict, "--top %" PRId64 ": 0 or more", o.top);
    if (o.json && o.csv)
        return tool_usage(&cmd_predict, "--json or --csv, not both");
    int code;
    if (tool_exec(&exec, &err) || ecg_model_open(&m, argv[1], &err)) {
        code = tool_fail(&err);
    } else {
        ecg_model_use(m, &exec);
        if (ecg_model_synthetic(m) && (o.json || o.csv))
            tool_synthetic_note();
        code = answer_all(m, argv + 2, n - 1);
    }
    ecg_model_close(m);
    tool_exec_done(&exec);
    return code;
}

const command cmd_predict = {
    .name = "predict",
    .summary = "recordings to diagnoses, each with the laboratory abnormalities that the same embedding predicts",
    .usage = "MODEL RECORDING... [--json|--csv] [--top N] [--allow-missing-leads]",
    .example = "ecgraft predict runs/labs 40689238.hea",
    .more = "MODEL is a model file or a run folder. A recording of fewer than 250 samples at 100 Hz, without one of I, II, V1 to V6, or with\n"
            "nothing but missing samples is refused (exit code 4). Needs neither cohort nor network.",
    .run = run,
};
