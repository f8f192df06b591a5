/* SPDX-License-Identifier: MIT
 * synth_write.c: a cohort on disk, batch by batch. The threads take patients a few at a time and fill a sheaf of rows for each few; then
 * they pack every table's rows, one gzip member for each group of sheaves; then the parts grow by these members in order. What is a batch
 * and what is a group depends on the first patient alone. So the bytes do not depend on the number of threads nor on interruptions, and
 * memory does not grow with the number of patients. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/gzip.h"
#include "cohort/synth_parts.h"
#include "cohort/synth_record.h"
#include "cohort/synth_rows.h"

enum { PATIENTS_OF_ITEM = 8, GROUP = 16 /* items */, GROUPS = 8, ITEMS = GROUP * GROUPS, BATCH = ITEMS * PATIENTS_OF_ITEM };
enum { LEADS = ECG_SYNTH_LEADS, SAMPLES = ECG_SYNTH_SAMPLES, SAVE_SECONDS = 1 };

/* A thread's room. */
typedef struct {
    ecg_course course;
    ecg_synth_room room;
    int16_t samples[SAMPLES][LEADS];
    uint8_t bytes[ECG_SYNTH_BYTES];
    ecg_gzip *gzip;
} desk;

typedef struct {
    const char *dir;
    char twin_root[512 + 32], root[512 + 32];
    bool again;               /* files of an earlier run may be there */
    ecg_synth synth;
    ecg_twins twins;
    const ecg_watch *watch;
    int desks;
    desk *desk;               /* one a thread */
    ecg_sheaf sheaf[ITEMS];
    ecg_status status[ITEMS]; /* of the item */
    ecg_err err[ITEMS];
    int64_t next;             /* first patient of the batch */
    ecg_text packed[ECG_TABLES][GROUPS];
    ecg_parts parts;
} run;

static bool is_packed(int table)
{
    const char *path = ecg_synth_tables[table].path;
    return strcmp(path + strlen(path) - 3, ".gz") == 0;
}

/* ---- patients into sheaves ------------------------------------------------------------------------------------------------ */

static ecg_status write_record(const run *w, desk *k, const char *root, int64_t study_id, int64_t time, const ecg_visit *v, const ecg_take *t, const ecg_synth *s,
                               ecg_err *err)
{
    ecg_synth_wave(k->samples, &k->room, s, &k->course.p, v, t);
    const ecg_record_name name = {k->course.subject_id, study_id, time};
    return ecg_synth_record_write(root, &name, k->samples, w->again, k->bytes, err);
}

/* The same visit and recording in the world without the cause. */
static ecg_status make_twin(const run *w, desk *k, ecg_sheaf *f, const ecg_recording *r, const ecg_twin *twin, ecg_err *err)
{
    const ecg_synth *s = &w->twins.world[twin->cause];
    ecg_visit v;
    ecg_take t;
    ecg_synth_visit(&v, s, &k->course.p, twin->visit, false, NULL);
    ecg_synth_take(&t, s, &k->course.p, &v, r->number, NULL);
    ecg_synth_twin_rows(f, &k->course, r, twin, &v, &t);
    return s->options.waveforms ? write_record(w, k, w->twin_root, twin->study_id, r->time, &v, &t, s, err) : ECG_OK;
}

static ecg_status make_twins(const run *w, desk *k, ecg_sheaf *f, ecg_err *err)
{
    const ecg_course *c = &k->course;
    int i;
    for (const int end = ecg_synth_twins_of(&w->twins, c->p.ordinal, &i); i < end; i++) {
        const ecg_twin *twin = &w->twins.at[i];
        const ecg_recording *r = c->recording;
        while (r->kind != ECG_FIRST_OF_STAY || r->number != twin->visit)
            r++; /* it is there: the twins were looked for in the same course */
        const ecg_status st = make_twin(w, k, f, r, twin, err);
        if (st)
            return st;
    }
    return ECG_OK;
}

