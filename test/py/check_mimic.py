#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""check_mimic.py: `ecgraft cohort build` from every arrangement of a MIMIC-like hospital: the published codes and folds (records_w_diag_icd10.csv,
written here by the rules of the protocol), the recordings in an archive, no ED module, no recordings, masks, a clock offset, the fixed list of codes.

Where ECGRAFT_DATA has the real demo tables (mimic_iv_demo), they are built from edregtime and compared with the protocol in pandas. Needs B, numpy, pandas."""
import csv, gzip, json, os, re, shutil, subprocess, sys, tempfile, types, zipfile
import numpy as np, pandas as pd
import check_cohort as cc
from check_cohort import check, closing, read_cohort

PROGRAM = os.path.join(cc.B, "ecgraft")
COMMON = ["--min-labs", "8", "--min-count", "15", "-q"]


def build(out, *args, fails=False):
    done = subprocess.run([PROGRAM, "cohort", "build", "-o", out, *args], capture_output=True, text=True)
    if done.returncode and not fails:
        print("FAIL", " ".join(args), done.stderr[-400:])
        cc.counts["failed"] += 1
        closing()
    return (done.returncode, done.stderr) if fails else (*read_cohort(out), done.stderr)


def same_tensors(a, b, but=()):
    return sorted(a) == sorted(b) and all(np.array_equal(a[k], b[k], equal_nan=a[k].dtype.kind == "f") for k in a if k not in but)


def codes_of(meta, name="diagnoses"):
    return [x["code"] for t in json.loads(meta["contract"])["tables"] if t["set"] == name for x in t["labels"]]


def attrition(meta):
    return {s["step"]: s["dropped"] for s in json.loads(meta["attrition"])}


# ---- the published table -------------------------------------------------------------------------------------------------------------

COLUMNS = """,file_name,study_id,subject_id,ecg_time,ed_stay_id,ed_hadm_id,hosp_hadm_id,ed_diag_ed,ed_diag_hosp,hosp_diag_hosp,all_diag_hosp,all_diag_all,
gender,age,anchor_year,anchor_age,dod,ecg_no_within_stay,ecg_taken_in_ed,ecg_taken_in_hosp,ecg_taken_in_ed_or_hosp,fold,strat_fold""".replace("\n", "").split(",")


def number(x):
    return "" if x is None or x != x else "%.1f" % x


def results_rows(h, mapping):
    stays = cc.grouped(h.stays, "subject_id", ["stay_id", "intime", "outtime", "hadm_id"])
    admissions = cc.grouped(h.admissions, "subject_id", ["hadm_id", "admittime", "dischtime", "deathtime"])
    by_hadm = cc.grouped(h.codes, "hadm_id", ["icd_code", "icd_version"])
    by_stay = cc.grouped(h.ed_codes, "stay_id", ["icd_code", "icd_version"])
    people = {p.subject_id: p for p in h.patients.itertuples()}
    fold = {p: i * 7 % 20 for i, p in enumerate(sorted(people))}

    def mapped(rows):
        codes = [c.strip() if v == 10 else mapping.get(c.strip()) for c, v in rows]
        return sorted({c for c in codes if c})
    out = []
    for r in h.records.sort_values(["subject_id", "ecg_time"], kind="stable").itertuples():
        t, p = r.ecg_time, people[r.subject_id]
        own = next((s for s in stays.get(r.subject_id, ()) if s[1] < t < s[2]), (None, None, None, None))
        hosp = next((a[0] for a in admissions.get(r.subject_id, ()) if a[1] < t and (a[2] > t or a[3] > t)), None)
        ed_ed, ed_hosp, hosp_hosp = mapped(by_stay.get(own[0], [])), mapped(by_hadm.get(own[3], [])), mapped(by_hadm.get(hosp, []))
        both = sorted(set(ed_hosp) | set(hosp_hosp))
        out.append(dict(zip(COLUMNS, [len(out), "mimic-iv-ecg-1.0/" + r.path, r.study_id, r.subject_id, t, number(own[0]), number(own[3]), number(hosp), ed_ed, ed_hosp,
                                      hosp_hosp, both, both or ed_ed, p.gender, t.year - p.anchor_year + p.anchor_age, p.anchor_year, p.anchor_age, "", -1,
                                      own[0] is not None, hosp is not None, own[0] is not None or hosp is not None, 0, fold[r.subject_id]])))
    return out


def write_results(path, rows, without=()):
    names = [c for c in COLUMNS if c not in without]
    with (gzip.open if path.endswith(".gz") else open)(path, "wt", newline="") as f:
        w = csv.writer(f)
        w.writerow(names)
        w.writerows([r[c] for c in names] for r in rows)


def published(folder, hospital, h, mapping):
    raw_meta, raw, _ = build(os.path.join(folder, "raw.cohort"), "--mimic", hospital, *COMMON)
    rows = results_rows(h, mapping)
    icd, path = os.path.join(folder, "icd"), os.path.join(folder, "icd", "records_w_diag_icd10.csv")
    os.mkdir(icd)
    write_results(path, rows)
    meta, c, said = build(os.path.join(folder, "icd.cohort"), "--mimic", hospital, "--icd", icd, "--min-labs", "8", "--min-count", "15")
    check("all_diag_all" in said and "strat_fold" in said, "what the published table is used for is said")
    labs = [k for k in c if k.startswith("labels.labs")]
    check(same_tensors({k: v for k, v in raw.items() if k not in labs}, {k: v for k, v in c.items() if k not in labs}, but=["fold"]),
          "the published table gives the rows, columns and diagnoses that the raw tables give")
    fold = {r["subject_id"]: r["strat_fold"] for r in rows}
    check(list(c["fold"]) == [fold[p] for p in c["patient"]], "the published folds")
    check(len(set(c["fold"])) > 10, "folds that mean something")

    small = os.path.join(folder, "hosp")  # what is then not needed
    os.mkdir(small)
    for name in ("labevents", "d_labitems", "omr", "d_icd_diagnoses"):
        shutil.copy(os.path.join(hospital, "mimic-iv/hosp", name + ".csv.gz"), small)
    few = os.path.join(folder, "few")
    shutil.copytree(os.path.join(hospital, "mimic-iv-ecg"), os.path.join(few, "ecg"))
    shutil.move(small, os.path.join(few, "hosp"))
    _, d, _ = build(os.path.join(folder, "few.cohort"), "--mimic", few, "--ed", os.path.join(hospital, "mimic-iv-ed"), "--icd", path, *COMMON)
    deterioration = [k for k in c if k.startswith("labels.deterioration")]
    drop = lambda t: {k: v for k, v in t.items() if k not in deterioration}
    check(same_tensors(drop(c), drop(d)), "patients, admissions and diagnoses_icd are not needed beside the published table")

    write_results(path + ".gz", rows, without=["strat_fold", "fold"])
    meta, d, said = build(os.path.join(folder, "gen.cohort"), "--mimic", hospital, "--icd", path + ".gz", "--min-labs", "8", "--min-count", "15")
    check("iterative stratification" in said and same_tensors(raw, d), "no strat_fold: generated folds, the raw cohort")

    os.remove(path + ".gz")
    _, d, said = build(os.path.join(folder, "list.cohort"), "--hosp", os.path.join(hospital, "mimic-iv"), "--ed", os.path.join(hospital, "mimic-iv-ed/ed"), "--icd", icd,
                       "--min-labs", "8", "--min-count", "15")
    check("signal" not in d and "waveforms: none" in said, "recordings that are only listed: tables alone")
    check(same_tensors({k: v for k, v in c.items() if k != "signal"}, d, but=["quality"]), "the same tables without the recordings")
    distractors(folder, hospital, rows, c, path)
    return raw_meta, raw


def distractors(folder, hospital, rows, good, path):
    """rows that are dropped and counted, and rows that are refused with their line"""
    kept = {int(s) for s in good["study"]}
    at = [i for i, r in enumerate(rows) if r["study_id"] in kept]
    change = [dict(r) for r in rows]
    change[at[0]]["ed_stay_id"] = "39999999.0"
    change[at[3]]["all_diag_all"] = []
    change[at[5]]["ecg_time"] = change[at[5]]["ecg_time"] + pd.Timedelta(hours=30)
    change.insert(at[6] + 1, dict(change[at[6]]))
    write_results(path, change)
    out = os.path.join(folder, "x.cohort")
    before = attrition(build(os.path.join(folder, "icd.cohort"), "--mimic", hospital, "--icd", path, *COMMON, "--no-waveforms")[0])
    write_results(path, rows)
    none = attrition(build(os.path.join(folder, "icd.cohort"), "--mimic", hospital, "--icd", path, *COMMON, "--no-waveforms")[0])
    for step, more in (("study listed for the first time", 1), ("its ED stay is in edstays", 1), ("at most 90 minutes after arrival", 1), ("with a diagnosis code", 1),
                       ("taken during an ED stay", 0)):
        check(before[step] == none[step] + more, "%s: %d dropped, %d before" % (step, before[step], none[step]))
    two = next(i for i in range(1, len(rows)) if rows[i]["subject_id"] == rows[i - 1]["subject_id"])
    cases = [
        ("a fold that is none", at[0], "strat_fold", 20, "%d.*strat_fold is 0 to 19"),
        ("no fold", at[0], "strat_fold", "", "%d.*strat_fold"),
        ("a fold that is no number", at[0], "strat_fold", "a", "%d.*strat_fold"),
        ("a patient in two folds", two, "strat_fold", (rows[two]["strat_fold"] + 1) % 20, "%d.*patient.*in strat_fold"),
        ("a list that is none", at[0], "all_diag_all", "I4891", "%d.*all_diag_all"),
        ("a list that is not closed", at[0], "all_diag_all", "['I4891'", "%d.*all_diag_all"),
        ("a stay that is no number", at[0], "ed_stay_id", "x1", "%d.*ed_stay_id"),
        ("a day that does not exist", at[0], "ecg_time", "2120-02-30 10:00:00", "%d.*ecg_time"),
    ]
    for why, i, column, value, want in cases:
        change = [dict(r) for r in rows]
        change[i][column] = value
        write_results(path, change)
        code, said = build(out, "--mimic", hospital, "--icd", path, "-q", fails=True)
        check(code == 1 and re.search(r"records_w_diag_icd10\.csv:" + want % (i + 2), said), "%s: %d, %s" % (why, code, said[-200:]))
    write_results(path, rows, without=["all_diag_all"])
    code, said = build(out, "--mimic", hospital, "--icd", path, "-q", fails=True)
    check(code == 1 and "all_diag_all" in said, "no column of codes: %s" % said[-200:])
    check(not os.path.exists(out), "nothing under the name")
    write_results(path, rows)


# ---- other arrangements --------------------------------------------------------------------------------------------------------------

def archive(folder, hospital, meta, raw, stored):
    name = os.path.join(folder, "mimic-iv-ecg-diagnostic-1.0.zip")
    root = os.path.join(hospital, "mimic-iv-ecg")
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as z:
        for at, _, files in sorted(os.walk(root)):
            for f in sorted(files):
                z.write(os.path.join(at, f), os.path.join("mimic-iv-ecg-diagnostic-1.0", os.path.relpath(os.path.join(at, f), root)),
                        zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)
    zipped, c, _ = build(os.path.join(folder, "zip.cohort"), "--ecg", name, "--ed", os.path.join(hospital, "mimic-iv-ed"), "--hosp", os.path.join(hospital, "mimic-iv"), *COMMON)
    check(zipped["synthetic"] == "true", "a synthetic hospital is known by any of its modules")
    check(same_tensors(raw, c), "recordings in the archive: the same cohort")
    check(zipped["sources"] == meta["sources"] and zipped["data_sha256"] == meta["data_sha256"], "and the same sources")


def rewritten(folder, hospital, raw):
    """plain files, columns in another order, without the columns that not every release has"""
    other = os.path.join(folder, "v21")
    shutil.copytree(hospital, other, ignore=shutil.ignore_patterns("files"))
    for at, _, files in os.walk(other):
        for f in files:
            if f.endswith(".csv.gz") and not at.endswith("truth"):
                t = pd.read_csv(os.path.join(at, f), dtype=str, keep_default_na=False).iloc[:, ::-1]
                t = t.drop(columns=[c for c in ("order_provider_id", "admit_provider_id", "rhythm", "anchor_year_group") if c in t])
                t.to_csv(os.path.join(at, f[:-3]), index=False, lineterminator="\r\n")
                os.remove(os.path.join(at, f))
    _, c, _ = build(os.path.join(folder, "v21.cohort"), "--mimic", other, "--ecg", os.path.join(hospital, "mimic-iv-ecg"), *COMMON)
    check(same_tensors(raw, c), "plain files with other columns in another order: the same cohort")


def masks(folder, hospital, raw):
    meta, c, _ = build(os.path.join(folder, "mask.cohort"), "--mimic", hospital, "--masks", "--no-waveforms", *COMMON)
    columns = json.loads(meta["contract"])["columns"]
    names = [x["name"] for x in columns]
    of = [i for i, x in enumerate(names[:466]) if not x.startswith("demographics_")]
    check(len(names) == 929 and names[466:] == [names[i] + "_nan" for i in of], "463 masks behind the 466 columns")
    check(sum(x["kind"] == "continuous" for x in columns) == 926, "926 continuous columns")
    check(all(columns[466 + k]["group"] == columns[i]["group"] for k, i in enumerate(of)), "a mask is of the group of its column")
    check(np.array_equal(c["tabular"][:, :466], raw["tabular"], equal_nan=True), "the columns themselves stay")
    check(np.array_equal(c["tabular"][:, 466:], np.isnan(raw["tabular"][:, of])), "1 where it was missing")


def offset(folder, hospital, h, mapping):
    meta, c, _ = build(os.path.join(folder, "late.cohort"), "--mimic", hospital, "--no-waveforms", "--offset-minutes", "-25.5", *COMMON)
    moved = types.SimpleNamespace(**vars(h))
    moved.records = h.records.assign(ecg_time=h.records.ecg_time - pd.Timedelta(minutes=25.5))
    v, lost = cc.visits(moved, mapping)
    check(list(c["study"]) == list(v.study) and (c["stay"] == v.stay).all(), "rows and stays with another clock")
    check(attrition(meta)["taken during an ED stay"] == lost["outside"], "and their losses")
    check((c["ecg_time"] == v["at"] + 25.5 * 60).all(), "the stored time is the recorded one")
    routine, tail = cc.routine_columns(moved, v)
    check(cc.same(c["tabular"][:, : routine.shape[1]].astype(float), routine).all(), "columns with another clock")


def listed(folder, hospital, raw_meta, raw):
    meta, c, said = build(os.path.join(folder, "mdsed.cohort"), "--mimic", hospital, "--no-waveforms", "--labels", "mdsed", "--min-labs", "8")
    codes = codes_of(meta)
    check(len(codes) == 1428 and codes == sorted(codes), "1,428 codes in order")
    y = c["labels.diagnoses"]
    empty = int(((y == 1).sum(axis=0) == 0).sum())
    check("%d of 1428 have no positive" % empty in said, "labels without a positive are said: %d" % empty)
    shared = [x for x in codes_of(raw_meta) if x in set(codes)]
    a, b = codes_of(raw_meta), codes
    check(len(shared) > 20 and all(np.array_equal(raw["labels.diagnoses"][:, a.index(x)], y[:, b.index(x)]) for x in shared), "labels that both lists have")


def without_ed(folder, hospital, h, mapping):
    """stays come from admissions; without recordings they are the rows"""
    bare = os.path.join(folder, "bare")
    shutil.copytree(os.path.join(hospital, "mimic-iv"), os.path.join(bare, "mimic-iv"))
    stays = h.admissions[h.admissions.edregtime.notna()]
    people = dict(zip(h.patients.subject_id, h.patients.gender))
    sub = types.SimpleNamespace(**vars(h))
    sub.stays = pd.DataFrame(dict(subject_id=stays.subject_id, stay_id=stays.hadm_id, intime=stays.edregtime, outtime=stays.edouttime, hadm_id=stays.hadm_id,
                                  gender=stays.subject_id.map(people), race=stays.race))
    sub.ed_codes, sub.triage, sub.vitals = h.ed_codes.iloc[:0], h.triage.iloc[:0], h.vitals.iloc[:0]
    meta, c, said = build(os.path.join(folder, "noed.cohort"), "--mimic", bare, "--ecg", os.path.join(hospital, "mimic-iv-ecg"), "--min-labs", "8", "--min-count", "15")
    v, _ = cc.visits(sub, mapping)
    check("no edstays.csv" in said, "no ED module: said")
    compare(c, sub, v, "no ED module")
    check("signal" in c, "no ED module: recordings are there")
    meta, c, said = build(os.path.join(folder, "noecg.cohort"), "--mimic", bare, "--min-count", "15", "--min-labs", "8")
    check("no record_list.csv" in said and "signal" not in c, "no recordings: said")
    compare(c, sub, rows_of_stays(sub, mapping), "no recordings")
    full, c, said = build(os.path.join(folder, "noecg2.cohort"), "--hosp", bare, "--ed", os.path.join(hospital, "mimic-iv-ed"), "--min-count", "15", "--min-labs", "8")
    compare(c, h, rows_of_stays(h, mapping), "no recordings, with ED module")


def rows_of_stays(h, mapping):
    by_hadm = cc.grouped(h.codes, "hadm_id", ["icd_code", "icd_version"])
    by_stay = cc.grouped(h.ed_codes, "stay_id", ["icd_code", "icd_version"])
    admissions = cc.grouped(h.admissions, "subject_id", ["hadm_id", "admittime", "dischtime", "deathtime"])
    people = {p.subject_id: p for p in h.patients.itertuples()}
    rows = []
    for r in h.stays.itertuples():
        t, p = r.intime, people[r.subject_id]
        hosp = next((a[0] for a in admissions.get(r.subject_id, ()) if a[1] < t and (a[2] > t or a[3] > t)), None)
        codes = cc.labels_of(by_hadm.get(hosp, []) + by_hadm.get(r.hadm_id, []), mapping) or cc.labels_of(by_stay.get(r.stay_id, []), mapping)
        if codes:
            rows.append(dict(subject=r.subject_id, study=r.stay_id, time=t, stay=r.stay_id, arrival=t, male=r.gender == "M", race=str(r.race), gender=p.gender,
                             age=t.year - p.anchor_year + p.anchor_age, codes=codes))
    v = pd.DataFrame(rows)
    v["at"], v["came"] = cc.seconds(v.time), cc.seconds(v.arrival)
    return v.iloc[np.lexsort((np.arange(len(v)), v.time, v.subject))].reset_index(drop=True)


def compare(c, h, v, what):
    check(list(c["study"]) == list(v.study) and list(c["stay"]) == list(v.stay), "%s: rows" % what)
    if len(c["study"]) != len(v):
        return
    check((c["patient"] == v.subject).all() and (c["ecg_time"] == v["at"]).all(), "%s: patients and times" % what)
    check((c["fold"] == cc.folds(v)).all(), "%s: folds" % what)
    routine, tail = cc.routine_columns(h, v)
    want = np.hstack([routine, cc.lab_columns(h, v), tail])
    wrong = ~cc.same(c["tabular"].astype(float), want)
    check(not wrong.any(), "%s: %d values differ, first in column %d" % (what, wrong.sum(), int(np.argmax(wrong.any(axis=0)))))
    check((~np.isnan(want)).any(axis=0).sum() > 100, "%s: columns that hold something" % what)
    check((~np.isnan(want)).any(axis=0)[58:463].any(), "%s: laboratory columns" % what)


# ---- real tables ----------------------------------------------------------------------------------------------------------------------

def demo(folder, mapping):
    root = os.path.join(cc.DATA, "mimic_iv_demo")
    if not os.path.isdir(root):
        print("skip no mimic_iv_demo below ECGRAFT_DATA")
        cc.counts["skipped"] += 1
        return
    out = os.path.join(folder, "demo.cohort")
    meta, c, said = build(out, "--mimic", root)
    for word in ("no record_list.csv", "no edstays.csv", "laboratory: hosp/labevents.csv.gz", "diagnoses_icd of the admissions"):
        check(word in said, "the demo says \"%s\"" % word)
    read = lambda name, times=(), text=(): pd.read_csv(os.path.join(root, "hosp", name + ".csv.gz"), parse_dates=list(times), dtype={x: str for x in text},
                                                      keep_default_na=True, na_values=[""])
    h = types.SimpleNamespace(patients=read("patients"), admissions=read("admissions", ["admittime", "dischtime", "deathtime", "edregtime", "edouttime"]),
                              codes=read("diagnoses_icd", text=["icd_code"]), labs=read("labevents", ["charttime"], ["value", "valueuom"]), items=read("d_labitems"),
                              omr=read("omr", ["chartdate"], ["result_value"]))
    ed = h.admissions[h.admissions.edregtime.notna()]
    people = dict(zip(h.patients.subject_id, h.patients.gender))
    h.stays = pd.DataFrame(dict(subject_id=ed.subject_id, stay_id=ed.hadm_id, intime=ed.edregtime, outtime=ed.edouttime, hadm_id=ed.hadm_id,
                                gender=ed.subject_id.map(people), race=ed.race))
    h.ed_codes = pd.DataFrame(dict(stay_id=[], icd_code=[], icd_version=[]))
    h.triage = pd.DataFrame(dict(stay_id=[], acuity=[]))
    h.vitals = pd.DataFrame({x: [] for x in ["stay_id", "charttime"] + cc.VITALS})
    h.vitals["charttime"] = pd.to_datetime(h.vitals["charttime"])
    v = rows_of_stays(h, mapping)
    compare(c, h, v, "the demo")
    count = {}
    for codes in v.codes:
        for x in codes:
            count[x] = count.get(x, 0) + 1
    kept = sorted(x for x, k in count.items() if k >= 40)
    check(codes_of(meta) == kept and len(kept) > 0, "the demo's diagnoses: %s, expected %s" % (codes_of(meta), kept))
    check((c["labels.diagnoses"] == np.array([[x in codes for x in kept] for codes in v.codes])).all(), "the demo's diagnosis labels")
    classes(out, h)


def classes(out, h):
    """rows with a number and a range of their own have a class that needs nothing else"""
    got = pd.read_csv(out + ".lab_rows.csv", dtype=str, keep_default_na=False)
    named = h.labs.merge(h.items[h.items.label.notna()], on="itemid")
    check(got.subject_id.nunique() == h.patients.subject_id.nunique() == 75, "laboratory rows of all 75 patients: %d" % got.subject_id.nunique())
    check(len(got) == len(named), "every laboratory row: %d of %d" % (len(got), len(named)))
    sure = named[named.valuenum.notna() & named.ref_range_lower.notna() & named.ref_range_upper.notna() & ~((named.ref_range_lower == 0) & (named.ref_range_upper == 0))
                 & named.charttime.notna() & ~named.label.isin(["other", "H", "I", "L"])]
    want = np.where(sure.valuenum < sure.ref_range_lower, "low", np.where(sure.valuenum > sure.ref_range_upper, "high", "normal"))
    mine = dict(zip(got.labevent_id, got["class"]))
    differ = [(i, mine.get(str(i)), w) for i, w in zip(sure.labevent_id, want) if mine.get(str(i)) != w]
    check(not differ, "classes of %d rows with their own range: %d differ, first %s" % (len(sure), len(differ), differ[:1]))
    counts = pd.read_csv(out + ".lab_rows.counts.csv")
    for side in ("low", "normal", "high"):
        check(counts[side].sum() == (got["class"] == side).sum(), "counts of %s" % side)


def main():
    if not os.access(PROGRAM, os.X_OK) or not os.path.exists(os.path.join(cc.DATA, "icd_maps")):
        print("skip %s is not built, or no icd_maps below ECGRAFT_DATA" % PROGRAM)
        cc.counts["skipped"] += 1
        closing()
    mapping = cc.icd_map()
    with tempfile.TemporaryDirectory() as folder:
        hospital = os.path.join(folder, "h")
        subprocess.run([PROGRAM, "synth", hospital, "--patients", "220", "--seed", "23", "-q"], check=True)
        h = cc.Hospital(hospital)
        h.admissions["edregtime"], h.admissions["edouttime"] = pd.to_datetime(h.admissions.edregtime), pd.to_datetime(h.admissions.edouttime)
        raw_meta, raw = published(folder, hospital, h, mapping)
        archive(folder, hospital, raw_meta, raw, stored=False)
        archive(folder, hospital, raw_meta, raw, stored=True)
        rewritten(folder, hospital, raw)
        masks(folder, hospital, raw)
        offset(folder, hospital, h, mapping)
        listed(folder, hospital, raw_meta, raw)
        without_ed(folder, hospital, h, mapping)
        demo(folder, mapping)
    closing()


main()
