/* SPDX-License-Identifier: MIT
 * doctor_tables.c: the beginning of every table: can it be opened, are its columns there, how long are its rows and so how many, was it cut;
 * and what its columns, its folder's name and the files beside it say of the release. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/gzip.h"
#include "cohort/doctor_parts.h"

enum { BLOCK = 256 << 10, ROOM = 1 << 20 };
static const double most_text = 64e6, most_seconds = 0.7; /* of one table */

/* ---- length and rows ----------------------------------------------------------------------------------------------------------------- */

typedef struct {
    int fd;
    bool gzip, ended;
    double in, out, seconds;   /* bytes read and expanded */
    int64_t lines;
    uint8_t last;              /* byte of the text */
    const char *why;           /* what is wrong with the stream */
    bool cut;                  /* the file ends inside it */
} beginning;

static void count_lines(beginning *b, const uint8_t *text, size_t len)
{
    for (const uint8_t *at = text; (at = memchr(at, '\n', (size_t)(text + len - at))); at++)
        b->lines++;
    b->out += (double)len;
    if (len)
        b->last = text[len - 1];
}

static void read_beginning(beginning *b, uint8_t *block, uint8_t *room)
{
    ecg_gunzip *g = NULL;
    const double from = ecg_seen_clock();
    ssize_t got = 0;
    while (!b->why && b->out < most_text && ecg_seen_clock() - from < most_seconds && (got = read(b->fd, block, BLOCK)) > 0) {
        const uint8_t *in = block;
        size_t left = (size_t)got;
        if (b->in == 0)
            b->gzip = ecg_is_gzip(block, left) && (g = ecg_gunzip_new()) != NULL;
        b->in += (double)got;
        if (!g) {
            count_lines(b, block, left);
            continue;
        }
        size_t len;
        do
            count_lines(b, room, len = ecg_gunzip_step(g, &in, &left, room, ROOM, &b->why));
        while (!b->why && (left || len == ROOM));
    }
    b->ended = !b->why && got == 0 && b->in > 0;
    if (g && b->ended) {
        const uint8_t *in = block;
        size_t none = 0, len;
        do
            count_lines(b, room, len = ecg_gunzip_step(g, &in, &none, room, ROOM, &b->why));
        while (!b->why && len);
        b->cut = !b->why && !ecg_gunzip_complete(g);
    }
    ecg_gunzip_free(g);
    b->seconds = ecg_seen_clock() - from;
}

/* The trailer of a gzip file says how long the last of its streams is once expanded, modulo 2^32. A cut file ends in any four bytes: mostly in more than it can
 * hold. Below 2 GB this tells; above, a length says nothing. */
static bool trailer_fits(const beginning *b, int64_t bytes, double text)
{
    uint8_t end[4];
    if (text > 2e9 || pread(b->fd, end, 4, bytes - 4) != 4)
        return true;
    const uint32_t length = end[0] | (uint32_t)end[1] << 8 | (uint32_t)end[2] << 16 | (uint32_t)end[3] << 24;
    return length <= 2 * text;
}

/* Three digits: an estimate is not a count. */
static int64_t round_rows(double rows)
{
    double unit = 1;
    while (rows / unit >= 1000)
        unit *= 10;
    return (int64_t)(rows / unit + 0.5) * (int64_t)unit;
}

/* A plain table that stops inside a row: no line end, and fewer fields than the header. */
static bool ends_inside(int fd, int64_t bytes, int columns)
{
    char tail[8193];
    const int64_t from = bytes > 8192 ? bytes - 8192 : 0;
    const ssize_t len = pread(fd, tail, sizeof tail - 1, from);
    if (len <= 0 || tail[len - 1] == '\n')
        return false;
    tail[len] = 0;
    const char *row = strrchr(tail, '\n');
    int fields = 1, quotes = 0;
    if (!row)
        return false;
    for (row++; *row; row++) {
        quotes += *row == '"';
        fields += *row == ',' && quotes % 2 == 0;
    }
    return fields < columns || quotes % 2;
}

