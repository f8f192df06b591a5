/* SPDX-License-Identifier: MIT
 * doctor_find.c: which data sets are below the folders. A module is known by a table that only it has; its folder is where that table lies,
 * whatever the folder is called. Then, in a walk of its own, archives and recordings without any table. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cohort/doctor_parts.h"
#include "cohort/tables.h"

/* ---- modules by their tables -------------------------------------------------------------------------------------------------------- */

static const struct { ecg_seen_kind kind; const char *parent, *name; } marks[] = {
    {ECG_SEEN_ECG, NULL, "record_list.csv"},     {ECG_SEEN_HOSP, NULL, "admissions.csv"},         {ECG_SEEN_HOSP, NULL, "labevents.csv"},
    {ECG_SEEN_HOSP, NULL, "diagnoses_icd.csv"},  {ECG_SEEN_HOSP, "hosp", "patients.csv"},         {ECG_SEEN_ICU, NULL, "icustays.csv"},
    {ECG_SEEN_ED, NULL, "edstays.csv"},          {ECG_SEEN_ED, "ed", "triage.csv"},               {ECG_SEEN_ED, "ed", "vitalsign.csv"},
    {ECG_SEEN_ICD, NULL, "records_w_diag_icd10.csv"}, {ECG_SEEN_MDSED, NULL, "mds_ed.csv"},     {ECG_SEEN_PTBXL, NULL, "ptbxl_database.csv"},
};
enum { MARKS = sizeof marks / sizeof *marks };

static void folder_of(char out[512], const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(out, 512, "%.*s", slash ? slash == path ? 1 : (int)(slash - path) : 1, slash ? path : ".");
}

/* NAME or NAME.gz of the module's folder. Both, or a name that cannot be opened, is a problem. */
static void take_table(ecg_seen_table *t, const ecg_seen_spec *spec, const char *folder)
{
    struct stat st;
    char other[512];
    *t = (ecg_seen_table){.spec = spec, .rows = -1};
    if ((size_t)snprintf(t->path, sizeof t->path, "%s/%s", folder, spec->name) >= sizeof t->path ||
        (size_t)snprintf(other, sizeof other, "%s/%s.gz", folder, spec->name) >= sizeof other) {
        t->path[0] = 0;
        return;
    }
    const bool plain = !stat(t->path, &st), zipped = plain ? access(other, F_OK) == 0 : !stat(other, &st);
    if (plain && zipped)
        snprintf(t->problem, sizeof t->problem, "%s and %s.gz are both there: one has to go", spec->name, spec->name);
    if (!plain && zipped)
        memcpy(t->path, other, sizeof other);
    if (!plain && !zipped)
        t->path[0] = 0;
    t->bytes = plain || zipped ? st.st_size : 0;
}

static void add_module(ecg_seen *d, ecg_seen_kind kind, const char *folder)
{
    for (int i = 0; i < d->modules; i++)
        if (d->module[i].kind == kind && !strcmp(d->module[i].folder, folder))
            return; /* by another table, or by another way */
    const ecg_seen_module *before = ecg_seen_module_of(d, kind);
    if (before && kind != ECG_SEEN_WFDB)
        ecg_seen_problem(d, "%s is there twice, in %s and in %s: name the one that is meant (%s)", ecg_seen_names[kind], before->folder, folder, ecg_seen_options[kind]);
    if (d->modules == (int)(sizeof d->module / sizeof *d->module))
        return;
    ecg_seen_module *m = &d->module[d->modules++];
    *m = (ecg_seen_module){.kind = kind};
    snprintf(m->folder, sizeof m->folder, "%s", folder);
    for (int s = 0; s < ecg_seen_specs_n; s++)
        if (ecg_seen_specs[s].kind == kind)
            take_table(&m->table[m->tables++], &ecg_seen_specs[s], folder);
    if (kind == ECG_SEEN_PTBXL)
        for (int r = 0; r < 2; r++) {
            char path[600];
            snprintf(path, sizeof path, "%s/%s", folder, r ? "records500" : "records100");
            m->rate[r] = ecg_is_folder(path);
        }
}

