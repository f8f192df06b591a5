#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""check_fates.py: every distractor that truth/manifest.json announces meets its stated fate in `ecgraft cohort build`.

Dropped: the hospital without these rows gives the same cohort. Mapped: the hospital with the mapped codes gives the same labels. Kept: the rows
are in. The rows are found here, by the rules of the design text, and their number must be the manifest's. Needs B, numpy, pandas."""
import csv, glob, gzip, json, os, shutil, struct, subprocess, sys, tempfile
import numpy as np, pandas as pd

B = os.environ.get("B", "build")
DATA = os.environ.get("ECGRAFT_DATA", "../shared/data")
counts = {"passed": 0, "failed": 0, "skipped": 0}
ARRIVAL = pd.Timedelta(minutes=90)


def check(ok, what):
    counts["passed" if ok else "failed"] += 1
    if not ok:
        print("FAIL", what)


def closing():
    print("%(passed)d passed, %(failed)d failed, %(skipped)d skipped" % counts)
    sys.exit(1 if counts["failed"] else 0)


def skip(why):
    print("skip", why)
    counts["skipped"] += 1
    closing()


def read_cohort(path):
    raw = open(path, "rb").read()
    (n,) = struct.unpack("<Q", raw[:8])
    head = json.loads(raw[8 : 8 + n])
    meta = head.pop("__metadata__")
    kinds = {"F32": "<f4", "I64": "<i8", "I8": "<i1", "U8": "<u1"}
    return meta, {k: np.frombuffer(raw[8 + n + t["data_offsets"][0] : 8 + n + t["data_offsets"][1]], kinds[t["dtype"]]).reshape(t["shape"])
                  for k, t in head.items()}


class Hospital:
    """The tables as text, so that writing them back changes nothing but the rows that are meant."""
    def __init__(self, folder):
        self.folder = folder

    def path(self, name):
        (found,) = glob.glob(os.path.join(self.folder, "*", "*", name + ".csv.gz"))
        return found

    def read(self, name):
        return pd.read_csv(self.path(name), dtype=str, keep_default_na=False)

    def write(self, name, frame):
        with gzip.open(self.path(name), "wt", newline="") as f:
            frame.to_csv(f, index=False, quoting=csv.QUOTE_MINIMAL, lineterminator="\n")


def when(column):
    return pd.to_datetime(column)


def near_arrival(rows, stays, time="charttime"):
    """Rows (positions) that lie within 90 minutes of an arrival of their patient."""
    x = pd.DataFrame({"row": np.arange(len(rows)), "subject_id": rows.subject_id, "t": when(rows[time])}).merge(
        pd.DataFrame({"subject_id": stays.subject_id, "a": when(stays.intime)}), on="subject_id")
    return set(x.row[(x.t >= x.a) & (x.t <= x.a + ARRIVAL)])


