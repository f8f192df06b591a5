# SPDX-License-Identifier: MIT
"""The bootstrap at the size of MDS-ED beside NumPy: python3 bench/bootstrap.py [labels rows resamples].

NumPy does a slice (few labels, few resamples) and is scaled up, in two ways: as one writes it (rows drawn, AUROC by ranks, label after label) and as
well as one can (every label sorted once, then weights added up along the order for many labels at a time). Seconds of user CPU, one thread."""
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

PROGRAM = os.path.join(os.environ.get("B", "build"), "bench", "bootstrap")
K, n, resamples = (int(x) for x in (sys.argv[1:] + ["1428", "10000", "1000"][len(sys.argv) - 1:]))
LABELS, TIMES = min(K, 48), min(resamples, 10)


def by_ranks(score, label):
    """AUROC with mid-ranks."""
    order = np.argsort(score, kind="quicksort")
    s = score[order]
    first = np.flatnonzero(np.concatenate([[True], s[1:] != s[:-1]]))
    size = np.diff(np.concatenate([first, [len(s)]]))
    rank = np.empty(len(s))
    rank[order] = np.repeat(first + (size + 1) / 2, size)
    positives = np.count_nonzero(label)
    negatives = len(label) - positives
    return (rank[label == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives) if positives and negatives else np.nan


def plain(score, label, rows):
    return np.array([[by_ranks(score[r, k], label[r, k]) for k in range(score.shape[1])] for r in rows])


def sorted_once(score, label, rows):
    """Ties aside: what follows would have to add their halves."""
    order = np.argsort(score, 0)
    positive = np.take_along_axis(label, order, 0).astype(float)
    out = []
    for r in rows:
        w = np.bincount(r, minlength=len(score)).astype(float)[order]
        p = w * positive
        q = w - p
        below = np.cumsum(q, 0)
        out.append((p * (below - q)).sum(0) / (p.sum(0) * q.sum(0)))
    return np.array(out)


def seconds(work, *arguments):
    at = time.process_time()
    value = work(*arguments)
    return time.process_time() - at, value


with tempfile.TemporaryDirectory() as folder:
    file = os.path.join(folder, "data")
    text = subprocess.run([PROGRAM, str(K), str(n), str(resamples), "2", file], stdout=subprocess.PIPE, text=True, check=True).stdout
    print(text, end="")
    cpu = float(text.split(" s wall, ")[1].split(" s cpu")[0])  # the first line: per label and macro, which is what NumPy does here
    score = np.fromfile(file, np.float64, n * K).reshape(n, K)[:, :: max(1, K // LABELS)].copy()
    label = np.fromfile(file, np.int8, n * K, offset=8 * n * K).reshape(n, K)[:, :: max(1, K // LABELS)].copy()
g = np.random.default_rng(1)
rows = [g.integers(0, n, n) for _ in range(TIMES)]
share = K * resamples / (score.shape[1] * TIMES)
slow, a = seconds(plain, score, label, rows)
fast, b = seconds(sorted_once, score, label, rows)
assert np.nanmax(np.abs(a - b)) < 1e-4  # some scores are tied
print("numpy on %d labels x %d resamples, scaled by %.0f: label by label %.0f s (%.0f times ours), sorted once %.0f s (%.0f times)" %
      (score.shape[1], TIMES, share, slow * share, slow * share / cpu, fast * share, fast * share / cpu))
