/* SPDX-License-Identifier: MIT
 * synth_write.c: a cohort on disk. Patients are cut into items of a few; the threads take items from a counter and fill one sheaf of rows
 * each, then every table's writer takes the sheaves in order. So the bytes do not depend on the number of threads, and memory does not
 * grow with the number of patients. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/file.h"
#include "cohort/synth_rows.h"
#include "cohort/synth_tables.h"

enum { ITEMS = 32, PATIENTS_OF_ITEM = 8, LEADS = ECG_SYNTH_LEADS, SAMPLES = ECG_SYNTH_SAMPLES };

static const struct {
    const char *path, *header;
} tables[ECG_TABLES] = {
#define X(name, path, header) {path, header},
    ECG_SYNTH_TABLES(X)
#undef X
};

static const char *const lead_names[LEADS] = {"I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6"};

/* A thread's room. */
typedef struct {
    ecg_course course;
    ecg_synth_room room;
    int16_t samples[SAMPLES][LEADS];
    uint8_t bytes[SAMPLES * LEADS * 2];
} desk;

typedef struct {
    const char *dir;
    ecg_synth synth;
    const ecg_watch *watch;
    desk *desks;              /* one a thread */
    ecg_sheaf sheaf[ITEMS];
    ecg_status status[ITEMS]; /* of the item */
    ecg_err err[ITEMS];
    int64_t next;             /* first patient of the batch */
    ecg_csvw *writer[ECG_TABLES];
} run;

/* ---- one record ----------------------------------------------------------------------------------------------------------- */

static ecg_status write_file(const char *path, const void *bytes, size_t len, ecg_err *err)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return ecg_fail_errno(err, path, "cannot create");
    const char *at = bytes;
    while (len) {
        const ssize_t done = write(fd, at, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            const ecg_status st = ecg_fail_errno(err, path, "cannot write");
            close(fd);
            unlink(path);
            return st;
        }
        at += done;
        len -= (size_t)done;
    }
    if (close(fd) != 0) {
        const ecg_status st = ecg_fail_errno(err, path, "cannot write");
        unlink(path);
        return st;
    }
    return ECG_OK;
}

static void header_text(char *out, size_t size, const ecg_course *c, const ecg_recording *r, int16_t samples[SAMPLES][LEADS])
{
    int year, month, day;
    ecg_civil_of(r->time, &year, &month, &day);
    const int of_day = (int)(r->time % 86400), study = (int)r->study_id;
    int at = snprintf(out, size, "%d %d 500 %d %02d:%02d:%02d %02d/%02d/%04d\n", study, LEADS, SAMPLES, of_day / 3600, of_day / 60 % 60, of_day % 60, day, month, year);
    for (int lead = 0; lead < LEADS; lead++) {
        uint16_t sum = 0;
        for (int i = 0; i < SAMPLES; i++)
            sum = (uint16_t)(sum + (uint16_t)samples[i][lead]);
        at += snprintf(out + at, size - (size_t)at, "%d.dat 16 200.0(0)/mV 16 0 %d %d 0 %s\n", study, samples[0][lead], (int16_t)sum, lead_names[lead]);
    }
    snprintf(out + at, size - (size_t)at, "# <subject_id>: %d\n", (int)c->subject_id);
}

/* The signal first: a record is there when its header is. */
static ecg_status write_record(const run *w, desk *k, const ecg_recording *r, const ecg_take *t, ecg_err *err)
{
    const ecg_course *c = &k->course;
    ecg_synth_wave(k->samples, &k->room, &w->synth, &c->p, ecg_course_visit(c, r), t);
    uint8_t *b = k->bytes;
    for (int i = 0; i < SAMPLES; i++)
        for (int lead = 0; lead < LEADS; lead++, b += 2) {
            const uint16_t word = (uint16_t)k->samples[i][lead];
            b[0] = (uint8_t)word;
            b[1] = (uint8_t)(word >> 8);
        }
    char folder[64], path[512 + 160], header[1400];
    ecg_synth_record_folder(folder, c, r);
    for (size_t n = 1; n <= strlen(folder); n++) {
        if (folder[n] && folder[n] != '/')
            continue;
        snprintf(path, sizeof path, "%s/mimic-iv-ecg/files/%.*s", w->dir, (int)n, folder);
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            return ecg_fail_errno(err, path, "cannot make the folder");
    }
    const size_t base = strlen(path);
    snprintf(path + base, sizeof path - base, "/%d.dat", (int)r->study_id);
    ecg_status st = write_file(path, k->bytes, sizeof k->bytes, err);
    if (st)
        return st;
    header_text(header, sizeof header, c, r, k->samples);
    snprintf(path + base, sizeof path - base, "/%d.hea", (int)r->study_id);
    return write_file(path, header, strlen(header), err);
}

