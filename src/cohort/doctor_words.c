/* SPDX-License-Identifier: MIT
 * doctor_words.c: the findings as text for a person and as JSON. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cohort/doctor_parts.h"

static const char *const where_from[ECG_SEEN_KINDS] = {
    [ECG_SEEN_ECG] = "PhysioNet, open: MIMIC-IV-ECG: Diagnostic Electrocardiogram Matched Subset",
    [ECG_SEEN_HOSP] = "PhysioNet, credentialed: MIMIC-IV, module hosp",
    [ECG_SEEN_ICU] = "PhysioNet, credentialed: MIMIC-IV, module icu",
    [ECG_SEEN_ED] = "PhysioNet, credentialed: MIMIC-IV-ED",
};
static const char *const lost_without[ECG_SEEN_KINDS] = {
    [ECG_SEEN_ECG] = "no waveforms: a cohort of tables alone",
    [ECG_SEEN_HOSP] = "no age, diagnoses of admissions, laboratory values",
    [ECG_SEEN_ICU] = "no labels of intensive care",
    [ECG_SEEN_ED] = "no vital signs, acuity, ED diagnoses; only patients who were admitted",
};

/* Of a MIMIC-like cohort; the tables that are published ready-made are no must. */
static bool is_missing(const ecg_seen *d, int kind)
{
    bool hospital = false;
    for (int m = 0; m < d->modules; m++)
        hospital |= d->module[m].kind <= ECG_SEEN_ICD;
    return hospital && where_from[kind] && !ecg_seen_module_of(d, (ecg_seen_kind)kind) && !(kind != ECG_SEEN_ECG && ecg_seen_module_of(d, ECG_SEEN_MDSED));
}

/* ---- text ------------------------------------------------------------------------------------------------------------------------------------- */

static void say_size(char out[32], double bytes)
{
    if (bytes >= 1e9)
        snprintf(out, 32, "%.1f GB", bytes / 1e9);
    else
        snprintf(out, 32, bytes < 1e5 ? "%.3f MB" : "%.1f MB", bytes / 1e6);
}

static void say_time(char out[32], double seconds)
{
    if (seconds < 10)
        snprintf(out, 32, "%.0f s", seconds < 1 ? 1 : seconds);
    else if (seconds < 100)
        snprintf(out, 32, "%.0f s", 5 * (double)(int)(seconds / 5 + 0.5));
    else if (seconds < 5400)
        snprintf(out, 32, "%.0f min", seconds / 60);
    else
        snprintf(out, 32, "%.1f h", seconds / 3600);
}

static void say_lines(ecg_text *out, const char *before, const ecg_text *lines)
{
    for (const char *at = lines->len ? lines->at : ""; *at; at += strcspn(at, "\n") + 1)
        ecg_text_printf(out, "%s%.*s\n", before, (int)strcspn(at, "\n"), at);
}

static void say_module(ecg_text *out, const ecg_seen_module *m)
{
    char size[32];
    ecg_text_printf(out, "  %s   %s   %s\n", ecg_seen_names[m->kind], m->folder, m->version[0] ? m->version : m->kind == ECG_SEEN_WFDB ? "" : "version not said");
    for (int i = 0; i < m->tables; i++) {
        const ecg_seen_table *t = &m->table[i];
        say_size(size, (double)t->bytes);
        if (!t->path[0])
            ecg_text_printf(out, "    %-8s %-26s %s\n", t->spec->must ? "missing" : "-", t->spec->name, t->spec->use);
        else if (t->problem[0])
            ecg_text_printf(out, "    %-8s %-26s %s\n", "!!", t->spec->name, t->problem);
        else if (t->rows < 0)
            ecg_text_printf(out, "    %-8s %-26s %s, rows not counted\n", "ok", t->spec->name, size);
        else
            ecg_text_printf(out, "    %-8s %-26s %s%" PRId64 " rows, %s\n", "ok", t->spec->name, t->exact ? "" : "about ", t->rows, size);
    }
    if (m->kind == ECG_SEEN_WFDB)
        ecg_text_printf(out, "    %-8s %s%" PRId64 " recordings (.hea)\n", "ok", m->headers >= 2000 ? "at least " : "", m->headers);
    if (m->archive)
        ecg_text_printf(out, "    %-8s the released archive, read as it is\n", "ok");
}

