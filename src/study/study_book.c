/* SPDX-License-Identifier: MIT
 * study_book.c: study.json, the memory of a study: what it is about, its sessions, and of every stage its identity, state and figures. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "study/study_parts.h"

#define SCHEMA "ecgraft.studybook/1"
#define OTHER "the folder holds another study: "

/* ---- places ------------------------------------------------------------------------------------------------------------- */

void ecg_book_below(char out[512], const study *s, int unit, const char *name)
{
    const char *folder = s->unit[unit].folder;
    snprintf(out, 512, "%s%s%s", folder, *folder ? "/" : "", name);
}

ecg_status ecg_book_path(char out[512], const study *s, int unit, const char *name, ecg_err *err)
{
    char below[512];
    ecg_book_below(below, s, unit, name);
    return ecg_join(out, 512, s->task->folder, below, err);
}

static json_t *member(json_t *object, const char *key)
{
    json_t *m = json_object_get(object, key);
    if (!m) {
        json_object_set_new(object, key, json_object());
        m = json_object_get(object, key);
    }
    return m;
}

json_t *ecg_book_entry(const study *s, int unit, const char *stage)
{
    return member(member(member(member(s->book, "units"), s->unit[unit].name), "stages"), stage);
}

const json_t *ecg_book_stage_entry(const study *s, int unit, const char *stage)
{
    const json_t *u = json_object_get(json_object_get(s->book, "units"), s->unit[unit].name), *e = json_object_get(json_object_get(u, "stages"), stage);
    const int at = ecg_plan_find(&s->plan[s->unit[unit].cohort], stage);
    const char *identity = json_string_value(json_object_get(e, "identity"));
    return at < 0 || (identity && strcmp(identity, s->identity[unit][at])) ? NULL : e;
}

ecg_stage_state ecg_book_state(const study *s, int unit, const char *stage)
{
    const char *state = json_string_value(json_object_get(ecg_book_stage_entry(s, unit, stage), "state"));
    for (int i = ECG_STATE_PENDING; state && i <= ECG_STATE_LEFT_OUT; i++)
        if (strcmp(state, ecg_state_name((ecg_stage_state)i)) == 0)
            return (ecg_stage_state)i;
    return ECG_STATE_PENDING;
}

/* ---- what the study is about -------------------------------------------------------------------------------------------- */

static json_t *settings_json(const ecg_config *c)
{
    ecg_settings all;
    if (ecg_settings_of(&all, c, NULL))
        return NULL;
    json_t *j = json_object();
    for (int i = 0; i < all.n; i++)
        json_object_set_new(j, all.at[i].name, json_string(all.at[i].value));
    ecg_settings_clear(&all);
    return j;
}

static json_t *machine_json(const ecg_exec *x)
{
    char cpu[128];
    struct utsname u = {0};
    uname(&u);
    ecg_cpu_name(cpu);
    return json_pack("{s:o, s:o, s:o, s:I, s:s, s:i}", "cpu", ecg_json_text(cpu), "system", ecg_json_text(u.sysname), "release", ecg_json_text(u.release),
                     "processors", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "kernels", x->k->name, "threads", x->pool ? ecg_pool_threads(x->pool) : 1);
}

static ecg_status settings_hash(char hex[65], const ecg_config *c, ecg_err *err)
{
    char *text;
    ecg_sha256 h;
    const ecg_status st = ecg_config_text(&text, c, err);
    if (st)
        return st;
    ecg_sha256_begin(&h);
    ecg_sha256_add(&h, text, strlen(text));
    ecg_sha256_end(&h, hex);
    free(text);
    return ECG_OK;
}

/* Written anew in each session: everything but units and sessions. */
static ecg_status describe(study *s, ecg_err *err)
{
    char hash[65], roles[256];
    const ecg_study_task *t = s->task;
    json_t *b = s->book, *cohorts = json_array(), *seeds = json_array();
    const ecg_status st = settings_hash(hash, t->config, err);
    for (int i = 0; i < t->cohorts; i++) {
        ecg_roles_text(roles, sizeof roles, &s->loader[i].roles);
        json_array_append_new(cohorts, json_pack("{s:o, s:s, s:s}", "file", ecg_json_text(t->cohort[i]), "hash", s->cohort[i].hash, "roles", roles));
    }
    for (int i = 0; i < t->seeds; i++)
        json_array_append_new(seeds, json_integer((json_int_t)(t->config->train.seed + i)));
    json_object_set_new(b, "schema", json_string(SCHEMA));
    json_object_set_new(b, "statement", json_string(ECG_STATEMENT));
    json_object_set_new(b, "version", json_string(ecg_version()));
    json_object_set_new(b, "command", ecg_json_text(t->command));
    json_object_set_new(b, "preset", ecg_json_text(t->config->preset));
    json_object_set_new(b, "cohorts", cohorts);
    json_object_set_new(b, "seeds", seeds);
    json_object_set_new(b, "diagnosis_set", json_string(s->plan[0].diagnosis_set));
    json_object_set_new(b, "lab_set", json_string(s->plan[0].lab_set));
    json_object_set_new(b, "settings", settings_json(t->config));
    json_object_set_new(b, "settings_hash", json_string(hash));
    json_object_set_new(b, "machine", machine_json(t->exec));
    if (!json_object_get(b, "sessions"))
        json_object_set_new(b, "sessions", json_array());
    return st;
}