/* ---- patients into sheaves ------------------------------------------------------------------------------------------------ */

static ecg_status make_patient(run *w, desk *k, ecg_sheaf *f, uint32_t ordinal, ecg_err *err)
{
    const ecg_synth *s = &w->synth;
    ecg_course *c = &k->course;
    ecg_synth_course(c, s, ordinal);
    ecg_synth_hospital_rows(f, s, c);
    for (int i = 0; i < c->recordings; i++) {
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
        if (s->options.waveforms) {
            const ecg_status st = write_record(w, k, r, take, err);
            if (st)
                return st;
        }
    }
    for (int t = 0; t < ECG_TABLES; t++)
        if (f->rows[t].failed)
            return ecg_fail(err, ECG_ENOMEM, "out of memory for the rows of patient %u", ordinal);
    return ECG_OK;
}

static void make_item(void *ctx, int item, int worker)
{
    run *w = ctx;
    const int64_t first = w->next + (int64_t)item * PATIENTS_OF_ITEM;
    w->status[item] = ECG_OK;
    for (int64_t p = first; p < first + PATIENTS_OF_ITEM && p <= w->synth.options.last && !w->status[item]; p++)
        w->status[item] = ecg_stopped(w->watch) ? ecg_fail(&w->err[item], ECG_EINTR, "interrupted at patient %" PRId64, p)
                                                : make_patient(w, &w->desks[worker], &w->sheaf[item], (uint32_t)p, &w->err[item]);
}

static void emit_table(void *ctx, int table, int worker)
{
    (void)worker;
    run *w = ctx;
    for (int i = 0; i < ITEMS; i++) {
        ecg_text *rows = &w->sheaf[i].rows[table];
        if (rows->len)
            ecg_csvw_raw(w->writer[table], rows->at, rows->len);
        rows->len = 0;
    }
}

static void add_counts(ecg_sheaf *total, ecg_sheaf *part)
{
    for (int i = 0; i < ECG_DISTRACTORS; i++)
        total->distractor[i] += part->distractor[i], part->distractor[i] = 0;
    total->patients += part->patients, part->patients = 0;
    total->stays += part->stays, part->stays = 0;
    total->admissions += part->admissions, part->admissions = 0;
    total->recordings += part->recordings, part->recordings = 0;
    total->labs += part->labs, part->labs = 0;
}