def main():
    program = os.path.join(B, "ecgraft")
    if not os.access(program, os.X_OK):
        skip("%s is not built" % program)
    if not os.path.exists(os.path.join(DATA, "icd_maps")):
        skip("no icd_maps below ECGRAFT_DATA")
    top = tempfile.TemporaryDirectory()
    original = os.path.join(top.name, "h")
    subprocess.run([program, "synth", original, "--patients", "500", "--seed", "21", "--no-waveforms", "-q"], check=True)
    kinds = json.load(open(os.path.join(original, "truth/manifest.json")))["distractors"]

    def build(folder):
        out = folder + ".cohort"
        subprocess.run([program, "cohort", "build", "--mimic", folder, "-o", out, "--no-waveforms", "--min-labs", "8", "--min-count", "10", "-q"], check=True)
        return read_cohort(out)

    def changed(name, table, change):
        """The cohort of a copy in which one table is changed."""
        folder = os.path.join(top.name, name)
        shutil.copytree(original, folder)
        h = Hospital(folder)
        h.write(table, change(h.read(table)))
        made = build(folder)[1]
        shutil.rmtree(folder)
        return made

    def same(a, b, names):
        return all(a[n].shape == b[n].shape and np.array_equal(a[n], b[n], equal_nan=a[n].dtype.kind == "f") for n in names)

    meta, c = build(original)
    h = Hospital(original)
    records = pd.read_csv(os.path.join(original, "mimic-iv-ecg/record_list.csv"), dtype=str)
    stays, labs, items, vitals = h.read("edstays"), h.read("labevents"), h.read("d_labitems"), h.read("vitalsign")
    everything = sorted(c)
    met = set()

    def fate(kind, number, expected, ok):
        met.add(kind)
        check(kinds[kind]["count"] == number, "%s: %d rows of the kind, the manifest says %d" % (kind, number, kinds[kind]["count"]))
        check(kinds[kind]["fate"] == expected, "%s: the fate is %s" % (kind, kinds[kind]["fate"]))
        check(number > 0, "%s: none in this hospital" % kind)
        check(ok, "%s: not %s" % (kind, expected))

    # ---- recordings
    r = records.assign(t=when(records.ecg_time)).merge(stays.assign(a=when(stays.intime), z=when(stays.outtime))[["subject_id", "stay_id", "a", "z"]], on="subject_id")
    inside = r[(r.a < r.t) & (r.t < r.z)]
    late = inside[inside.t > inside.a + ARRIVAL]
    outside = set(records.study_id) - set(inside.study_id)
    kept = set(map(str, c["study"]))
    dropped = {s["step"]: s["dropped"] for s in json.loads(meta["attrition"])}
    fate("ecg_outside_hospital", len(outside), "dropped", not outside & kept and dropped["taken during an ED stay"] == len(outside))
    fate("ecg_after_90_minutes", len(late), "dropped", not set(late.study_id) & kept and dropped["at most 90 minutes after arrival"] == len(late))
    early = inside[inside.t <= inside.a + ARRIVAL].sort_values("t")
    second = early[early.stay_id.duplicated()]
    uncoded = dropped["with a diagnosis code"]
    fate("ecg_second_of_stay", len(second), "kept", len(set(second.study_id) - kept) <= uncoded and (c["first_in_stay"] == 0).sum() >= len(second) - uncoded)
    lone = ~stays.stay_id.isin(inside.stay_id)
    without = changed("lone", "edstays", lambda t: t[~t.stay_id.isin(stays.stay_id[lone])])
    fate("stay_without_ecg", int(lone.sum()), "dropped", same(c, without, everything))

    # ---- measurements
    wanted = near_arrival(labs, stays)
    far = ~np.isin(np.arange(len(labs)), list(wanted))
    tabular = changed("late", "labevents", lambda t: t[~far])["tabular"]
    without_value = ((labs.valuenum == "") & ~labs.value.str.match(r"\s*([<>]|LESS|GREATER)")).to_numpy()
    blood = (labs.merge(items, on="itemid", how="left").fluid == "Blood").to_numpy()
    fate("lab_after_90_minutes", int((far & blood & ~without_value).sum()), "dropped", np.array_equal(c["tabular"], tabular, equal_nan=True))
    other = (labs.merge(items, on="itemid", how="left").fluid != "Blood").to_numpy()
    fate("lab_other_fluid", int(other.sum()), "dropped", same(c, changed("fluid", "labevents", lambda t: t[~other]), everything))
    empty = ((labs.valuenum == "") & ~labs.value.str.match(r"\s*([<>]|LESS|GREATER)")).to_numpy()
    fate("lab_without_value", int(empty.sum()), "dropped", same(c, changed("empty", "labevents", lambda t: t[~empty]), everything))
    arrived = vitals.merge(stays[["stay_id", "intime"]], on="stay_id")
    assert len(arrived) == len(vitals)
    late_vital = (when(arrived.charttime) > when(arrived.intime) + ARRIVAL).to_numpy()
    without = changed("vital", "vitalsign", lambda t: t[~late_vital])
    fate("vital_after_90_minutes", int(late_vital.sum()), "dropped", np.array_equal(c["tabular"], without["tabular"], equal_nan=True))

    def impossible(t):
        x = t[["temperature", "heartrate", "resprate", "o2sat", "sbp", "dbp"]].apply(pd.to_numeric)
        return pd.DataFrame({"temperature": (x.temperature < 50) | (x.temperature > 150), "heartrate": x.heartrate > 700, "resprate": x.resprate > 300,
                             "o2sat": (x.o2sat < 0) | (x.o2sat > 100), "sbp": x.sbp > 500, "dbp": x.dbp > 500})

    def blank(t):
        t = t.copy()
        bad = impossible(t)
        for q in bad:
            t.loc[bad[q], q] = ""
        return t

    fate("vital_impossible", int(impossible(vitals).any(axis=1).sum()), "dropped", same(c, changed("blank", "vitalsign", blank), everything))
    omr = h.read("omr")
    odd = ~omr.result_name.isin(["BMI (kg/m2)", "Height (Inches)", "Weight (Lbs)"])
    fate("omr_other_result", int(odd.sum()), "dropped", same(c, changed("omr", "omr", lambda t: t[~odd]), everything))

    # ---- codes
    codes = h.read("diagnoses_icd")
    mapping = {}
    with gzip.open(os.path.join(DATA, "icd_maps/icd_cm_9_to_10_mapping.csv.gz"), "rt") as f:
        for row in csv.DictReader(f):
            if mapping and row["icd_9"] < last:  # rows behind the ordered part are not of the mapping (docs/cohort.md 3)
                break
            last = row["icd_9"]
            mapping[last] = row["icd_10"]
    nine = codes.icd_version == "9"

    def map_rows(t):
        t = t.copy()
        t.loc[nine, "icd_code"] = [mapping[x.strip()] for x in t.icd_code[nine]]
        t.loc[nine, "icd_version"] = "10"
        return t

    mapped = changed("mapped", "diagnoses_icd", map_rows)
    fate("diagnosis_icd9", int(nine.sum()), "mapped", same(c, mapped, everything))
    # an admission of those years of which nothing was coded in the hospital has no row that tells its version
    coded, silent = codes.hadm_id[nine].nunique(), stays[(stays.hadm_id != "") & ~stays.hadm_id.isin(codes.hadm_id)]
    said = kinds["admission_icd9"]["count"]
    fate("admission_icd9", said if coded <= said <= coded + len(silent) else coded, "mapped", same(c, mapped, ["labels.diagnoses", "fold"]))
    ed = h.read("diagnosis")
    admitted = pd.concat([stays[stays.hadm_id.isin(codes.hadm_id[nine])], silent])
    both = ed[ed.stay_id.isin(admitted.stay_id)].merge(stays[["stay_id", "hadm_id"]], on="stay_id")
    spoken = {(a, mapping.get(x.strip())) for a, x in zip(codes.hadm_id[nine], codes.icd_code[nine])}
    # an ICD-9 row speaks for the ED row whose label, five characters, is a beginning of its mapped label
    left = [(a, x) for a, x in zip(both.hadm_id, both.icd_code) if not any(h == a and y[:5].startswith(x[:5]) for h, y in spoken)]
    fate("diagnosis_without_icd9", len(left), "kept", len(left) > 0 and set(ed.icd_version[ed.stay_id.isin(admitted.stay_id)]) == {"10"})
    check(met == set(kinds), "kinds that nothing was checked of: %s" % ", ".join(set(kinds) - met))
    closing()


main()