/* ---- the same study? ---------------------------------------------------------------------------------------------------- */

static ecg_status same_cohorts(const study *s, const json_t *book, const char *path, ecg_err *err)
{
    char roles[256];
    const json_t *cohorts = json_object_get(book, "cohorts");
    for (size_t i = 0; i < json_array_size(cohorts); i++) {
        const json_t *c = json_array_get(cohorts, i);
        const char *hash = json_string_value(json_object_get(c, "hash")), *was = json_string_value(json_object_get(c, "roles"));
        if (!hash || !was || i >= (size_t)s->task->cohorts || strcmp(hash, s->cohort[i].hash))
            return ecg_fail_at(err, ECG_EARG, path, 0, 0, OTHER "its cohort %zu has the hash %.12s", i + 1, hash ? hash : "?");
        ecg_roles_text(roles, sizeof roles, &s->loader[i].roles);
        if (strcmp(roles, was))
            return ecg_fail_at(err, ECG_EARG, path, 0, 0, OTHER "its roles are %s, asked are %s", was, roles);
    }
    return ECG_OK;
}

/* The first setting that differs, as "pretrain.lr: 0.001 there, 0.002 asked". */
static void what_differs(char out[200], const study *s)
{
    json_t *now = settings_json(s->task->config), *value;
    const json_t *was = json_object_get(s->book, "settings");
    const char *key;
    snprintf(out, 200, "the version of its stages");
    json_object_foreach(now, key, value) {
        const char *old = json_string_value(json_object_get(was, key));
        if (ecg_setting_free(key) || (old && strcmp(old, json_string_value(value)) == 0))
            continue;
        snprintf(out, 200, "%s: %s there, %s asked", key, old ? old : "nothing", json_string_value(value));
        break;
    }
    json_decref(now);
}

/* Settings may change as long as they change nothing that is done. */
static ecg_status same_stages(const study *s, const char *path, ecg_err *err)
{
    char what[200];
    for (int u = 0; u < s->units; u++) {
        const json_t *stages = json_object_get(json_object_get(json_object_get(s->book, "units"), s->unit[u].name), "stages");
        const ecg_plan *plan = &s->plan[s->unit[u].cohort];
        for (int i = 0; i < plan->stages; i++) {
            const json_t *e = json_object_get(stages, plan->stage[i].id);
            const char *identity = json_string_value(json_object_get(e, "identity")), *state = json_string_value(json_object_get(e, "state"));
            if (!identity || !state || strcmp(state, "failed") == 0 || strcmp(identity, s->identity[u][i]) == 0)
                continue;
            what_differs(what, s);
            return ecg_fail_at(err, ECG_EARG, path, 0, 0, "%s was made with other settings: %s; --force trains anew what this changes", plan->stage[i].id, what);
        }
    }
    return ECG_OK;
}

static ecg_status same_study(const study *s, const json_t *book, const char *path, ecg_err *err)
{
    const ecg_status st = same_cohorts(s, book, path, err);
    const char *set = json_string_value(json_object_get(book, "diagnosis_set"));
    if (st)
        return st;
    if (!set || strcmp(set, s->plan[0].diagnosis_set))
        return ecg_fail_at(err, ECG_EARG, path, 0, 0, OTHER "its diagnoses are the label set '%s', asked is '%s'", set ? set : "?", s->plan[0].diagnosis_set);
    return s->task->force ? ECG_OK : same_stages(s, path, err);
}

/* ---- opening and saving ------------------------------------------------------------------------------------------------- */

