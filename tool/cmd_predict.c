/* SPDX-License-Identifier: MIT
 * cmd_predict.c: recordings to diagnoses, each with the laboratory abnormalities that the same embedding predicts. One recording after the
 * other; one that cannot be answered is reported and the rest is done. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "json.h"
#include "opt.h"
#include "report/ecg_page.h"
#include "report/prediction.h"

static struct {
    bool json, csv, allow_missing_leads;
    int64_t top;
    double alpha;
    const char *html, *layout, *neighbours, *prevalence;
    bool occlusion;
    int64_t speed, gain;
} o = {.top = 5, .alpha = 0.1, .layout = "3x4", .speed = 25};

static const option options[] = {
    {"json", 0, OPT_FLAG, &o.json, NULL, "one JSON object a recording, one line each"},
    {"csv", 0, OPT_FLAG, &o.csv, NULL, "one row a label: recording,set,code,title,probability,crop_mean_logit"},
    PRECISION_OPTION,
    {"top", 0, OPT_INT, &o.top, "N", "labels to list, the most probable first (5); 0: all"},
    {"alpha", 0, OPT_NUMBER, &o.alpha, "A", "errors that a verdict may make: it holds for 1 - A of the patients with, and of those without (0.1)"},
    {"html", 0, OPT_TEXT, &o.html, "FILE", "the page of one recording: prints on one sheet of A4"},
    {"layout", 0, OPT_TEXT, &o.layout, "NAME", "of the page's ECG: 3x4, 6x2, 12x1 or cabrera (3x4)"},
    {"speed", 0, OPT_INT, &o.speed, "MM", "of the page's ECG: 25 mm/s for 10 s, 50 mm/s for 5 s (25)"},
    {"gain", 0, OPT_INT, &o.gain, "MM", "of the page's ECG: 5, 10 or 20 mm/mV (10, or 5 where the waves are too high)"},
    {"occlusion", 0, OPT_FLAG, &o.occlusion, NULL, "what each lead, and P, QRS and ST-T, do for the diagnoses: 15 more passes through the network"},
    {"neighbours", 0, OPT_TEXT, &o.neighbours, "FILE", "what was known of the most similar recordings; FILE from `recalibrate --neighbours-out`"},
    {"prevalence", 0, OPT_TEXT, &o.prevalence, "FILE", "shift probabilities to the prevalence of another place: a table with the columns code, prevalence"},
    {"allow-missing-leads", 0, OPT_FLAG, &o.allow_missing_leads, NULL, "absent leads enter as zeros instead of a refusal"},
    {0},
};

static int listed(int labels)
{
    return o.top && o.top < labels ? (int)o.top : labels;
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

static void print_claims(const ecg_answer *a, const ecg_score *s)
{
    char note[200];
    if (!isnan(s->lo))
        printf("    %.2f to %.2f", s->lo, s->hi);
    if (!isnan(s->prevalence))
        printf("%sbase rate %.2f", isnan(s->lo) ? "    " : "; ", isnan(s->local_prevalence) ? s->prevalence : s->local_prevalence);
    if (s->verdict)
        printf("; %s at %.0f %%", ecg_verdict_text(s->verdict), 100 * (1 - a->alpha));
    if (!isnan(s->truth))
        printf("; of %lld that score as high %.0f in 100 have it", (long long)s->truth_of, 100 * s->truth);
    ecg_verdict_note(note, sizeof note, s, a);
    printf("%s%s\n", *note ? "; " : "", note);
}

static void print_why(const ecg_why *y)
{
    printf("    %+.2f logits against the average: labs %+.2f, age and sex %+.2f, other %+.2f; grade %c", y->above, y->labs, y->age_sex, y->other, y->grade);
    for (int i = 0; i < y->cited; i++)
        printf("%s%s %+.2f (%.2f to %.2f)", i ? ", " : "; ", y->cite[i].code, y->cite[i].bar, y->cite[i].lo, y->cite[i].hi);
    putchar('\n');
}

/* What pulls the score up, the strongest first. */
static void print_occlusion(const ecg_occlusion *x, const ecg_answer *a)
{
    static const char *const waves[ECG_WAVES] = {"P", "QRS", "ST-T"};
    bool told[ECG_LEADS] = {false};
    printf("    without:");
    for (int w = 0; w < ECG_WAVES && a->beats; w++)
        printf(" %s %+.2f,", waves[w], -x->wave[w]);
    for (int i = 0; i < 3; i++) {
        int best = -1;
        for (int l = 0; l < ECG_LEADS; l++)
            if (!told[l] && !isnan(x->lead[l]) && (best < 0 || x->lead[l] > x->lead[best]))
                best = l;
        if (best < 0)
            break;
        told[best] = true;
        printf("%s %s %+.2f", i ? "," : "", ecg_lead_names[best], -x->lead[best]);
    }
    printf(" logits (%d beats)\n", a->beats);
}

