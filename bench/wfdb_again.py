# SPDX-License-Identifier: MIT
"""Signals of a cohort against a second reader: WFDB format 16, gaps, clipping at 3 mV and resampy's kaiser_best, all in numpy.
Usage: wfdb_again.py COHORT FOLDER [rows]    FOLDER: with record_list.csv. Prints the largest difference in mV; above 2e-6 it fails."""
import csv, json, os, struct, sys
import numpy as np

with open(sys.argv[1], "rb") as f:
    size = struct.unpack("<Q", f.read(8))[0]
    header = json.loads(f.read(size))
    def tensor(name, kind):
        return np.memmap(f, kind, "r", 8 + size + header[name]["data_offsets"][0], tuple(header[name]["shape"]))
    signal, study = tensor("signal", "<f4"), tensor("study", "<i8")
contract = json.loads(header["__metadata__"]["contract"])
leads = contract["leads"]
where = {int(r["study_id"]): r["path"] for r in csv.DictReader(open(os.path.join(sys.argv[2], "record_list.csv")))}


def wfdb(path):
    lines = [l for l in open(path + ".hea") if not l.startswith("#")]
    name, n, rate, samples = lines[0].split()[:4]
    x = np.fromfile(os.path.join(os.path.dirname(path), name + ".dat"), "<i2").reshape(int(samples), int(n))
    out = {}
    for k, line in enumerate(lines[1:]):
        gain = line.split()[2].split("/")[0]
        scale, base = float(gain.split("(")[0]), int(gain.split("(")[1].rstrip(")"))
        y = (x[:, k].astype(np.float64) - base) / scale
        y[x[:, k] == -32768] = np.nan
        out[line.split()[-1]] = y
    return float(rate), out


def resample(x, rate_in, rate_out):
    """x (frames, leads); every output from the definition of the filter, linear between entries of its table."""
    zeros, steps, rho, beta = 50, 8192, 0.9173473712608761, 12.984585247040012
    i = np.arange(zeros * steps + 1)
    table = rho * np.sinc(rho * i / steps) * np.i0(beta * np.sqrt(1 - (i / (zeros * steps)) ** 2)) / np.i0(beta)
    s = min(1.0, rate_out / rate_in)
    table, step = np.append(table * s, 0), int(s * steps)
    y = np.zeros((len(x) * int(rate_out) // int(rate_in), x.shape[1]))
    for t in range(len(y)):
        tau = t * rate_in / rate_out
        n = int(tau)
        for part, at, count in ((s * (tau - n), np.arange(n, -1, -1), n + 1), (s - s * (tau - n), np.arange(n + 1, len(x)), len(x) - n - 1)):
            first = int(part * steps)
            count = min(count, (zeros * steps + 1 - first) // step)
            k = first + step * np.arange(count)
            w = table[k] + (part * steps - first) * np.where(k < zeros * steps, table[k + 1] - table[k], 0)
            y[t] += w @ x[at[:count]]
    return y


def fill(x):
    seen = np.flatnonzero(~np.isnan(x))
    if not len(seen):
        return x
    y = np.interp(np.arange(len(x)), seen, x[seen])
    y[: seen[0]] = np.nan
    return y


rows = min(int(sys.argv[3]) if len(sys.argv) > 3 else 20, len(study))
worst = 0.0
for row in np.linspace(0, len(study) - 1, rows).astype(int):
    rate, lead = wfdb(os.path.join(sys.argv[2], where[int(study[row])]))
    x = np.stack([np.clip(fill(lead[l].astype(np.float32)), -3, 3).astype(np.float32).astype(np.float64) for l in leads], 1)
    y = resample(x, rate, 100.0)
    here = signal[row][: len(y)]
    if not np.array_equal(np.isnan(y), np.isnan(here)):
        sys.exit(f"study {study[row]}: values are missing in other places")
    worst = max(worst, float(np.nanmax(np.abs(y - here))))
print(f"{rows} recordings read again: {worst:.1e} mV apart at most")
sys.exit(worst > 2e-6)
