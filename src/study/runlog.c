/* SPDX-License-Identifier: MIT
 * runlog.c: see runlog.h. */
#include "study/runlog.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"

/* ---- time and machine --------------------------------------------------------------------------------------------------- */

double ecg_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void ecg_utc_now(char out[32])
{
    const time_t t = time(NULL);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

void ecg_cpu_name(char out[128])
{
    char line[256];
    snprintf(out, 128, "unknown");
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon) {
            line[strcspn(line, "\n")] = 0;
            snprintf(out, 128, "%.127s", colon + (colon[1] ? 2 : 1));
            break;
        }
    }
    if (f)
        fclose(f);
}

/* ---- the folder --------------------------------------------------------------------------------------------------------- */

ecg_status ecg_run_path(char out[512], const ecg_run *r, const char *name, ecg_err *err)
{
    return ecg_join(out, 512, r->folder, name, err);
}

static bool ours(const char *name)
{
    static const char *const whole[] = {"config.yaml", "run.json", "metrics.jsonl", "last.safetensors", "model.safetensors", "evaluation.json"};
    static const char *const tables[] = {"predictions.", "labels.", "reliability.", "decision.", "subgroups.", "probe."};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (strncmp(name, whole[i], strlen(whole[i])) == 0 && (!name[strlen(whole[i])] || strncmp(name + strlen(whole[i]), ".tmp.", 5) == 0))
            return true;
    const char *dot = strrchr(name, '.');
    bool table = false;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        table |= strncmp(name, tables[i], strlen(tables[i])) == 0;
    return table && dot && strcmp(dot, ".csv") == 0;
}

/* Counts entries; removes what a killed process left half written (*.tmp.PID), or with force everything of ours. */
static ecg_status sweep(int *left, const char *folder, bool force, ecg_err *err)
{
    *left = 0;
    DIR *d = opendir(folder);
    if (!d)
        return ecg_fail_errno(err, folder, "cannot read folder");
    ecg_status st = ECG_OK;
    for (struct dirent *e; !st && (e = readdir(d));) {
        char path[512];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        const bool remnant = ours(e->d_name) && strstr(e->d_name, ".tmp.");
        if (!remnant && !(force && ours(e->d_name))) {
            ++*left;
            continue;
        }
        st = ecg_join(path, sizeof path, folder, e->d_name, err);
        if (!st && unlink(path) != 0)
            st = ecg_fail_errno(err, path, "cannot remove");
    }
    closedir(d);
    return st;
}

static ecg_status same_settings(const ecg_run *r, const ecg_config *now, ecg_err *err)
{
    char path[512], what[160];
    ecg_config was = *now;
    ecg_status st = ecg_run_path(path, r, "config.yaml", err);
    if (st || !ecg_is_file(path))
        return st;
    if ((st = ecg_config_load(&was, path, false, err)))
        return st;
    if (ecg_config_differs(what, sizeof what, &was, now))
        return ecg_fail_at(err, ECG_EARG, path, 0, 0, "the run cannot be continued with other settings: %s", what);
    return ECG_OK;
}

static ecg_status write_settings(const ecg_run *r, const ecg_config *c, ecg_err *err)
{
    char path[512], *text;
    ecg_status st = ecg_run_path(path, r, "config.yaml", err);
    if (st || (st = ecg_config_text(&text, c, err)))
        return st;
    st = ecg_file_write_whole(path, text, strlen(text), err);
    free(text);
    return st;
}

ecg_status ecg_run_inherit(ecg_config *c, bool *found, const char *path, ecg_err *err)
{
    char folder[512] = ".", name[512];
    const char *slash = strrchr(path, '/');
    *found = false;
    if (ecg_is_folder(path))
        snprintf(folder, sizeof folder, "%s", path);
    else if (slash)
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    ecg_status st = ecg_join(name, sizeof name, folder, "config.yaml", err);
    if (st || !ecg_is_file(name))
        return st;
    if (!(st = ecg_config_load(c, name, false, err)))
        *found = true;
    return st;
}

/* ---- run.json ----------------------------------------------------------------------------------------------------------- */

