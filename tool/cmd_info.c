/* SPDX-License-Identifier: MIT
 * cmd_info.c: what is in a file: a recording with its quality, a cohort, a model, a training state, or any other safetensors file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cohort/store.h"
#include "json.h"
#include "model/bundle.h"
#include "opt.h"

static struct {
    bool json;
} o;

static const option options[] = {
    {"json", 0, OPT_FLAG, &o.json, NULL, "one JSON object"},
    {0},
};

static json_t *begin(const char *kind, const char *path)
{
    json_t *j = ecg_json_answer("ecgraft.info/1");
    json_object_set_new(j, "kind", json_string(kind));
    json_object_set_new(j, "path", ecg_json_words(path));
    return j;
}

static const char *yes_no(bool x)
{
    return x ? "yes" : "no";
}

/* ---- a recording ---------------------------------------------------------------------------------------------------------------- */

static json_t *lead_json(const ecg_record *rec, int i)
{
    const float *x = rec->value + i * rec->samples;
    double low = INFINITY, high = -INFINITY;
    int64_t missing = 0;
    for (int64_t t = 0; t < rec->samples; t++) {
        missing += isnan(x[t]);
        low = x[t] < low ? (double)x[t] : low;
        high = x[t] > high ? (double)x[t] : high;
    }
    json_t *j = json_object();
    json_object_set_new(j, "name", ecg_json_words(rec->lead[i].name));
    json_object_set_new(j, "unit", ecg_json_words(rec->lead[i].unit));
    json_object_set_new(j, "per_frame", json_integer(rec->lead[i].per_frame));
    json_object_set_new(j, "gain", rec->lead[i].gain != 0 ? ecg_json_number(rec->lead[i].gain) : json_null());
    json_object_set_new(j, "lowest", ecg_json_number(low));
    json_object_set_new(j, "highest", ecg_json_number(high));
    json_object_set_new(j, "missing", json_integer(missing));
    return j;
}

static int show_recording(const char *path)
{
    ecg_record rec;
    ecg_quality q;
    ecg_err err = {0};
    if (ecg_record_read(&rec, path, &err)) {
        ecg_fail_in(&err, err.status, path);
        return tool_fail(&err);
    }
    ecg_record_quality(&q, &rec);
    if (o.json) {
        json_t *j = begin("recording", path), *leads = json_array();
        for (int i = 0; i < rec.leads; i++)
            json_array_append_new(leads, lead_json(&rec, i));
        json_object_set_new(j, "name", ecg_json_words(rec.name));
        json_object_set_new(j, "format", ecg_json_words(rec.format));
        json_object_set_new(j, "when", rec.when[0] ? ecg_json_words(rec.when) : json_null());
        json_object_set_new(j, "rate_hz", ecg_json_number(rec.rate_hz));
        json_object_set_new(j, "samples", json_integer(rec.samples));
        json_object_set_new(j, "seconds", ecg_json_number(q.seconds));
        json_object_set_new(j, "leads", leads);
        json_object_set_new(j, "quality", ecg_json_quality(&q));
        tool_json_print(j);
    } else {
        printf("recording  %s (%s, %s)\n", path, rec.format, rec.name);
        if (rec.when[0])
            printf("recorded   %s\n", rec.when);
        printf("length     %.6g s, %" PRId64 " samples at %.6g Hz\n", q.seconds, rec.samples, rec.rate_hz);
        printf("leads      %d:", rec.leads);
        for (int i = 0; i < rec.leads; i++)
            printf("%s %s", i ? "," : "", rec.lead[i].name[0] ? rec.lead[i].name : "(no name)");
        printf("\nunits      %s", rec.lead[0].unit);
        for (int i = 1, others = 0; i < rec.leads; i++)
            if (strcmp(rec.lead[i].unit, rec.lead[0].unit) != 0)
                printf("%s %s %s", others++ ? "," : "; but", rec.lead[i].name, rec.lead[i].unit);
        printf("\nquality    %d of 12 leads%s%s\n", q.leads_found, q.note[0] ? "; " : ", nothing to remark", q.note);
        for (unsigned bit = 1; bit && bit <= q.warnings; bit <<= 1)
            if (q.warnings & bit)
                printf("warning    %s\n", ecg_warning_text(bit));
        printf("%s\n", ECG_STATEMENT);
    }
    ecg_record_clear(&rec);
    return EXIT_DONE;
}

