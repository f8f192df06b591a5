/* SPDX-License-Identifier: MIT
 * config.c: the table of settings, its presets, and the YAML that fills it. Scalars are typed by the table, never guessed. */
#include "study/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/file.h"
#include "base/text.h"

typedef enum {KIND_int, KIND_num, KIND_bool, KIND_word} kind_of;

typedef struct {
    const char *section, *key, *name; /* name = section.key */
    kind_of kind;
    size_t at;
    double lo, hi, def;
    const char *words; /* "a|b|c" */
    const char *help;
} config_row;

#define ROW(s, key, kind, lo, hi, def, words, help)                                                                               \
    {#s, #key, #s "." #key, KIND_##kind, offsetof(ecg_config, s.key), lo, hi, def, words, help},
#define SECTION(section, list, type) list(ROW, section)
static const config_row rows[] = {ECG_CFG_SECTIONS(SECTION)};
enum {ROWS = sizeof rows / sizeof *rows, VALUE_MAX = 64, ENTRIES_MAX = 256, BYTES_MAX = 1 << 20};

/* What a preset has otherwise than `paper`, whose values are the defaults of the table (protocol sections 5 and 6, decision 2). */
static const struct { const char *preset, *name, *value; } presets[] = {
    {"paper", NULL, NULL},
    {"small", "encoder.width", "32"},
    {"small", "encoder.blocks", "3"},
    {"small", "encoder.dropout", "0"},
    {"small", "projector.hidden", "128"},
    {"small", "projector.out", "64"},
    {"small", "pretrain.lambda", "0.04"},
    {"small", "pretrain.batch", "128"},
    {"small", "pretrain.epochs", "60"},
    {"small", "pretrain.lr", "0.004"},
    {"small", "pretrain.schedule", "warmup_cos_halfcycle"},
    {"small", "pretrain.warmup", "100"},
    {"small", "finetune.batch", "64"},
    {"small", "finetune.epochs", "40"},
    {"small", "finetune.updates", "1500"},
    {"small", "finetune.lr_encoder", "0.0005"}, /* after stage 1: faster forgets what was learned (docs/regime.md) */
    {"small", "finetune.lr_scratch", "0.01"},   /* from random weights: slower has not arrived after 1,000 updates */
    {"small", "finetune.lr_head", "0.002"},
    {"small", "finetune.schedule", "warmup_cos_halfcycle"},
    {"small", "finetune.warmup", "50"},
    {"small", "finetune.average", "0.99"},
    {"small", "finetune.judge_every", "5"},
    {"small", "finetune.frozen_blocks", "0"},
    {"small", "finetune.head_hidden", "0"},
    {"small", "finetune.head_start", "ridge"},
    {"small", "labs.batch", "64"},
    {"small", "labs.epochs", "15"},
    {"small", "labs.lr_encoder", "0.0005"},
    {"small", "labs.lr_scratch", "0.005"},
    {"small", "labs.lr_head", "0.002"},
    {"small", "labs.head_hidden", "128"},
    {"small", "joint.batch", "128"},
    {"small", "joint.epochs", "28"},
    /* protocol 6.1: MDS-ED and CardioLab as released; trains from random weights (finetune without --from) */
    {"mdsed-s4", "finetune.frozen_blocks", "0"},
    {"mdsed-s4", "finetune.head_hidden", "0"},
    {"mdsed-s4", "finetune.gamma", "2"},
    {"mdsed-s4", "finetune.reduce", "sum_classes"},
    {"mdsed-s4", "labs.frozen_blocks", "0"},
    {"mdsed-s4", "labs.head_hidden", "0"},
    {"mdsed-s4", "labs.gamma", "2"},
    {"mdsed-s4", "labs.reduce", "sum_classes"},
};
static const char *const preset_names[] = {"paper", "small", "mdsed-s4"};
enum {PRESETS = sizeof preset_names / sizeof *preset_names};

/* ---- words of a row: "a|b|c" -------------------------------------------------------------------------------------------- */

static int word_index(const char *words, const char *value)
{
    const size_t len = strlen(value);
    int i = 0;
    for (const char *w = words; *w; i++) {
        const char *end = strchr(w, '|');
        const size_t n = end ? (size_t)(end - w) : strlen(w);
        if (n == len && memcmp(w, value, n) == 0)
            return i;
        w += n + (end != NULL);
    }
    return -1;
}

static int word_at(const char **start, const char *words, int index)
{
    while (index-- > 0)
        words = strchr(words, '|') + 1;
    *start = words;
    return (int)strcspn(words, "|");
}

/* ---- one value ---------------------------------------------------------------------------------------------------------- */

static const config_row *find_row(const char *name)
{
    for (int i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static ecg_status unknown_key(const char *name, ecg_err *err)
{
    const char *names[ROWS];
    for (int i = 0; i < ROWS; i++)
        names[i] = rows[i].name;
    const char *near = ecg_nearest(name, names, ROWS);
    if (near)
        return ecg_fail(err, ECG_EARG, "no setting is called '%.60s'; the nearest is '%s'", name, near);
    return ecg_fail(err, ECG_EARG, "no setting is called '%.60s'", name);
}

static void store(ecg_config *c, const config_row *r, double x)
{
    void *at = (char *)c + r->at;
    switch (r->kind) {
    case KIND_int: *(ecg_cfg_int *)at = (int64_t)x; break;
    case KIND_num: *(ecg_cfg_num *)at = x; break;
    case KIND_bool: *(ecg_cfg_bool *)at = x != 0; break;
    case KIND_word: *(ecg_cfg_word *)at = (int)x; break;
    }
}

static double fetch(const ecg_config *c, const config_row *r)
{
    const void *at = (const char *)c + r->at;
    switch (r->kind) {
    case KIND_int: return (double)*(const ecg_cfg_int *)at; /* bounds of the table stay below 2^53 */
    case KIND_num: return *(const ecg_cfg_num *)at;
    case KIND_bool: return *(const ecg_cfg_bool *)at;
    case KIND_word: break;
    }
    return *(const ecg_cfg_word *)at;
}

static ecg_status parse_value(double *out, const config_row *r, const char *value, ecg_err *err)
{
    const size_t len = strlen(value);
    double x = 0;
    int64_t whole = 0;
    switch (r->kind) {
    case KIND_int:
        if (!ecg_parse_i64(&whole, value, len))
            return ecg_fail(err, ECG_EARG, "%s: '%.40s' is not a whole number", r->name, value);
        if (whole < (int64_t)r->lo || whole > (int64_t)r->hi)
            return ecg_fail(err, ECG_EARG, "%s: %" PRId64 " is outside %.0f to %.0f", r->name, whole, r->lo, r->hi);
        x = (double)whole;
        break;
    case KIND_num:
        if (!ecg_parse_double(&x, value, len) || !isfinite(x))
            return ecg_fail(err, ECG_EARG, "%s: '%.40s' is not a number", r->name, value);
        if (x < r->lo || x > r->hi)
            return ecg_fail(err, ECG_EARG, "%s: %g is outside %g to %g", r->name, x, r->lo, r->hi);
        break;
    case KIND_bool:
        if (strcmp(value, "true") && strcmp(value, "false"))
            return ecg_fail(err, ECG_EARG, "%s: '%.40s' is neither true nor false", r->name, value);
        x = value[0] == 't';
        break;
    case KIND_word:
        if (word_index(r->words, value) < 0)
            return ecg_fail(err, ECG_EARG, "%s: '%.40s' is none of %s", r->name, value, r->words);
        x = word_index(r->words, value);
        break;
    }
    *out = x;
    return ECG_OK;
}

ecg_status ecg_config_set(ecg_config *c, const char *name, const char *value, ecg_err *err)
{
    const config_row *r = find_row(name);
    if (!r)
        return unknown_key(name, err);
    double x = 0;
    const ecg_status st = parse_value(&x, r, value, err);
    if (!st)
        store(c, r, x);
    return st;
}

ecg_status ecg_config_assign(ecg_config *c, const char *text, ecg_err *err)
{
    char name[VALUE_MAX];
    const char *eq = strchr(text, '=');
    if (!eq)
        return ecg_fail(err, ECG_EARG, "'%.60s' is not section.key=value", text);
    const size_t n = (size_t)(eq - text);
    if (n >= sizeof name)
        return ecg_fail(err, ECG_EARG, "no setting is called '%.60s'", text);
    memcpy(name, text, n);
    name[n] = 0;
    return ecg_config_set(c, name, eq + 1, err);
}

/* ---- presets ------------------------------------------------------------------------------------------------------------ */

const char *ecg_config_presets(void)
{
    return "paper, small, mdsed-s4";
}

ecg_status ecg_config_preset(ecg_config *c, const char *preset, ecg_err *err)
{
    int known = 0;
    while (known < PRESETS && strcmp(preset_names[known], preset))
        known++;
    if (known == PRESETS) {
        const char *near = ecg_nearest(preset, preset_names, PRESETS);
        return ecg_fail(err, ECG_EARG, "no preset is called '%.40s'%s%s; there are %s", preset, near ? "; the nearest is " : "",
                        near ? near : "", ecg_config_presets());
    }
    ecg_config fresh;
    memset(&fresh, 0, sizeof fresh);
    snprintf(fresh.preset, sizeof fresh.preset, "%s", preset);
    for (int i = 0; i < ROWS; i++)
        store(&fresh, &rows[i], rows[i].def);
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (presets[i].name && strcmp(presets[i].preset, preset) == 0) {
            const ecg_status st = ecg_config_set(&fresh, presets[i].name, presets[i].value, err);
            if (st)
                return st;
        }
    *c = fresh;
    return ECG_OK;
}

/* ---- YAML --------------------------------------------------------------------------------------------------------------- */

typedef struct {
    char name[VALUE_MAX], value[VALUE_MAX];
    int64_t line;
} entry;

typedef struct {
    yaml_parser_t parser;
    const char *file;
    ecg_err *err;
    entry *list; /* (ENTRIES_MAX) */
    int n;
} reading;

static ecg_status next_event(reading *r, yaml_event_t *e)
{
    if (!yaml_parser_parse(&r->parser, e))
        return ecg_fail_at(r->err, ECG_EDATA, r->file, (int64_t)r->parser.problem_mark.line + 1, (int64_t)r->parser.problem_mark.column + 1,
                           "not YAML: %.100s", r->parser.problem ? r->parser.problem : "out of memory");
    return ECG_OK;
}

/* A plain or quoted scalar without anchor into text (VALUE_MAX). */
static ecg_status take_scalar(char *text, int64_t *line, reading *r, const yaml_event_t *e, const char *what)
{
    *line = (int64_t)e->start_mark.line + 1;
    if (e->type != YAML_SCALAR_EVENT)
        return ecg_fail_at(r->err, ECG_EDATA, r->file, *line, 0, "%s must be one word or number: there are two levels, section and key", what);
    if (e->data.scalar.anchor || e->data.scalar.tag)
        return ecg_fail_at(r->err, ECG_EDATA, r->file, *line, 0, "anchors and tags are not read here");
    const size_t len = e->data.scalar.length;
    if (len >= VALUE_MAX || memchr(e->data.scalar.value, 0, len))
        return ecg_fail_at(r->err, ECG_EDATA, r->file, *line, 0, "%s is too long", what);
    memcpy(text, e->data.scalar.value, len);
    text[len] = 0;
    return ECG_OK;
}

/* One entry of a mapping from its key event on; a section opens the second level. more = false at the end of the mapping. */
static ecg_status read_entry(bool *more, reading *r, const char *section)
{
    yaml_event_t e;
    ecg_status st = next_event(r, &e);
    if (st)
        return st;
    *more = e.type != YAML_MAPPING_END_EVENT;
    char key[VALUE_MAX], name[2 * VALUE_MAX], value[VALUE_MAX];
    int64_t line = 0;
    if (*more)
        st = take_scalar(key, &line, r, &e, "a key");
    yaml_event_delete(&e);
    if (st || !*more)
        return st;
    if ((st = next_event(r, &e)))
        return st;
    if (!section && e.type == YAML_MAPPING_START_EVENT) {
        const bool marked = e.data.mapping_start.anchor || e.data.mapping_start.tag;
        yaml_event_delete(&e);
        if (marked)
            return ecg_fail_at(r->err, ECG_EDATA, r->file, line, 0, "anchors and tags are not read here");
        bool inner = true;
        while (!st && inner)
            st = read_entry(&inner, r, key);
        return st;
    }
    int64_t value_line;
    st = take_scalar(value, &value_line, r, &e, "a value");
    yaml_event_delete(&e);
    if (st)
        return st;
    snprintf(name, sizeof name, "%s%s%s", section ? section : "", section ? "." : "", key);
    if (strlen(name) >= VALUE_MAX)
        return ecg_fail_at(r->err, ECG_EDATA, r->file, line, 0, "no setting is called '%.60s'", name);
    for (int i = 0; i < r->n; i++)
        if (strcmp(r->list[i].name, name) == 0)
            return ecg_fail_at(r->err, ECG_EDATA, r->file, line, 0, "%s was already set on line %" PRId64, name, r->list[i].line);
    if (r->n == ENTRIES_MAX)
        return ecg_fail_at(r->err, ECG_EDATA, r->file, line, 0, "more than %d settings", ENTRIES_MAX);
    entry *x = &r->list[r->n++];
    memcpy(x->name, name, strlen(name) + 1);
    memcpy(x->value, value, sizeof x->value);
    x->line = line;
    return ECG_OK;
}

/* stream, document, one mapping (or nothing at all), end of both */
static ecg_status read_stream(reading *r)
{
    ecg_status st = ECG_OK;
    int documents = 0;
    for (bool more = true; more && !st;) {
        yaml_event_t e;
        if ((st = next_event(r, &e)))
            break;
        const yaml_event_type_t type = e.type;
        const int64_t line = (int64_t)e.start_mark.line + 1;
        const bool empty = type == YAML_SCALAR_EVENT && e.data.scalar.length == 0;
        yaml_event_delete(&e);
        if (type == YAML_STREAM_END_EVENT)
            more = false;
        else if (type == YAML_DOCUMENT_START_EVENT && ++documents > 1)
            st = ecg_fail_at(r->err, ECG_EDATA, r->file, line, 0, "a second document begins");
        else if (type == YAML_MAPPING_START_EVENT)
            for (bool inner = true; inner && !st;)
                st = read_entry(&inner, r, NULL);
        else if ((type == YAML_SCALAR_EVENT && !empty) || type == YAML_SEQUENCE_START_EVENT || type == YAML_ALIAS_EVENT)
            st = ecg_fail_at(r->err, ECG_EDATA, r->file, line, 0, "sections with keys are expected, as in 'pretrain:' and below it '  epochs: 28'");
    }
    return st;
}

static ecg_status apply(ecg_config *c, const reading *r, bool keep_preset)
{
    ecg_config next = *c;
    ecg_err why = {0};
    for (int i = 0; i < r->n && !keep_preset; i++)
        if (strcmp(r->list[i].name, "preset") == 0 && ecg_config_preset(&next, r->list[i].value, &why))
            return ecg_fail_at(r->err, ECG_EARG, r->file, r->list[i].line, 0, "%s", why.msg);
    for (int i = 0; i < r->n; i++)
        if (strcmp(r->list[i].name, "preset") && ecg_config_set(&next, r->list[i].name, r->list[i].value, &why))
            return ecg_fail_at(r->err, ECG_EARG, r->file, r->list[i].line, 0, "%s", why.msg);
    *c = next;
    return ECG_OK;
}

ecg_status ecg_config_parse(ecg_config *c, const void *bytes, size_t len, const char *name, bool keep_preset, ecg_err *err)
{
    if (len > BYTES_MAX)
        return ecg_fail_at(err, ECG_EDATA, name, 0, 0, "%zu bytes are no configuration", len);
    reading r = {.file = name, .err = err};
    r.list = malloc(ENTRIES_MAX * sizeof *r.list);
    if (!r.list || !yaml_parser_initialize(&r.parser)) {
        free(r.list);
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    }
    yaml_parser_set_input_string(&r.parser, bytes ? bytes : (const unsigned char *)"", len);
    ecg_status st = read_stream(&r);
    if (!st)
        st = apply(c, &r, keep_preset);
    yaml_parser_delete(&r.parser);
    free(r.list);
    return st;
}

ecg_status ecg_config_load(ecg_config *c, const char *path, bool keep_preset, ecg_err *err)
{
    ecg_bytes b;
    ecg_status st = ecg_file_read(&b, path, err);
    if (st)
        return st;
    st = ecg_config_parse(c, b.at, b.len, path, keep_preset, err);
    ecg_bytes_free(&b);
    return st;
}

static void value_text(char out[VALUE_MAX], const ecg_config *c, const config_row *r)
{
    const double x = fetch(c, r);
    if (r->kind == KIND_word) {
        const char *start;
        const int n = word_at(&start, r->words, (int)x);
        snprintf(out, VALUE_MAX, "%.*s", n, start);
    } else if (r->kind == KIND_bool) {
        snprintf(out, VALUE_MAX, "%s", x != 0 ? "true" : "false");
    } else if (r->kind == KIND_int) {
        snprintf(out, VALUE_MAX, "%.0f", x);
    } else {
        snprintf(out, VALUE_MAX, "%.15g", x);
        if (strtod(out, NULL) != x)
            snprintf(out, VALUE_MAX, "%.17g", x);
    }
}

ecg_status ecg_config_text(char **out, const ecg_config *c, ecg_err *err)
{
    ecg_text t = {0};
    char value[VALUE_MAX];
    ecg_text_printf(&t, "preset: %s\n", c->preset);
    for (int i = 0; i < ROWS; i++) {
        if (i == 0 || strcmp(rows[i].section, rows[i - 1].section))
            ecg_text_printf(&t, "%s:\n", rows[i].section);
        value_text(value, c, &rows[i]);
        const int used = (int)(strlen(rows[i].key) + strlen(value));
        ecg_text_printf(&t, "  %s: %s%*s# %s\n", rows[i].key, value, used < 30 ? 31 - used : 1, "", rows[i].help);
    }
    if (t.failed) {
        ecg_text_clear(&t);
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    }
    *out = t.at;
    return ECG_OK;
}

ecg_status ecg_config_check(const ecg_config *c, ecg_err *err)
{
    if (c->encoder.state % 2)
        return ecg_fail(err, ECG_EARG, "encoder.state: %" PRId64 " is odd; states come in conjugate pairs", c->encoder.state);
    return ECG_OK;
}

bool ecg_config_differs(char *out, size_t size, const ecg_config *was, const ecg_config *now)
{
    static const char *const free_keys[] = {"train.memory_mb", "train.checkpoint_seconds", "train.checkpoint_steps", "pretrain.epochs",
                                             "pretrain.updates", "finetune.epochs", "finetune.updates", "labs.epochs", "labs.updates", "joint.epochs",
                                             "joint.updates", "evaluate.resamples", "evaluate.unit"};
    for (int i = 0; i < ROWS; i++) {
        bool may = false;
        for (size_t k = 0; k < sizeof free_keys / sizeof *free_keys; k++)
            may |= strcmp(free_keys[k], rows[i].name) == 0;
        if (may || fetch(was, &rows[i]) == fetch(now, &rows[i]))
            continue;
        char a[VALUE_MAX], b[VALUE_MAX];
        value_text(a, was, &rows[i]);
        value_text(b, now, &rows[i]);
        snprintf(out, size, "%s: %s in the run, %s asked", rows[i].name, a, b);
        return true;
    }
    return false;
}
