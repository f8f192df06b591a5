/* SPDX-License-Identifier: MIT
 * doctor_records.c: a sample of the listed recordings, spread over the list: are the files there, can they be read, how fast; and how many belong to
 * an ED stay and to its first 90 minutes, from which the size of a cohort follows. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/gzip.h"
#include "base/source.h"
#include "cohort/doctor_parts.h"
#include "ecg/formats.h"
#include "ecg/prepare.h"

enum { LOOKED_FOR = 200, READ = 20, LINKED = 4000, WINDOW = 90 * 60 };
static const size_t most_text = (size_t)64 << 20;

/* ---- a list as text ------------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    ecg_bytes file;  /* as it lies there, or out of the archive */
    char *room;      /* expanded; NULL: file is text */
    const char *at;
    size_t len, body; /* body: where the first row begins */
    bool whole;
} list_text;

static void list_clear(list_text *l)
{
    free(l->room);
    ecg_bytes_free(&l->file);
    *l = (list_text){0};
}

static bool expand(list_text *l)
{
    ecg_gunzip *g = ecg_gunzip_new();
    const uint8_t *in = l->file.at;
    size_t left = l->file.len, len = 0, got;
    const char *why = NULL;
    l->room = g ? malloc(most_text) : NULL;
    if (l->room)
        do
            len += got = ecg_gunzip_step(g, &in, &left, (uint8_t *)l->room + len, most_text - len, &why);
        while (!why && got && len < most_text);
    l->whole = l->room && !why && ecg_gunzip_complete(g);
    ecg_gunzip_free(g);
    l->at = l->room;
    l->len = len;
    return l->room != NULL;
}

/* file: taken over. False: nothing usable. */
static bool list_take(list_text *l, ecg_bytes file)
{
    *l = (list_text){.file = file, .at = (const char *)file.at, .len = file.len, .whole = true};
    if (ecg_is_gzip(file.at, file.len) && !expand(l)) {
        list_clear(l);
        return false;
    }
    const char *end = l->len ? memchr(l->at, '\n', l->len) : NULL;
    if (!end) {
        list_clear(l);
        return false;
    }
    l->body = (size_t)(end - l->at) + 1;
    return true;
}

/* Header and `want` rows at even distances, each at most once, as a small table of its own. */
static void sample_rows(ecg_text *out, const list_text *l, int want)
{
    const size_t span = l->len - l->body;
    size_t used = l->body;
    ecg_text_add(out, l->at, l->body);
    for (int i = 0; i < want; i++) {
        size_t from = l->body + (size_t)((double)span * i / want);
        if (from < used)
            from = used;
        if (from > l->body && l->at[from - 1] != '\n') {
            const char *next = memchr(l->at + from, '\n', l->len - from);
            if (!next)
                break;
            from = (size_t)(next - l->at) + 1;
        }
        const char *end = from < l->len ? memchr(l->at + from, '\n', l->len - from) : NULL;
        if (!end)
            break;
        used = (size_t)(end - l->at) + 1;
        ecg_text_add(out, l->at + from, used - from);
    }
}

/* ---- files ------------------------------------------------------------------------------------------------------------------------------------ */

/* One recording read and made ready as a build does it. */
static bool try_recording(const ecg_contract *c, ecg_source *src, const char *name, char why[400])
{
    ecg_record rec;
    ecg_err err = {0};
    unsigned found;
    if (ecg_record_read_from(&rec, src, name, &err)) {
        snprintf(why, 400, "%.150s: %.230s", name, err.msg);
        return false;
    }
    const int64_t n = ecg_prepared_samples(c, &rec);
    float *out = n >= c->crop && n < 10000000 ? malloc((size_t)n * (size_t)c->leads * sizeof *out) : NULL;
    ecg_status st = out ? ecg_prepare(out, &found, c, &rec, &err) : ecg_fail(&err, ECG_EDATA, "%" PRId64 " samples, at least %d needed", n, c->crop);
    if (st)
        snprintf(why, 400, "%.150s: %.230s", name, err.msg);
    free(out);
    ecg_record_clear(&rec);
    return !st;
}

static bool has_recording(ecg_source *src, const char *name)
{
    char header[300];
    const size_t len = strlen(name);
    const bool complete = len > 4 && !strcmp(name + len - 4, ".hea");
    return (size_t)snprintf(header, sizeof header, "%s%s", name, complete ? "" : ".hea") < sizeof header && ecg_source_has(src, header);
}