/* ---- the contract ---------------------------------------------------------------------------------------------------------------- */

static void print_contract(const ecg_contract *c)
{
    printf("signal     %d samples of %d leads at %g Hz, crops of %d, clipped at %g mV, filter %s\nleads     ", c->samples, c->leads, c->rate_hz, c->crop,
           c->clip_mv, c->filter);
    for (int i = 0; i < c->leads; i++)
        printf(" %s", c->lead[i]);
    int categorical = 0;
    for (int i = 0; i < c->columns; i++)
        categorical += c->column[i].categorical;
    printf("\ntabular    %d columns, %d of them categories\n", c->columns, categorical);
    for (int i = 0; i < c->sets; i++)
        printf("labels     %s: %d (%.12s)\n", c->table[i].set, c->table[i].n, c->table[i].hash);
}

static json_t *contract_json(const ecg_contract *c)
{
    char *text;
    ecg_err err = {0};
    if (ecg_contract_to_json(&text, c, &err))
        return json_null();
    json_t *j = json_loads(text, 0, NULL);
    free(text);
    return j ? j : json_null();
}

/* ---- a cohort ------------------------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t distinct(const int64_t *id, int64_t n)
{
    int64_t *sorted = malloc((size_t)n * sizeof *sorted + 1), count = 0;
    if (!sorted)
        return -1;
    memcpy(sorted, id, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    for (int64_t i = 0; i < n; i++)
        count += i == 0 || sorted[i] != sorted[i - 1];
    free(sorted);
    return count;
}

static int show_cohort(const char *path)
{
    ecg_cohort c;
    ecg_err err = {0};
    if (ecg_cohort_open(&c, path, &err))
        return tool_fail(&err);
    char roles[256];
    int64_t in_role[ECG_ROLES + 1] = {0};
    ecg_roles_text(roles, sizeof roles, &c.roles);
    for (int64_t i = 0; i < c.n; i++) {
        const int role = ecg_cohort_role(&c, &c.roles, i);
        in_role[role < 0 ? ECG_ROLES : role]++;
    }
    const int64_t patients = distinct(c.patient, c.n);
    if (o.json) {
        json_t *j = begin("cohort", path);
        json_t *attrition = c.attrition ? json_loads(c.attrition, 0, NULL) : NULL;
        json_object_set_new(j, "synthetic", json_boolean(c.synthetic));
        json_object_set_new(j, "records", json_integer(c.n));
        json_object_set_new(j, "patients", json_integer(patients));
        json_object_set_new(j, "hash", json_string(c.hash));
        json_object_set_new(j, "roles", ecg_json_words(roles));
        json_object_set_new(j, "train", json_integer(in_role[ECG_TRAIN]));
        json_object_set_new(j, "validation", json_integer(in_role[ECG_VALIDATION]));
        json_object_set_new(j, "test", json_integer(in_role[ECG_TEST]));
        json_object_set_new(j, "no_role", json_integer(in_role[ECG_ROLES]));
        json_object_set_new(j, "attrition", attrition ? attrition : json_null());
        json_object_set_new(j, "contract", contract_json(&c.contract));
        tool_json_print(j);
    } else {
        printf("cohort     %s%s\n", path, c.synthetic ? " (synthetic cohort)" : "");
        printf("records    %" PRId64 " of %" PRId64 " patients\n", c.n, patients);
        printf("folds      %s: %" PRId64 " train, %" PRId64 " validation, %" PRId64 " test\n", roles, in_role[ECG_TRAIN], in_role[ECG_VALIDATION],
               in_role[ECG_TEST]);
        print_contract(&c.contract);
        printf("hash       %s\n%s\n", c.hash, ECG_STATEMENT);
    }
    if (c.synthetic)
        tool_synthetic_note();
    ecg_cohort_close(&c);
    return EXIT_DONE;
}

/* ---- a model -------------------------------------------------------------------------------------------------------------------- */

