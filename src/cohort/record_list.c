/* SPDX-License-Identifier: MIT */
#include "cohort/record_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/source.h"

static const char file_name[] = "record_list.csv";

/* What is stored without compression lies in the archive itself, which is closed again. */
static ecg_status keep_bytes(ecg_bytes *b, ecg_err *err)
{
    if (b->kind || !b->len)
        return ECG_OK;
    uint8_t *copy = malloc(b->len);
    if (!copy)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %zu bytes of %s", b->len, file_name);
    memcpy(copy, b->at, b->len);
    *b = (ecg_bytes){copy, b->len, 1};
    return ECG_OK;
}

ecg_status ecg_record_list_unzip(ecg_bytes *out, const char *archive, ecg_err *err)
{
    char prefix[512];
    ecg_source zip = {0};
    ecg_status st = ecg_source_zip(&zip, archive, err);
    if (st)
        return st;
    if (!(st = ecg_zip_find(prefix, sizeof prefix, &zip, file_name, err)) && !(st = ecg_zip_enter(&zip, prefix, err)))
        st = ecg_source_open(&zip, file_name, out, err);
    if (!st && (st = keep_bytes(out, err)))
        ecg_bytes_free(out);
    ecg_source_close(&zip);
    return st;
}

ecg_status ecg_record_list_open(ecg_record_list *r, const ecg_mimic_tables *t, ecg_err *err)
{
    static const char *const need[] = {"subject_id", "study_id", "ecg_time", "path"};
    int at[4];
    ecg_status st;
    *r = (ecg_record_list){0};
    snprintf(r->name, sizeof r->name, "%s%s%s", t->path[ECG_T_RECORDS], t->zipped ? ":" : "", t->zipped ? file_name : "");
    if (!t->zipped)
        st = ecg_csv_open(&r->t, r->name, err);
    else if (!(st = ecg_record_list_unzip(&r->bytes, t->path[ECG_T_RECORDS], err)))
        st = ecg_csv_open_bytes(&r->t, r->bytes.at, r->bytes.len, r->name, err);
    if (!st && !(st = ecg_csv_need(r->t, at, need, 4, err))) {
        r->subject = at[0];
        r->study = at[1];
        r->time = at[2];
        r->path = at[3];
    }
    if (st)
        ecg_record_list_close(r);
    return st;
}

void ecg_record_list_close(ecg_record_list *r)
{
    ecg_csv_close(r->t);
    ecg_bytes_free(&r->bytes);
    r->t = NULL;
}