static void measure(ecg_seen_table *t, int columns, uint8_t *block, uint8_t *room)
{
    beginning b = {.fd = open(t->path, O_RDONLY | O_CLOEXEC)};
    if (b.fd < 0)
        return;
    read_beginning(&b, block, room);
    t->exact = b.ended;
    t->text = !b.ended && b.in > 0 ? b.out * (double)t->bytes / b.in : b.out;
    if (b.lines > 0)
        t->rows = b.ended ? b.lines - (b.last == '\n') : round_rows((double)b.lines * t->text / b.out);
    if (b.why)
        snprintf(t->problem, sizeof t->problem, "damaged near byte %.0f: %s", b.in, b.why);
    else if (b.cut)
        snprintf(t->problem, sizeof t->problem, "cut: the gzip stream ends before its time, after %" PRId64 " rows", b.lines - 1);
    else if (b.gzip && !b.ended && !trailer_fits(&b, t->bytes, t->text))
        snprintf(t->problem, sizeof t->problem, "cut: its last bytes are not those of a gzip file");
    else if (!b.gzip && ends_inside(b.fd, t->bytes, columns))
        snprintf(t->problem, sizeof t->problem, "cut: it ends inside a row");
    else if (b.ended && t->rows == 0)
        snprintf(t->problem, sizeof t->problem, "a header and no row");
    close(b.fd);
}

/* ---- columns ---------------------------------------------------------------------------------------------------------------------------- */

static const char *nearest_column(const ecg_csv *t, const char *name)
{
    const int n = ecg_csv_columns(t);
    const char **names = malloc((size_t)n * sizeof *names);
    for (int i = 0; names && i < n; i++)
        names[i] = ecg_csv_name(t, i);
    const char *near = names ? ecg_nearest(name, names, n) : NULL;
    free(names);
    return near;
}

/* Number of columns; 0: there is a problem. */
static int check_columns(ecg_seen_table *t)
{
    ecg_err err = {0};
    ecg_csv *csv;
    if (ecg_csv_open(&csv, t->path, &err)) {
        snprintf(t->problem, sizeof t->problem, "%s", err.msg);
        return 0;
    }
    for (const char *at = t->spec->columns; *at; at += strcspn(at, ",") + 1) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, ","), at);
        if (ecg_csv_find(csv, name) >= 0)
            continue;
        const char *near = nearest_column(csv, name);
        snprintf(t->problem, sizeof t->problem, "no column %s%s%.80s%s", name, near ? " (there is " : "", near ? near : "", near ? ")" : "");
        break;
    }
    const int n = t->problem[0] ? 0 : ecg_csv_columns(csv);
    ecg_csv_close(csv);
    return n;
}

/* How fast rows come out of a table here, expanding included. */
static double measure_rows(const ecg_seen_table *t)
{
    ecg_csv *csv;
    bool more = true;
    int64_t rows = 0;
    if (ecg_csv_open(&csv, t->path, NULL))
        return 0;
    const double from = ecg_seen_clock();
    while ((rows % 4096 || ecg_seen_clock() - from < 0.5) && !ecg_csv_next(csv, &more, NULL) && more)
        rows++;
    const double seconds = ecg_seen_clock() - from;
    ecg_csv_close(csv);
    return rows > 1000 && t->rows > 0 && seconds > 0 ? (double)rows * t->text / (double)t->rows / seconds : 0;
}

/* A release is known by its number of patients; a demo or a part has fewer, and is nothing to compare with. */
static bool is_whole(const ecg_seen *d, ecg_seen_kind kind)
{
    static const char *const first[] = {[ECG_SEEN_HOSP] = "patients.csv", [ECG_SEEN_ED] = "edstays.csv", [ECG_SEEN_ECG] = "record_list.csv"};
    const ecg_seen_table *t = kind <= ECG_SEEN_ED && first[kind] ? ecg_seen_table_of(d, kind, first[kind]) : NULL;
    return t && (double)t->rows > 0.9 * (double)t->spec->rows;
}

