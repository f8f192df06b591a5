# SPDX-License-Identifier: MIT
"""oracle_labs.py: laboratory classes, laboratory labels and deterioration labels, written from the protocol with pandas.

Frames are the tables as pandas.read_csv gives them, times parsed, icd_code and value as text. `visits` has one row a recording, in the cohort's
order: subject, time, arrival, departure (seconds, departure NaN where unknown), own_stay, ed_hadm, hosp_hadm (NaN: none; where rows are ED stays
and no recordings, hosp_hadm is ed_hadm). Labels come back as {code: array of 1, 0, -1 (unknown)}. Classes are "low", "normal", "high", None.
Slow and plain: for tests."""
import re
import numpy as np, pandas as pd

TRAINING, VALIDATION, TEST = 0, 1, 2
MONITORING = {"mon30": 30 * 60, "mon60": 60 * 60, "mon120": 120 * 60}


def seconds(times):
    """seconds since 1970, NaN where there is no time; by integers, because total_seconds() rounds"""
    t = pd.to_datetime(times)
    return (t.astype("int64") // 10**9).astype(float).where(t.notna())


# ---- laboratory: rows -----------------------------------------------------------------------------------------------------------------

def joined(labevents, items, subjects):
    """Rows of these patients that name a test, in file order, with label and fluid."""
    rows = labevents[labevents.subject_id.isin(set(subjects))].merge(items[["itemid", "label", "fluid"]], on="itemid", how="left")
    return rows[rows.label.notna()].reset_index(drop=True)


def allowed(rows):
    """Steps 1 and 2 of protocol 3.3, but for the number itself."""
    ok = rows.charttime.notna() & ~rows.label.isin(["other", "H", "I", "L"])
    ok &= ~((rows.ref_range_lower == 0) & (rows.ref_range_upper == 0))
    ok &= ~((rows.label == "Absolute Lymphocyte Count") & (rows.valueuom == "#/uL"))
    return ok & ~((rows.label == "D-Dimer") & (rows.valueuom == "ng/mL DDU"))


def median_ranges(rows, among):
    """(label, fluid) -> medians of the two limits over allowed rows with a number of the patients `among` (None: all)."""
    usable = rows[allowed(rows) & rows.valuenum.notna()]
    if among is not None:
        usable = usable[usable.subject_id.isin(set(among))]
    out = {}
    for key, g in usable.groupby(["label", "fluid"], dropna=False):
        low, high = g.ref_range_lower.dropna(), g.ref_range_upper.dropna()
        out[key] = (np.median(low) if len(low) else np.nan, np.median(high) if len(high) else np.nan)
    return out


def limits(rows, ranges, training):
    """The two limits that each row is judged by."""
    medians = median_ranges(rows, None if ranges == "median" else training)
    pairs = [medians.get(k, (np.nan, np.nan)) for k in zip(rows.label, rows.fluid)]
    low, high = (np.array([p[i] for p in pairs], float) for i in (0, 1))
    if ranges == "row":
        low = np.where(rows.ref_range_lower.isna(), low, rows.ref_range_lower)
        high = np.where(rows.ref_range_upper.isna(), high, rows.ref_range_upper)
    return low, high


def class_of(number, text, low, high, censored):
    """None where the class is not certain. A text stands for an interval: its class counts when both ends of the interval have it."""
    if np.isnan(low) and np.isnan(high):
        return None

    def one(x):
        return "low" if x < low else "high" if x > high else "normal"

    if not np.isnan(number):
        return one(number)
    found = re.fullmatch(r"\s*(<=|>=|<|>|LESS THAN|GREATER THAN)\s*([-+]?[0-9]*\.?[0-9]+)\s*", text, re.I) if isinstance(text, str) else None
    if not found or not censored:
        return None
    sign, x = found.group(1).upper(), float(found.group(2))
    if sign[0] in "<L" and low == 0 and x >= 0:
        low = -np.inf  # what is measured against a limit of 0 does not go below it
    inside = x if "=" in sign else np.nextafter(x, -np.inf if sign[0] in "<L" else np.inf)
    far = -np.inf if sign[0] in "<L" else np.inf
    return one(inside) if one(inside) == one(far) else None


def row_classes(labevents, items, subjects, training, ranges="row", paper=False):
    """Every row: label, fluid, lower, upper, class."""
    rows = joined(labevents, items, subjects)
    low, high = limits(rows, ranges, training)
    cls = [class_of(n, t, a, b, not paper) if ok else None for n, t, a, b, ok in zip(rows.valuenum, rows.value, low, high, allowed(rows))]
    return rows.assign(lower=low, upper=high, **{"class": cls})


def counts_per_label(classes):
    """Index label, fluid; columns low, normal, high, unknown."""
    kind = classes["class"].fillna("unknown")
    table = pd.crosstab([classes.label, classes.fluid.fillna("")], kind)
    return table.reindex(columns=["low", "normal", "high", "unknown"], fill_value=0).sort_index()


# ---- laboratory: labels ---------------------------------------------------------------------------------------------------------------

def of_one_fluid(classes, paper):
    """Rows that labels are made from: allowed, of the fluid with most numeric rows, in `paper` of tests with 200 of them."""
    rows = classes[allowed(classes)]
    number = rows[rows.valuenum.notna()]
    size = number.assign(fluid=number.fluid.fillna("")).groupby(["label", "fluid"]).size()
    best = {}
    for (label, fluid), n in size.items():  # fluids ascend: the first of equals stays
        if label not in best or n > best[label][1]:
            best[label] = (fluid, n)
    keep = [l in best and best[l][0] == f and (not paper or best[l][1] >= 200) for l, f in zip(rows.label, rows.fluid.fillna(""))]
    return rows[np.array(keep, bool)]


def one_recording(rows, time, family):
    """label -> (low, high) targets of one recording; rows of its patient with at, label, class, in file order."""
    out = {}
    if family == "est":
        near = rows[(rows["at"] - time).abs() <= 3600]
        near = near.assign(apart=(near["at"] - time).abs()).sort_values("apart", kind="stable").drop_duplicates("label")
        for label, c in zip(near.label, near["class"]):
            out[label] = (int(c == "low"), int(c == "high"))
        return out
    near = rows[(rows["at"] >= time) & (rows["at"] <= time + MONITORING[family])]
    for label, g in near.groupby("label"):
        seen = set(g["class"])
        out[label] = (-1, -1) if {"low", "high"} <= seen else (int("low" in seen), int("high" in seen))
    return out


def lab_labels(labevents, items, visits, role, family="est", ranges="row", paper=False, min_labs=40):
    """role: array, TRAINING, VALIDATION, TEST or -1 for each recording."""
    role = np.asarray(role)
    training = set(visits.subject[role == TRAINING])
    classes = row_classes(labevents, items, visits.subject, training, ranges, paper)
    rows = of_one_fluid(classes, paper)
    rows = rows[rows["class"].notna()]
    rows = rows.assign(at=seconds(rows.charttime))
    by_subject = {s: g for s, g in rows.groupby("subject_id", sort=False)}
    y = {}
    for i, (subject, time) in enumerate(zip(visits.subject, visits.time)):
        if subject not in by_subject:
            continue
        for label, targets in one_recording(by_subject[subject], time, family).items():
            for side, t in zip(("low", "high"), targets):
                y.setdefault("%s_%s" % (label, side), np.full(len(visits), -1, np.int8))[i] = t
    need = [(VALIDATION, 10), (TEST, 10)] if paper else [(TRAINING, max(1, min_labs)), (VALIDATION, min_labs // 4)]
    enough = lambda v: all((v[role == r] == k).sum() >= n for r, n in need for k in (0, 1))
    return {code: y[code] for code in sorted(y) if enough(y[code])}


# ---- deterioration ----------------------------------------------------------------------------------------------------------------------

VENTILATION = {"9670", "9671", "9672", "5A1935Z", "5A1945Z", "5A1955Z"}
ECMO = {"3961", "3965", "3966", "5A1221Z", "5A1522G", "5A1522H", "5A15223", "5A1522F", "5A15A2F", "5A15A2G", "5A15A2H"}
ARREST = {"I469", "4275", "I462", "V1253", "I468"}
HOUR, DAY = 3600.0, 86400.0


def mortality(v, died, discharged):
    """died, discharged: seconds or NaN"""
    hours, days = (died - v.arrival) / HOUR, np.floor((died - v.arrival) / DAY)
    names = {"mortality_%dd" % k: 0 if np.isnan(days) else int(days <= k) for k in (1, 7, 28, 90, 180, 365)}
    names["mortality_stay"] = int(not np.isnan(died) and (died < discharged or died < v.departure))
    return {k: -1 for k in names} if hours < 1.5 else names


def intensive_care(v, came):
    hours = (came - v.arrival) / HOUR
    if np.isnan(hours):
        return {"icu_24h": 0, "icu_stay": 0}
    return {"icu_24h": -1, "icu_stay": -1} if hours < 1.5 else {"icu_24h": int(hours <= 24), "icu_stay": 1}


def hypoxemia(v, at, value):
    after = at - v.arrival
    before, day, later = value[after <= 1.5 * HOUR], value[(after > 1.5 * HOUR) & (after <= DAY)], value[after > DAY]
    if not len(before) or len(day) + len(later) == 0 or (before <= 85).any():
        return -1
    if (day <= 85).any():
        return 1
    return -1 if (later <= 85).any() and not len(day) else 0


def arrested(v, titles, codes, discharged):
    if not any("cardiac arrest" in t.lower() for t in titles):
        return 0
    return int(v.departure <= v.arrival + DAY or (bool(codes & ARREST) and discharged <= v.arrival + DAY))


def drugs(v, at, names):
    names = [n.lower() for n, t in zip(names, at) if t >= v.arrival + 1.5 * HOUR]
    pressor = any(d in n for n in names for d in ("epinephrine", "vasopressin", "dopamine", "phenylephrine", "dobutamine"))
    inotrope = any(d in n.replace("norepinephrine", "") for n in names for d in ("epinephrine", "dopamine", "dobutamine"))
    return {"vasopressors": int(pressor), "inotropes": int(inotrope)}


def deterioration(visits, patients=None, admissions=None, icustays=None, procedures=None, ed_diagnosis=None, diagnoses=None, pyxis=None, vitalsign=None):
    """Labels whose tables are given, and that are known somewhere."""
    def of(frame, column, key):
        return frame[frame[column] == key] if not pd.isna(key) else frame.iloc[:0]

    def first(frame, column):
        values = seconds(frame[column])
        return values.iloc[0] if len(values) else np.nan

    out = {}
    for i, v in enumerate(visits.itertuples()):
        now = {}
        left = first(of(admissions, "hadm_id", v.hosp_hadm), "dischtime") if admissions is not None else np.nan
        if patients is not None:
            now.update(mortality(v, first(of(patients, "subject_id", v.subject), "dod"), left))
            if admissions is None:
                del now["mortality_stay"]
        if icustays is not None:
            now.update(intensive_care(v, first(of(icustays, "hadm_id", v.ed_hadm), "intime")))
        if procedures is not None:
            rows = of(procedures, "hadm_id", v.ed_hadm)
            rows = rows[(rows.subject_id == v.subject) & (seconds(rows.chartdate) <= v.arrival // DAY * DAY + DAY)]
            codes = {c.strip() for c in rows.icd_code.dropna()}
            now.update({"mechanical_ventilation": int(bool(codes & VENTILATION)), "ecmo": int(bool(codes & ECMO))})
        if ed_diagnosis is not None and diagnoses is not None and admissions is not None:
            titles = of(ed_diagnosis, "stay_id", v.own_stay).icd_title.dropna()
            codes = {c.strip() for c in of(diagnoses, "hadm_id", v.hosp_hadm).icd_code.dropna()}
            now["cardiac_arrest"] = arrested(v, titles, codes, left)
        if pyxis is not None:
            rows = of(pyxis, "stay_id", v.own_stay)
            rows = rows[rows.gsn.notna() & rows.charttime.notna() & rows.name.notna()]
            now.update(drugs(v, seconds(rows.charttime), rows.name))
        if vitalsign is not None:
            rows = of(vitalsign, "stay_id", v.own_stay)
            rows = rows[rows.charttime.notna() & rows.o2sat.between(0, 100)]
            now["severe_hypoxemia"] = hypoxemia(v, seconds(rows.charttime).to_numpy(), rows.o2sat.to_numpy())
        for code, y in now.items():
            out.setdefault(code, np.full(len(visits), -1, np.int8))[i] = y
    return {code: out[code] for code in sorted(out) if (out[code] >= 0).any()}
