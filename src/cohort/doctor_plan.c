/* SPDX-License-Identifier: MIT
 * doctor_plan.c: from what is there to command lines. Whether the modules suffice is asked of the code that builds (modules.h); how long and how
 * large follows from the rates measured here and the sizes of formats.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cohort/doctor_parts.h"
#include "cohort/folder_table.h"
#include "cohort/modules.h"
#include "cohort/schema.h"

static const double record_bytes = 1000.0 * 12 * 4, header_bytes = 4.2e6;
static const double usual_tables = 300e6, usual_hash = 300e6, usual_records = 700; /* where nothing could be measured: bytes and recordings a second, one thread */

/* ---- words ---------------------------------------------------------------------------------------------------------------------------------- */

/* A path for a shell. */
static void quote(ecg_text *out, const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-+=:@%,";
    if (*path && path[0] != '-' && path[strspn(path, plain)] == 0) {
        ecg_text_puts(out, path);
        return;
    }
    ecg_text_puts(out, path[0] == '-' ? "'./" : "'");
    for (; *path; path++)
        if (*path == '\'')
            ecg_text_puts(out, "'\\''");
        else
            ecg_text_add(out, path, 1);
    ecg_text_puts(out, "'");
}

static void say_source(ecg_text *command, const char *option, const char *path)
{
    if (!path)
        return;
    ecg_text_printf(command, " %s ", option);
    quote(command, path);
}

static ecg_seen_plan *new_plan(ecg_seen *d, const char *what)
{
    ecg_seen_plan *p = &d->plan[d->plans++];
    *p = (ecg_seen_plan){.what = what, .rows = -1};
    ecg_text_puts(&p->command, "ecgraft cohort build");
    return p;
}

static void line(void *ctx, const char *text)
{
    ecg_text_printf(ctx, "%s\n", text);
}

/* ---- costs ------------------------------------------------------------------------------------------------------------------------------------ */

static void cost(ecg_seen_plan *p, const ecg_seen *d, ecg_seen_kind from, ecg_seen_kind to, const ecg_seen_records *r, double columns, double labels, bool waveforms)
{
    const double n = p->rows > 0 ? (double)p->rows : 0;
    const double share = r->asked ? (double)r->present / r->asked : 1;
    for (int m = 0; m < d->modules; m++)
        for (int t = 0; t < d->module[m].tables && d->module[m].kind >= from && d->module[m].kind <= to; t++) {
            const ecg_seen_table *table = &d->module[m].table[t];
            if (table->path[0] && strcmp(table->spec->name, "machine_measurements.csv"))
                p->seconds += table->text / (d->table_rate > 0 ? d->table_rate : usual_tables) + (double)table->bytes / usual_hash;
        }
    if (waveforms)
        p->seconds += n * share / (r->per_second > 0 ? r->per_second : usual_records) / d->threads;
    p->bytes = n * ((waveforms ? share * record_bytes : 0) + 4 * columns + labels + 70) + header_bytes;
    p->seconds += p->bytes / usual_hash; /* what is written is hashed on the way */
    p->memory = n * (8 * columns + 2 * labels + 400) + 150e6;
}

/* ---- MIMIC-IV --------------------------------------------------------------------------------------------------------------------------------- */

static bool below(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    while (len > 1 && folder[len - 1] == '/')
        len--;
    return !strncmp(path, folder, len) && (path[len] == '/' || !path[len] || folder[len - 1] == '/');
}

/* The one folder that holds every module, as --mimic wants it; NULL: there is none. */
static const char *common_folder(const ecg_seen *d)
{
    for (int i = -1; i < d->folders; i++) {
        const char *folder = i < 0 ? d->from.mimic : d->folder[i];
        bool all = folder != NULL;
        for (int m = 0; m < d->modules && all; m++)
            if (d->module[m].kind <= ECG_SEEN_ICD)
                all = !d->module[m].archive && below(d->module[m].folder, folder);
        if (all)
            return folder;
    }
    return NULL;
}

static const char *place_of(const ecg_seen *d, ecg_seen_kind kind)
{
    const ecg_seen_module *m = ecg_seen_module_of(d, kind);
    return m ? m->folder : NULL;
}

