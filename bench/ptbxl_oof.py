#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The main job on real recordings: nine-fold out-of-fold scores on a PTB-XL folder.

Fold k is scored, fold k + 1 (cyclic) selects, the other seven train; stage 1 runs inside each fold. Pools the nine scored folds and prints the
AUROC of NORM and SR (label set diagnoses) and of the five superclasses (a second fine-tuning), with an interval over patients.

    bench/ptbxl_oof.py PTBXL_FOLDER WORK_FOLDER [--ecgraft build/ecgraft] [--jobs 2] [--pretrain OPTION...] [--finetune OPTION...]
"""
import argparse
import ast
import concurrent.futures
import csv
import os
import shlex
import subprocess
import sys
import time

import numpy as np

SUPERCLASSES = ["CD", "HYP", "MI", "NORM", "STTC"]


def auroc(score, label):
    order = np.argsort(score, kind="stable")
    s, y = score[order], label[order].astype(float)
    start = np.flatnonzero(np.r_[True, s[1:] != s[:-1]])
    count = np.diff(np.r_[start, len(s)])
    rank = np.repeat(start + (count + 1) / 2, count)
    pos, neg = y.sum(), len(y) - y.sum()
    return (rank[y == 1].sum() - pos * (pos + 1) / 2) / (pos * neg) if pos and neg else np.nan


def interval(score, label, patient, resamples=1000, seed=42):
    who, rows = np.unique(patient, return_inverse=True)
    by = [np.flatnonzero(rows == i) for i in range(len(who))]
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        at = np.concatenate([by[i] for i in rng.integers(0, len(who), len(who))])
        values.append(auroc(score[at], label[at]))
    return np.nanpercentile(values, [2.5, 97.5])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("ptbxl")
    p.add_argument("work")
    p.add_argument("--ecgraft", default="build/ecgraft")
    p.add_argument("--jobs", type=int, default=2)
    p.add_argument("--pretrain", default="")
    p.add_argument("--finetune", default="")
    p.add_argument("--seed", default="42")
    o = p.parse_args()
    tool = os.path.abspath(o.ecgraft)
    os.makedirs(o.work, exist_ok=True)
    cohort = os.path.join(o.work, "ptbxl.cohort")
    began = time.time()

    def call(*words):
        done = subprocess.run([tool, *words], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(words)}: exit {done.returncode}\n{done.stderr}")

    call("cohort", "build", "--ptbxl", o.ptbxl, "-o", cohort)

    def fold(k):
        train = ",".join(str(f) for f in range(1, 10) if f not in (k, k % 9 + 1))
        roles = f"train:{train},validation:{k % 9 + 1},test:{k}"
        run = [os.path.join(o.work, f"fold{k}_{s}") for s in ("stage1", "diagnoses", "superclass")]
        common = ["--roles", roles, "--threads", "1", "--seed", o.seed, "-q", "--force"]
        call("pretrain", cohort, "-o", run[0], *common, *shlex.split(o.pretrain))
        for r, name in ((run[1], "diagnoses"), (run[2], "superclass")):
            call("finetune", "diagnoses", cohort, "--from", run[0], "-o", r, "--set", name, *common, *shlex.split(o.finetune))
            call("evaluate", r, "--resamples", "0", "--threads", "1", "-q")
        print(f"fold {k} done, {time.time() - began:.0f} s", file=sys.stderr)

    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        list(pool.map(fold, range(1, 10)))

    truth = labels(o.ptbxl)
    good = True
    for name, codes in (("diagnoses", ["NORM", "SR"]), ("superclass", SUPERCLASSES)):
        rows = []
        for k in range(1, 10):
            with open(os.path.join(o.work, f"fold{k}_{name}", f"predictions.{name}.test.csv")) as f:
                rows += list(csv.DictReader(f))
        patient = np.array([int(float(r["patient"])) for r in rows])
        for c in codes:
            score = np.array([float(r[c]) for r in rows])
            y = np.array([c in truth[name][int(r["study_id"])] for r in rows])
            low, high = interval(score, y, patient)
            value = auroc(score, y)
            good &= bool(value > 0.6 and low > 0.5)
            print(f"{name:10s} {c:5s} {value:.3f} [{low:.3f}, {high:.3f}]  {y.sum()} of {len(y)} ECGs")
    print(f"{time.time() - began:.0f} s; {'all' if good else 'NOT all'} above 0.6 with a lower bound above 0.5")
    return 0 if good else 1


def labels(folder):
    """Codes of every record, straight from the tables: an oracle that owes the tool nothing."""
    with open(os.path.join(folder, "scp_statements.csv")) as f:
        table = list(csv.DictReader(f))
    key = next(iter(table[0]))
    superclass = {r[key]: r["diagnostic_class"] for r in table if r.get("diagnostic_class")}
    out = {"diagnoses": {}, "superclass": {}}
    with open(os.path.join(folder, "ptbxl_database.csv")) as f:
        for r in csv.DictReader(f):
            codes = set(ast.literal_eval(r["scp_codes"]))
            ecg = int(float(r["ecg_id"]))
            out["diagnoses"][ecg] = codes
            out["superclass"][ecg] = {superclass[c] for c in codes if c in superclass}
    return out


if __name__ == "__main__":
    sys.exit(main())