static void print_text(const char *path, const ecg_answer *a)
{
    printf("%s: %.1f s, %d of 12 leads, %d crop%s%s%s\n", path, a->quality.seconds, a->quality.leads_found, a->crops, a->crops == 1 ? "" : "s",
           a->quality.note[0] ? "; " : "", a->quality.note);
    for (int i = 0; i < a->doubts; i++)
        printf("  %s: %s\n", a->input == ECG_INPUT_REFUSED ? "no claims" : "caution", a->doubt[i]);
    for (int i = 0; i < listed(a->diagnoses); i++) {
        char *s = ecg_prediction_sentence(a, i);
        printf("  %s\n", s ? s : "");
        free(s);
        if (a->calibrated)
            print_claims(a, &a->diagnosis[i]);
        if (a->diagnosis[i].why)
            print_why(a->diagnosis[i].why);
        if (a->diagnosis[i].occlusion)
            print_occlusion(a->diagnosis[i].occlusion, a);
        if (a->near)
            printf("    %d of the %d most similar recordings had it\n", a->diagnosis[i].near_with, a->diagnosis[i].near_known);
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

static const char *set_of(ecg_model *m, const char *prefix)
{
    const ecg_head *h = ecg_model_head(m, prefix);
    return h ? h->set : "";
}

/* ---- the page ------------------------------------------------------------------------------------------------------------------- */

static ecg_page_options page_options;

/* -1: understood; else the exit code. */
static int understand_page(int recordings)
{
    page_options = ecg_page_usual;
    int layout = 0;
    while (layout < ECG_LAYOUTS && !ecg_same_word(o.layout, ecg_layout_names[layout]))
        layout++;
    if (layout == ECG_LAYOUTS)
        return tool_usage(&cmd_predict, "--layout %s: 3x4, 6x2, 12x1 or cabrera", o.layout);
    if (o.speed != 25 && o.speed != 50)
        return tool_usage(&cmd_predict, "--speed %" PRId64 ": 25 or 50 mm/s", o.speed);
    if (o.gain && o.gain != 5 && o.gain != 10 && o.gain != 20)
        return tool_usage(&cmd_predict, "--gain %" PRId64 ": 5, 10 or 20 mm/mV", o.gain);
    if (o.html && recordings != 1)
        return tool_usage(&cmd_predict, "--html %s: one page holds one recording, not %d", o.html, recordings);
    page_options.layout = (ecg_layout)layout;
    page_options.speed_mm_per_s = (int)o.speed;
    page_options.gain_mm_per_mv = (int)o.gain;
    return -1;
}

/* a NULL: why says why there is no answer; the page then shows the recording and the reason. */
static ecg_status write_page(const char *recording, const ecg_record *rec, const ecg_answer *a, const ecg_err *why, ecg_model *m, const ecg_model_name *name, ecg_err *err)
{
    ecg_text page = {0};
    json_t *j = a ? ecg_prediction_json(recording, a, m, name, (int)o.top) : ecg_prediction_refused(recording, why->msg, m, name);
    ecg_status st = ecg_page(&page, j, rec, &page_options, err);
    if (!st)
        st = ecg_file_write_whole(o.html, page.at, page.len, err);
    json_decref(j);
    ecg_text_clear(&page);
    return st;
}

/* ---- the command ---------------------------------------------------------------------------------------------------------------- */

static ecg_neighbours *neighbours;
static ecg_prevalence *prevalence;

static ecg_status answer_one(ecg_model *m, const ecg_model_name *name, const char *path, ecg_err *err)
{
    ecg_record rec;
    ecg_answer a;
    const ecg_predict_options how = {.allow_missing_leads = o.allow_missing_leads, .alpha = o.alpha, .explain = o.csv ? 0 : o.top ? (int)o.top : -1,
                                     .occlusion = o.occlusion, .neighbours = neighbours, .prevalence = prevalence};
    ecg_status st = ecg_record_read(&rec, path, err);
    if (st)
        return ecg_fail_in(err, st, path);
    st = ecg_predict(&a, m, &rec, &how, err);
    if (o.html && (!st || st == ECG_EREFUSED)) {
        ecg_err page_err = {0};
        const ecg_status written = write_page(path, &rec, st ? NULL : &a, err, m, name, &page_err);
        if (written && !st)
            ecg_answer_clear(&a);
        if (written) {
            *err = page_err;
            st = written;
        }
    }
    ecg_record_clear(&rec);
    if (st)
        return ecg_fail_in(err, st, path);
    if (o.json) {
        tool_json_print(ecg_prediction_json(path, &a, m, name, (int)o.top));
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
static int answer_all(ecg_model *m, const ecg_model_name *name, char **paths, int n)
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
        if (answer_one(m, name, paths[i], &err) == ECG_OK)
            answered++;
        else
            refused += tool_fail(&err) == EXIT_REFUSED;
    }
    if (n > 1)
        ecg_progress(watch, "predict", n, n, NULL);
    if (answered && !o.json && !o.csv)
        printf("%s%s%s\n", ECG_STATEMENT, ecg_model_synthetic(m) ? "\n" : "", ecg_model_synthetic(m) ? ECG_SYNTHETIC_NOTE : "");
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
    ecg_model_name name = {0}; /* its hash takes as long as loading: only where it is shown */
    const int done = opt_parse(&cmd_predict, options, argc, argv, &n, 2, -1);
    if (done >= 0)
        return done;
    if (o.top < 0 || o.top > INT32_MAX)
        return tool_usage(&cmd_predict, "--top %" PRId64 ": 0 to %d", o.top, INT32_MAX);
    if (!(o.alpha >= 0.005 && o.alpha <= 0.5))
        return tool_usage(&cmd_predict, "--alpha %g: 0.005 to 0.5", o.alpha);
    if (o.json && o.csv)
        return tool_usage(&cmd_predict, "--json or --csv, not both");
    const int page = understand_page(n - 1);
    if (page >= 0)
        return page;
    int code;
    if (tool_exec(&exec, &err) || ecg_model_open_with(&m, argv[1], &exec, &err) || ((o.json || o.html) && ecg_model_name_of(&name, argv[1], &err)) ||
        (o.neighbours && ecg_neighbours_open(&neighbours, o.neighbours, m, &err)) || (o.prevalence && ecg_prevalence_open(&prevalence, o.prevalence, m, &err))) {
        code = tool_fail(&err);
    } else {
        if (ecg_model_synthetic(m) && (o.json || o.csv))
            tool_synthetic_note();
        code = answer_all(m, &name, argv + 2, n - 1);
    }
    ecg_neighbours_close(neighbours);
    ecg_prevalence_close(prevalence);
    ecg_model_close(m);
    tool_exec_done(&exec);
    return code;
}

const command cmd_predict = {
    .name = "predict",
    .summary = "recordings to diagnoses, each with the laboratory abnormalities that the same embedding predicts",
    .usage = "MODEL RECORDING... [--json|--csv] [--html FILE] [--top N] [--alpha A] [--occlusion] [--neighbours FILE] [--prevalence FILE] [--allow-missing-leads]",
    .example = "ecgraft predict runs/labs 40689238.hea",
    .more = "MODEL is a model file or a run folder. A recording of fewer than 250 samples at 100 Hz, without one of I, II, V1 to V6, or with\n"
            "nothing but missing samples is refused (exit code 4). Needs neither cohort nor network.",
    .run = run,
};