static ecg_status make_patient(const run *w, desk *k, ecg_sheaf *f, uint32_t ordinal, ecg_err *err)
{
    const ecg_synth *s = &w->synth;
    ecg_course *c = &k->course;
    ecg_synth_course(c, s, ordinal);
    ecg_synth_hospital_rows(f, s, c);
    ecg_status st = ECG_OK;
    for (int i = 0; i < c->recordings && !st; i++) {
        const ecg_recording *r = &c->recording[i];
        ecg_take other;
        ecg_effects other_effects;
        const ecg_take *take = &other;
        const ecg_effects *effects = &other_effects;
        if (r->kind == ECG_FIRST_OF_STAY) {
            take = &c->stay[r->stay].take;
            effects = &c->stay[r->stay].effects;
        } else {
            ecg_course_take(&other, &other_effects, s, c, r);
        }
        ecg_synth_machine_rows(f, s, c, r, take);
        ecg_synth_truth_rows(f, c, r, take, effects);
        if (s->options.waveforms)
            st = write_record(w, k, w->root, r->study_id, r->time, ecg_course_visit(c, r), take, s, err);
    }
    if (!st)
        st = make_twins(w, k, f, err);
    for (int t = 0; t < ECG_TABLES && !st; t++)
        if (f->rows[t].failed)
            st = ecg_fail(err, ECG_ENOMEM, "out of memory for the rows of patient %u", ordinal);
    return st;
}

static void make_item(void *ctx, int item, int worker)
{
    run *w = ctx;
    const int64_t first = w->next + (int64_t)item * PATIENTS_OF_ITEM;
    w->status[item] = ECG_OK;
    for (int64_t p = first; p < first + PATIENTS_OF_ITEM && p <= w->synth.options.last && !w->status[item]; p++)
        w->status[item] = ecg_stopped(w->watch) ? ecg_fail(&w->err[item], ECG_EINTR, "interrupted at patient %" PRId64, p)
                                                : make_patient(w, &w->desk[worker], &w->sheaf[item], (uint32_t)p, &w->err[item]);
}

/* ---- sheaves into the parts of the tables ------------------------------------------------------------------------------------ */

/* One member of the rows in text[0..n). */
static void pack(ecg_text *out, ecg_gzip *z, const ecg_text *const *text, int n)
{
    uint8_t piece[16384];
    out->len = 0;
    ecg_gzip_again(z);
    for (int i = 0; i < n; i++) {
        const uint8_t *in = (const uint8_t *)text[i]->at;
        size_t left = text[i]->len, made;
        do {
            made = ecg_gzip_step(z, &in, &left, i == n - 1, piece, sizeof piece);
            ecg_text_add(out, (const char *)piece, made);
        } while (made || left);
    }
}

static void pack_group(void *ctx, int item, int worker)
{
    run *w = ctx;
    const int table = item / GROUPS, group = item % GROUPS;
    const ecg_text *text[GROUP];
    size_t all = 0;
    for (int i = 0; i < GROUP; i++) {
        text[i] = &w->sheaf[group * GROUP + i].rows[table];
        all += text[i]->len;
    }
    w->packed[table][group].len = 0;
    if (is_packed(table) && all)
        pack(&w->packed[table][group], w->desk[worker].gzip, text, GROUP);
}

/* The batch behind what the parts hold. */
static ecg_status add_batch(run *w, ecg_err *err)
{
    ecg_status st = ECG_OK;
    for (int table = 0; table < ECG_TABLES; table++) {
        for (int group = 0; group < GROUPS && !st && is_packed(table); group++) {
            const ecg_text *t = &w->packed[table][group];
            st = t->failed ? ecg_fail(err, ECG_ENOMEM, "out of memory for packed rows") : ecg_parts_add(&w->parts, table, t->at, t->len, err);
        }
        for (int i = 0; i < ITEMS; i++) {
            ecg_text *rows = &w->sheaf[i].rows[table];
            if (!st && !is_packed(table))
                st = ecg_parts_add(&w->parts, table, rows->at, rows->len, err);
            rows->len = 0;
        }
    }
    return st;
}