/* only: one kind, ECG_SEEN_KINDS: all. A kind that has an option of its own is looked for there and nowhere else. */
static ecg_status search_folder(ecg_seen *d, const char *folder, ecg_seen_kind only, const bool named[ECG_SEEN_KINDS], ecg_err *err)
{
    ecg_table_search *s = calloc(MARKS, sizeof *s);
    if (!s)
        return ecg_fail(err, ECG_ENOMEM, "no memory to search");
    int of[MARKS], n = 0;
    for (int i = 0; i < MARKS; i++)
        if (only == ECG_SEEN_KINDS ? !named[marks[i].kind] : marks[i].kind == only) {
            s[n].parent = marks[i].parent;
            s[n].name = marks[i].name;
            of[n++] = i;
        }
    const ecg_status st = ecg_tables_search(s, n, folder, err);
    for (int i = 0; i < n && !st; i++)
        for (int k = 0; k < 2; k++) {
            const char *path = k ? s[i].second : s[i].first;
            char where[512];
            if (!path[0])
                continue;
            folder_of(where, path);
            add_module(d, marks[of[i]].kind, where);
        }
    free(s);
    return st;
}

/* A file in place of a folder: an archive of recordings, or one of the published tables. False: neither. */
static bool take_file(ecg_seen *d, const char *path, ecg_seen_kind only)
{
    const char *name = strrchr(path, '/');
    const size_t len = strlen(path);
    name = name ? name + 1 : path;
    ecg_seen_kind kind = ECG_SEEN_KINDS;
    if (len > 4 && ecg_same_word(path + len - 4, ".zip"))
        kind = ECG_SEEN_ECG;
    else if (only == ECG_SEEN_ICD || strstr(name, "records_w_diag_icd10"))
        kind = ECG_SEEN_ICD;
    else if (only == ECG_SEEN_MDSED || strstr(name, "mds_ed"))
        kind = ECG_SEEN_MDSED;
    if (kind == ECG_SEEN_KINDS || (only != ECG_SEEN_KINDS && only != kind) || d->modules == (int)(sizeof d->module / sizeof *d->module))
        return false;
    ecg_seen_module *m = &d->module[d->modules++];
    *m = (ecg_seen_module){.kind = kind, .archive = kind == ECG_SEEN_ECG};
    snprintf(m->folder, sizeof m->folder, "%s", path);
    for (int s = 0; s < ecg_seen_specs_n && !m->archive; s++)
        if (ecg_seen_specs[s].kind == kind) {
            ecg_seen_table *t = &m->table[m->tables++];
            *t = (ecg_seen_table){.spec = &ecg_seen_specs[s], .rows = -1, .bytes = ecg_file_size(path)};
            snprintf(t->path, sizeof t->path, "%s", path);
        }
    return true;
}

/* ---- archives and recordings without a table --------------------------------------------------------------------------------------------- */

enum { DEPTH = 5, MOST_ENTRIES = 200000, ENOUGH = 2000 /* headers: what more would say is known */ };

typedef struct {
    ecg_seen *d;
    int64_t entries, files, headers;
    bool known;              /* recordings of a data set that has its tables: not counted */
    char first[512], csv[512]; /* of the first .hea; a table in a folder on the way */
    double until;
} survey;

static bool ends(const char *name, const char *ending)
{
    const size_t n = strlen(name), e = strlen(ending);
    return n > e && ecg_same_word(name + n - e, ending);
}

static void take_entry(survey *s, const char *folder, const char *name)
{
    char path[512];
    s->files++;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
        return;
    if (ends(name, ".hea") && !s->headers++)
        snprintf(s->first, sizeof s->first, "%s", folder);
    if (!s->csv[0] && (ends(name, ".csv") || ends(name, ".csv.gz")))
        snprintf(s->csv, sizeof s->csv, "%s", path);
    if (ends(name, ".zip") && strstr(name, "mimic-iv-ecg") && !s->d->from.ecg && !ecg_seen_module_of(s->d, ECG_SEEN_ECG))
        take_file(s->d, path, ECG_SEEN_ECG);
}

static void walk(survey *s, const char *folder, int depth)
{
    DIR *dir = opendir(folder);
    if (!dir) {
        ecg_seen_problem(s->d, "%s cannot be opened: %s", folder, strerror(errno));
        return;
    }
    struct dirent *e;
    while (s->entries < MOST_ENTRIES && s->headers < ENOUGH && ecg_seen_clock() < s->until && (e = readdir(dir))) {
        char path[512];
        s->entries++;
        if (e->d_name[0] == '.' || (size_t)snprintf(path, sizeof path, "%s/%s", folder, e->d_name) >= sizeof path)
            continue;
        const bool is_folder = e->d_type == DT_DIR || ((e->d_type == DT_LNK || e->d_type == DT_UNKNOWN) && ecg_is_folder(path));
        if (!is_folder)
            take_entry(s, folder, e->d_name);
        else if (depth < DEPTH && strcmp(e->d_name, "truth") && !(s->known && (e->d_name[0] == 'p' || !strncmp(e->d_name, "records", 7) || !strcmp(e->d_name, "files"))))
            walk(s, path, depth + 1);
    }
    closedir(dir);
}

