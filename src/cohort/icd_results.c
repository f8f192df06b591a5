/* SPDX-License-Identifier: MIT */
#include "cohort/icd_results.h"

#include <stdlib.h>
#include <string.h>

#include "cohort/codes.h"

enum { SUBJECT, STUDY, TIME, STAY, CODES, REQUIRED, FILE_NAME = REQUIRED, HOSP_HADM, AGE, GENDER, FOLD, FOLDS = 20 };

static const char *const columns[ECG_ICD_COLUMNS] = {
    "subject_id", "study_id", "ecg_time", "ed_stay_id", "all_diag_all", "file_name", "hosp_hadm_id", "age", "gender", "strat_fold",
};

ecg_status ecg_icd_results_open(ecg_icd_results *r, const char *path, ecg_err *err)
{
    *r = (ecg_icd_results){.path = path};
    ecg_status st = ecg_table_open(&r->t, r->at, path, columns, REQUIRED, err);
    if (st)
        return st;
    for (int c = REQUIRED; c < ECG_ICD_COLUMNS; c++)
        r->at[c] = ecg_csv_find(r->t, columns[c]);
    r->has_person = r->at[AGE] >= 0 && r->at[GENDER] >= 0;
    r->has_admission = r->at[HOSP_HADM] >= 0;
    r->has_fold = r->at[FOLD] >= 0;
    return ECG_OK;
}

void ecg_icd_results_close(ecg_icd_results *r)
{
    ecg_csv_close(r->t);
    ecg_ids_clear(&r->fold_of);
    *r = (ecg_icd_results){0};
}

static ecg_status read_fold(ecg_icd_results *r, ecg_visit *v, ecg_err *err)
{
    int64_t fold;
    ecg_status st = ecg_csv_i64(r->t, r->at[FOLD], &fold, err);
    if (st)
        return st;
    if (fold < 0 || fold >= FOLDS)
        return ecg_fail_at(err, ECG_EDATA, r->path, ecg_csv_line(r->t), r->at[FOLD] + 1, "strat_fold is %s0 to %d; study %" PRId64 " has %" PRId64,
                           fold < 0 ? "missing or none of " : "", FOLDS - 1, v->study, fold);
    const int32_t before = ecg_ids_get(&r->fold_of, v->subject);
    if (before >= 0 && before != fold)
        return ecg_fail_at(err, ECG_EDATA, r->path, ecg_csv_line(r->t), r->at[FOLD] + 1,
                           "patient %" PRId64 " is in strat_fold %d and, with study %" PRId64 ", in %" PRId64, v->subject, before, v->study, fold);
    v->fold = (int8_t)fold;
    return before >= 0 ? ECG_OK : ecg_ids_put(&r->fold_of, v->subject, (int32_t)fold, err);
}

ecg_status ecg_icd_results_next(ecg_icd_results *r, ecg_visit *v, bool *more, ecg_err *err)
{
    ecg_status st = ecg_csv_next(r->t, more, err);
    if (st || !*more)
        return st;
    if ((st = ecg_csv_i64(r->t, r->at[SUBJECT], &v->subject, err)) || (st = ecg_csv_i64(r->t, r->at[STUDY], &v->study, err)) ||
        (st = ecg_csv_time(r->t, r->at[TIME], &v->time, err)) || (st = ecg_csv_i64(r->t, r->at[STAY], &v->own_stay, err)))
        return st;
    if (r->has_admission && (st = ecg_csv_i64(r->t, r->at[HOSP_HADM], &v->hosp_hadm, err)))
        return st;
    if (r->has_person) {
        const ecg_field gender = ecg_csv_field(r->t, r->at[GENDER]);
        v->gender = gender.len == 1 && (*gender.at == 'M' || *gender.at == 'F') ? *gender.at : 0;
        if ((st = ecg_csv_double(r->t, r->at[AGE], &v->age, err)))
            return st;
    }
    return r->has_fold ? read_fold(r, v, err) : ECG_OK;
}

ecg_status ecg_icd_results_codes(const ecg_icd_results *r, ecg_visit *v, ecg_code_list *list, ecg_words *words, ecg_err *err)
{
    const ecg_field f = ecg_csv_field(r->t, r->at[CODES]);
    ecg_list_item item;
    size_t at = 0;
    bool room = true;
    int found = f.len ? 1 : 0;
    list->n = 0;
    while (room && found > 0 && (found = ecg_list_next(&item, f.at, f.len, &at)) > 0) {
        char label[6];
        if (item.len && ecg_icd_label(label, item.at, item.len, 10))
            room = ecg_code_list_add(list, words, label);
    }
    if (found < 0)
        return ecg_fail_at(err, ECG_EDATA, r->path, ecg_csv_line(r->t), r->at[CODES] + 1, "column all_diag_all: \"%.*s\" is no list of codes like ['I4891', 'E785']",
                           (int)(f.len < 60 ? f.len : 60), f.at);
    return room && ecg_code_list_take(v, list) ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for the codes");
}

ecg_status ecg_icd_results_file(const ecg_icd_results *r, ecg_visit *v, ecg_err *err)
{
    static const char mark[] = "files/";
    const ecg_field f = r->at[FILE_NAME] >= 0 ? ecg_csv_field(r->t, r->at[FILE_NAME]) : (ecg_field){"", 0};
    const char *from = f.at && f.len ? f.at : "";
    const char *below = f.at && f.len ? memmem(f.at, f.len, mark, sizeof mark - 1) : NULL;
    v->path = below ? strndup(below, f.len - (size_t)(below - from)) : strndup(from, f.len);
    return v->path ? ECG_OK : ecg_fail(err, ECG_ENOMEM, "no memory for the recordings");
}
