/* SPDX-License-Identifier: MIT
 * modules.c: from folders to tables, and from tables to what can be built of them. */
#include "cohort/modules.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "cohort/tables.h"

enum { ECG, ICD, ED, HOSP, ICU, MODULES };

/* The folder its tables lie in when it is searched for (NULL: any), the option that names it, the table without which that option is an error. */
static const struct { const char *folder, *option; int must; } modules[MODULES] = {
    [ECG] = {NULL, "--ecg", ECG_T_RECORDS}, [ICD] = {NULL, "--icd", ECG_T_RESULTS},        [ED] = {"ed", "--ed", ECG_T_EDSTAYS},
    [HOSP] = {"hosp", "--hosp", ECG_T_PATIENTS}, [ICU] = {"icu", "--icu", ECG_T_ICUSTAYS},
};

static const int module_of[ECG_TABLES] = {
    [ECG_T_RECORDS] = ECG,      [ECG_T_MACHINE] = ECG,    [ECG_T_RESULTS] = ICD,     [ECG_T_EDSTAYS] = ED,       [ECG_T_TRIAGE] = ED,
    [ECG_T_VITALSIGN] = ED,     [ECG_T_ED_DIAGNOSIS] = ED, [ECG_T_PYXIS] = ED,       [ECG_T_PATIENTS] = HOSP,    [ECG_T_ADMISSIONS] = HOSP,
    [ECG_T_DIAGNOSES] = HOSP,   [ECG_T_ICD_TITLES] = HOSP, [ECG_T_PROCEDURES] = HOSP, [ECG_T_LABEVENTS] = HOSP, [ECG_T_LABITEMS] = HOSP,
    [ECG_T_OMR] = HOSP,         [ECG_T_ICUSTAYS] = ICU,
};

const char *const ecg_table_names[ECG_TABLES] = {
    [ECG_T_RECORDS] = "record_list.csv",
    [ECG_T_RESULTS] = "records_w_diag_icd10.csv",
    [ECG_T_EDSTAYS] = "edstays.csv",
    [ECG_T_TRIAGE] = "triage.csv",
    [ECG_T_VITALSIGN] = "vitalsign.csv",
    [ECG_T_ED_DIAGNOSIS] = "diagnosis.csv",
    [ECG_T_PYXIS] = "pyxis.csv",
    [ECG_T_PATIENTS] = "patients.csv",
    [ECG_T_ADMISSIONS] = "admissions.csv",
    [ECG_T_DIAGNOSES] = "diagnoses_icd.csv",
    [ECG_T_ICD_TITLES] = "d_icd_diagnoses.csv",
    [ECG_T_PROCEDURES] = "procedures_icd.csv",
    [ECG_T_LABEVENTS] = "labevents.csv",
    [ECG_T_LABITEMS] = "d_labitems.csv",
    [ECG_T_OMR] = "omr.csv",
    [ECG_T_ICUSTAYS] = "icustays.csv",
    [ECG_T_MACHINE] = "machine_measurements.csv",
};

/* ---- finding ---------------------------------------------------------------------------------------------------------------------------- */

static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

/* Two versions of a module: the same table twice, or its tables in two folders. */
static ecg_status refuse_two(const ecg_table_search *found, const bool *of_module, int module, ecg_err *err)
{
    const char *first = NULL;
    for (int t = 0; t < ECG_TABLES; t++) {
        if (!of_module[t] || !found[t].first[0])
            continue;
        const size_t len = folder_length(found[t].first);
        if (found[t].second[0]) {
            if (len == folder_length(found[t].second) && !memcmp(found[t].first, found[t].second, len))
                return ecg_fail_at(err, ECG_EDATA, found[t].first, 0, 0, "also there as .gz: which one is meant; one of them has to go");
            return ecg_fail_at(err, ECG_EDATA, found[t].first, 0, 0, "also as %.180s: which one is meant (%s)", found[t].second, modules[module].option);
        }
        if (first && module != ECG && (len != folder_length(first) || memcmp(first, found[t].first, len)))
            return ecg_fail_at(err, ECG_EDATA, found[t].first, 0, 0, "its module has tables in another folder: %.180s; which is meant (%s)", first,
                               modules[module].option);
        if (!first)
            first = found[t].first;
    }
    return ECG_OK;
}