/* What every table begins with: its header, or a whole dictionary. */
static ecg_status add_headers(run *w, ecg_err *err)
{
    ecg_sheaf *f = &w->sheaf[0];
    ecg_synth_dictionary_rows(f);
    ecg_synth_latent_header(&f->rows[ECG_TABLE_latent]);
    ecg_synth_latent_header(&f->rows[ECG_TABLE_twin_latent]);
    for (int table = 0; table < ECG_TABLES; table++) {
        ecg_text head = {0}, packed = {0};
        const char *header = ecg_synth_tables[table].header;
        ecg_text_puts(&head, header);
        ecg_text_puts(&head, *header ? "\n" : "");
        ecg_text_add(&head, f->rows[table].at, f->rows[table].len);
        const ecg_text *text = &head;
        if (is_packed(table)) {
            pack(&packed, w->desk[0].gzip, &text, 1);
            text = &packed;
        }
        const ecg_status st = head.failed || text->failed || f->rows[table].failed ? ecg_fail(err, ECG_ENOMEM, "out of memory for a header")
                                                                                   : ecg_parts_add(&w->parts, table, text->at, text->len, err);
        ecg_text_clear(&head);
        ecg_text_clear(&packed);
        f->rows[table].len = 0;
        if (st)
            return st;
    }
    return ecg_parts_reach(&w->parts, w->synth.options.first, true, err);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static ecg_status make_batch(run *w, ecg_pool *pool, ecg_err *err)
{
    ecg_pool_run(pool, make_item, w, ITEMS);
    for (int i = 0; i < ITEMS; i++)
        if (w->status[i]) {
            if (err)
                *err = w->err[i];
            return w->status[i];
        }
    ecg_pool_run(pool, pack_group, w, ECG_TABLES * GROUPS);
    const ecg_status st = add_batch(w, err);
    for (int i = 0; i < ITEMS && !st; i++)
        ecg_synth_add_counts(&w->parts.total, &w->sheaf[i]);
    return st;
}

static ecg_status make_all(run *w, ecg_pool *pool, ecg_err *err)
{
    const int64_t last = w->synth.options.last, patients = last - w->synth.options.first + 1;
    double saved = now();
    for (w->next = w->parts.next; w->next <= last; w->next += BATCH) {
        ecg_status st = make_batch(w, pool, err);
        const bool save = now() - saved > SAVE_SECONDS;
        if (!st)
            st = ecg_parts_reach(&w->parts, w->next + BATCH <= last ? w->next + BATCH : last + 1, save, err);
        if (st)
            return st;
        if (save)
            saved = now();
        ecg_progress(w->watch, "synthetic cohort: patients", (double)w->parts.total.patients, (double)patients, NULL);
    }
    return ECG_OK;
}

/* ---- the folder ----------------------------------------------------------------------------------------------------------- */

static ecg_status check_options(const ecg_synth_options *o, ecg_err *err)
{
    if (o->first < 1 || o->last < o->first)
        return ecg_fail(err, ECG_EARG, "patients %" PRId64 " to %" PRId64 ": none", o->first, o->last);
    if (o->last > ECG_SYNTH_PATIENTS)
        return ecg_fail(err, ECG_EARG, "patient %" PRId64 ": identifiers end at %d", o->last, ECG_SYNTH_PATIENTS);
    if (!(o->noise >= 0 && o->noise <= 20) || !(o->nuisance >= 0 && o->nuisance <= 20))
        return ecg_fail(err, ECG_EARG, "noise %g and nuisance %g must lie between 0 and 20", o->noise, o->nuisance);
    if (o->patients && (o->patients < o->last || o->patients > ECG_SYNTH_PATIENTS))
        return ecg_fail(err, ECG_EARG, "a cohort of %" PRId64 " patients has no slice up to %" PRId64, o->patients, o->last);
    if (o->twins < 0 || o->twins > ECG_SYNTH_TWINS)
        return ecg_fail(err, ECG_EARG, "%d twins of a cause, 0 to %d are possible", o->twins, ECG_SYNTH_TWINS);
    return ECG_OK;
}

static ecg_status prepare_folder(const char *dir, ecg_err *err)
{
    static const char *const below[] = {"mimic-iv-ecg/files", "mimic-iv-ed/ed", "mimic-iv/hosp", "truth/twins/files"};
    char path[512 + 64];
    for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, below[i]);
        const ecg_status st = ecg_make_folders(path, err);
        if (st)
            return st;
    }
    snprintf(path, sizeof path, "%s/truth/manifest.json", dir); /* of an older cohort: it would describe files that are being replaced */
    if (unlink(path) != 0 && errno != ENOENT)
        return ecg_fail_errno(err, path, "cannot remove");
    return ECG_OK;
}

