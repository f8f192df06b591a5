/* SPDX-License-Identifier: MIT
 * cmd_convert.c: a recording to CSV, npy or WFDB. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/npy.h"
#include "base/text.h"
#include "ecg/prepare.h"
#include "ecg/write_wfdb.h"
#include "opt.h"

static struct {
    const char *out;
    bool prepared;
} o;

static const option options[] = {
    {"output", 'o', OPT_TEXT, &o.out, "FILE", "NAME.csv, NAME.npy or NAME.hea (with NAME.dat beside it)"},
    {"prepared", 0, OPT_FLAG, &o.prepared, NULL, "what a model reads: its leads in its order, 100 Hz, clipped, in millivolt"},
    {0},
};

/* The recording as the default contract prepares it, again as a recording. */
static ecg_status prepare(ecg_record *rec, ecg_err *err)
{
    ecg_contract c;
    ecg_record out = {0};
    float *x = NULL;
    unsigned found;
    char absent[ECG_LEADS * 8 + 1] = "";
    int used = 0;
    ecg_contract_default(&c);
    const int64_t n = ecg_prepared_samples(&c, rec);
    ecg_status st = n < 1 ? ecg_fail(err, ECG_EREFUSED, "%" PRId64 " samples at %g Hz are none at %g Hz", rec->samples, rec->rate_hz, c.rate_hz) : ECG_OK;
    if (!st && !(x = malloc((size_t)n * (size_t)c.leads * sizeof *x)))
        st = ecg_fail(err, ECG_ENOMEM, "out of memory");
    if (!st)
        st = ecg_prepare(x, &found, &c, rec, err);
    if (!st)
        st = ecg_record_make(&out, c.leads, n, c.rate_hz, err);
    for (int i = 0; !st && i < c.leads; i++) {
        snprintf(out.lead[i].name, sizeof out.lead[i].name, "%s", c.lead[i]);
        snprintf(out.lead[i].unit, sizeof out.lead[i].unit, "mV");
        if (!(found >> ecg_lead_from_name(c.lead[i]) & 1u))
            used += snprintf(absent + used, sizeof absent - (size_t)used, " %s", c.lead[i]);
        for (int64_t t = 0; t < n; t++)
            out.value[i * n + t] = x[t * c.leads + i];
    }
    if (absent[0])
        ecg_say(tool_watch(), "absent, columns of zeros:%s", absent);
    if (!st) {
        snprintf(out.when, sizeof out.when, "%s", rec->when);
        ecg_record_clear(rec);
        *rec = out;
    }
    free(x);
    ecg_contract_clear(&c);
    return st;
}

static void lead_title(char *out, size_t size, const ecg_record *rec, int i)
{
    if (rec->lead[i].name[0])
        snprintf(out, size, "%s", rec->lead[i].name);
    else
        snprintf(out, size, "signal %d", i + 1);
}

static ecg_status write_csv(const ecg_record *rec, ecg_err *err)
{
    ecg_csvw *w;
    ecg_text row = {0};
    char title[48];
    const ecg_status st = ecg_csvw_create(&w, o.out, err);
    if (st)
        return st;
    for (int i = 0; i < rec->leads; i++) {
        lead_title(title, sizeof title, rec, i);
        ecg_csvw_text(w, title);
    }
    ecg_csvw_end(w);
    for (int64_t t = 0; t < rec->samples; t++) {
        row.len = 0;
        for (int i = 0; i < rec->leads; i++) {
            const double x = (double)rec->value[i * rec->samples + t];
            if (isnan(x))
                ecg_text_printf(&row, "%sNaN", i ? "," : "");
            else
                ecg_text_printf(&row, "%s%.9g", i ? "," : "", x);
        }
        ecg_text_puts(&row, "\n");
        if (row.failed) {
            ecg_csvw_abort(w);
            ecg_text_clear(&row);
            return ecg_fail_at(err, ECG_ENOMEM, o.out, 0, 0, "out of memory");
        }
        ecg_csvw_raw(w, row.at, row.len);
    }
    ecg_text_clear(&row);
    return ecg_csvw_commit(w, err);
}

static ecg_status write_npy(const ecg_record *rec, ecg_err *err)
{
    const int64_t dim[] = {rec->samples, rec->leads};
    ecg_file *f;
    float *row = malloc((size_t)rec->leads * sizeof *row);
    if (!row)
        return ecg_fail_at(err, ECG_ENOMEM, o.out, 0, 0, "out of memory");
    ecg_status st = ecg_file_create(&f, o.out, err);
    if (st) {
        free(row);
        return st;
    }
    st = ecg_npy_begin(f, 2, dim, err);
    for (int64_t t = 0; !st && t < rec->samples; t++) {
        for (int i = 0; i < rec->leads; i++)
            row[i] = rec->value[i * rec->samples + t];
        st = ecg_file_write(f, row, (size_t)rec->leads * sizeof *row, err);
    }
    free(row);
    if (st) {
        ecg_file_abort(f);
        return st;
    }
    return ecg_file_commit(f, err);
}

static bool ends(const char *s, const char *tail)
{
    const size_t n = strlen(s), m = strlen(tail);
    return n > m && strcmp(s + n - m, tail) == 0;
}

static int run(int argc, char **argv)
{
    ecg_record rec;
    ecg_err err = {0};
    int n;
    const int code = opt_parse(&cmd_convert, options, argc, argv, &n, 1, 1);
    if (code >= 0)
        return code;
    if (!o.out)
        return tool_usage(&cmd_convert, "where to? -o FILE");
    if (ecg_is_folder(o.out)) {
        ecg_fail_at(&err, ECG_EIO, o.out, 0, 0, "a folder, not a file");
        return tool_fail(&err);
    }
    const bool csv = ends(o.out, ".csv"), npy = ends(o.out, ".npy"), wfdb = ends(o.out, ".hea");
    if (!csv && !npy && !wfdb)
        return tool_usage(&cmd_convert, "%s: a name ending in .csv, .npy or .hea is needed", o.out);
    ecg_status st = ecg_record_read(&rec, argv[1], &err);
    if (st) {
        ecg_fail_in(&err, st, argv[1]);
        return tool_fail(&err);
    }
    for (unsigned bit = 1; bit && bit <= rec.warnings; bit <<= 1)
        if (rec.warnings & bit)
            ecg_say(tool_watch(), "%s: %s", argv[1], ecg_warning_text(bit));
    if (o.prepared && (st = prepare(&rec, &err)))
        ecg_fail_in(&err, st, argv[1]);
    if (!st)
        st = csv ? write_csv(&rec, &err) : npy ? write_npy(&rec, &err) : ecg_wfdb_write_record(o.out, &rec, &err);
    if (!st)
        ecg_say(tool_watch(), "%s: %d leads, %" PRId64 " samples at %g Hz", o.out, rec.leads, rec.samples, rec.rate_hz);
    ecg_record_clear(&rec);
    return st ? tool_fail(&err) : EXIT_DONE;
}

const command cmd_convert = {
    .name = "convert",
    .summary = "a recording to CSV, npy or WFDB",
    .usage = "RECORDING -o FILE.csv|FILE.npy|DIR/NAME.hea [--prepared]",
    .example = "ecgraft convert 40689238.hea -o 40689238.csv",
    .more = "Leads in the recording's own order, rate and units, one row a sample. CSV: header = lead names, NaN where missing. npy: float32\n"
            "(samples, leads). WFDB: format 16, the recorder's gain where it is known, else 1000 steps a millivolt.",
    .run = run,
};