static void look_for_files(ecg_seen *d, ecg_seen_records *r, ecg_source *src, const list_text *list, const char *column, const char *high)
{
    ecg_text text = {0};
    ecg_csv *t = NULL;
    ecg_contract c;
    bool more;
    double seconds = 0;
    ecg_contract_default(&c);
    sample_rows(&text, list, LOOKED_FOR);
    if (text.failed || ecg_csv_open_bytes(&t, text.at, text.len, "list", NULL))
        goto done;
    const int path = ecg_csv_find(t, column), path_high = high ? ecg_csv_find(t, high) : -1;
    while (path >= 0 && !ecg_seen_late(d) && !ecg_csv_next(t, &more, NULL) && more) {
        char name[256], name_high[256];
        const ecg_field f = ecg_csv_field(t, path);
        snprintf(name, sizeof name, "%.*s", (int)f.len, f.len ? f.at : "");
        r->asked++;
        const bool here = has_recording(src, name);
        r->present += here;
        if (!here && !r->first_absent[0])
            snprintf(r->first_absent, sizeof r->first_absent, "%s", name);
        if (path_high >= 0) {
            const ecg_field h = ecg_csv_field(t, path_high);
            snprintf(name_high, sizeof name_high, "%.*s", (int)h.len, h.len ? h.at : "");
            r->asked_high++;
            r->present_high += has_recording(src, name_high);
        }
        if (here && r->tried < READ && r->asked >= r->tried * (LOOKED_FOR / READ)) {
            const double from = ecg_seen_clock();
            r->broken += !try_recording(&c, src, name, r->first_broken);
            seconds += ecg_seen_clock() - from;
            r->tried++;
        }
    }
    if (r->tried && seconds > 0)
        r->per_second = r->tried / seconds;
done:
    ecg_csv_close(t);
    ecg_text_clear(&text);
    ecg_contract_clear(&c);
}

/* ---- stays -------------------------------------------------------------------------------------------------------------------------------------- */

typedef struct {
    int64_t subject, in, out;
} stay;

static int by_subject(const void *x, const void *y)
{
    const stay *a = x, *b = y;
    return a->subject < b->subject ? -1 : a->subject > b->subject;
}

/* ED stays; where there is no such table, admissions that came through the ED. NULL: neither. */
static stay *read_stays(int64_t *n, ecg_seen *d)
{
    const ecg_seen_table *ed = ecg_seen_table_of(d, ECG_SEEN_ED, "edstays.csv"), *hosp = ecg_seen_table_of(d, ECG_SEEN_HOSP, "admissions.csv");
    const char *need[] = {"subject_id", ed ? "intime" : "edregtime", ed ? "outtime" : "edouttime"};
    const ecg_seen_table *from = ed ? ed : hosp;
    int at[3];
    int64_t room = 0;
    bool more;
    ecg_csv *t = NULL;
    stay *s = NULL;
    *n = 0;
    if (!from || from->problem[0] || ecg_csv_open(&t, from->path, NULL))
        return NULL;
    if (ecg_csv_need(t, at, need, 3, NULL)) {
        ecg_csv_close(t);
        return NULL;
    }
    while (!ecg_seen_late(d) && !ecg_csv_next(t, &more, NULL) && more) {
        stay x;
        if (ecg_csv_i64(t, at[0], &x.subject, NULL) || ecg_csv_time(t, at[1], &x.in, NULL) || ecg_csv_time(t, at[2], &x.out, NULL) || x.in == INT64_MIN)
            continue;
        if (*n == room) {
            stay *grown = realloc(s, (size_t)(room = room ? 2 * room : 4096) * sizeof *s);
            if (!grown)
                break;
            s = grown;
        }
        s[(*n)++] = x;
    }
    ecg_csv_close(t);
    if (*n)
        qsort(s, (size_t)*n, sizeof *s, by_subject);
    return s;
}

static bool in_a_stay(const stay *s, int64_t n, int64_t subject, int64_t time)
{
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (s[middle].subject < subject)
            low = middle + 1;
        else
            high = middle;
    }
    bool own = false, early = false;
    for (; low < n && s[low].subject == subject; low++) {
        own |= s[low].in < time && time < s[low].out;
        early |= s[low].in <= time && time - s[low].in <= WINDOW;
    }
    return own && early;
}

static void link_rows(ecg_seen_records *r, const list_text *list, const stay *s, int64_t n)
{
    static const char *const need[] = {"subject_id", "ecg_time"};
    int at[2];
    bool more;
    ecg_text text = {0};
    ecg_csv *t = NULL;
    const bool all = list->whole && list->len < ((size_t)8 << 20);
    if (!all)
        sample_rows(&text, list, LINKED);
    if (!text.failed && !ecg_csv_open_bytes(&t, all ? list->at : text.at, all ? list->len : text.len, "list", NULL) && !ecg_csv_need(t, at, need, 2, NULL))
        while (!ecg_csv_next(t, &more, NULL) && more) {
            int64_t subject, time;
            if (ecg_csv_i64(t, at[0], &subject, NULL) || ecg_csv_time(t, at[1], &time, NULL))
                continue;
            r->link_asked++;
            r->linked += in_a_stay(s, n, subject, time);
        }
    if (all) {
        r->listed = r->link_asked;
        r->listed_exact = true;
    }
    ecg_csv_close(t);
    ecg_text_clear(&text);
}

