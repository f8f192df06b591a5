/* SPDX-License-Identifier: MIT
 * tiny_runs.h: a stage on a tiny cohort, with everything that can vary, and what its run folder holds. */
#ifndef TEST_STUDY_TINY_RUNS_H
#define TEST_STUDY_TINY_RUNS_H

#include "base/file.h"
#include "base/safetensors.h"
#include "study/train.h"
#include "tiny_cohort.h"

typedef struct {
    const char *run, *more;   /* more: further settings, "a.b=1;c.d=2" */
    const char *from, *set;
    const char *cohort;       /* its name; NULL: "usual.cohort" */
    const tiny *on;
    int threads, stop_at;     /* stop_at: the progress call that stops; 0: never */
    bool resume, force;
    const ecg_cohort *changed; /* this one in place of the named */
    char *said;               /* (4000) what was told; NULL: not wanted */
} tiny_run;

typedef struct {
    int calls, stop_at;
    volatile sig_atomic_t stop;
    char *said;
} tiny_listener;

static inline void tiny_progress(void *ctx, const char *what, double done, double total, const char *extra)
{
    (void)what, (void)done, (void)total, (void)extra;
    tiny_listener *s = ctx;
    if (++s->calls == s->stop_at)
        s->stop = 1;
}

static inline void tiny_say(void *ctx, const char *line)
{
    tiny_listener *s = ctx;
    if (s->said && strlen(s->said) + strlen(line) < 3998)
        strcat(strcat(s->said, line), "\n");
}

static inline void tiny_assign(ecg_config *c, const char *settings)
{
    char text[800], *save = NULL;
    ecg_err err = {0};
    snprintf(text, sizeof text, "%s", settings ? settings : "");
    for (char *one = strtok_r(text, ";", &save); one; one = strtok_r(NULL, ";", &save))
        if (ecg_config_assign(c, one, &err))
            fail_msg("%s", err.msg);
}

/* settings: what all runs of a test file share */
static inline ecg_status tiny_try(const tiny_run *a, const char *settings, ecg_status (*stage)(const ecg_study *, ecg_err *), ecg_err *err)
{
    static const tiny usual = {.patients = 96, .per_patient = 2, .samples = 200, .seed = 1};
    char run[256], from[256];
    ecg_cohort c;
    ecg_config config;
    tiny_listener s = {.stop_at = a->stop_at, .said = a->said};
    const ecg_watch watch = {.ctx = &s, .progress = tiny_progress, .say = tiny_say, .stop = &s.stop};
    ecg_exec exec = {.k = ecg_kernels_pick(NULL), .pool = ecg_pool_new(a->threads ? a->threads : 1)};
    ecg_config_preset(&config, "small", NULL);
    tiny_assign(&config, settings);
    tiny_assign(&config, a->more);
    if (!a->changed)
        tiny_open(&c, a->cohort ? a->cohort : "usual.cohort", a->on ? a->on : &usual);
    const ecg_study study = {.cohort = a->changed ? a->changed : &c, .folder = tiny_path(run, a->run), .from = a->from ? tiny_path(from, a->from) : NULL,
                             .set = a->set, .config = &config, .resume = a->resume, .force = a->force, .exec = &exec, .watch = &watch};
    const ecg_status st = stage(&study, err);
    if (!a->changed)
        ecg_cohort_close(&c);
    ecg_pool_free(exec.pool);
    return st;
}

static inline void tiny_same_file(const char *run_a, const char *run_b, const char *name)
{
    char path[256], in_run[128];
    ecg_bytes a, b;
    snprintf(in_run, sizeof in_run, "%s/%s", run_a, name);
    assert_int_equal(ecg_file_read(&a, tiny_path(path, in_run), NULL), ECG_OK);
    snprintf(in_run, sizeof in_run, "%s/%s", run_b, name);
    assert_int_equal(ecg_file_read(&b, tiny_path(path, in_run), NULL), ECG_OK);
    if (a.len != b.len || memcmp(a.at, b.at, a.len))
        fail_msg("%s of %s and %s differ", name, run_a, run_b);
    ecg_bytes_free(&a);
    ecg_bytes_free(&b);
}

static inline void tiny_same_weights(const char *run_a, const char *run_b)
{
    tiny_same_file(run_a, run_b, "model.safetensors");
    tiny_same_file(run_a, run_b, "last.safetensors");
}

/* A number of line `line` (from 1; -1: the last) of metrics.jsonl; NAN: not there. */
static inline double tiny_metric(const char *run, int line, const char *key)
{
    char path[256], name[128], want[64], *at;
    ecg_bytes b;
    double x = NAN;
    snprintf(name, sizeof name, "%s/metrics.jsonl", run);
    assert_int_equal(ecg_file_read(&b, tiny_path(path, name), NULL), ECG_OK);
    char *text = strndup((const char *)b.at, b.len);
    int i = 0;
    for (char *save = NULL, *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
        snprintf(want, sizeof want, "\"%s\": ", key);
        if ((++i == line || line == -1) && (at = strstr(l, want)))
            x = strtod(at + strlen(want), NULL);
    }
    free(text);
    ecg_bytes_free(&b);
    return x;
}

static inline ecg_tensors *tiny_tensors(const char *run)
{
    char path[256], name[128];
    ecg_tensors *t;
    ecg_err err = {0};
    snprintf(name, sizeof name, "%s/model.safetensors", run);
    if (ecg_tensors_open(&t, tiny_path(path, name), &err))
        fail_msg("%s", err.msg);
    return t;
}

/* How many tensors of a whose name begins with prefix are in b bit for bit, and how many are not. */
static inline void tiny_compare(int *same, int *other, const char *run_a, const char *run_b, const char *prefix)
{
    ecg_tensors *a = tiny_tensors(run_a), *b = tiny_tensors(run_b);
    *same = *other = 0;
    for (int i = 0; i < ecg_tensors_count(a); i++) {
        const ecg_tensor *x = ecg_tensors_at(a, i);
        if (strncmp(x->name, prefix, strlen(prefix)))
            continue;
        const ecg_tensor *y = ecg_tensors_find(b, x->name);
        if (y && x->bytes == y->bytes && memcmp(x->data, y->data, x->bytes) == 0)
            ++*same;
        else
            ++*other;
    }
    ecg_tensors_close(a);
    ecg_tensors_close(b);
}

#endif