static json_t *describe(const ecg_run_facts *f)
{
    char cpu[128], absolute[4096], hash[65];
    struct utsname u = {0};
    uname(&u);
    ecg_cpu_name(cpu);
    snprintf(hash, sizeof hash, "%s", f->cohort->hash);
    json_t *j = json_object();
    json_object_set_new(j, "schema", json_string("ecgraft.run/1"));
    json_object_set_new(j, "statement", json_string(ECG_STATEMENT));
    json_object_set_new(j, "stage", ecg_json_text(f->stage));
    json_object_set_new(j, "synthetic", json_boolean(f->cohort->synthetic));
    json_object_set_new(j, "cohort", json_pack("{s:o, s:s, s:I}", "path", ecg_json_text(realpath(f->cohort->path, absolute) ? absolute : f->cohort->path),
                                               "hash", hash, "records", (json_int_t)f->cohort->n));
    if (f->from)
        json_object_set_new(j, "from", json_pack("{s:o, s:o}", "path", ecg_json_text(realpath(f->from, absolute) ? absolute : f->from), "hash",
                                                 ecg_json_text(f->from_hash)));
    json_object_set_new(j, "roles", ecg_json_text(f->roles));
    json_object_set_new(j, "preset", ecg_json_text(f->config->preset));
    json_object_set_new(j, "seed", json_integer((json_int_t)f->config->train.seed));
    json_object_set_new(j, "split_seed", json_integer((json_int_t)f->config->train.split_seed));
    json_object_set_new(j, "precision", json_string(f->config->train.precision ? "bf16" : "float32"));
    json_object_set_new(j, "version", json_string(ecg_version()));
    json_object_set_new(j, "machine", json_pack("{s:o, s:o, s:o, s:I, s:o}", "cpu", ecg_json_text(cpu), "system", ecg_json_text(u.sysname), "release",
                                                ecg_json_text(u.release), "processors", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "kernels",
                                                ecg_json_text(f->kernels)));
    json_object_set_new(j, "command", ecg_json_text(f->command));
    return j;
}

/* A session in progress; earlier ones of a resumed run stay. */
static ecg_status write_facts(const ecg_run *r, const ecg_run_facts *f, ecg_err *err)
{
    char path[512];
    json_t *old = NULL;
    ecg_status st = ecg_run_path(path, r, "run.json", err);
    if (st)
        return st;
    if (r->resumed && ecg_is_file(path) && (st = ecg_json_load(&old, path, err)))
        return st;
    json_t *j = describe(f);
    json_t *sessions = json_object_get(old, "sessions");
    sessions = json_is_array(sessions) ? json_incref(sessions) : json_array();
    json_array_append_new(sessions, json_pack("{s:s, s:i, s:s}", "started", r->started, "threads", f->threads, "end", "running"));
    json_object_set_new(j, "sessions", sessions);
    st = ecg_json_save(j, path, err);
    json_decref(j);
    json_decref(old);
    return st;
}

ecg_status ecg_run_open(ecg_run *r, const char *folder, bool resume, bool force, const ecg_run_facts *facts, ecg_err *err)
{
    *r = (ecg_run){.began = ecg_clock()};
    ecg_utc_now(r->started);
    if (strlen(folder) >= sizeof r->folder - 64)
        return ecg_fail(err, ECG_EARG, "the name of the run folder is too long");
    snprintf(r->folder, sizeof r->folder, "%s", folder);
    char last[512];
    int left = 0;
    ecg_status st = ecg_make_folders(folder, err);
    if (st || (st = sweep(&left, folder, force && !resume, err)))
        return st;
    if (left && !resume && !force)
        return ecg_fail_at(err, ECG_EARG, folder, 0, 0, "the run folder is not empty; --resume continues it, --force starts over");
    if ((st = ecg_run_path(last, r, "last.safetensors", err)))
        return st;
    r->resumed = resume && ecg_is_file(last);
    if (r->resumed && (st = same_settings(r, facts->config, err)))
        return st;
    if (!(st = write_settings(r, facts->config, err)))
        st = write_facts(r, facts, err);
    return st;
}

ecg_status ecg_run_close(const ecg_run *r, const char *end, const char *result_json, ecg_err *err)
{
    char path[512], now[32];
    json_t *j = NULL;
    ecg_status st = ecg_run_path(path, r, "run.json", err);
    if (st || (st = ecg_json_load(&j, path, err)))
        return st;
    json_t *sessions = json_object_get(j, "sessions");
    json_t *mine = json_array_get(sessions, json_array_size(sessions) - 1);
    ecg_utc_now(now);
    json_object_set_new(mine, "end", json_string(end));
    json_object_set_new(mine, "finished", json_string(now));
    json_object_set_new(mine, "seconds", json_real(round(1000 * (ecg_clock() - r->began)) / 1000));
    json_t *result = result_json ? json_loads(result_json, 0, NULL) : NULL;
    if (result)
        json_object_set_new(j, "result", result);
    st = ecg_json_save(j, path, err);
    json_decref(j);
    return st;
}

ecg_status ecg_run_cohort(char path[512], char hash[65], const char *folder, ecg_err *err)
{
    char name[512];
    json_t *j = NULL;
    path[0] = hash[0] = 0;
    ecg_status st = ecg_join(name, sizeof name, folder, "run.json", err);
    if (st || !ecg_is_file(name) || (st = ecg_json_load(&j, name, err)))
        return st;
    const json_t *c = json_object_get(j, "cohort");
    const char *p = json_string_value(json_object_get(c, "path")), *h = json_string_value(json_object_get(c, "hash"));
    if (!p || !h || strlen(p) >= 512 || strlen(h) != 64)
        st = ecg_fail_at(err, ECG_EDATA, name, 0, 0, "names no cohort with its hash");
    else {
        snprintf(path, 512, "%s", p);
        snprintf(hash, 65, "%s", h);
    }
    json_decref(j);
    return st;
}