static ecg_status write_manifest(const char *dir, const ecg_synth_options *o, const ecg_sheaf *total, ecg_err *err)
{
    static const struct {
        const char *name, *fate;
    } kinds[ECG_DISTRACTORS] = {
#define X(name, fate) {#name, fate},
        ECG_SYNTH_DISTRACTORS(X)
#undef X
    };
    ecg_text t = {0};
    char noise[32], nuisance[32], value[32];
    ecg_synth_fixed(noise, o->noise, 4);
    ecg_synth_fixed(nuisance, o->nuisance, 4);
    ecg_text_printf(&t, "{\n  \"schema\": \"ecgraft.synthetic/1\",\n  \"synthetic\": true,\n  \"note\": \"synthetic cohort: nobody described here ever lived\",\n");
    ecg_text_printf(&t, "  \"use\": \"For software tests, teaching and method development. %s Figures on this cohort are no estimate of figures on patients.\",\n",
                    ECG_STATEMENT);
    ecg_text_printf(&t, "  \"generator\": \"ecgraft %s\",\n  \"seed\": %" PRIu64 ",\n  \"first\": %" PRId64 ",\n  \"last\": %" PRId64 ",\n  \"slice_of\": %" PRId64
                        ",\n",
                    ecg_version(), o->seed, o->first, o->last, o->patients ? o->patients : o->last);
    ecg_text_printf(&t, "  \"options\": {\"noise\": %s, \"nuisance\": %s, \"waveforms\": %s, \"distractors\": %s, \"twins\": %d, \"do\": {", noise, nuisance,
                    o->waveforms ? "true" : "false", o->distractors ? "true" : "false", o->twins);
    for (int i = 0; i < o->forced; i++) {
        ecg_synth_fixed(value, o->force_to[i].value, 6);
        ecg_text_printf(&t, "%s\"%s\": %s", i ? ", " : "", ecg_synth_variables[o->force_to[i].variable].name, value);
    }
    ecg_text_printf(&t, "}},\n  \"patients\": %" PRId64 ",\n  \"stays\": %" PRId64 ",\n  \"admissions\": %" PRId64 ",\n  \"recordings\": %" PRId64
                        ",\n  \"labevents\": %" PRId64 ",\n  \"twins\": {",
                    total->patients, total->stays, total->admissions, total->recordings, total->labs);
    for (int i = 0; i < ECG_TWIN_CAUSES; i++)
        ecg_text_printf(&t, "%s\"%s\": %" PRId64, i ? ", " : "", ecg_twin_causes[i].name, total->twins[i]);
    ecg_text_puts(&t, "},\n  \"distractors\": {");
    for (int i = 0; i < ECG_DISTRACTORS; i++)
        ecg_text_printf(&t, "%s\n    \"%s\": {\"count\": %" PRId64 ", \"fate\": \"%s\"}", i ? "," : "", kinds[i].name, total->distractor[i], kinds[i].fate);
    ecg_text_puts(&t, "\n  }\n}\n");
    char path[512 + 64];
    snprintf(path, sizeof path, "%s/truth/manifest.json", dir);
    const ecg_status st = t.failed ? ecg_fail(err, ECG_ENOMEM, "out of memory for the manifest") : ecg_file_write_whole(path, t.at, t.len, err);
    ecg_text_clear(&t);
    return st;
}

static ecg_status open_desks(run *w, ecg_pool *pool, ecg_err *err)
{
    w->desks = ecg_pool_threads(pool);
    w->desk = calloc((size_t)w->desks, sizeof *w->desk);
    bool all = w->desk != NULL;
    for (int i = 0; all && i < w->desks; i++)
        all = (w->desk[i].gzip = ecg_gzip_new_fast()) != NULL;
    return all ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory for the generator");
}

static void close_run(run *w)
{
    for (int i = 0; w->desk && i < w->desks; i++)
        ecg_gzip_free(w->desk[i].gzip);
    free(w->desk);
    for (int t = 0; t < ECG_TABLES; t++) {
        for (int i = 0; i < ITEMS; i++)
            ecg_text_clear(&w->sheaf[i].rows[t]);
        for (int i = 0; i < GROUPS; i++)
            ecg_text_clear(&w->packed[t][i]);
    }
    ecg_synth_twins_clear(&w->twins);
    ecg_parts_close(&w->parts);
    free(w);
}

/* What is unfinished stays where it is; a full disk may have no room to say so, then the last state that was written holds. */
static void leave_unfinished(run *w, ecg_err *err)
{
    ecg_parts_save(&w->parts, NULL);
    if (!err)
        return;
    const size_t len = strlen(err->msg);
    snprintf(err->msg + len, sizeof err->msg - len, "; the same command continues it");
}