static int show_model(const char *path)
{
    ecg_model m = {0};
    ecg_err err = {0};
    if (ecg_model_load(&m, path, false, true, &err))
        return tool_fail(&err);
    int64_t parameters = 0;
    for (int i = 0; i < m.table.n; i++)
        parameters += (int64_t)m.table.row[i].count;
    if (o.json) {
        json_t *j = begin("model", path), *heads = json_array(), *shape = json_object(), *record = json_loads(m.record, 0, NULL);
        for (int i = 0; i < m.heads; i++) {
            json_t *head = json_object();
            json_object_set_new(head, "set", ecg_json_words(m.head[i].set));
            json_object_set_new(head, "labels", json_integer(ecg_head_labels(&m, &m.head[i], NULL)));
            json_object_set_new(head, "hidden", json_integer(m.head[i].hidden));
            json_array_append_new(heads, head);
        }
        json_object_set_new(shape, "leads", json_integer(m.shape.leads));
        json_object_set_new(shape, "width", json_integer(m.shape.width));
        json_object_set_new(shape, "blocks", json_integer(m.shape.blocks));
        json_object_set_new(shape, "state", json_integer(m.shape.state));
        json_object_set_new(shape, "length", json_integer(m.shape.length));
        json_object_set_new(shape, "bidirectional", json_boolean(m.shape.bidirectional));
        json_object_set_new(j, "synthetic", json_boolean(m.synthetic));
        json_object_set_new(j, "preset", ecg_json_words(m.preset));
        json_object_set_new(j, "encoder", shape);
        json_object_set_new(j, "parameters", json_integer(parameters));
        json_object_set_new(j, "tabular", json_boolean(m.has_tabular));
        json_object_set_new(j, "heads", heads);
        json_object_set_new(j, "training", record ? record : json_null());
        json_object_set_new(j, "contract", contract_json(&m.contract));
        tool_json_print(j);
    } else {
        printf("model      %s%s\n", path, m.synthetic ? " (synthetic cohort)" : "");
        printf("encoder    %d blocks of width %d, state %d, length %d; preset %s, %" PRId64 " parameters and buffers\n", m.shape.blocks, m.shape.width,
               m.shape.state, m.shape.length, m.preset[0] ? m.preset : "none", parameters);
        printf("tabular    encoder for laboratory values and vital signs: %s\n", yes_no(m.has_tabular));
        for (int i = 0; i < m.heads; i++)
            printf("head       %s: %d labels\n", m.head[i].set, ecg_head_labels(&m, &m.head[i], NULL));
        if (!m.heads)
            printf("head       none\n");
        print_contract(&m.contract);
        printf("training   %s\n%s\n", m.record[0] ? m.record : "{}", ECG_STATEMENT);
    }
    if (m.synthetic)
        tool_synthetic_note();
    ecg_model_clear(&m);
    return EXIT_DONE;
}

/* ---- a training state, or tensors of others ------------------------------------------------------------------------------------- */

static void shape_text(char *out, size_t size, const ecg_tensor *t)
{
    size_t used = (size_t)snprintf(out, size, "%s [", ecg_dtype_name(t->dtype));
    for (int d = 0; d < t->rank && used < size; d++)
        used += (size_t)snprintf(out + used, size - used, "%s%" PRId64, d ? ", " : "", t->dim[d]);
    if (used < size)
        snprintf(out + used, size - used, "]");
}