void ecg_seen_tables(ecg_seen *d)
{
    uint8_t *block = malloc(BLOCK), *room = malloc(ROOM);
    const ecg_seen_table *largest = NULL;
    for (int m = 0; m < d->modules; m++)
        for (int i = 0; i < d->module[m].tables; i++) {
            ecg_seen_table *t = &d->module[m].table[i];
            if (!t->path[0] || t->problem[0] || !block || !room)
                continue;
            if (ecg_seen_late(d)) {
                ecg_seen_note(d, "%s was not looked at: no time left", t->path);
                continue;
            }
            ecg_progress(d->watch, "looking at tables", m, d->modules, t->spec->name);
            const int columns = t->bytes ? check_columns(t) : 0;
            if (!t->bytes)
                snprintf(t->problem, sizeof t->problem, "empty");
            if (columns)
                measure(t, columns, block, room);
            if (columns && !t->problem[0] && (!largest || t->text > largest->text))
                largest = t;
        }
    free(block);
    free(room);
    if (largest)
        d->table_rate = measure_rows(largest);
    for (int m = 0; m < d->modules; m++)
        for (int i = 0; i < d->module[m].tables; i++) {
            const ecg_seen_table *t = &d->module[m].table[i];
            if (t->problem[0])
                ecg_seen_problem(d, "%s: %s", t->path, t->problem);
            else if (t->rows >= 0 && t->spec->rows && is_whole(d, d->module[m].kind) && (double)t->rows < 0.6 * (double)t->spec->rows)
                ecg_seen_note(d, "%s: about %" PRId64 " rows, the release has about %" PRId64, t->path, t->rows, t->spec->rows);
        }
}

/* ---- version ---------------------------------------------------------------------------------------------------------------------------- */

/* "2.2", "1.0.1": two or three numbers with dots. Length, 0: none here. */
static size_t version_length(const char *at)
{
    size_t len = 0;
    for (int part = 0; part < 3; part++) {
        const size_t digits = strspn(at + len + (part > 0), "0123456789");
        if (part > 0 && (at[len] != '.' || !digits || digits > 2))
            return part > 1 ? len : 0;
        if (!digits || digits > 2)
            return 0;
        len += digits + (part > 0);
    }
    return len;
}

/* The version that a folder's name ends in: "2.2", "mimic-iv-3.1". */
static bool version_of_name(char out[16], const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const size_t n = version_length(name + i);
        if (n && i + n == len && n < 16 && (!i || strchr("-_v ", name[i - 1]))) {
            snprintf(out, 16, "%.*s", (int)n, name + i);
            return true;
        }
    }
    return false;
}

/* The folder itself and up to three above it. */
static bool version_of_path(char out[16], const char *folder)
{
    char *full = realpath(folder, NULL);
    bool found = false;
    size_t end = full ? strlen(full) : 0;
    for (int up = 0; up < 4 && end && !found; up++) {
        size_t from = end;
        while (from && full[from - 1] != '/')
            from--;
        found = version_of_name(out, full + from, end - from);
        end = from ? from - 1 : 0;
    }
    free(full);
    return found;
}

/* "... clinical database demo 2.2 (75 of ...", "## MIMIC-IV v3.1": a version on a line that names the data set; licences have versions, too. */
static bool version_of_line(char out[16], const char *line, const char *name)
{
    if (!strcasestr(line, name) || strcasestr(line, "licen") || strcasestr(line, "doi"))
        return false;
    for (const char *at = line + 1; *at; at++) {
        const size_t n = version_length(at);
        if (n && n < 16 && strchr(" v-", at[-1]) && !isalnum((unsigned char)at[n]) && !(at[n] == '.' && isalnum((unsigned char)at[n + 1]))) {
            snprintf(out, 16, "%.*s", (int)n, at);
            return true;
        }
    }
    return false;
}

static bool version_of_text(char out[16], const char *path, const char *name)
{
    char text[4097], *rest = text, *line;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[len > 0 ? len : 0] = 0;
    while ((line = strsep(&rest, "\n")))
        if (version_of_line(out, line, name))
            return true;
    return false;
}