static ecg_status take_folder(study *s, ecg_err *err)
{
    const char *folder = s->task->folder;
    const ecg_status st = ecg_make_folders(folder, err);
    if (st)
        return st;
    s->lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->lock < 0)
        return ecg_fail_errno(err, folder, "cannot open");
    if (flock(s->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return ecg_fail_at(err, ECG_EIO, folder, 0, 0, "another process is at work on this study");
    return ECG_OK;
}

/* A line of comment: what YAML would not take (other characters than those of ASCII, ends of lines) is '?'. */
static void comment(ecg_text *to, const char *what, const char *value)
{
    ecg_text_printf(to, "# %s", what);
    for (; *value; value++)
        ecg_text_add(to, *value >= ' ' && *value <= '~' ? value : "?", 1);
    ecg_text_puts(to, "\n");
}

/* Who made the run, of what, where: as comments, so that the file can be given to --config as it is. */
static void put_head(ecg_text *to, const study *s)
{
    const ecg_study_task *t = s->task;
    const json_t *machine = json_object_get(s->book, "machine"), *cohort;
    char line[200];
    size_t i;
    comment(to, "settings of a study as they were resolved; ecgraft ", ecg_version());
    comment(to, "command: ", t->command ? t->command : "");
    json_array_foreach(json_object_get(s->book, "cohorts"), i, cohort)
    {
        snprintf(line, sizeof line, "cohort %zu: ", i + 1);
        comment(to, line, json_string_value(json_object_get(cohort, "file")));
        comment(to, "  sha256 ", json_string_value(json_object_get(cohort, "hash")));
        comment(to, "  roles ", json_string_value(json_object_get(cohort, "roles")));
    }
    snprintf(line, sizeof line, "%" PRId64 " to %" PRId64, t->config->train.seed, t->config->train.seed + t->seeds - 1);
    comment(to, "seeds: ", line);
    const char *cpu = json_string_value(json_object_get(machine, "cpu"));
    snprintf(line, sizeof line, "%.120s, %s kernels, %d threads", cpu ? cpu : "a processor without a name", t->exec->k->name,
             t->exec->pool ? ecg_pool_threads(t->exec->pool) : 1);
    comment(to, "machine: ", line);
}

static ecg_status write_settings(const study *s, ecg_err *err)
{
    char path[512], *text;
    ecg_text whole = {0};
    ecg_status st = ecg_join(path, sizeof path, s->task->folder, "config.yaml", err);
    if (st || (st = ecg_config_text(&text, s->task->config, err)))
        return st;
    put_head(&whole, s);
    ecg_text_puts(&whole, text);
    st = whole.failed ? ecg_fail(err, ECG_ENOMEM, "out of memory") : ecg_file_write_whole(path, whole.at, whole.len, err);
    ecg_text_clear(&whole);
    free(text);
    return st;
}

/* A unit stays where it began: more seeds or cohorts may have come since. */
static void settle_folders(study *s)
{
    for (int i = 0; i < s->units; i++) {
        json_t *u = member(member(s->book, "units"), s->unit[i].name);
        const char *was = json_string_value(json_object_get(u, "folder"));
        if (was)
            snprintf(s->unit[i].folder, sizeof s->unit[i].folder, "%s", was);
        else
            json_object_set_new(u, "folder", json_string(s->unit[i].folder));
    }
}

/* The book where there is one: that of this study, or refused. */
static ecg_status read_book(study *s, const char *path, ecg_err *err)
{
    const ecg_status st = ecg_json_load(&s->book, path, err);
    if (st)
        return st;
    const char *schema = json_string_value(json_object_get(s->book, "schema"));
    if (!schema || strcmp(schema, SCHEMA))
        return ecg_fail_at(err, ECG_EDATA, path, 0, 0, "not the memory of a study");
    return same_study(s, s->book, path, err);
}

ecg_status ecg_book_peek(study *s, ecg_err *err)
{
    char path[512];
    ecg_status st = ecg_join(path, sizeof path, s->task->folder, "study.json", err);
    if (!st && *s->task->folder && ecg_is_file(path))
        st = read_book(s, path, err);
    if (st)
        return st;
    if (!s->book)
        s->book = json_object();
    settle_folders(s);
    return ECG_OK;
}

ecg_status ecg_book_open(study *s, ecg_err *err)
{
    char path[512];
    ecg_status st = take_folder(s, err);
    if (st || (st = ecg_join(path, sizeof path, s->task->folder, "study.json", err)))
        return st;
    if (ecg_is_file(path)) {
        if ((st = read_book(s, path, err)))
            return st;
    } else if (ecg_holds_files(s->task->folder, 1)) {
        return ecg_fail_at(err, ECG_EARG, s->task->folder, 0, 0, "the folder is not empty and holds no study");
    }
    if (!s->book)
        s->book = json_object();
    settle_folders(s);
    if ((st = describe(s, err)) || (st = write_settings(s, err)))
        return st;
    json_array_append_new(json_object_get(s->book, "sessions"),
                          json_pack("{s:s, s:o, s:s, s:s}", "started", s->started, "command", ecg_json_text(s->task->command), "version", ecg_version(),
                                    "end", "running"));
    return ecg_book_save(s, err);
}

ecg_status ecg_book_save(const study *s, ecg_err *err)
{
    char path[512];
    const ecg_status st = ecg_join(path, sizeof path, s->task->folder, "study.json", err);
    return st ? st : ecg_json_save(s->book, path, err);
}

void ecg_book_end(study *s, const char *end)
{
    char now[32];
    json_t *sessions = json_object_get(s->book, "sessions"), *mine = json_array_get(sessions, json_array_size(sessions) - 1);
    ecg_utc_now(now);
    json_object_set_new(mine, "end", json_string(end));
    json_object_set_new(mine, "finished", json_string(now));
    json_object_set_new(mine, "seconds", json_real(round(1000 * (ecg_clock() - s->began)) / 1000));
}
