#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""check_cohort.py: a synthetic hospital through `ecgraft cohort build`, and through the protocol written a second time with pandas.

Needs B (build folder), numpy and pandas; ECGRAFT_DATA/icd_maps for the ICD-9 rows. Rows, folds, columns and labels must be equal; columns to
float32 rounding of sums taken in another order."""
import csv, gzip, json, os, struct, subprocess, sys, tempfile
import numpy as np, pandas as pd

B = os.environ.get("B", "build")
DATA = os.environ.get("ECGRAFT_DATA", "../shared/data")
counts = {"passed": 0, "failed": 0, "skipped": 0}


def check(ok, what):
    counts["passed" if ok else "failed"] += 1
    if not ok:
        print("FAIL", what)


def closing():
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % counts)
    sys.exit(1 if counts["failed"] else 0)


def read_cohort(path):
    raw = open(path, "rb").read()
    (n,) = struct.unpack("<Q", raw[:8])
    head = json.loads(raw[8 : 8 + n])
    meta = head.pop("__metadata__")
    kinds = {"F32": "<f4", "I64": "<i8", "I8": "<i1", "U8": "<u1"}
    tensors = {}
    for name, t in head.items():
        a, b = t["data_offsets"]
        tensors[name] = np.frombuffer(raw[8 + n + a : 8 + n + b], kinds[t["dtype"]]).reshape(t["shape"])
    return meta, tensors


# ---- the protocol, sections 1 to 4 -------------------------------------------------------------------------------------------------

STATS = ["mean", "median", "min", "max", "std", "first", "last", "rate_change", "coeff"]
VITALS = ["temperature", "heartrate", "resprate", "o2sat", "sbp", "dbp"]
LABS = """Absolute Basophil Count;Absolute Eosinophil Count;Absolute Lymphocyte Count;Alanine Aminotransferase (ALT);Albumin;Alkaline Phosphatase;
Asparate Aminotransferase (AST);Bands;Base Excess;Basophils;Bicarbonate;Bilirubin, Direct;Bilirubin, Total;C-Reactive Protein;Calcium, Total;
Carboxyhemoglobin;Chloride;Creatine Kinase (CK);Creatine Kinase, MB Isoenzyme;Creatinine;Eosinophils;Fibrinogen, Functional;Free Calcium;Glucose;
Hematocrit;Hemoglobin;INR(PT);Lactate;Lymphocytes;Magnesium;Neutrophils;Oxygen Saturation;PT;PTT;Phosphate;Platelet Count;Potassium;RDW;
Red Blood Cells;Sodium;Troponin T;Urea Nitrogen;White Blood Cells;pCO2;pH""".replace("\n", "").split(";")
LIMIT = {"Absolute Basophil Count": 20, "Absolute Eosinophil Count": 20, "Absolute Lymphocyte Count": 100, "Glucose": 2000, "Lactate": 2000,
         "Platelet Count": 2000, "Alanine Aminotransferase (ALT)": 2000, "Alkaline Phosphatase": 2000, "Asparate Aminotransferase (AST)": 2000,
         "Creatine Kinase (CK)": 2000}
WINDOW = pd.Timedelta(minutes=90)
MINUTES = 90


def statistics(pairs):
    """pairs: (minutes since arrival, value) in order of time"""
    if not pairs:
        return [np.nan] * 9
    m, v = (np.array(x, float) for x in zip(*pairs))
    slope = 0.0 if len(v) == 1 or (m == m[0]).all() else np.cov(m, v, bias=True)[0, 1] / m.var()
    return [v.mean(), np.median(v), v.min(), v.max(), v.std(), v[0], v[-1], np.nan if v[0] == 0 else (v[-1] - v[0]) / v[0], slope]


def seconds(times):
    return times.astype("int64") // 10**9


def grouped(frame, key, columns):
    """key -> list of tuples, file order"""
    out = {}
    for row in zip(frame[key], *(frame[c] for c in columns)):
        out.setdefault(row[0], []).append(row[1:])
    return out


class Hospital:
    def __init__(self, folder):
        def table(path, times=(), text=()):
            return pd.read_csv(os.path.join(folder, path), parse_dates=list(times), dtype={c: str for c in text}, keep_default_na=True, na_values=[""])
        self.records = table("mimic-iv-ecg/record_list.csv", ["ecg_time"])
        ed, hosp = "mimic-iv-ed/ed/", "mimic-iv/hosp/"
        self.stays = table(ed + "edstays.csv.gz", ["intime", "outtime"])
        self.triage = table(ed + "triage.csv.gz")
        self.vitals = table(ed + "vitalsign.csv.gz", ["charttime"])
        self.ed_codes = table(ed + "diagnosis.csv.gz", text=["icd_code"])
        self.patients = table(hosp + "patients.csv.gz")
        self.admissions = table(hosp + "admissions.csv.gz", ["admittime", "dischtime", "deathtime"])
        self.codes = table(hosp + "diagnoses_icd.csv.gz", text=["icd_code"])
        self.labs = table(hosp + "labevents.csv.gz", ["charttime"], ["value", "valueuom"])
        self.items = table(hosp + "d_labitems.csv.gz")
        self.omr = table(hosp + "omr.csv.gz", ["chartdate"], ["result_value"])


def icd_map():
    """last row of a code; the file goes on behind the end of the mapping (V9199) with rows that are none of it"""
    mapping, last = {}, ""
    with gzip.open(os.path.join(DATA, "icd_maps/icd_cm_9_to_10_mapping.csv.gz"), "rt") as f:
        for row in csv.DictReader(f):
            if row["icd_9"] < last:
                break
            last = row["icd_9"]
            mapping[last] = row["icd_10"]
    return {a: b for a, b in mapping.items() if b != "NoDx"}


def labels_of(rows, mapping):
    out = set()
    for code, version in rows:
        code = code.strip() if version == 10 else mapping.get(code.strip())
        if code:
            code = code[:5].rstrip("X")
            out |= {code[:i] for i in range(3, len(code) + 1)}
    return out


def visits(h, mapping):
    rows = []
    stays = grouped(h.stays, "subject_id", ["stay_id", "intime", "outtime", "hadm_id", "gender", "race"])
    admissions = grouped(h.admissions, "subject_id", ["hadm_id", "admittime", "dischtime", "deathtime"])
    by_hadm = grouped(h.codes, "hadm_id", ["icd_code", "icd_version"])
    by_stay = grouped(h.ed_codes, "stay_id", ["icd_code", "icd_version"])
    people = {p.subject_id: p for p in h.patients.itertuples()}
    lost = {"outside": 0, "late": 0, "uncoded": 0}
    for r in h.records.itertuples():
        t = r.ecg_time
        own = next((s for s in stays.get(r.subject_id, ()) if s[1] < t < s[2]), None)
        visit = next((s for s in stays.get(r.subject_id, ()) if s[1] <= t <= s[1] + WINDOW), None)
        if not own or not visit:
            lost["late" if own else "outside"] += 1
            continue
        hosp = next((a[0] for a in admissions.get(r.subject_id, ()) if a[1] < t and (a[2] > t or a[3] > t)), None)
        codes = labels_of(by_hadm.get(hosp, []) + by_hadm.get(own[3], []), mapping) or labels_of(by_stay.get(own[0], []), mapping)
        if not codes:
            lost["uncoded"] += 1
            continue
        p = people[r.subject_id]
        rows.append(dict(subject=r.subject_id, study=r.study_id, time=t, stay=own[0], arrival=visit[1], male=visit[4] == "M", race=str(visit[5]),
                         gender=p.gender, age=t.year - p.anchor_year + p.anchor_age, codes=codes))
    v = pd.DataFrame(rows)
    v["at"], v["came"] = seconds(v.time), seconds(v.arrival)
    return v.iloc[np.lexsort((np.arange(len(v)), v.time, v.subject))].reset_index(drop=True), lost


def folds(v):
    n = len(v)
    count = {}
    for codes in v.codes:
        for c in codes:
            count[c] = count.get(c, 0) + 1
    frequent = {c for c, k in count.items() if k >= max(20, 0.0025 * n)}
    bins = pd.qcut(v.age, 4, duplicates="drop")
    ages = ["%s-%s" % (x.left, x.right) for x in bins]
    entries = {}
    for i, r in enumerate(v.itertuples()):
        mine = sorted(r.codes & frequent) or ["outpatient"]
        entries.setdefault(r.subject, []).extend(mine + [ages[i], r.gender if r.gender in ("M", "F") else "missing_gender"])
    patients = sorted(entries)
    names = sorted({e for p in patients for e in entries[p]})
    lists = {l: [] for l in names}
    for g, p in enumerate(patients):
        for e in entries[p]:
            lists[e].append(g)
    total = sum(len(entries[p]) for p in patients)
    ratio = 1 / 20
    need = [ratio * total] * 20
    lneed = {l: [ratio * len(lists[l])] * 20 for l in names}
    random = np.random.RandomState(42)
    fold = {}
    length = {l: len(lists[l]) for l in names}
    for _ in names:
        left = [(length[l], l) for l in names if length[l]]
        if not left:
            break
        rare = min(left)[1]
        held = {}
        for g in lists[rare]:
            if patients[g] not in fold:
                held[g] = held.get(g, 0) + 1
        for g in sorted(sorted(held), key=lambda g: held[g])[::-1]:
            most = max(lneed[rare])
            best = [j for j in range(20) if lneed[rare][j] == most]
            if len(best) > 1:
                top = max(need[j] for j in best)
                best = [j for j in best if need[j] == top]
                j = best[random.randint(0, len(best))]
            else:
                j = best[0]
            fold[patients[g]] = j
            need[j] -= len(entries[patients[g]])
            for e in entries[patients[g]]:
                lneed[e][j] -= 1
                length[e] -= 1
    return np.array([fold[s] for s in v.subject])


def routine_columns(h, v):
    race = [("WHITE", 4), ("BLACK", 1), ("HISPANIC", 2), ("ASIAN", 0)]
    vs = h.vitals.copy()
    vs.loc[(vs.temperature < 50) | (vs.temperature > 150), "temperature"] = np.nan
    vs["temperature"] = (vs.temperature - 32) * 5 / 9
    for q, high in (("heartrate", 700), ("resprate", 300), ("o2sat", 100), ("sbp", 500), ("dbp", 500)):
        vs.loc[vs[q] > high, q] = np.nan
    vs.loc[vs.o2sat < 0, "o2sat"] = np.nan
    vs["at"] = seconds(vs.charttime)
    vs = grouped(vs.sort_values("charttime", kind="stable"), "stay_id", ["at"] + VITALS)
    acuity = h.triage.groupby("stay_id").acuity.first()
    kinds = (("BMI (kg/m2)", 1, -np.inf, 100), ("Weight (Lbs)", 0.453592, 20, 400), ("Height (Inches)", 2.54, 60, 400))
    omr = h.omr[h.omr.result_name.isin([k[0] for k in kinds])].copy()
    omr["number"] = pd.to_numeric(omr.result_value, errors="coerce")
    omr["at"] = seconds(omr.chartdate)
    omr = grouped(omr.dropna(subset=["number"]), "subject_id", ["result_name", "at", "number"])
    out, tail = [], []
    for r in v.itertuples():
        row = [r.age]
        for name, factor, low, high in kinds:
            near = [(abs(at - r.at), i, x * factor) for i, (what, at, x) in enumerate(omr.get(r.subject, ())) if what == name]
            near = [x for x in near if x[0] <= 30 * 86400 and low <= x[2] <= high]
            row.append(min(near)[2] if near else np.nan)
        for q in range(6):
            pairs = [((x[0] - r.came) / 60, x[1 + q]) for x in vs.get(r.stay, ())]
            row += statistics([x for x in pairs if 0 <= x[0] <= MINUTES and x[1] == x[1]])
        out.append(row)
        tail.append([int(r.male), acuity.get(r.stay, np.nan) - 1, next((i for w, i in race if w in r.race), 3)])
    return np.array(out, float), np.array(tail, float)


def lab_columns(h, v):
    ev = h.labs[h.labs.subject_id.isin(set(v.subject))].merge(h.items, on="itemid", how="left")
    out = np.full((len(v), 45 * 9), np.nan)
    for t, name in enumerate(LABS):
        rows = ev[ev.label == name]
        if not len(rows):
            continue
        fluids = rows.groupby("fluid").size()
        rows = rows[rows.fluid == sorted(fluids.index[fluids == fluids.max()])[0]].copy()
        rows.loc[rows.valuenum > LIMIT.get(name, np.inf), "valuenum"] = np.nan
        rows = rows.drop_duplicates(["subject_id", "hadm_id", "charttime", "valuenum", "valueuom", "label", "fluid"]).dropna(subset=["valuenum"])
        rows = rows.assign(at=seconds(rows.charttime)).sort_values("charttime", kind="stable")
        by = grouped(rows, "subject_id", ["at", "valuenum"])
        for i, r in enumerate(v.itertuples()):
            pairs = [((at - r.came) / 60, x) for at, x in by.get(r.subject, ())]
            out[i, 9 * t : 9 * t + 9] = statistics([x for x in pairs if 0 <= x[0] <= MINUTES])
    return out


def lab_class(number, text, low, high):
    """-1 low, 0 normal, 1 high, None not certain"""
    if np.isnan(low) and np.isnan(high):
        return None
    if not np.isnan(number):
        return -1 if number < low else 1 if number > high else 0
    text = text if isinstance(text, str) else ""
    if text.startswith("<"):
        x = float(text[1:])
        if x <= low:
            return -1 if x > 0 else 0
        return 0 if not low > 0 and not x > high else None
    if text.startswith(">"):
        x = float(text[1:])
        if x >= high:
            return 1
        return 0 if np.isnan(high) and not x < low else None
    return None


def lab_labels(h, v, fold, min_labs):
    ev = h.labs[h.labs.subject_id.isin(set(v.subject))].merge(h.items, on="itemid", how="left")
    ev = ev[ev.label.notna() & ev.charttime.notna() & ~((ev.ref_range_lower == 0) & (ev.ref_range_upper == 0))]
    train = set(v.subject[fold < 14])
    found = {}
    for name, rows in ev.groupby("label"):
        numeric = rows.dropna(subset=["valuenum"])
        if not len(numeric):
            continue
        fluids = numeric.groupby("fluid").size()
        fluid = sorted(fluids.index[fluids == fluids.max()])[0]
        rows, numeric = rows[rows.fluid == fluid], numeric[numeric.fluid == fluid]
        mine = numeric[numeric.subject_id.isin(train)]
        middle = [np.nan if x.isna().all() else x.median() for x in (mine.ref_range_lower, mine.ref_range_upper)]
        by = grouped(rows.assign(at=seconds(rows.charttime)), "subject_id", ["at", "valuenum", "value", "ref_range_lower", "ref_range_upper"])
        cls = []
        for r in v.itertuples():
            best, best_apart = np.nan, 3600.5
            for at, number, text, low, high in by.get(r.subject, ()):
                apart = abs(at - r.at)
                if apart >= best_apart:
                    continue
                c = lab_class(number, text, middle[0] if np.isnan(low) else low, middle[1] if np.isnan(high) else high)
                if c is not None:
                    best, best_apart = c, apart
            cls.append(best)
        cls = np.array(cls)
        for side, want in (("low", -1), ("high", 1)):
            y = np.where(np.isnan(cls), -1, cls == want).astype(int)
            enough = True
            for part, least in ((fold < 14, min_labs), ((fold == 14) | (fold == 15), min_labs // 4)):
                enough &= (y[part] == 1).sum() >= least and (y[part] == 0).sum() >= least
            if enough:
                found["%s_%s" % (name, side)] = y
    return found


# ---- comparison -----------------------------------------------------------------------------------------------------------------------

def same(a, b):
    """Equal, both missing, or apart by rounding to float32."""
    both = np.isnan(a) & np.isnan(b)
    with np.errstate(invalid="ignore"):
        return both | (np.abs(a - b) <= 2e-6 * np.maximum(1, np.abs(b)))


def main():
    program = os.path.join(B, "ecgraft")
    if not os.access(program, os.X_OK):
        print("skip %s is not built" % program)
        counts["skipped"] += 1
        closing()
    if not os.path.exists(os.path.join(DATA, "icd_maps")):
        print("skip no icd_maps below ECGRAFT_DATA")
        counts["skipped"] += 1
        closing()
    with tempfile.TemporaryDirectory() as folder:
        hospital, path = os.path.join(folder, "h"), os.path.join(folder, "c.cohort")
        subprocess.run([program, "synth", hospital, "--patients", "350", "--seed", "11", "-q"], check=True)
        subprocess.run([program, "cohort", "build", "--mimic", hospital, "-o", path, "--min-labs", "12", "--min-count", "15", "-q"], check=True)
        meta, c = read_cohort(path)
        again = os.path.join(folder, "d.cohort")
        subprocess.run([program, "cohort", "build", "--mimic", hospital, "-o", again, "--min-labs", "12", "--min-count", "15", "-q", "--threads", "1"], check=True)
        check(open(path, "rb").read() == open(again, "rb").read(), "one thread and several: the same bytes")
        h = Hospital(hospital)
    v, lost = visits(h, icd_map())
    attrition = {s["step"]: s["dropped"] for s in json.loads(meta["attrition"])}
    check(attrition["taken during an ED stay"] == lost["outside"], "recordings outside any stay")
    check(attrition["at most 90 minutes after arrival"] == lost["late"], "recordings after 90 minutes")
    check(attrition["with a diagnosis code"] == lost["uncoded"], "recordings without a code")
    check(meta["synthetic"] == "true", "the cohort says that it is synthetic")
    check(list(c["study"]) == list(v.study), "the same recordings in the same order")
    if counts["failed"]:
        closing()
    check((c["patient"] == v.subject).all() and (c["stay"] == v.stay).all(), "patients and stays")
    check((c["first_in_stay"] == (~v.stay.duplicated()).to_numpy()).all(), "first of the stay")
    check((c["ecg_time"] == v["at"]).all(), "times")
    fold = folds(v)
    check((c["fold"] == fold).all(), "folds: %d of %d differ" % ((c["fold"] != fold).sum(), len(fold)))
    check(pd.Series(c["fold"]).groupby(c["patient"]).nunique().max() == 1, "no patient in two folds")

    contract = json.loads(meta["contract"])
    columns = [x["name"] for x in contract["columns"]]
    names = ["vitals_%s_%s" % (q, s) for q in VITALS for s in STATS]
    names += ["labvalues_%s_%s" % (t.lower().replace(" ", "_"), s) for t in LABS for s in STATS]
    names = ["demographics_age", "biometrics_bmi", "biometrics_weight", "biometrics_height"] + names
    names += ["demographics_gender", "vitals_acuity", "demographics_ethnicity"]
    check(columns == names, "names and order of the 466 columns")
    routine, tail = routine_columns(h, v)
    want = np.hstack([routine, lab_columns(h, v), tail])
    got = c["tabular"].astype(float)
    check(got.shape == want.shape, "466 columns")
    wrong = ~same(got, want)
    check(not wrong.any(), "columns: %d values differ, first in %s" % (wrong.sum(), names[int(np.argmax(wrong.any(axis=0)))]))
    filled = (~np.isnan(got)).any(axis=0).sum()
    check(filled > 150, "only %d columns hold anything" % filled)

    tables = {t["set"]: [x["code"] for x in t["labels"]] for t in contract["tables"]}
    count = {}
    for codes in v.codes:
        for x in codes:
            count[x] = count.get(x, 0) + 1
    kept = sorted(x for x, k in count.items() if k >= 15)
    check(tables["diagnoses"] == kept, "the kept diagnoses")
    check((c["labels.diagnoses"] == np.array([[x in codes for x in tables["diagnoses"]] for codes in v.codes])).all(), "diagnosis labels")
    labs = lab_labels(h, v, fold, 12)
    check(tables["labs"] == sorted(labs), "the kept lab labels: %s, expected %s" % (tables["labs"], sorted(labs)))
    check(len(labs) > 3, "only %d lab labels" % len(labs))
    if tables["labs"] == sorted(labs):
        wrong = c["labels.labs"] != np.array([labs[x] for x in tables["labs"]]).T
        check(not wrong.any(), "lab labels: %d differ" % wrong.sum())
    closing()


if __name__ == "__main__":  # make_mdsed.py borrows from here
    main()