static ecg_status make_cohort(run *w, bool unfinished, ecg_pool *pool, ecg_err *err)
{
    ecg_status st = unfinished ? ecg_parts_open(&w->parts, err) : ecg_parts_create(&w->parts, err);
    if (!st && !unfinished)
        st = add_headers(w, err);
    if (st) {
        if (!unfinished)
            ecg_parts_discard(&w->parts);
        return st;
    }
    if (unfinished)
        ecg_say(w->watch, "synthetic cohort: an unfinished run goes on at patient %" PRId64, w->parts.next);
    st = ecg_synth_twins_find(&w->twins, &w->synth, pool, w->watch, err);
    if (!st)
        st = make_all(w, pool, err);
    if (!st)
        st = ecg_parts_save(&w->parts, err);
    if (!st)
        st = ecg_parts_commit(&w->parts, err);
    if (!st)
        st = write_manifest(w->dir, &w->synth.options, &w->parts.total, err);
    if (!st)
        return ecg_parts_finish(&w->parts, err);
    if (st == ECG_EIO || st == ECG_EINTR)
        leave_unfinished(w, err);
    return st;
}

ecg_status ecg_synth_write(const char *dir, const ecg_synth_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    ecg_status st = check_options(o, err);
    if (st)
        return st;
    if (strlen(dir) > 400)
        return ecg_fail_at(err, ECG_EARG, dir, 0, 0, "the name is longer than 400 bytes");
    run *w = calloc(1, sizeof *w);
    if (!w)
        return ecg_fail(err, ECG_ENOMEM, "out of memory for the generator");
    w->dir = dir;
    w->watch = watch;
    snprintf(w->root, sizeof w->root, "%s/mimic-iv-ecg", dir);
    snprintf(w->twin_root, sizeof w->twin_root, "%s/truth/twins", dir);
    ecg_synth_begin(&w->synth, o);
    bool unfinished;
    st = ecg_parts_find(&w->parts, &unfinished, dir, o, err);
    if (!st && !unfinished && !o->force && ecg_holds_files(dir, 8))
        st = ecg_fail_at(err, ECG_EIO, dir, 0, 0, "the folder is not empty");
    w->again = unfinished || o->force;
    if (!st)
        st = prepare_folder(dir, err);
    if (!st)
        st = open_desks(w, pool, err);
    if (!st)
        st = make_cohort(w, unfinished, pool, err);
    if (!st) {
        const ecg_sheaf *total = &w->parts.total;
        int64_t twins = 0;
        for (int i = 0; i < ECG_TWIN_CAUSES; i++)
            twins += total->twins[i];
        ecg_say(watch, "synthetic cohort: %" PRId64 " patients, %" PRId64 " stays, %" PRId64 " ECGs, %" PRId64 " laboratory values, %" PRId64 " twins",
                total->patients, total->stays, total->recordings, total->labs, twins);
    }
    close_run(w);
    return st;
}

ecg_status ecg_synth_ecg(int16_t out[SAMPLES][LEADS], const ecg_synth_options *o, int64_t patient, int visit, ecg_err *err)
{
    if (patient < 1 || patient > ECG_SYNTH_PATIENTS)
        return ecg_fail(err, ECG_EARG, "patient %" PRId64 " is not in 1 to %d", patient, ECG_SYNTH_PATIENTS);
    ecg_synth *s = malloc(sizeof *s);
    desk *k = malloc(sizeof *k);
    ecg_status st = s && k ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "out of memory for the generator");
    if (!st) {
        ecg_synth_begin(s, o);
        ecg_synth_course(&k->course, s, (uint32_t)patient);
        const ecg_recording *found = NULL;
        for (int i = 0; i < k->course.recordings; i++)
            if (k->course.recording[i].kind == ECG_FIRST_OF_STAY && k->course.recording[i].number == (uint32_t)visit)
                found = &k->course.recording[i];
        if (found) {
            const ecg_stay *stay = &k->course.stay[found->stay];
            ecg_synth_wave(out, &k->room, s, &k->course.p, &stay->v, &stay->take);
        } else {
            st = ecg_fail(err, ECG_EARG, "patient %" PRId64 " has no visit %d", patient, visit);
        }
    }
    free(s);
    free(k);
    return st;
}