static bool has_column(const ecg_seen_module *m, const char *table, const char *column)
{
    ecg_csv *t;
    for (int i = 0; i < m->tables; i++) {
        if (strcmp(m->table[i].spec->name, table) || !m->table[i].path[0] || ecg_csv_open(&t, m->table[i].path, NULL))
            continue;
        const bool has = ecg_csv_find(t, column) >= 0;
        ecg_csv_close(t);
        return has;
    }
    return false;
}

/* Last year of anchor_year_group ("2017 - 2019") among the first patients; they are in order of an id that says nothing. */
static int last_year(const ecg_seen_module *m)
{
    ecg_csv *t;
    int last = 0;
    for (int i = 0; i < m->tables; i++) {
        if (strcmp(m->table[i].spec->name, "patients.csv") || !m->table[i].path[0] || ecg_csv_open(&t, m->table[i].path, NULL))
            continue;
        const int column = ecg_csv_find(t, "anchor_year_group");
        bool more = column >= 0;
        for (int row = 0; row < 20000 && more && !ecg_csv_next(t, &more, NULL) && more; row++) {
            const ecg_field f = ecg_csv_field(t, column);
            int64_t year;
            if (f.len >= 4 && ecg_parse_i64(&year, f.at + f.len - 4, 4) && year > last && year < 2200)
                last = (int)year;
        }
        ecg_csv_close(t);
    }
    return last;
}

/* What the tables themselves say: "" where nothing. */
static void version_of_columns(char out[120], const ecg_seen_module *m)
{
    out[0] = 0;
    if (m->kind == ECG_SEEN_HOSP) {
        const int year = last_year(m);
        const bool providers = has_column(m, "labevents.csv", "order_provider_id") || has_column(m, "admissions.csv", "admit_provider_id");
        if (year > 2019)
            snprintf(out, 120, "3.x by its patients, up to %d", year);
        else if (year)
            snprintf(out, 120, "%s by its columns, patients up to %d", providers ? "2.2" : "2.x before 2.2", year);
    } else if (m->kind == ECG_SEEN_ED && has_column(m, "edstays.csv", "race")) {
        snprintf(out, 120, "2.x by its columns");
    }
}

void ecg_seen_version(ecg_seen *d, ecg_seen_module *m)
{
    static const char *const texts[] = {"CHANGELOG.txt", "CHANGELOG.md", "README.md", "README.txt", "README"};
    char named[16] = "", columns[120], folder[512];
    const char *by = "its folder's name";
    snprintf(folder, sizeof folder, "%s", m->folder);
    const char *slash = ecg_is_folder(folder) ? NULL : strrchr(folder, '/');
    const char *file = slash ? slash + 1 : folder;
    if (m->kind == ECG_SEEN_WFDB)
        return;
    if (!ecg_is_folder(folder)) { /* "mimic-iv-ecg-...-1.0.zip" */
        const char *dot = strrchr(file, '.');
        if (m->archive && dot && version_of_name(named, file, (size_t)(dot - file)))
            by = "the archive's name";
        folder[slash ? slash - folder : 0] = 0;
        if (!folder[0])
            snprintf(folder, sizeof folder, "%s", slash ? "/" : ".");
    }
    if (!named[0])
        version_of_path(named, folder);
    for (int up = 0; up < 2 && !named[0]; up++)
        for (size_t i = 0; i < sizeof texts / sizeof *texts && !named[0]; i++) {
            char path[600];
            snprintf(path, sizeof path, "%s/%s%s", folder, up ? "../" : "", texts[i]);
            if (version_of_text(named, path, m->kind == ECG_SEEN_PTBXL ? "ptb-xl" : "mimic-iv"))
                by = texts[i];
        }
    version_of_columns(columns, m);
    if (d->synthetic)
        snprintf(m->version, sizeof m->version, "synthetic");
    else if (named[0])
        snprintf(m->version, sizeof m->version, "%s (by %s%s%s)", named, by, columns[0] ? "; " : "", columns);
    else
        snprintf(m->version, sizeof m->version, "%s", columns);
    if (named[0] && m->kind == ECG_SEEN_HOSP && !d->synthetic && ((named[0] == '2' && !strncmp(columns, "3.x", 3))))
        ecg_seen_problem(d, "%s is called %s, but has patients of a later release (%s)", m->folder, named, columns);
}