static void survey_folder(ecg_seen *d, const char *folder)
{
    const int before = d->modules;
    survey s = {.d = d, .until = ecg_seen_clock() + 5};
    s.known = ecg_seen_module_of(d, ECG_SEEN_ECG) || ecg_seen_module_of(d, ECG_SEEN_PTBXL);
    walk(&s, folder, 0);
    if (s.headers && !s.known && d->modules < (int)(sizeof d->module / sizeof *d->module)) {
        ecg_seen_module *m = &d->module[d->modules++];
        *m = (ecg_seen_module){.kind = ECG_SEEN_WFDB, .headers = s.headers};
        snprintf(m->folder, sizeof m->folder, "%s", folder);
        memcpy(m->csv, s.csv, sizeof s.csv);
    }
    bool any = d->modules > before;
    for (int i = 0; i < before; i++)
        any |= !strncmp(d->module[i].folder, folder, strlen(folder));
    if (!any)
        ecg_seen_note(d, "%s: %s", folder, s.files ? "nothing in it that this program knows" : "empty");
}

/* truth/manifest.json of the generator, in the folder or in one of three above it. */
static void look_for_manifest(ecg_seen *d, const char *folder)
{
    static const char *const up[] = {"", "/..", "/../..", "/../../.."};
    for (size_t i = 0; i < sizeof up / sizeof *up && !d->synthetic; i++) {
        char path[600];
        snprintf(path, sizeof path, "%.511s%s/truth/manifest.json", folder, up[i]);
        json_t *manifest = json_load_file(path, 0, NULL);
        if (json_is_true(json_object_get(manifest, "synthetic"))) {
            d->synthetic = true;
            snprintf(d->synthetic_note, sizeof d->synthetic_note, "synthetic cohort: %" PRId64 " patients, seed %" PRId64,
                     (int64_t)json_integer_value(json_object_get(manifest, "patients")), (int64_t)json_integer_value(json_object_get(manifest, "seed")));
        }
        json_decref(manifest);
    }
}

/* ---- all folders ------------------------------------------------------------------------------------------------------------------------- */

ecg_status ecg_seen_find(ecg_seen *d, ecg_err *err)
{
    const ecg_build_sources *f = &d->from;
    const char *const option[ECG_SEEN_KINDS] = {[ECG_SEEN_ECG] = f->ecg, [ECG_SEEN_HOSP] = f->hosp,   [ECG_SEEN_ICU] = f->icu,    [ECG_SEEN_ED] = f->ed,
                                                [ECG_SEEN_ICD] = f->icd, [ECG_SEEN_MDSED] = f->mdsed, [ECG_SEEN_PTBXL] = f->ptbxl};
    bool named[ECG_SEEN_KINDS];
    ecg_status st = ECG_OK;
    for (int k = 0; k < ECG_SEEN_KINDS; k++)
        named[k] = option[k] != NULL;
    for (int k = 0; k < ECG_SEEN_KINDS && !st; k++) {
        if (!option[k] || (ecg_is_file(option[k]) && take_file(d, option[k], (ecg_seen_kind)k)))
            continue;
        const int before = d->modules;
        st = search_folder(d, option[k], (ecg_seen_kind)k, named, err);
        if (!st && d->modules == before)
            ecg_seen_problem(d, "%s %s: no %s in it or in the folders below", ecg_seen_options[k], option[k], ecg_seen_names[k]);
        if (!st)
            look_for_manifest(d, option[k]);
    }
    for (int i = -1; i < d->folders && !st; i++) {
        const char *folder = i < 0 ? f->mimic : d->folder[i];
        if (!folder || (ecg_is_file(folder) && take_file(d, folder, ECG_SEEN_KINDS)))
            continue;
        if (ecg_is_file(folder))
            return ecg_fail_at(err, ECG_EIO, folder, 0, 0, "a file, not a folder of data");
        ecg_progress(d->watch, "looking through folders", 0, 1, folder);
        st = search_folder(d, folder, ECG_SEEN_KINDS, named, err);
        if (!st) {
            look_for_manifest(d, folder);
            survey_folder(d, folder);
        }
    }
    return st;
}