static ecg_status search_module(ecg_mimic_tables *out, const char *folder, int module, const char *parent, ecg_err *err)
{
    ecg_table_search found[ECG_TABLES] = {0};
    bool of_module[ECG_TABLES];
    for (int t = 0; t < ECG_TABLES; t++) {
        of_module[t] = module_of[t] == module;
        found[t].name = ecg_table_names[t];
        found[t].parent = of_module[t] ? parent : ""; /* no folder has this name */
    }
    ecg_status st = ecg_tables_search(found, ECG_TABLES, folder, err);
    if (!st)
        st = refuse_two(found, of_module, module, err);
    for (int t = 0; t < ECG_TABLES && !st; t++)
        if (of_module[t])
            memcpy(out->path[t], found[t].first, sizeof out->path[t]);
    return st;
}

/* The tables of a module that lie in the folder itself. */
static bool take_here(ecg_mimic_tables *out, const char *folder, int module)
{
    bool any = false;
    for (int t = 0; t < ECG_TABLES; t++)
        for (int gz = 0; gz < 2 && module_of[t] == module; gz++) {
            char path[512];
            if ((size_t)snprintf(path, sizeof path, "%s/%s%s", folder, ecg_table_names[t], gz ? ".gz" : "") >= sizeof path || !ecg_is_file(path))
                continue;
            if (gz && out->path[t][0]) /* both: the search refuses them */
                return false;
            memcpy(out->path[t], path, sizeof path);
            any = true;
        }
    return any;
}

/* An option names the folder of the tables, whatever it is called, or one above it. */
static ecg_status find_named(ecg_mimic_tables *out, const char *folder, int module, ecg_err *err)
{
    const int must = modules[module].must;
    if (!ecg_is_folder(folder))
        return ecg_fail_at(err, ECG_EIO, folder, 0, 0, "no such folder (%s)", modules[module].option);
    if (take_here(out, folder, module) && out->path[must][0])
        return ECG_OK;
    ecg_status st = search_module(out, folder, module, modules[module].folder, err);
    if (!st && !out->path[must][0] && modules[module].folder)
        st = search_module(out, folder, module, NULL, err);
    if (!st && !out->path[must][0])
        st = ecg_fail_at(err, ECG_EIO, folder, 0, 0, "no %s (or .gz) in it or in the folders below (%s)", ecg_table_names[must], modules[module].option);
    return st;
}

static ecg_status place_of_recordings(ecg_mimic_tables *out, const char *named, ecg_err *err)
{
    const char *record_list = out->path[ECG_T_RECORDS];
    if (record_list[0])
        snprintf(out->ecg, sizeof out->ecg, "%.*s", (int)folder_length(record_list), record_list);
    else if (named && (size_t)snprintf(out->ecg, sizeof out->ecg, "%s", named) >= sizeof out->ecg)
        return ecg_fail(err, ECG_EARG, "a path of %zu bytes", strlen(named));
    return ECG_OK;
}

static ecg_status take_archive(ecg_mimic_tables *out, const char *path, ecg_err *err)
{
    if (strlen(path) >= sizeof out->ecg)
        return ecg_fail(err, ECG_EARG, "a path of %zu bytes", strlen(path));
    out->zipped = true;
    memcpy(out->ecg, path, strlen(path) + 1);
    memcpy(out->path[ECG_T_RECORDS], path, strlen(path) + 1);
    return ECG_OK;
}

/* The released archive as it is downloaded; it counts where nobody has unpacked it. */
static ecg_status find_archive(ecg_mimic_tables *out, const char *folder, ecg_err *err)
{
    ecg_table_search found = {.name = "mimic-iv-ecg*.zip"};
    ecg_status st = ecg_tables_search(&found, 1, folder, err);
    if (st || !found.first[0])
        return st;
    if (found.second[0])
        return ecg_fail_at(err, ECG_EDATA, found.first, 0, 0, "also %.180s: which one is meant (--ecg)", found.second);
    return take_archive(out, found.first, err);
}

