#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Everything `evaluate --predictions` says, against scikit-learn and plain NumPy, the bootstrap with the same draws (Philox written out here)."""
import csv
import json
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import pandas as pd

try:
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score, roc_curve
except ImportError:
    print("skip check_evaluate.py: scikit-learn is not here")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)
warnings.filterwarnings("ignore")

PROGRAM = os.path.join(os.environ.get("B", "build"), "ecgraft")
SEED = 42
passed = failed = 0


def check(what, got, want, tolerance=1e-12):
    """None (JSON) and NaN are the same: no value."""
    global passed, failed
    got = np.array(got, dtype=float)
    want = np.array(want, dtype=float)
    same = got.shape == want.shape and (np.isnan(got) == np.isnan(want)).all()
    same = same and (np.nan_to_num(np.abs(got - want)) <= tolerance * np.maximum(1, np.nan_to_num(np.abs(want)))).all()
    if same:
        passed += 1
    else:
        failed += 1
        print("FAIL %s: %s, expected %s" % (what, got, want))


# ---- the draws ---------------------------------------------------------------------------------------------------------------


def philox(counter, key):
    """Philox4x32-10 on an array of counters (4, blocks)."""
    c = [x.astype(np.uint64) for x in counter]
    k = [np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)]
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> np.uint64(32)) ^ c[1] ^ k[0], b & low, (a >> np.uint64(32)) ^ c[3] ^ k[1], a & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return np.stack(c)


def drawn_units(resample, units):
    """How often each unit is drawn: stream 260, a = resample, Lemire's numbers below `units`."""
    blocks = units // 4 + 16
    zero = np.zeros(blocks, np.uint64)
    words = philox([np.arange(blocks, dtype=np.uint64), zero + np.uint64(260), zero + np.uint64(resample), zero], SEED).T.reshape(-1)
    product = words * np.uint64(units)
    product = product[(product & np.uint64(0xFFFFFFFF)) >= (2**32 - units) % units]
    return np.bincount((product[:units] >> np.uint64(32)).astype(int), minlength=units)


def drawn_rows(resample, unit):
    """Row numbers of a resample; unit: numbers from 0, every one of them there."""
    times = drawn_units(resample, unit.max() + 1)
    return np.repeat(np.arange(len(unit)), times[unit])


# ---- the figures -------------------------------------------------------------------------------------------------------------


def known(p, y):
    keep = ~np.isnan(y)
    return p[keep], y[keep]


def auroc(p, y):
    p, y = known(p, y)
    return roc_auc_score(y, p) if 0 < y.sum() < len(y) else np.nan


def auprc(p, y):
    p, y = known(p, y)
    return average_precision_score(y, p) if 0 < y.sum() < len(y) else np.nan


def areas(p, y, figure):
    """Per label, macro, macro with 0.5 for what is undefined, micro."""
    each = np.array([figure(p[:, k], y[:, k]) for k in range(p.shape[1])])
    macro = np.nanmean(each) if (~np.isnan(each)).any() else np.nan
    return np.concatenate([each, [macro, np.where(np.isnan(each), 0.5, each).mean(), figure(p.ravel(), y.ravel())]])


def interval(point, replicates):
    """Percentile interval of each column, NaN left out."""
    out = []
    for at, r in zip(point, replicates.T):
        r = r[~np.isnan(r)]
        out.append((at, *(np.percentile(r, [2.5, 97.5]) if len(r) else (np.nan, np.nan))))
    return np.array(out)


def ece(p, y, bins, mass):
    if mass:
        at = np.array([10 * (p < x).sum() // len(p) for x in p])
    else:
        at = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], p)
    return sum((at == b).sum() / len(p) * abs(y[at == b].mean() - p[at == b].mean()) for b in np.unique(at))


def recalibrate(p, y):
    """Slope, intercept, calibration in the large; NaN where the likelihood has no maximum."""
    if not 0 < y.sum() < len(y):
        return [np.nan] * 3
    q = np.clip(p, 1e-7, 1 - 1e-7)
    x = np.log(q / (1 - q))

    def newton(design, offset):
        b = np.zeros(design.shape[1])
        for _ in range(100):
            mu = 1 / (1 + np.exp(-(design @ b + offset)))
            step = np.linalg.solve(design.T @ (design * (mu * (1 - mu))[:, None]), design.T @ (y - mu))
            b = b + step * min(1, 1 / max(1e-300, np.abs(step).max()))
        return b

    large = newton(np.ones((len(x), 1)), x)[0]
    if len(np.unique(x)) == 1 or x[y == 1].min() >= x[y == 0].max() or x[y == 0].min() >= x[y == 1].max():
        return [np.nan, np.nan, large]
    z = (x - x.mean()) / x.std()
    intercept, slope = newton(np.stack([np.ones(len(x)), z], 1), 0)
    return [slope / x.std(), intercept - slope * x.mean() / x.std(), large]


