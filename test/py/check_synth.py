# SPDX-License-Identifier: MIT
"""Reads a small synthetic cohort without our reader: every recording through twenty lines of numpy and through `ecgraft convert`, every
table through Python's gzip and csv, every twin against the latent variables and the effects beside it."""
import collections, csv, gzip, os, shutil, subprocess, sys, tempfile
import numpy as np

ECGRAFT = os.path.abspath(os.path.join(os.environ.get("B", "build"), "ecgraft"))
passed = failed = 0


def check(what, good, detail=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    if not good:
        print("FAIL", what, detail)


def wfdb(header):
    """A record of format 16 -> lead names, samples (n, leads) in digital units. The header's own sums are verified."""
    lines = open(header, encoding="ascii").read().split("\n")
    name, leads, rate, n = lines[0].split()[:4]
    leads, n = int(leads), int(n)
    assert os.path.basename(header) == name + ".hea" and rate == "500"
    names, x = [], np.fromfile(header[:-4] + ".dat", dtype="<i2").reshape(n, leads)
    for k, line in enumerate(lines[1:1 + leads]):
        file, form, gain, bits, zero, first, checksum, block, lead = line.split(" ", 8)
        assert (file, form, gain, bits, zero, block) == (name + ".dat", "16", "200.0(0)/mV", "16", "0", "0")
        assert int(first) == x[0, k] and int(checksum) == int(x[:, k].sum(dtype="i8") + 32768) % 65536 - 32768, (header, lead)
        names.append(lead)
    assert lines[1 + leads].startswith("# <subject_id>: ")
    return names, x.astype(int)


def table(path):
    """Rows as dictionaries; every row has the header's fields."""
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8", newline="") as f:
        rows = list(csv.reader(f, strict=True))
    assert all(len(r) == len(rows[0]) for r in rows), path
    return rows[0], [dict(zip(rows[0], r)) for r in rows[1:]]


COLUMNS = {
    "mimic-iv-ecg/record_list.csv": "subject_id study_id file_name ecg_time path",
    "mimic-iv-ecg/machine_measurements.csv": "subject_id study_id cart_id ecg_time " + " ".join("report_%d" % i for i in range(18))
        + " bandwidth filtering rr_interval p_onset p_end qrs_onset qrs_end t_end p_axis qrs_axis t_axis",
    "mimic-iv-ed/ed/edstays.csv.gz": "subject_id hadm_id stay_id intime outtime gender race arrival_transport disposition",
    "mimic-iv-ed/ed/triage.csv.gz": "subject_id stay_id temperature heartrate resprate o2sat sbp dbp pain acuity chiefcomplaint",
    "mimic-iv-ed/ed/vitalsign.csv.gz": "subject_id stay_id charttime temperature heartrate resprate o2sat sbp dbp rhythm pain",
    "mimic-iv-ed/ed/diagnosis.csv.gz": "subject_id stay_id seq_num icd_code icd_version icd_title",
    "mimic-iv/hosp/patients.csv.gz": "subject_id gender anchor_age anchor_year anchor_year_group dod",
    "mimic-iv/hosp/admissions.csv.gz": "subject_id hadm_id admittime dischtime deathtime admission_type admit_provider_id admission_location "
        "discharge_location insurance language marital_status race edregtime edouttime hospital_expire_flag",
    "mimic-iv/hosp/labevents.csv.gz": "labevent_id subject_id hadm_id specimen_id itemid order_provider_id charttime storetime value valuenum "
        "valueuom ref_range_lower ref_range_upper flag priority comments",
    "mimic-iv/hosp/d_labitems.csv.gz": "itemid label fluid category",
    "mimic-iv/hosp/diagnoses_icd.csv.gz": "subject_id hadm_id seq_num icd_code icd_version",
    "mimic-iv/hosp/d_icd_diagnoses.csv.gz": "icd_code icd_version long_title",
    "mimic-iv/hosp/omr.csv.gz": "subject_id chartdate seq_num result_name result_value",
    "truth/effects.csv.gz": "study_id cause parameter delta",
    "truth/labels.csv.gz": "study_id code truth coded reason",
    "truth/twins.csv.gz": "study_id variable value twin_study_id cause before subject_id",
    "truth/twins/record_list.csv": "subject_id study_id file_name ecg_time path",
}
LATENT = ("truth/latent.csv.gz", "truth/twins/latent.csv.gz")  # their columns: five identifiers, then every variable


def check_tables(dir):
    tables = {}
    for path, columns in COLUMNS.items():
        header, tables[path] = table(os.path.join(dir, path))
        check(path + ": columns", header == columns.split(), header)
    for path in LATENT:
        header, tables[path] = table(os.path.join(dir, path))
        check(path + ": columns", header[:5] == "study_id subject_id stay_id patient visit".split() and {"K", "hr", "PR", "QTc", "kT", "ta"} < set(header))
    written = {os.path.relpath(os.path.join(d, f), dir) for d, _, files in os.walk(dir) for f in files if f.endswith((".csv", ".gz"))}
    check("no other table is there", written == set(COLUMNS) | set(LATENT), written ^ (set(COLUMNS) | set(LATENT)))
    stays = {r["stay_id"] for r in tables["mimic-iv-ed/ed/edstays.csv.gz"]}
    people = {r["subject_id"] for r in tables["mimic-iv/hosp/patients.csv.gz"]}
    for path, rows in tables.items():
        check(path + ": patients exist", all(r["subject_id"] in people for r in rows if "subject_id" in r))
        check(path + ": stays exist", all(r["stay_id"] in stays or not r["stay_id"] for r in rows if "stay_id" in r))
    return tables


def check_records(root, rows):
    """Ours and theirs agree on every sample; the leads add up to one digital unit."""
    sizes, room = collections.Counter(), tempfile.mkdtemp()
    wrong, apart = [], 0
    for r in rows:
        path = os.path.join(root, r["path"])
        names, x = wfdb(path + ".hea")
        sizes[x.shape] += 1
        i, ii, iii, avr, avf, avl = (x[:, names.index(n)] for n in "I II III aVR aVF aVL".split())
        if max(abs(ii - i - iii).max(), abs(2 * avr + i + ii).max() // 2, abs(2 * avf - 2 * ii + i).max() // 2, abs(2 * avl - 2 * i + ii).max() // 2) > 1:
            wrong.append(r["study_id"])
        ours = os.path.join(room, "x.npy")
        subprocess.run([ECGRAFT, "convert", path + ".hea", "-o", ours, "-q"], check=True, capture_output=True)
        y = np.load(ours)
        mv = np.where(x == -32768, np.nan, x / 200)
        apart += y.shape != mv.shape or not np.allclose(y, mv, rtol=0, atol=1e-6, equal_nan=True)
    shutil.rmtree(room)
    check("%s: recordings, all of 5000 x 12" % root, set(sizes) == {(5000, 12)}, sizes)
    check("%s: leads add up" % root, not wrong, wrong[:5])
    check("%s: ours and numpy's samples are the same" % root, apart == 0, apart)
    print("%s: %d recordings" % (root, len(rows)))


def check_twins(dir, tables):
    """The twin differs from its original by what effects tell, as far as the digits of the tables go."""
    latent = {r["study_id"]: r for path in LATENT for r in tables[path]}
    told = collections.defaultdict(float)
    for r in tables["truth/effects.csv.gz"]:
        told[r["study_id"], r["cause"], r["parameter"]] = float(r["delta"])
    paths = {r["study_id"]: r["path"] for r in tables["truth/twins/record_list.csv"] + tables["mimic-iv-ecg/record_list.csv"]}
    off, calcium = [], 0
    for r in tables["truth/twins.csv.gz"]:
        a, b = latent[r["study_id"]], latent[r["twin_study_id"]]
        check("a twin has the forced value", float(b[r["variable"]]) == float(r["value"]) and a[r["variable"]] == r["before"], r)
        moved = {p: float(a[p]) - float(b[p]) for p in ("QTc", "PR", "QRSd", "hr", "kT")}
        if r["cause"] == "hypocalcaemia" and 345 < float(b["QTc"]) < float(a["QTc"]) < 565:
            calcium += 1
            if abs(moved["QTc"] - told[r["study_id"], "iCa", "QTc_ms"]) > 0.01:
                off.append(r)
        if r["cause"] == "hyperkalaemia" and (moved["kT"] <= 0 or moved["PR"] <= 0 or moved["QRSd"] <= 0 or told[r["study_id"], "K", "QRS_ms"] <= 0):
            off.append(r)
        if r["cause"] in ("anaemia", "fever") and moved["hr"] <= 0 or r["cause"] == "sham" and max(map(abs, moved.values())) > 0:
            off.append(r)
        same = wfdb(os.path.join(dir, "mimic-iv-ecg", paths[r["study_id"]]) + ".hea")[1], wfdb(os.path.join(dir, "truth/twins", paths[r["twin_study_id"]]) + ".hea")[1]
        gap = abs(same[0] - same[1]).max()
        if gap == 0 and r["cause"] != "sham" or gap > 20 and r["cause"] == "sham":
            off.append(r)
    check("twins differ by what effects tell", not off, off[:3])
    check("calcium twins were compared", calcium > 0)


def main():
    room = tempfile.mkdtemp()
    try:
        def synth(name, *more):
            dir = os.path.join(room, name)
            subprocess.run([ECGRAFT, "synth", dir, "--seed", "17", "-q", *more], check=True)
            return dir
        whole = synth("whole", "--patients", "120")
        tables = check_tables(whole)
        check_records(os.path.join(whole, "mimic-iv-ecg"), tables["mimic-iv-ecg/record_list.csv"])
        check_records(os.path.join(whole, "truth/twins"), tables["truth/twins/record_list.csv"])
        check_twins(whole, tables)
        slices = [check_tables(synth("slice%d" % a, "--patients", "120", "--first", str(a), "--last", str(b), "--no-waveforms")) for a, b in ((1, 40), (41, 41), (42, 120))]
        for path, rows in tables.items():
            joined = slices[0][path] if "/d_" in path else sum((s[path] for s in slices), [])
            check(path + ": slices join to the whole", joined == rows)
    finally:
        shutil.rmtree(room)
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    return failed > 0


sys.exit(main())