static ecg_status find_ecg(ecg_mimic_tables *out, const ecg_build_sources *from, ecg_err *err)
{
    if (from->ecg && ecg_is_file(from->ecg))
        return take_archive(out, from->ecg, err);
    ecg_status st = ECG_OK;
    if (from->ecg) {
        st = find_named(out, from->ecg, ECG, err);
        if (st == ECG_EIO && ecg_is_folder(from->ecg) && !find_archive(out, from->ecg, NULL) && out->zipped)
            return ECG_OK;
        if (st == ECG_EIO && ecg_is_folder(from->ecg) && out->path[ECG_T_RESULTS][0]) /* the published table lists the recordings, too */
            st = ECG_OK;
    } else if (from->mimic) {
        st = search_module(out, from->mimic, ECG, NULL, err);
        if (!st && !out->path[ECG_T_RECORDS][0])
            st = find_archive(out, from->mimic, err);
    }
    return st || out->zipped ? st : place_of_recordings(out, from->ecg, err);
}

static ecg_status find_icd(ecg_mimic_tables *out, const ecg_build_sources *from, ecg_err *err)
{
    if (from->icd && ecg_is_file(from->icd)) {
        if ((size_t)snprintf(out->path[ECG_T_RESULTS], sizeof out->path[ECG_T_RESULTS], "%s", from->icd) >= sizeof out->path[ECG_T_RESULTS])
            return ecg_fail(err, ECG_EARG, "a path of %zu bytes", strlen(from->icd));
        return ECG_OK;
    }
    return from->icd ? find_named(out, from->icd, ICD, err) : from->mimic ? search_module(out, from->mimic, ICD, NULL, err) : ECG_OK;
}

ecg_status ecg_modules_find(ecg_mimic_tables *out, const ecg_build_sources *from, ecg_err *err)
{
    const char *const named[MODULES] = {[ED] = from->ed, [HOSP] = from->hosp, [ICU] = from->icu};
    *out = (ecg_mimic_tables){0};
    ecg_status st = find_icd(out, from, err);
    if (!st)
        st = find_ecg(out, from, err);
    for (int m = ED; m < MODULES && !st; m++) {
        if (named[m])
            st = find_named(out, named[m], m, err);
        else if (from->mimic)
            st = search_module(out, from->mimic, m, modules[m].folder, err);
    }
    return st;
}

/* ---- what can be built -------------------------------------------------------------------------------------------------------------------- */

static bool has(const ecg_mimic_tables *t, int table)
{
    return t->path[table][0] != 0;
}

/* The last two parts of a path: "hosp/labevents.csv.gz". */
static const char *short_name(const char *path)
{
    const char *at = strrchr(path, '/');
    while (at && at > path && at[-1] != '/')
        at--;
    return at ? at : path;
}

static ecg_status refuse(const ecg_mimic_tables *t, const ecg_build_sources *from, ecg_err *err)
{
    const char *where = from->mimic ? from->mimic : from->hosp ? from->hosp : from->ed ? from->ed : from->ecg ? from->ecg : from->icd;
    if (!has(t, ECG_T_EDSTAYS) && !has(t, ECG_T_ADMISSIONS))
        return ecg_fail_at(err, ECG_EIO, where, 0, 0, "neither edstays.csv (MIMIC-IV-ED, --ed) nor admissions.csv (MIMIC-IV hosp, --hosp) is there: no stays to link to");
    if (!has(t, ECG_T_ADMISSIONS) && !has(t, ECG_T_RESULTS))
        return ecg_fail_at(err, ECG_EIO, where, 0, 0, "no admissions.csv (MIMIC-IV hosp, --hosp): diagnoses are linked through it");
    if (!has(t, ECG_T_PATIENTS) && !has(t, ECG_T_RESULTS))
        return ecg_fail_at(err, ECG_EIO, where, 0, 0, "no patients.csv (MIMIC-IV hosp, --hosp): age and sex are not known");
    return ECG_OK;
}