static void say_recordings(ecg_text *out, const ecg_seen_records *r)
{
    if (!r->asked)
        return;
    ecg_text_printf(out, "  %-8s %d of %d looked for are there, of %s%" PRId64 " listed%s%s\n", r->present == r->asked ? "ok" : "missing", r->present, r->asked,
                    r->listed_exact ? "" : "about ", r->listed, r->first_absent[0] ? "; not there: " : "", r->first_absent);
    if (r->asked_high)
        ecg_text_printf(out, "  %-8s %d of %d at 500 Hz\n", r->present_high ? "ok" : "-", r->present_high, r->asked_high);
    if (r->tried)
        ecg_text_printf(out, "  %-8s %d of %d read and resampled; %.0f a second on one thread\n", r->broken ? "!!" : "ok", r->tried - r->broken, r->tried, r->per_second);
    if (r->link_asked)
        ecg_text_printf(out, "  %-8s %d of %d belong to an ED stay and its first 90 minutes (%.1f %%)\n", r->linked ? "ok" : "!!", r->linked, r->link_asked,
                        100.0 * r->linked / r->link_asked);
}

static void say_plan(ecg_text *out, const ecg_seen *d, const ecg_seen_plan *p)
{
    char size[32], time[32], free_size[32], memory[32], have[32];
    say_size(size, p->bytes);
    say_time(time, p->seconds);
    say_size(free_size, d->disk_free);
    say_size(memory, p->memory);
    say_size(have, d->memory);
    ecg_text_printf(out, "  %s\n", p->what);
    if (!p->possible) {
        ecg_text_printf(out, "    %-8s %s\n", "missing", p->why_not);
        return;
    }
    ecg_text_printf(out, "    %s\n", p->command.at);
    if (p->rows >= 0)
        ecg_text_printf(out, "    %s %" PRId64 " rows; file %s (disk has %s); time %s on %d thread%s; memory %s (of %s)\n", p->rows_exact ? "at most" : "about",
                        p->rows, size, free_size, time, d->threads, d->threads == 1 ? "" : "s", memory, have);
    say_lines(out, "    ", &p->lines);
}

ecg_status ecg_seen_text(ecg_text *out, const ecg_seen *d, bool complete, ecg_err *err)
{
    if (d->synthetic)
        ecg_text_printf(out, "%s\n\n", d->synthetic_note);
    ecg_text_puts(out, "What is there\n");
    for (int m = 0; m < d->modules; m++)
        say_module(out, &d->module[m]);
    if (!d->modules)
        ecg_text_puts(out, "  no data set that this program knows\n");
    say_lines(out, "  note     ", &d->notes);
    if (d->mimic.asked || d->ptbxl.asked || d->mimic.link_asked) {
        ecg_text_puts(out, "\nRecordings (a sample spread over the list)\n");
        say_recordings(out, &d->mimic);
        say_recordings(out, &d->ptbxl);
    }
    bool head = false;
    for (int k = 0; k < ECG_SEEN_KINDS; k++)
        if (is_missing(d, k)) {
            ecg_text_printf(out, "%s  missing  %-14s %s\n", head ? "" : "\nWhat is missing\n", ecg_seen_names[k], lost_without[k]);
            if (!d->synthetic)
                ecg_text_printf(out, "           from %s\n", where_from[k]);
            head = true;
        }
    ecg_text_puts(out, "\nWhat can be built\n");
    for (int i = 0; i < d->plans; i++)
        say_plan(out, d, &d->plan[i]);
    if (!d->plans)
        ecg_text_puts(out, "  nothing. Cohorts are built from MIMIC-IV-ECG with MIMIC-IV and MIMIC-IV-ED, from mds_ed.csv, from PTB-XL, or from\n"
                           "  a folder of recordings with a table; `ecgraft synth DIR` makes a hospital to try on.\n");
    if (d->problem_count) {
        ecg_text_puts(out, "\nProblems\n");
        say_lines(out, "  !!       ", &d->problems);
    }
    ecg_text_printf(out, "\n%s; %.1f s. %s\n", complete ? "ready to build" : d->problem_count ? "not ready: see the problems" : "not ready: something is missing",
                    ecg_seen_clock() - d->begun, ECG_STATEMENT);
    return out->failed ? ecg_fail(err, ECG_ENOMEM, "no memory for the findings") : ECG_OK;
}

/* ---- JSON --------------------------------------------------------------------------------------------------------------------------------------- */

static json_t *json_text(const char *s)
{
    json_t *j = json_string(s);
    char *copy = j ? NULL : strdup(s);
    for (char *at = copy; at && *at; at++)
        if ((unsigned char)*at >= 128)
            *at = '?';
    if (copy)
        j = json_string(copy);
    free(copy);
    return j;
}

static json_t *json_lines(const ecg_text *lines)
{
    json_t *list = json_array();
    for (const char *at = lines->len ? lines->at : ""; *at; at += strcspn(at, "\n") + 1) {
        char one[1300];
        snprintf(one, sizeof one, "%.*s", (int)strcspn(at, "\n"), at);
        json_array_append_new(list, json_text(one));
    }
    return list;
}