static ecg_status make_all(run *w, ecg_pool *pool, ecg_sheaf *total, ecg_err *err)
{
    const ecg_synth_options *o = &w->synth.options;
    const int64_t patients = o->last - o->first + 1;
    for (w->next = o->first; w->next <= o->last; w->next += ITEMS * PATIENTS_OF_ITEM) {
        ecg_pool_run(pool, make_item, w, ITEMS);
        for (int i = 0; i < ITEMS; i++) {
            if (w->status[i]) {
                if (err)
                    *err = w->err[i];
                return w->status[i];
            }
            add_counts(total, &w->sheaf[i]);
        }
        ecg_pool_run(pool, emit_table, w, ECG_TABLES);
        ecg_progress(w->watch, "synthetic cohort: patients", (double)total->patients, (double)patients, NULL);
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
    return ECG_OK;
}

static ecg_status prepare_folder(const char *dir, const ecg_synth_options *o, ecg_err *err)
{
    if (strlen(dir) > 500)
        return ecg_fail_at(err, ECG_EARG, dir, 0, 0, "the name is longer than 500 bytes");
    DIR *there = opendir(dir);
    if (there) {
        bool empty = true;
        for (struct dirent *e; empty && (e = readdir(there));)
            empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
        closedir(there);
        if (!empty && !o->force)
            return ecg_fail_at(err, ECG_EIO, dir, 0, 0, "the folder is not empty");
    }
    static const char *const below[] = {"mimic-iv-ecg/files", "mimic-iv-ed/ed", "mimic-iv/hosp", "truth"};
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

static ecg_status open_tables(run *w, ecg_err *err)
{
    ecg_sheaf *f = &w->sheaf[0];
    ecg_synth_dictionary_rows(f);
    ecg_synth_latent_header(&f->rows[ECG_TABLE_latent]);
    for (int t = 0; t < ECG_TABLES; t++) {
        char path[512 + 64];
        snprintf(path, sizeof path, "%s/%s", w->dir, tables[t].path);
        const ecg_status st = ecg_csvw_create(&w->writer[t], path, err);
        if (st)
            return st;
        if (*tables[t].header) {
            ecg_csvw_raw(w->writer[t], tables[t].header, strlen(tables[t].header));
            ecg_csvw_raw(w->writer[t], "\n", 1);
        }
        if (f->rows[t].failed)
            return ecg_fail(err, ECG_ENOMEM, "out of memory for a dictionary");
    }
    return ECG_OK; /* the dictionaries leave with the first sheaf */
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
    ecg_fixed(noise, o->noise, 4);
    ecg_fixed(nuisance, o->nuisance, 4);
    ecg_text_printf(&t, "{\n  \"schema\": \"ecgraft.synthetic/1\",\n  \"synthetic\": true,\n  \"note\": \"synthetic cohort: nobody described here ever lived\",\n");
    ecg_text_printf(&t, "  \"use\": \"For software tests, teaching and method development. %s Figures on this cohort are no estimate of figures on patients.\",\n",
                    ECG_STATEMENT);
    ecg_text_printf(&t, "  \"generator\": \"ecgraft %s\",\n  \"seed\": %" PRIu64 ",\n  \"first\": %" PRId64 ",\n  \"last\": %" PRId64 ",\n", ecg_version(), o->seed,
                    o->first, o->last);
    ecg_text_printf(&t, "  \"options\": {\"noise\": %s, \"nuisance\": %s, \"waveforms\": %s, \"distractors\": %s, \"do\": {", noise, nuisance,
                    o->waveforms ? "true" : "false", o->distractors ? "true" : "false");
    for (int i = 0; i < o->forced; i++) {
        ecg_fixed(value, o->force_to[i].value, 6);
        ecg_text_printf(&t, "%s\"%s\": %s", i ? ", " : "", ecg_synth_variables[o->force_to[i].variable].name, value);
    }
    ecg_text_printf(&t, "}},\n  \"patients\": %" PRId64 ",\n  \"stays\": %" PRId64 ",\n  \"admissions\": %" PRId64 ",\n  \"recordings\": %" PRId64
                        ",\n  \"labevents\": %" PRId64 ",\n  \"distractors\": {",
                    total->patients, total->stays, total->admissions, total->recordings, total->labs);
    for (int i = 0; i < ECG_DISTRACTORS; i++)
        ecg_text_printf(&t, "%s\n    \"%s\": {\"count\": %" PRId64 ", \"fate\": \"%s\"}", i ? "," : "", kinds[i].name, total->distractor[i], kinds[i].fate);
    ecg_text_puts(&t, "\n  }\n}\n");
    char path[512 + 64];
    snprintf(path, sizeof path, "%s/truth/manifest.json", dir);
    const ecg_status st = t.failed ? ecg_fail(err, ECG_ENOMEM, "out of memory for the manifest") : ecg_file_write_whole(path, t.at, t.len, err);
    ecg_text_clear(&t);
    return st;
}

ecg_status ecg_synth_write(const char *dir, const ecg_synth_options *o, ecg_pool *pool, const ecg_watch *watch, ecg_err *err)
{
    ecg_status st = check_options(o, err);
    if (!st)
        st = prepare_folder(dir, o, err);
    if (st)
        return st;
    run *w = calloc(1, sizeof *w);
    desk *desks = calloc((size_t)(pool ? ecg_pool_threads(pool) : 1), sizeof *desks);
    if (!w || !desks) {
        free(w);
        free(desks);
        return ecg_fail(err, ECG_ENOMEM, "out of memory for the generator");
    }
    w->dir = dir;
    w->watch = watch;
    w->desks = desks;
    ecg_synth_begin(&w->synth, o);
    ecg_sheaf total = {0};
    st = open_tables(w, err);
    if (!st)
        st = make_all(w, pool, &total, err);
    for (int t = 0; t < ECG_TABLES; t++)
        if (!st && w->writer[t]) {
            st = ecg_csvw_commit(w->writer[t], err);
            w->writer[t] = NULL;
        }
    if (!st)
        st = write_manifest(dir, o, &total, err);
    if (!st)
        ecg_say(watch, "synthetic cohort: %" PRId64 " patients, %" PRId64 " stays, %" PRId64 " ECGs, %" PRId64 " laboratory values", total.patients, total.stays,
                total.recordings, total.labs);
    for (int t = 0; t < ECG_TABLES; t++)
        ecg_csvw_abort(w->writer[t]);
    for (int i = 0; i < ITEMS; i++)
        for (int t = 0; t < ECG_TABLES; t++)
            ecg_text_clear(&w->sheaf[i].rows[t]);
    free(w->desks);
    free(w);
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