static void say_rows(const ecg_mimic_tables *t, const ecg_build_options *o, const ecg_watch *watch)
{
    const char *const stays = has(t, ECG_T_EDSTAYS) ? "edstays" : "admissions with edregtime";
    if (has(t, ECG_T_RESULTS) && has(t, ECG_T_RECORDS))
        ecg_say(watch, "rows: recordings of %s, their files by %s", short_name(t->path[ECG_T_RESULTS]), short_name(t->path[ECG_T_RECORDS]));
    else if (has(t, ECG_T_RESULTS) || has(t, ECG_T_RECORDS))
        ecg_say(watch, "rows: recordings of %s", short_name(t->path[has(t, ECG_T_RESULTS) ? ECG_T_RESULTS : ECG_T_RECORDS]));
    else
        ecg_say(watch, "rows: no record_list.csv, so each ED stay is a row (%s), its arrival the index time: a cohort of tables alone%s", stays,
                o->offset_minutes != 0 ? "; --offset-minutes has no clock to act on" : "");
    if (!has(t, ECG_T_EDSTAYS))
        ecg_say(watch, "ED stays: no edstays.csv; %s take their place: no acuity, no vital signs, and nobody who was not admitted", stays);
    if (t->ecg[0] && !o->no_waveforms)
        ecg_say(watch, "waveforms: %s%s", t->ecg, t->zipped ? " (archive)" : "");
    else if (has(t, ECG_T_RESULTS) || has(t, ECG_T_RECORDS))
        ecg_say(watch, "waveforms: none (%s)", o->no_waveforms ? "--no-waveforms" : "no folder of MIMIC-IV-ECG, --ecg");
}

static void say_codes(const ecg_mimic_tables *t, const ecg_build_options *o, const ecg_watch *watch)
{
    if (has(t, ECG_T_RESULTS) && o->offset_minutes == 0)
        ecg_say(watch, "diagnoses: all_diag_all of %s", short_name(t->path[ECG_T_RESULTS]));
    else if (has(t, ECG_T_DIAGNOSES) || has(t, ECG_T_ED_DIAGNOSIS))
        ecg_say(watch, "diagnoses: %s%s%s%s", has(t, ECG_T_DIAGNOSES) ? "diagnoses_icd of the admissions" : "no diagnoses_icd.csv",
                has(t, ECG_T_ED_DIAGNOSIS) ? ", where these have none ED diagnosis" : ", no ED diagnosis.csv",
                has(t, ECG_T_ICD_TITLES) ? "" : "; no titles (d_icd_diagnoses.csv)",
                has(t, ECG_T_RESULTS) ? "; codes of records_w_diag_icd10.csv were linked with the clock as recorded" : "");
    else
        ecg_say(watch, "diagnoses: none (neither diagnoses_icd.csv nor ED diagnosis.csv)");
}

static void say_measurements(const ecg_mimic_tables *t, const ecg_watch *watch)
{
    if (has(t, ECG_T_LABEVENTS) && has(t, ECG_T_LABITEMS))
        ecg_say(watch, "laboratory: %s", short_name(t->path[ECG_T_LABEVENTS]));
    else
        ecg_say(watch, "laboratory: none (no %s): its columns are missing, no lab labels",
                ecg_table_names[has(t, ECG_T_LABEVENTS) ? ECG_T_LABITEMS : ECG_T_LABEVENTS]);
    if (!has(t, ECG_T_OMR))
        ecg_say(watch, "biometrics: none (no omr.csv): BMI, weight and height are missing");
    if (has(t, ECG_T_EDSTAYS) && !has(t, ECG_T_VITALSIGN))
        ecg_say(watch, "vital signs: none (no vitalsign.csv)");
    if (has(t, ECG_T_EDSTAYS) && !has(t, ECG_T_TRIAGE))
        ecg_say(watch, "acuity: none (no triage.csv)");
}

ecg_status ecg_modules_say(const ecg_mimic_tables *t, const ecg_build_options *o, const ecg_watch *watch, ecg_err *err)
{
    ecg_status st = refuse(t, &o->from, err);
    if (st)
        return st;
    if (o->lab_rows && !(has(t, ECG_T_LABEVENTS) && has(t, ECG_T_LABITEMS)))
        return ecg_fail(err, ECG_EIO, "--lab-rows needs %s (MIMIC-IV hosp)", ecg_table_names[has(t, ECG_T_LABEVENTS) ? ECG_T_LABITEMS : ECG_T_LABEVENTS]);
    if (has(t, ECG_T_RESULTS) && o->offset_minutes != 0 && !has(t, ECG_T_DIAGNOSES))
        return ecg_fail_at(err, ECG_EARG, t->path[ECG_T_RESULTS], 0, 0,
                           "its codes were linked with the clock as recorded: --offset-minutes needs diagnoses_icd.csv (--hosp)");
    say_rows(t, o, watch);
    say_codes(t, o, watch);
    say_measurements(t, watch);
    return ECG_OK;
}