static json_t *module_json(const ecg_seen_module *m)
{
    json_t *tables = json_array();
    for (int i = 0; i < m->tables; i++) {
        const ecg_seen_table *t = &m->table[i];
        json_t *one = json_pack("{s:s, s:s}", "name", t->spec->name, "state", t->path[0] ? t->problem[0] ? "problem" : "ok" : t->spec->must ? "missing" : "absent");
        if (t->path[0]) {
            json_object_set_new(one, "path", json_text(t->path));
            json_object_set_new(one, "bytes", json_integer(t->bytes));
        }
        if (t->problem[0])
            json_object_set_new(one, "problem", json_text(t->problem));
        if (t->rows >= 0) {
            json_object_set_new(one, "rows", json_integer(t->rows));
            json_object_set_new(one, "rows_exact", json_boolean(t->exact));
        }
        json_array_append_new(tables, one);
    }
    json_t *j = json_pack("{s:s, s:o, s:o, s:b, s:o}", "name", ecg_seen_names[m->kind], "place", json_text(m->folder), "version",
                          m->version[0] ? json_text(m->version) : json_null(), "archive", (int)m->archive, "tables", tables);
    if (m->kind == ECG_SEEN_WFDB)
        json_object_set_new(j, "recordings", json_integer(m->headers));
    return j;
}

static json_t *recordings_json(const char *of, const ecg_seen_records *r)
{
    json_t *j = json_pack("{s:s, s:I, s:b, s:i, s:i, s:i, s:i}", "of", of, "listed", (json_int_t)r->listed, "listed_exact", (int)r->listed_exact, "looked_for", r->asked,
                          "present", r->present, "read", r->tried, "unreadable", r->broken);
    if (r->per_second > 0)
        json_object_set_new(j, "per_second", json_real(r->per_second));
    if (r->asked_high)
        json_object_set_new(j, "present_500hz", json_integer(r->present_high));
    if (r->link_asked)
        json_object_set_new(j, "in_first_90_minutes", json_real((double)r->linked / r->link_asked));
    return j;
}

static json_t *plan_json(const ecg_seen_plan *p)
{
    json_t *j = json_pack("{s:s, s:b}", "what", p->what, "possible", (int)p->possible);
    if (!p->possible) {
        json_object_set_new(j, "why_not", json_text(p->why_not));
        return j;
    }
    json_object_set_new(j, "command", json_text(p->command.at));
    if (p->rows >= 0)
        json_object_set_new(j, "rows", json_integer(p->rows));
    json_object_set_new(j, "bytes", json_integer((json_int_t)p->bytes));
    json_object_set_new(j, "seconds", json_real(p->seconds));
    json_object_set_new(j, "memory_bytes", json_integer((json_int_t)p->memory));
    json_object_set_new(j, "made_of", json_lines(&p->lines));
    return j;
}

ecg_status ecg_seen_json(ecg_text *out, const ecg_seen *d, bool complete, ecg_err *err)
{
    json_t *modules = json_array(), *plans = json_array(), *missing = json_array(), *recordings = json_array();
    for (int m = 0; m < d->modules; m++)
        json_array_append_new(modules, module_json(&d->module[m]));
    for (int i = 0; i < d->plans; i++)
        json_array_append_new(plans, plan_json(&d->plan[i]));
    for (int k = 0; k < ECG_SEEN_KINDS; k++)
        if (is_missing(d, k))
            json_array_append_new(missing, json_pack("{s:s, s:s, s:s}", "name", ecg_seen_names[k], "without", lost_without[k], "from", where_from[k]));
    if (d->mimic.asked || d->mimic.link_asked)
        json_array_append_new(recordings, recordings_json("MIMIC-IV-ECG", &d->mimic));
    if (d->ptbxl.asked)
        json_array_append_new(recordings, recordings_json("PTB-XL", &d->ptbxl));
    json_t *root = json_pack("{s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:f, s:f, s:f}", "schema", "ecgraft.doctor/1", "statement", ECG_STATEMENT,
                             "complete", (int)complete, "synthetic", (int)d->synthetic, "modules", modules, "recordings", recordings, "missing", missing, "plans", plans,
                             "problems", json_lines(&d->problems), "notes", json_lines(&d->notes), "threads", d->threads, "disk_free_bytes", d->disk_free,
                             "memory_bytes", d->memory, "seconds", ecg_seen_clock() - d->begun);
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(root);
    if (text) {
        ecg_text_puts(out, text);
        ecg_text_puts(out, "\n");
    }
    const bool done = text && !out->failed;
    free(text);
    return done ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for the findings");
}