/* ---- metrics.jsonl ------------------------------------------------------------------------------------------------------ */

ecg_status ecg_run_keep_metrics(const ecg_run *r, int64_t lines, ecg_err *err)
{
    char path[512];
    ecg_bytes b = {0};
    ecg_status st = ecg_run_path(path, r, "metrics.jsonl", err);
    if (st)
        return st;
    if (ecg_is_file(path) && (st = ecg_file_read(&b, path, err)))
        return st;
    size_t len = 0;
    for (int64_t i = 0; i < lines && len < b.len; i++) {
        const uint8_t *end = memchr(b.at + len, '\n', b.len - len);
        if (!end)
            break;
        len = (size_t)(end - b.at) + 1;
    }
    st = ecg_file_write_whole(path, b.at ? b.at : (const uint8_t *)"", len, err);
    ecg_bytes_free(&b);
    return st;
}

ecg_status ecg_run_metric(const ecg_run *r, const char *json_line, ecg_err *err)
{
    char path[512];
    const ecg_status st = ecg_run_path(path, r, "metrics.jsonl", err);
    if (st)
        return st;
    FILE *f = fopen(path, "a");
    if (!f)
        return ecg_fail_errno(err, path, "cannot open");
    const bool wrote = fprintf(f, "%s\n", json_line) >= 0;
    if (fclose(f) != 0 || !wrote)
        return ecg_fail_errno(err, path, "cannot write");
    return ECG_OK;
}

/* ---- the record inside a model ------------------------------------------------------------------------------------------ */

ecg_status ecg_run_record(char *out, size_t size, const ecg_record_facts *f, ecg_err *err)
{
    json_t *j = json_object();
    json_object_set_new(j, "stage", ecg_json_text(f->stage));
    json_object_set_new(j, "preset", ecg_json_text(f->config->preset));
    json_object_set_new(j, "seed", json_integer((json_int_t)f->config->train.seed));
    json_object_set_new(j, "split_seed", json_integer((json_int_t)f->config->train.split_seed));
    if (f->config->train.precision) /* a record without it is of float32 */
        json_object_set_new(j, "precision", json_string("bf16"));
    json_object_set_new(j, "cohort", ecg_json_text(f->cohort_hash));
    json_object_set_new(j, "roles", ecg_json_text(f->roles));
    json_object_set_new(j, "records", json_integer((json_int_t)f->records));
    json_object_set_new(j, "batch", json_integer((json_int_t)f->batch));
    json_object_set_new(j, "epochs", json_integer((json_int_t)f->epochs));
    json_object_set_new(j, "measure", ecg_json_text(f->measure));
    json_object_set_new(j, "best", isfinite(f->best) ? json_real(f->best) : json_null());
    json_object_set_new(j, "best_epoch", json_integer((json_int_t)f->best_epoch));
    json_object_set_new(j, "best_step", json_integer((json_int_t)f->best_step));
    json_t *more = f->more ? json_loads(f->more, 0, NULL) : NULL;
    if (more)
        json_object_update_missing(j, more);
    json_decref(more);
    json_t *from = f->from && *f->from ? json_loads(f->from, 0, NULL) : NULL;
    if (from)
        json_object_set_new(j, "from", from);
    char *text = json_dumps(j, JSON_COMPACT);
    if (text && strlen(text) >= size && from) { /* a very long history: only this stage stays */
        free(text);
        json_object_del(j, "from");
        text = json_dumps(j, JSON_COMPACT);
    }
    json_decref(j);
    if (!text)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    const bool fits = strlen(text) < size;
    if (fits)
        memcpy(out, text, strlen(text) + 1);
    free(text);
    return fits ? ECG_OK : ecg_fail(err, ECG_EARG, "the training record is longer than %zu bytes", size);
}

bool ecg_record_field(char *out, size_t size, const char *record, const char *key)
{
    json_t *j = json_loads(record, 0, NULL);
    const json_t *v = json_object_get(j, key);
    bool there = true;
    if (json_is_string(v) && strlen(json_string_value(v)) < size)
        snprintf(out, size, "%s", json_string_value(v));
    else if (json_is_integer(v))
        snprintf(out, size, "%lld", (long long)json_integer_value(v));
    else
        there = false;
    json_decref(j);
    return there;
}

bool ecg_record_roles(ecg_roles *out, const char *record, const ecg_cohort *cohort)
{
    char hash[65], text[256];
    ecg_roles roles;
    if (!ecg_record_field(hash, sizeof hash, record, "cohort") || strcmp(hash, cohort->hash) ||
        !ecg_record_field(text, sizeof text, record, "roles") || ecg_roles_parse(&roles, text, NULL))
        return false;
    *out = roles;
    return true;
}