def curve(p, y):
    fpr, tpr, threshold = roc_curve(y, p, drop_intermediate=False)
    return fpr, tpr, np.concatenate([[np.inf], threshold[1:]])


def threshold_of(p, y, rule):
    p, y = known(p, y)
    if not 0 < y.sum() < len(y):
        return np.nan
    fpr, tpr, threshold = curve(p, y)
    if rule == "youden":
        gain = np.round((tpr - fpr) * y.sum() * (len(y) - y.sum()))
        return threshold[np.argmax(gain)]
    share = int(rule[-2:]) / 100 - 1e-9
    if rule.startswith("specificity"):
        return threshold[np.flatnonzero(1 - fpr >= share)[-1]]
    return threshold[np.flatnonzero(tpr >= share)[0]]


def operate(p, y, t):
    if np.isnan(t):
        return [np.nan] * 5
    called = p >= t
    tp, fp, fn, tn = (called & (y == 1)).sum(), (called & (y == 0)).sum(), (~called & (y == 1)).sum(), (~called & (y == 0)).sum()
    share = lambda a, b: a / b if b else np.nan
    return [share(tp, tp + fn), share(tn, tn + fp), share(tp, tp + fp), share(tn, tn + fn), share(2 * tp, 2 * tp + fp + fn)]


RULES = ["youden", "specificity90", "specificity95", "sensitivity90", "sensitivity95"]
DECISIONS = [i / 100 for i in range(1, 11)] + [i / 100 for i in range(15, 96, 5)]


# ---- files -------------------------------------------------------------------------------------------------------------------


def write(path, ids, codes, values, text, more=None):
    with open(path, "w", newline="") as f:
        w = csv.writer(f)
        more = more or {}
        w.writerow(["id", *more, *codes])
        for i, row in zip(ids, values):
            w.writerow([i, *(more[c][ids.index(i)] for c in more), *(text(x) for x in row)])


def probability(x):
    return repr(float(x))


def truth(x):
    return "" if np.isnan(x) else "%d" % x


