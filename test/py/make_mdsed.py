#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""make_mdsed.py: a table in the schema of the published mds_ed.csv (1,936 columns), and what a cohort made of it must hold.

    make_mdsed.py                                     writes a small table and reads it back with pandas (run by the test suite)
    make_mdsed.py write FOLDER LIST [options]         FOLDER/mds_ed.csv(.gz) about the studies of LIST, a record_list.csv, and FOLDER/expected.npz
        --seed N  --gz  --rows N (repeated studies, numbered on)  --permute (columns)  --without PREFIX (columns)  --extra  --repeat N (rows a second time)
        --cohort FILE: the values of a built cohort instead of random ones
    make_mdsed.py compare COHORT FOLDER/expected.npz  every tensor against what was written
    make_mdsed.py edit FROM TO LINE COLUMN VALUE      one field changed; LINE 1: the column's name; COLUMN "": the last field is cut off

Random values: seeded. Needs numpy and pandas; ECGRAFT_DATA/mds_ed_schema/columns.csv for the columns (without it the closing line says skipped)."""
import argparse, csv, gzip, json, os, sys, tempfile

if sys.argv[1:2] != ["edit"]:  # it is called often and needs none of them
    import numpy as np, pandas as pd

    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from check_cohort import folds, read_cohort

SCHEMA = os.path.join(os.environ.get("ECGRAFT_DATA", "../shared/data"), "mds_ed_schema", "columns.csv")
ETHNICITY = ["asian", "black/african", "hispanic/latino", "other", "white"]
counts = {"passed": 0, "failed": 0, "skipped": 0}


def check(ok, what):
    counts["passed" if ok else "failed"] += 1
    if not ok:
        print("FAIL", what)


def closing():
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % counts)
    return 1 if counts["failed"] else 0


def opened(path, mode):
    if not path.endswith(".gz"):
        return open(path, mode, encoding="utf-8", newline="")
    return gzip.open(path, mode + "t", encoding="utf-8", newline="", compresslevel=1)


def published_columns():
    with open(SCHEMA, encoding="utf-8", newline="") as f:
        return ["" if r["column"] == "Unnamed: 0" else r["column"] for r in csv.DictReader(f)]


def random_values(studies, columns, rng):
    """column -> list of the texts that go into the table"""
    n = len(studies)
    empty = lambda texts, share: ["" if u < share else t for t, u in zip(texts, rng.random(n))]
    out = {}
    ethnicity = rng.integers(-1, 6, n)  # -1: none of the five, 5: all empty
    for c in columns:
        if c in ("general_study_id", "general_subject_id", "general_ecg_time", "general_file_name"):
            continue
        elif c == "general_strat_fold":
            out[c] = [str(int(s["subject_id"]) % 20) for s in studies]
        elif c == "general_ed_stay_id":  # two recordings of a patient share one; some have none
            out[c] = empty(["3%s.0" % s["subject_id"][1:] for s in studies], 0.1)
        elif c == "demographics_age":
            out[c] = ["%.1f" % x for x in rng.uniform(18, 91, n)]
        elif c == "demographics_gender":
            out[c] = [str(x) for x in rng.integers(0, 2, n)]
        elif c.startswith("demographics_ethnicity_"):
            k = ETHNICITY.index(c.rsplit("_", 1)[1])
            out[c] = ["" if e == 5 else str(int(e == k)) for e in ethnicity]
        elif c == "vitals_acuity":
            out[c] = empty(["%d.0" % x for x in rng.integers(1, 6, n)], 0.1)
        elif c.startswith("diagnoses_"):
            out[c] = [str(int(u < 0.03)) for u in rng.random(n)]
        elif c.startswith("deterioration_"):
            out[c] = [("0.0", "1.0", "-999.0", "-999", "")[k] for k in rng.choice(5, n, p=[0.8, 0.1, 0.04, 0.03, 0.03])]
        elif c.split("_")[0] in ("biometrics", "vitals", "labvalues"):
            texts = [repr(float(x)) for x in rng.normal(0, 1, n) * 10.0 ** rng.integers(-8, 9, n)]
            out[c] = ["inf" if u > 0.999 else "-999.0" if u > 0.99 else t for t, u in zip(empty(texts, 0.6), rng.random(n))]
        elif c.startswith("general_ed_diag"):
            out[c] = ["['I4891', 'E785']" if u < 0.5 else "[]" for u in rng.random(n)]
        elif c == "general_race":
            out[c] = ["WHITE, OTHER \"EUROPEAN\"" if u < 0.5 else "ASIAN" for u in rng.random(n)]
        else:
            out[c] = [str(i) for i in range(n)]
    return out


def values_of_cohort(path, columns):
    """The same from a cohort that was built from raw tables."""
    meta, t = read_cohort(path)
    contract = json.loads(meta["contract"])
    n = len(t["study"])
    column = {c["name"]: i for i, c in enumerate(contract["columns"])}
    code = {s["set"]: {l["code"]: i for i, l in enumerate(s["labels"])} for s in contract["tables"]}
    number = lambda x: "" if np.isnan(x) else "%.9g" % x
    whole = lambda x: ("", "0.0", "1.0")[x + 1]
    out = {"general_strat_fold": [str(x) for x in t["fold"]], "general_ed_stay_id": ["%d.0" % x if x >= 0 else "" for x in t["stay"]]}
    for c in columns:
        if c in column:
            out[c] = [number(x + (c == "vitals_acuity")) for x in t["tabular"][:, column[c]]]
        elif c.startswith("demographics_ethnicity_"):
            e = t["tabular"][:, column["demographics_ethnicity"]]
            out[c] = ["" if np.isnan(x) else str(int(x == ETHNICITY.index(c.rsplit("_", 1)[1]))) for x in e]
        elif c.startswith("diagnoses_") or c.startswith("deterioration_"):
            group, name = c.split("_", 1)
            k = code.get(group, {}).get(name.upper() if group == "diagnoses" else name)
            out[c] = ["0" if group == "diagnoses" else "-999"] * n if k is None else [whole(x) for x in t["labels." + group][:, k]]
        elif c not in out and c not in ("general_study_id", "general_subject_id", "general_ecg_time", "general_file_name"):
            out[c] = [""] * n
    return t["study"], out


def expected_of(texts, input_names):
    """The arrays of a cohort from the texts of a table, by the rules of docs/cohort.md; rows that repeat a study are gone."""
    n = len(texts["general_study_id"])
    first = {}
    for i, s in enumerate(texts["general_study_id"]):
        first.setdefault(s, i)
    keep = np.array([first[s] == i for i, s in enumerate(texts["general_study_id"])])

    def numbers(c):
        x = np.array([np.nan if v in ("", "inf", "-inf") else float(v) for v in texts[c]])
        x[x == -999] = np.nan
        return x.astype("f4")

    whole = lambda c: np.array([-1 if v == "" else int(float(v)) for v in texts[c]], "i8")
    tabular = np.full((n, len(input_names)), np.nan, "f4")
    for k, c in enumerate(input_names):
        if c == "demographics_ethnicity":
            for i in range(n):
                row = [texts["demographics_ethnicity_" + e][i] for e in ETHNICITY]
                tabular[i, k] = np.nan if not any(row) else row.index("1") if "1" in row else ETHNICITY.index("other")
        elif not c.endswith("_nan"):
            tabular[:, k] = numbers(c) - (c == "vitals_acuity")
    for k, c in enumerate(input_names):
        if c.endswith("_nan"):
            tabular[:, k] = np.isnan(tabular[:, input_names.index(c[:-4])])
    out = {"tabular": tabular, "study": whole("general_study_id"), "patient": whole("general_subject_id"), "stay": whole("general_ed_stay_id")}
    out["ecg_time"] = pd.to_datetime(pd.Series(texts["general_ecg_time"])).to_numpy().astype("datetime64[s]").astype("i8")
    for group in ("diagnoses", "deterioration"):
        codes = sorted((c.split("_", 1)[1].upper() if group == "diagnoses" else c.split("_", 1)[1], c) for c in texts if c.startswith(group + "_"))
        if codes:
            out["codes." + group] = np.array([code for code, _ in codes])
            out["labels." + group] = np.nan_to_num(np.stack([numbers(c) for _, c in codes], 1), nan=-1).astype("i1")
    out = {name: x if name.startswith("codes.") else x[keep] for name, x in out.items()}
    best = {}
    for i, (stay, when) in enumerate(zip(out["stay"], out["ecg_time"])):
        best.setdefault(stay, (when, i))
        best[stay] = min(best[stay], (when, i))
    out["first_in_stay"] = np.array([stay < 0 or best[stay][1] == i for i, stay in enumerate(out["stay"])], "u1")
    if "general_strat_fold" in texts:
        out["fold"] = whole("general_strat_fold")[keep].astype("u1")
    else:
        gender = tabular[keep, input_names.index("demographics_gender")]
        frame = pd.DataFrame({"subject": out["patient"], "age": tabular[keep, input_names.index("demographics_age")].astype("f8"),
                              "gender": ["M" if g == 1 else "F" if g == 0 else "" for g in gender]})
        frame["codes"] = [set(out["codes.diagnoses"][row == 1]) for row in out["labels.diagnoses"]]
        out["fold"] = folds(frame).astype("u1")
    return out


def input_names(columns, masks):
    vitals = [c for c in columns if c.startswith("vitals_") and c != "vitals_acuity"]
    order = [v + "_" + s for v in VITALS for s in STATISTICS]
    assert sorted(vitals) == sorted("vitals_" + x for x in order)
    names = ["demographics_age", "biometrics_bmi", "biometrics_weight", "biometrics_height"] + ["vitals_" + x for x in order]
    labs = [c for c in columns if c.startswith("labvalues_")]
    tests = list(dict.fromkeys(c[: -len(s) - 1] for c in labs for s in STATISTICS if c.endswith("_" + s)))
    tests.sort(key=lambda t: LABS.index(t[len("labvalues_") :]))
    names += [t + "_" + s for t in tests for s in STATISTICS]
    names += ["demographics_gender", "vitals_acuity", "demographics_ethnicity"]
    return names + [c + "_nan" for c in names if c.split("_")[0] != "demographics"] if masks else names


STATISTICS = ["mean", "median", "min", "max", "std", "first", "last", "rate_change", "coeff"]
VITALS = ["temperature", "heartrate", "resprate", "o2sat", "sbp", "dbp"]
LABS = """absolute_basophil_count absolute_eosinophil_count absolute_lymphocyte_count alanine_aminotransferase_(alt) albumin alkaline_phosphatase
asparate_aminotransferase_(ast) bands base_excess basophils bicarbonate bilirubin,_direct bilirubin,_total c-reactive_protein calcium,_total
carboxyhemoglobin chloride creatine_kinase_(ck) creatine_kinase,_mb_isoenzyme creatinine eosinophils fibrinogen,_functional free_calcium glucose
hematocrit hemoglobin inr(pt) lactate lymphocytes magnesium neutrophils oxygen_saturation pt ptt phosphate platelet_count potassium rdw
red_blood_cells sodium troponin_t urea_nitrogen white_blood_cells pco2 ph""".split()


def write(a):
    rng = np.random.default_rng(a.seed)
    with opened(a.list, "r") as f:
        studies = list(csv.DictReader(f))
    columns = published_columns()
    if a.cohort:
        ids, texts = values_of_cohort(a.cohort, columns)
        by_study = {int(s["study_id"]): s for s in studies}
        studies = [by_study[i] for i in ids]
    else:
        if a.rows:
            studies = [dict(studies[i % len(studies)], study_id=str(int(studies[i % len(studies)]["study_id"]) + i // len(studies) * 10**8)) for i in range(a.rows)]
        texts = random_values(studies, columns, rng)
    texts["general_study_id"] = [s["study_id"] + ".0" * (i % 7 == 0) for i, s in enumerate(studies)]
    texts["general_subject_id"] = [s["subject_id"] for s in studies]
    texts["general_ecg_time"] = [s["ecg_time"] for s in studies]
    texts["general_file_name"] = ["mimic-iv-ecg-diagnostic-electrocardiogram-matched-subset-1.0/" + s["path"] for s in studies]
    for c in columns[:]:
        if a.without and c.startswith(a.without):
            columns.remove(c)
            del texts[c]
    if a.extra:
        columns += ["comment", "diagnoses_q999"]
        texts["comment"], texts["diagnoses_q999"] = ['said "no, thanks"'] * len(studies), ["1"] * len(studies)
    if a.permute:
        columns = [columns[i] for i in rng.permutation(len(columns))]
    for c in columns:
        texts[c] = texts[c] + texts[c][: a.repeat]
    os.makedirs(a.folder, exist_ok=True)
    with opened(os.path.join(a.folder, "mds_ed.csv" + ".gz" * a.gz), "w") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(columns)
        w.writerows(zip(*(texts[c] for c in columns)))
    if not a.rows:
        np.savez(os.path.join(a.folder, "expected.npz"), **expected_of({c: texts[c] for c in columns}, input_names(columns, a.masks)))


def compare(a):
    meta, t = read_cohort(a.cohort)
    contract = json.loads(meta["contract"])
    want = np.load(a.expected)
    for name in want.files:
        if name.startswith("codes."):
            got = [l["code"] for s in contract["tables"] if s["set"] == name[6:] for l in s["labels"]]
            check(got == list(want[name]), name)
        else:
            check(name in t and t[name].shape == want[name].shape and np.array_equal(t[name], want[name], equal_nan=name == "tabular"), name)
    named = {"labels." + s["set"] for s in contract["tables"]}
    check(named == {x for x in want.files if x.startswith("labels.")}, "sets of labels")
    check(len(contract["columns"]) == want["tabular"].shape[1], "columns")
    return closing()


def edit(a):
    with opened(a.source, "r") as f:
        rows = list(csv.reader(f))
    if not a.column:
        rows[a.line - 1].pop()
    else:
        rows[a.line - 1][rows[0].index(a.column)] = a.value
    with opened(a.target, "w") as f:
        csv.writer(f, lineterminator="\n").writerows(rows)


def read_back():
    """The table is what it says: pandas finds the published columns in their order and the same numbers."""
    if not os.path.exists(SCHEMA):
        print("skip no %s" % SCHEMA)
        counts["skipped"] += 1
        return closing()
    with tempfile.TemporaryDirectory() as room:
        with open(os.path.join(room, "list.csv"), "w", encoding="utf-8") as f:
            f.write("subject_id,study_id,file_name,ecg_time,path\n")
            f.writelines("%d,%d,%d,2150-01-%02d 10:00:00,files/p\n" % (10000000 + i // 3, 40000000 + i, 40000000 + i, 1 + i % 28) for i in range(60))
        write(arguments().parse_args(["write", room, f.name]))
        table, want = pd.read_csv(os.path.join(room, "mds_ed.csv"), low_memory=False), np.load(os.path.join(room, "expected.npz"))
    published = published_columns()
    check([c if not c.startswith("Unnamed") else "" for c in table.columns] == published and len(published) == 1936, "columns")
    codes = ["diagnoses_" + c.lower() for c in want["codes.diagnoses"]]
    check(len(codes) == 1428 and (table[codes].to_numpy() == want["labels.diagnoses"]).all(), "diagnoses")
    names = input_names(published, False)[:-3]
    numbers = table[names].to_numpy("f8")
    numbers[(numbers == -999) | np.isinf(numbers)] = np.nan
    check(np.array_equal(numbers.astype("f4"), want["tabular"][:, :463], equal_nan=True), "numbers")
    check((table.general_study_id == want["study"]).all(), "studies")
    return closing()


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    s = p.add_subparsers(dest="what")
    w = s.add_parser("write")
    w.add_argument("folder"), w.add_argument("list"), w.add_argument("--cohort"), w.add_argument("--without")
    for name in ("seed", "rows", "repeat"):
        w.add_argument("--" + name, type=int, default=0)
    for name in ("gz", "permute", "extra", "masks"):
        w.add_argument("--" + name, action="store_true")
    c = s.add_parser("compare")
    c.add_argument("cohort"), c.add_argument("expected")
    e = s.add_parser("edit")
    e.add_argument("source"), e.add_argument("target"), e.add_argument("line", type=int), e.add_argument("column"), e.add_argument("value")
    return p


if __name__ == "__main__":
    given = arguments().parse_args()
    sys.exit({"write": write, "compare": compare, "edit": edit, None: lambda _: read_back()}[given.what](given))