/* ---- both data sets ----------------------------------------------------------------------------------------------------------------------------- */

/* The recordings of a module: its folder or its archive, entered so that listed paths fit; list: what record_list.csv holds. */
static bool open_archive(ecg_seen *d, ecg_source *src, list_text *list, const char *path)
{
    char prefix[512];
    ecg_err err = {0};
    ecg_bytes bytes;
    ecg_status st = ecg_source_zip(src, path, &err);
    if (st) {
        ecg_seen_problem(d, "%s: %s", path, err.msg);
        return false;
    }
    if (!(st = ecg_zip_find(prefix, sizeof prefix, src, "record_list.csv", &err)) && !(st = ecg_zip_enter(src, prefix, &err)))
        st = ecg_source_open(src, "record_list.csv", &bytes, &err);
    if (!st && !list_take(list, bytes))
        st = ecg_fail(&err, ECG_EDATA, "record_list.csv has no rows");
    if (st) {
        ecg_seen_problem(d, "%s: %s", path, err.msg);
        ecg_source_close(src);
    }
    return !st;
}

static void look_at_mimic(ecg_seen *d, const ecg_seen_module *m)
{
    ecg_seen_records *r = &d->mimic;
    ecg_source src = {0};
    ecg_bytes bytes;
    list_text list = {0};
    const ecg_seen_table *t = ecg_seen_table_of(d, ECG_SEEN_ECG, "record_list.csv");
    if (m->archive ? !open_archive(d, &src, &list, m->folder)
                   : !t || t->problem[0] || ecg_source_folder(&src, m->folder, NULL) || ecg_file_map(&bytes, t->path, NULL) || !list_take(&list, bytes)) {
        ecg_source_close(&src);
        return;
    }
    r->of = m;
    r->listed = t ? t->rows : -1;
    r->listed_exact = t && t->exact;
    if (m->archive) {
        r->listed = 0;
        for (const char *at = list.at + list.body; (at = memchr(at, '\n', (size_t)(list.at + list.len - at))); at++)
            r->listed++;
        r->listed_exact = list.whole;
    }
    look_for_files(d, r, &src, &list, "path", NULL);
    int64_t n;
    stay *s = read_stays(&n, d);
    if (s)
        link_rows(r, &list, s, n);
    free(s);
    list_clear(&list);
    ecg_source_close(&src);
}

/* The published codes list the recordings, too: enough for a cohort of tables alone. */
static void look_at_codes(ecg_seen *d)
{
    const ecg_seen_table *t = ecg_seen_table_of(d, ECG_SEEN_ICD, "records_w_diag_icd10.csv");
    ecg_bytes bytes;
    list_text list = {0};
    int64_t n;
    if (!t || t->problem[0] || ecg_file_map(&bytes, t->path, NULL) || !list_take(&list, bytes))
        return;
    d->mimic.listed = t->rows;
    d->mimic.listed_exact = t->exact;
    stay *s = read_stays(&n, d);
    if (s)
        link_rows(&d->mimic, &list, s, n);
    free(s);
    list_clear(&list);
}

static void look_at_ptbxl(ecg_seen *d, const ecg_seen_module *m)
{
    ecg_source src = {0};
    ecg_bytes bytes;
    list_text list = {0};
    const ecg_seen_table *t = ecg_seen_table_of(d, ECG_SEEN_PTBXL, "ptbxl_database.csv");
    if (!t || t->problem[0] || ecg_source_folder(&src, m->folder, NULL) || ecg_file_map(&bytes, t->path, NULL) || !list_take(&list, bytes))
        return;
    d->ptbxl.of = m;
    d->ptbxl.listed = t->rows;
    d->ptbxl.listed_exact = t->exact;
    look_for_files(d, &d->ptbxl, &src, &list, "filename_lr", "filename_hr");
    list_clear(&list);
    ecg_source_close(&src);
}

void ecg_seen_recordings(ecg_seen *d)
{
    const ecg_seen_module *ecg = ecg_seen_module_of(d, ECG_SEEN_ECG), *ptbxl = ecg_seen_module_of(d, ECG_SEEN_PTBXL);
    int64_t n;
    d->mimic.stays = d->mimic.listed = -1;
    ecg_progress(d->watch, "looking at recordings", 0, 1, NULL);
    if (ecg)
        look_at_mimic(d, ecg);
    if (ptbxl)
        look_at_ptbxl(d, ptbxl);
    if (!d->mimic.of)
        look_at_codes(d);
    if (d->mimic.listed < 0) { /* without recordings the stays are the rows */
        stay *s = read_stays(&n, d);
        if (s)
            d->mimic.stays = n;
        free(s);
    }
    const ecg_seen_records *both[] = {&d->mimic, &d->ptbxl};
    for (int i = 0; i < 2; i++)
        if (both[i]->broken)
            ecg_seen_problem(d, "%d of %d recordings that were tried cannot be used: %s", both[i]->broken, both[i]->tried, both[i]->first_broken);
}