def run(*arguments):
    done = subprocess.run([PROGRAM, "evaluate", *arguments, "--json", "-q"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        global failed
        failed += 1
        print("FAIL evaluate %s: %d %s" % (" ".join(arguments), done.returncode, done.stderr))
        return None
    return json.loads(done.stdout)


def three(j):
    return [j["point"], j["low"], j["high"]]


# ---- cases -------------------------------------------------------------------------------------------------------------------


def cases():
    g = np.random.default_rng(11)

    def make(n, prevalence, unknown=0.0, know=1.0):
        y = (g.random((n, len(prevalence))) < np.array(prevalence)).astype(float)
        logit = g.normal(-0.5, 1.2, y.shape) + know * y
        p = 1 / (1 + np.exp(-logit))
        y[g.random(y.shape) < unknown] = np.nan
        return p, y

    yield ("no ties", *make(180, [0.5, 0.2, 0.05]))
    p, y = make(240, [0.4, 0.1, 0.3])
    yield "ties on the edges of bins", np.round(p, 1), y
    yield ("unknown labels", *make(200, [0.3, 0.3, 0.1, 0.02], 0.4))
    p, y = make(90, [0.3, 0.0, 1.0, 0.3])
    y[:, 3] = np.nan
    yield "one class, no label at all", p, y
    p, y = make(120, [0.3, 0.4])
    yield "scores that differ below the precision of floats", 0.37 + np.argsort(np.argsort(p, 0), 0) * 1e-13, y
    p, y = make(150, [0.3, 0.3])
    yield "certain and wrong", np.where(p > 0.7, 1.0, np.where(p < 0.2, 0.0, p)), y
    yield ("one label, barely known", *make(60, [0.3], 0.0, 0.1))
    p, y = make(80, [0.2, 0.5])
    p[:, 0] = 0.25
    p[:, 1] = np.where(y[:, 1] == 1, 0.8, 0.3) + 0.01 * g.random(80)
    yield "one probability for all; separable", p, y


def check_labels(what, j, p, y):
    for k, got in enumerate(j["per_label"]):
        pk, yk = known(p[:, k], y[:, k])
        name = "%s, label %d: " % (what, k)
        check(name + "classes", [got["positives"], got["negatives"]], [(yk == 1).sum(), (yk == 0).sum()])
        if len(yk) == 0:
            check(name + "Brier of nothing", got["calibration"]["brier"], np.nan)
            continue
        c, prevalence = got["calibration"], yk.mean()
        brier = brier_score_loss(yk, pk, pos_label=1)
        check(name + "Brier", c["brier"], brier)
        check(name + "skill", c["brier_skill"], 1 - brier / (prevalence * (1 - prevalence)) if 0 < prevalence < 1 else np.nan)
        check(name + "ECE", [c["ece"][b] for b in ("width10", "width15", "mass10")], [ece(pk, yk, 10, False), ece(pk, yk, 15, False), ece(pk, yk, 10, True)])
        slope, intercept, large = recalibrate(pk, yk)
        check(name + "slope and intercept", [c["slope"], c["intercept"], c["in_the_large"]], [slope, intercept, large],
              1e-9 if np.ptp(pk) > 1e-6 else 1e-3)  # logits have few digits left when probabilities differ in their last
        if 0 < prevalence < 1:
            fpr, tpr, _ = curve(pk, yk)
            o = got["operating_points"]
            for at in (90, 95):
                check(name + "sensitivity at specificity %d" % at, o["sensitivity_at_specificity_%d" % at], tpr[1 - fpr >= at / 100 - 1e-9].max())
                check(name + "specificity at sensitivity %d" % at, o["specificity_at_sensitivity_%d" % at], (1 - fpr[tpr >= at / 100 - 1e-9]).max())


def check_curves(what, folder, p, y):
    table = pd.read_csv(os.path.join(folder, "reliability.csv"))
    for k in range(p.shape[1]):
        pk, yk = known(p[:, k], y[:, k])
        for bins in (10, 15):
            rows = table[(table.code == "L%d" % k) & (table.bins == "width%d" % bins)]
            observed, predicted = calibration_curve(yk, pk, n_bins=bins, pos_label=1) if len(yk) else ([], [])
            check("%s, label %d: calibration curve, %d bins" % (what, k, bins), [rows.observed, rows.predicted], [observed, predicted])
    table = pd.read_csv(os.path.join(folder, "decision.csv"))
    for k in range(p.shape[1]):
        pk, yk = known(p[:, k], y[:, k])
        rows = table[table.code == "L%d" % k]
        if len(yk) == 0:
            continue
        odds = np.array([t / (1 - t) for t in DECISIONS])
        called = [pk >= t for t in DECISIONS]
        want = [np.mean(c & (yk == 1)) - np.mean(c & (yk == 0)) * o for c, o in zip(called, odds)]
        check("%s, label %d: net benefit" % (what, k), rows.net_benefit, want)
        check("%s, label %d: treat all" % (what, k), rows.treat_all, yk.mean() - (1 - yk.mean()) * odds)
        check("%s, label %d: thresholds" % (what, k), rows.threshold, DECISIONS)


def check_areas(what, j, p, y, unit, resamples, other=None):
    """Scope: all rows or the first of each stay. Points exactly, intervals with the same draws."""
    for kind, figure in (("auroc", auroc), ("auprc", auprc)):
        point = areas(p, y, figure)
        rows = [drawn_rows(r, unit) for r in range(resamples)]
        want = interval(point, np.array([areas(p[i], y[i], figure) for i in rows]))
        scope = j["all_ecgs"]
        check("%s: macro %s" % (what, kind), three(scope["macro_" + kind]), want[-3])
        check("%s: micro %s" % (what, kind), three(scope["micro_" + kind]), want[-1])
        if kind == "auroc":
            check("%s: undefined as 0.5" % what, three(scope["macro_auroc_undefined_as_half"]), want[-2])
        for k, got in enumerate(j["per_label"]):
            check("%s, label %d: %s" % (what, k, kind), three(got[kind]), want[k])
        if other is None:
            continue
        gap = areas(p, y, figure) - areas(other, y, figure)
        replicates = np.array([areas(p[i], y[i], figure) - areas(other[i], y[i], figure) for i in rows])
        want = interval(gap, replicates)
        for name, at in (("macro", -3), ("micro", -1)):
            got = j["difference"]["all_ecgs"]["%s_%s" % (name, kind)]
            r = replicates[:, at]
            r = r[~np.isnan(r)]
            check("%s: %s difference of %s" % (what, name, kind), three(got), want[at], 1e-11)
            check("%s: %s difference of %s above zero" % (what, name, kind), got["above_zero"], ((r > 1e-13).sum() + 0.5 * (np.abs(r) <= 1e-13).sum()) / len(r), 0.02)


def check_cases(folder):
    for at, (what, p, y) in enumerate(cases()):
        codes = ["L%d" % k for k in range(p.shape[1])]
        ids = ["e%d" % i for i in range(len(p))]
        files = [os.path.join(folder, "%s%d.csv" % (f, at)) for f in ("p", "y")]
        write(files[0], ids, codes, p, probability)
        order = np.random.default_rng(at).permutation(len(p)).tolist()  # labels in another order of rows, columns the other way round
        write(files[1], [ids[i] for i in order], codes[::-1], y[order][:, ::-1], truth)
        out = os.path.join(folder, "out%d" % at)
        j = run("--predictions", files[0], "--labels", files[1], "--resamples", "30", "-o", out)
        if j:
            check_labels(what, j["heads"][0], p, y)
            check_curves(what, out, p, y)
            check_areas(what, j["heads"][0], p, y, np.arange(len(p)), 30)


def check_patients(folder):
    """Rows of patients, first ECGs, other predictions, thresholds, subgroups."""
    g = np.random.default_rng(5)
    n, K = 400, 4
    person = g.integers(0, 150, n)
    first = (g.random(n) < 0.6).astype(int)
    ids, codes = ["r%d" % i for i in range(n)], ["L%d" % k for k in range(K)]

    def make(m):
        y = (g.random((m, K)) < [0.5, 0.3, 0.2, 0.1]).astype(float)
        p = 1 / (1 + np.exp(-(g.normal(-1, 1, y.shape) + y)))
        y[g.random(y.shape) < 0.1] = np.nan
        return np.round(p, 2), y

    p, y = make(n)
    other = np.clip(np.round(0.5 * p + 0.5 * g.random(p.shape), 3), 0, 1)
    pv, yv = make(150)
    sex, age = g.choice(["F", "M"], n), g.integers(18, 95, n)
    name = lambda f: os.path.join(folder, f)
    write(name("p.csv"), ids, codes, p, probability, {"patient_id": ["x%d" % i for i in person], "first_in_stay": first.tolist()})
    write(name("q.csv"), ids[::-1], codes, other[::-1], probability)
    write(name("y.csv"), ids, codes, y, truth)
    write(name("pv.csv"), ["v%d" % i for i in range(150)], codes, pv, probability)
    write(name("yv.csv"), ["v%d" % i for i in range(150)], codes, yv, truth)
    pd.DataFrame({"id": ids, "sex": sex, "age": age}).to_csv(name("g.csv"), index=False)
    files = ["--predictions", name("p.csv"), "--labels", name("y.csv"), "--against", name("q.csv"), "--validation-predictions", name("pv.csv"),
             "--validation-labels", name("yv.csv"), "--groups", name("g.csv"), "--resamples", "60"]
    unit = pd.factorize(person)[0]
    j = run(*files)
    if not j:
        return
    j = j["heads"][0]
    check("patients", j["all_ecgs"]["patients"], unit.max() + 1)
    check_areas("by patient", j, p, y, unit, 60, other)
    rows = first == 1
    part = dict(j, all_ecgs=j["first_in_stay"], difference={"all_ecgs": j["difference"]["first_in_stay"]},
                per_label=[{"auroc": l["first_auroc"], "auprc": l["first_auprc"]} for l in j["per_label"]])
    check_areas("first of each stay", part, p[rows], y[rows], np.unique(unit[rows], return_inverse=True)[1], 60, other[rows])
    for k, got in enumerate(j["per_label"]):
        for rule in RULES:
            t = threshold_of(pv[:, k], yv[:, k], rule)
            o = got["operating_points"]["by_validation_threshold"][rule]
            check("label %d: threshold %s" % (k, rule), o["threshold"], t)
            check("label %d at %s" % (k, rule), [o[f] for f in ("sensitivity", "specificity", "ppv", "npv", "f1")], operate(*known(p[:, k], y[:, k]), t))
    band = pd.cut(age, [0, 40, 60, 80, 200], right=False, labels=["<40", "40-59", "60-79", "80+"])
    for s in j["subgroups"]:
        rows = (sex if s["group"] == "sex" else np.array(band)) == s["level"]
        of = lambda k, c: len(set(person[rows & (y[:, k] == c)]))  # 11 patients have 10 rows
        enough = [k for k in range(K) if min(of(k, 0), of(k, 1)) >= 11]
        check("%s %s" % (s["group"], s["level"]), [s["records"], s["patients"], s["labels"]], [rows.sum(), len(set(person[rows])), len(enough)])
        check("%s %s: macro" % (s["group"], s["level"]), s["macro_auroc"]["point"], np.mean([auroc(p[rows, k], y[rows, k]) for k in enough]))
        check("%s %s: everyone" % (s["group"], s["level"]), s["everyone_on_these_labels"], np.mean([auroc(p[:, k], y[:, k]) for k in enough]))
    check("subgroups", len(j["subgroups"]), 6)
    by_row = run(*files, "--bootstrap", "ecg")
    if by_row:
        check_areas("by ECG", by_row["heads"][0], p, y, np.arange(n), 60, other)


with tempfile.TemporaryDirectory() as T:
    check_cases(T)
    check_patients(T)
print("%d passed, %d failed, 0 skipped" % (passed, failed))
sys.exit(failed > 0)