static void show_tensors(const ecg_tensors *f, const char *path, const char *format)
{
    const bool training = format && strcmp(format, "ecgraft.train") == 0;
    const char *identity = ecg_tensors_meta(f, "identity");
    const ecg_tensor *position = ecg_tensors_find(f, "train.position");
    int64_t step = -1;
    if (training && position && position->dtype == ECG_I64 && position->count >= 3)
        memcpy(&step, (const char *)position->data + 2 * sizeof step, sizeof step);
    if (o.json) {
        json_t *j = begin(training ? "training state" : "tensors", path), *list = json_array();
        for (int i = 0; i < ecg_tensors_count(f); i++) {
            const ecg_tensor *t = ecg_tensors_at(f, i);
            json_t *one = json_object(), *dims = json_array();
            for (int d = 0; d < t->rank; d++)
                json_array_append_new(dims, json_integer(t->dim[d]));
            json_object_set_new(one, "name", ecg_json_words(t->name));
            json_object_set_new(one, "dtype", json_string(ecg_dtype_name(t->dtype)));
            json_object_set_new(one, "shape", dims);
            json_array_append_new(list, one);
        }
        json_object_set_new(j, "format", format ? ecg_json_words(format) : json_null());
        json_object_set_new(j, "identity", identity ? ecg_json_words(identity) : json_null());
        json_object_set_new(j, "step", step >= 0 ? json_integer(step) : json_null());
        json_object_set_new(j, "tensors", list);
        tool_json_print(j);
        return;
    }
    printf("%s %s\n", training ? "training state" : "tensors of no ecgraft format:", path);
    if (identity)
        printf("identity   %s\n", identity);
    if (step >= 0)
        printf("step       %" PRId64 "\n", step);
    for (int i = 0; i < ecg_tensors_count(f); i++) {
        char shape[128];
        shape_text(shape, sizeof shape, ecg_tensors_at(f, i));
        printf("tensor     %s %s\n", ecg_tensors_at(f, i)->name, shape);
    }
    printf("%s\n", ECG_STATEMENT);
}

static int show_safetensors(const char *path)
{
    ecg_tensors *f;
    ecg_err err = {0};
    if (ecg_tensors_open(&f, path, &err))
        return tool_fail(&err);
    const char *format = ecg_tensors_meta(f, "format");
    const bool cohort = format && strcmp(format, "ecgraft.cohort") == 0, model = format && strcmp(format, "ecgraft.model") == 0;
    if (!cohort && !model)
        show_tensors(f, path, format);
    ecg_tensors_close(f);
    return cohort ? show_cohort(path) : model ? show_model(path) : EXIT_DONE;
}

/* ---- the command ---------------------------------------------------------------------------------------------------------------- */

/* 8 bytes of header length, then JSON. */
static bool is_safetensors(const char *path)
{
    ecg_bytes b;
    if (ecg_file_map(&b, path, NULL))
        return false;
    const bool is = b.len > 9 && b.at[8] == '{' && b.at[7] == 0;
    ecg_bytes_free(&b);
    return is;
}

static int run(int argc, char **argv)
{
    char inside[512];
    int n;
    const int code = opt_parse(&cmd_info, options, argc, argv, &n, 1, 1);
    if (code >= 0)
        return code;
    const char *path = argv[1];
    if (ecg_is_folder(path)) { /* a run: its model, before there is one its state */
        static const char *const names[] = {"model.safetensors", "last.safetensors"};
        for (int i = 0; i < 2; i++)
            if (!ecg_join(inside, sizeof inside, path, names[i], NULL) && ecg_is_file(inside))
                return show_safetensors(inside);
    }
    return is_safetensors(path) ? show_safetensors(path) : show_recording(path);
}

const command cmd_info = {
    .name = "info",
    .summary = "what is in a recording, a cohort or a model",
    .usage = "RECORDING|COHORT|MODEL [--json]",
    .example = "ecgraft info 40689238.hea",
    .more = "Of a recording: format, rate, leads, length, units and what is doubtful in it. A run folder stands for its model.",
    .run = run,
};