static void name_sources(ecg_build_sources *f, const ecg_seen *d)
{
    const ecg_build_sources *given = &d->from;
    *f = (ecg_build_sources){.ecg = given->ecg, .hosp = given->hosp, .icu = given->icu, .ed = given->ed, .icd = given->icd};
    ecg_mimic_tables *found = malloc(sizeof *found);
    f->mimic = common_folder(d);
    /* folders with other names than the released ones are found by the doctor only */
    if (f->mimic && found && !ecg_modules_find(found, f, NULL) && (found->path[ECG_T_EDSTAYS][0] || !place_of(d, ECG_SEEN_ED)) &&
        (found->path[ECG_T_ADMISSIONS][0] || !place_of(d, ECG_SEEN_HOSP)) && (found->path[ECG_T_ICUSTAYS][0] || !place_of(d, ECG_SEEN_ICU))) {
        free(found);
        return;
    }
    free(found);
    f->mimic = NULL;
    f->ecg = f->ecg ? f->ecg : place_of(d, ECG_SEEN_ECG);
    f->hosp = f->hosp ? f->hosp : place_of(d, ECG_SEEN_HOSP);
    f->icu = f->icu ? f->icu : place_of(d, ECG_SEEN_ICU);
    f->ed = f->ed ? f->ed : place_of(d, ECG_SEEN_ED);
    f->icd = f->icd ? f->icd : place_of(d, ECG_SEEN_ICD);
}

static void estimate_rows(ecg_seen_plan *p, const ecg_seen_records *r)
{
    if (r->listed < 0) {
        p->rows = r->stays;
    } else if (r->link_asked) {
        p->rows = (int64_t)((double)r->listed * r->linked / r->link_asked + 0.5);
        p->rows_exact = r->listed_exact && r->link_asked == r->listed;
    }
}

static ecg_status plan_mimic(ecg_seen *d, ecg_err *err)
{
    ecg_build_options o = {.max_failures = -1};
    ecg_mimic_tables *tables = malloc(sizeof *tables);
    ecg_err why = {0};
    if (!tables)
        return ecg_fail(err, ECG_ENOMEM, "no memory for a plan");
    ecg_seen_plan *p = new_plan(d, "MIMIC-IV");
    const ecg_watch words = {.ctx = &p->lines, .say = line};
    const ecg_seen_records *r = &d->mimic;
    name_sources(&o.from, d);
    o.no_waveforms = (r->asked && !r->present) || !ecg_seen_module_of(d, ECG_SEEN_ECG);
    estimate_rows(p, r);
    ecg_status st = ecg_modules_find(tables, &o.from, &why);
    if (!st)
        st = ecg_modules_say(tables, &o, &words, &why);
    p->possible = !st;
    if (st)
        snprintf(p->why_not, sizeof p->why_not, "%.120s%s%.170s", why.path, why.path[0] ? ": " : "", why.msg);
    else if (p->rows == 0) {
        p->possible = false;
        snprintf(p->why_not, sizeof p->why_not, "none of the listed recordings belongs to one of these stays: tables and recordings are of different patients");
    }
    free(tables);
    say_source(&p->command, "--mimic", o.from.mimic);
    say_source(&p->command, "--ecg", o.from.ecg);
    say_source(&p->command, "--hosp", o.from.hosp);
    say_source(&p->command, "--icu", o.from.icu);
    say_source(&p->command, "--ed", o.from.ed);
    say_source(&p->command, "--icd", o.from.icd);
    ecg_text_printf(&p->command, " -o mimic.cohort%s%s", o.no_waveforms ? " --no-waveforms" : "", p->rows >= 0 && p->rows < 2000 ? " --min-count 10 --min-labs 8" : "");
    if (p->rows >= 0 && p->rows < 2000)
        ecg_text_puts(&p->lines, "few recordings: labels with 10 positives are kept (--min-count, --min-labs), with a whole release 40\n");
    cost(p, d, ECG_SEEN_ECG, ECG_SEEN_ICD, r, ECG_COLUMNS, 1600, !o.no_waveforms);
    return ECG_OK;
}

/* ---- the others -------------------------------------------------------------------------------------------------------------------------------- */

static void plan_mdsed(ecg_seen *d, const ecg_seen_module *m)
{
    ecg_seen_plan *p = new_plan(d, "MIMIC-IV-Ext-MDS-ED");
    const char *ecg = d->from.ecg ? d->from.ecg : place_of(d, ECG_SEEN_ECG);
    const bool waveforms = ecg && !(d->mimic.asked && !d->mimic.present);
    p->possible = true;
    p->rows = m->table[0].rows;
    p->rows_exact = m->table[0].exact;
    ecg_text_puts(&p->lines, "columns, labels and folds as published\n");
    ecg_text_printf(&p->lines, "waveforms: %s\n", waveforms ? ecg : "none (no folder of MIMIC-IV-ECG, --ecg)");
    say_source(&p->command, "--mdsed", d->from.mdsed ? d->from.mdsed : m->table[0].path);
    if (waveforms)
        say_source(&p->command, "--ecg", ecg);
    ecg_text_printf(&p->command, " -o mdsed.cohort%s", waveforms ? "" : " --no-waveforms");
    cost(p, d, ECG_SEEN_MDSED, ECG_SEEN_MDSED, &d->mimic, ECG_COLUMNS, 1443, waveforms);
}

static void plan_ptbxl(ecg_seen *d, const ecg_seen_module *m)
{
    ecg_seen_plan *p = new_plan(d, "PTB-XL");
    const ecg_seen_records *r = &d->ptbxl;
    ecg_seen_records high = *r;
    const bool use_high = r->present_high > r->present;
    high.present = r->present_high;
    p->possible = r->present || r->present_high;
    p->rows = m->table[0].rows;
    p->rows_exact = m->table[0].exact;
    if (!p->possible)
        snprintf(p->why_not, sizeof p->why_not, "none of %d recordings looked for is there", r->asked);
    if (m->table[1].path[0] == 0) {
        p->possible = false;
        snprintf(p->why_not, sizeof p->why_not, "no scp_statements.csv");
    }
    if (r->asked)
        ecg_text_printf(&p->lines, "recordings of 100 Hz: %d of %d looked for; of 500 Hz: %d of %d\n", r->present, r->asked, r->present_high, r->asked_high);
    say_source(&p->command, "--ptbxl", d->from.ptbxl ? d->from.ptbxl : m->folder);
    ecg_text_printf(&p->command, "%s -o ptbxl.cohort", use_high ? " --rate 500" : "");
    cost(p, d, ECG_SEEN_PTBXL, ECG_SEEN_PTBXL, use_high ? &high : r, 4, 150, true);
}

/* Can the table be read without being told what its columns are? */
static bool columns_are_named(const char *path, ecg_err *why)
{
    ecg_folder_table *f = calloc(1, sizeof *f);
    const ecg_table_columns by_name = {0};
    ecg_csv *t = NULL;
    ecg_status st = f ? ecg_csv_open(&t, path, why) : ecg_fail(why, ECG_ENOMEM, "no memory");
    if (!st)
        st = ecg_folder_columns(f, t, &by_name, why);
    if (f)
        ecg_folder_table_clear(f);
    free(f);
    ecg_csv_close(t);
    return !st;
}

static void plan_folder(ecg_seen *d, const ecg_seen_module *m)
{
    ecg_seen_plan *p = new_plan(d, "a plain folder of recordings");
    ecg_err why = {0};
    p->rows = m->headers;
    p->possible = m->csv[0] && columns_are_named(m->csv, &why);
    if (!m->csv[0])
        snprintf(p->why_not, sizeof p->why_not, "a cohort needs a table with a row for each recording: id, path, labels (docs/own_data.md); none is there");
    else if (!p->possible)
        snprintf(p->why_not, sizeof p->why_not, "%.90s: %.120s; --columns and --label-columns name them (docs/own_data.md)", m->csv, why.msg);
    ecg_text_printf(&p->lines, "%s%" PRId64 " recordings\n", m->headers >= 2000 ? "at least " : "", m->headers);
    say_source(&p->command, "--folder", m->folder);
    say_source(&p->command, "--table", m->csv);
    ecg_text_puts(&p->command, " -o own.cohort");
    cost(p, d, ECG_SEEN_WFDB, ECG_SEEN_WFDB, &d->ptbxl, 10, 20, true);
}

ecg_status ecg_seen_plans(ecg_seen *d, ecg_err *err)
{
    const ecg_seen_module *mdsed = ecg_seen_module_of(d, ECG_SEEN_MDSED), *ptbxl = ecg_seen_module_of(d, ECG_SEEN_PTBXL), *plain = ecg_seen_module_of(d, ECG_SEEN_WFDB);
    bool hospital = false, recordings = ecg_seen_module_of(d, ECG_SEEN_ECG) != NULL;
    for (int m = 0; m < d->modules; m++)
        hospital |= d->module[m].kind <= ECG_SEEN_ICD && d->module[m].kind != ECG_SEEN_ECG;
    ecg_status st = hospital || (recordings && !mdsed) ? plan_mimic(d, err) : ECG_OK;
    if (mdsed)
        plan_mdsed(d, mdsed);
    if (ptbxl)
        plan_ptbxl(d, ptbxl);
    if (plain)
        plan_folder(d, plain);
    for (int i = 0; i < d->plans && !st; i++)
        if (d->plan[i].possible && d->disk_free > 0 && d->plan[i].bytes > d->disk_free)
            ecg_seen_problem(d, "%s needs %.1f GB, this folder's disk has %.1f GB left", d->plan[i].what, d->plan[i].bytes / 1e9, d->disk_free / 1e9);
    for (int i = 0; i < d->plans && !st; i++)
        if (d->plan[i].command.failed || d->plan[i].lines.failed)
            st = ecg_fail(err, ECG_ENOMEM, "no memory for a plan");
    return st;
}
