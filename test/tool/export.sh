#!/bin/sh
# SPDX-License-Identifier: MIT
# ecgraft cohort export and the page and tables of cohort describe: equal to the cohort's own tensors, read back with pandas.
. test/expect.sh
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
check() { # what, command...
    why=$1
    shift
    if "$@"; then passed=$((passed + 1)); else echo "FAIL $why"; failed=$((failed + 1)); fi
}
py() { # what: a python program on stdin, skipped where numpy and pandas are absent
    if [ -n "$PY" ]; then check "$1" "$PY" -; else cat >/dev/null; echo "skip $1: no python3 with numpy and pandas"; skipped=$((skipped + 1)); fi
}
PY=
for p in /usr/bin/python3 python3; do
    [ -z "$PY" ] && "$p" -c 'import numpy, pandas' 2>/dev/null && PY=$p
done

expect 0 '' "synthetic hospital" "$E" synth h --patients 120 --seed 9 -q
expect 0 '' "a cohort" "$E" cohort build --mimic h -o a.cohort --min-count 10 --min-labs 6 -q
expect 0 '' "tables alone" "$E" cohort build --mimic h -o t.cohort --min-count 10 --min-labs 6 --no-waveforms -q

# ---- export
expect 2 'needs -o DIR' "no folder named" "$E" cohort export a.cohort
expect 0 'synthetic cohort' "exported" "$E" cohort export a.cohort -o x --signal
expect 0 '' "exported once more" "$E" cohort export a.cohort -o y --signal -q
check "twice the same bytes" diff -r x y
expect 0 '' "packed" "$E" cohort export a.cohort -o z --gzip -q
check "packed tables are the same" sh -c 'for f in x/*.csv; do gzip -dc z/$(basename $f).gz | cmp -s - $f || exit 1; done'
check "no signal unless asked for" [ ! -e z/signal.npy ]
expect 1 'not empty' "a folder that holds files" "$E" cohort export a.cohort -o x
expect 0 '' "the same, on request" "$E" cohort export a.cohort -o x --signal --force -q
check "which replaces them" diff -r x y
expect 1 'tables alone' "no recordings to write" "$E" cohort export t.cohort -o w --signal
check "nothing is written then" [ ! -e w ]
expect 0 '' "tables of a cohort of tables alone" "$E" cohort export t.cohort -o w -q
check "its labels are the same" cmp -s w/labels.labs.csv x/labels.labs.csv
expect 1 'none.cohort' "no such cohort" "$E" cohort export none.cohort -o v
check "no folder for it" [ ! -e v ]
check "a label table has the hash that README.txt says" grep -q "$(sha256sum <x/label_table.diagnoses.csv | cut -c1-64)" x/README.txt
(trap "" XFSZ; ulimit -f 200; exec "$E" cohort export a.cohort -o f >out 2>err)
check "a disk without room is named" grep -q "f/.*cannot write" err
check "and nothing is left" [ ! -e f ]
check "no temporary file is left" [ -z "$(find . -name '*.tmp.*')" ]

py "exported tables equal the tensors" <<'EOF'
import json, struct, datetime
import numpy as np, pandas as pd
raw = open("a.cohort", "rb").read()
(n,) = struct.unpack("<Q", raw[:8])
head = json.loads(raw[8 : 8 + n])
meta = head.pop("__metadata__")
kinds = {"F32": "<f4", "I64": "<i8", "I8": "<i1", "U8": "<u1"}
T = {k: np.frombuffer(raw[8 + n + t["data_offsets"][0] : 8 + n + t["data_offsets"][1]], kinds[t["dtype"]]).reshape(t["shape"]) for k, t in head.items()}
contract = json.loads(meta["contract"])
rows = len(T["study"])
def same(a, b, what):
    assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), what
r = pd.read_csv("x/records.csv")
same(r.study_id.to_numpy(), T["study"], "study")
same(r.patient_id.to_numpy(), T["patient"], "patient")
same(r.stay_id.fillna(-1).to_numpy(np.int64), T["stay"], "stay")
same(r.fold.to_numpy(np.uint8), T["fold"], "fold")
same(r.first_in_stay.to_numpy(np.uint8), T["first_in_stay"], "first")
same(r.valid_samples.to_numpy(np.float32), T["quality"][:, 0], "valid samples")
epoch = datetime.datetime(1970, 1, 1)
assert [int((datetime.datetime.strptime(t, "%Y-%m-%d %H:%M:%S") - epoch).total_seconds()) for t in r.ecg_time] == T["ecg_time"].tolist(), "times"
roles = {}
for piece in meta["roles"].split(","):
    if ":" in piece:
        name, piece = piece.split(":")
    a, _, b = piece.partition("-")
    roles.update({f: name for f in range(int(a), int(b or a) + 1)})
assert [roles[f] for f in T["fold"]] == r.role.tolist(), "roles"
t = pd.read_csv("x/tabular.csv")
assert t.columns.tolist() == ["study_id"] + [c["name"] for c in contract["columns"]], "columns"
same(t.iloc[:, 1:].to_numpy(np.float32), T["tabular"], "tabular")
for line, x in zip(list(open("x/tabular.csv"))[1:], T["tabular"]):
    assert line.rstrip("\n").split(",")[1:] == ["" if np.isnan(v) else "%.9g" % v for v in x], "tabular as text"
for s in contract["tables"]:
    y = pd.read_csv("x/labels.%s.csv" % s["set"])
    assert y.columns.tolist() == ["study_id"] + [l["code"] for l in s["labels"]], "codes"
    same(y.study_id.to_numpy(), T["study"], "study of labels")
    same(y.iloc[:, 1:].fillna(-1).to_numpy(np.int8), T["labels." + s["set"]], s["set"])
    l = pd.read_csv("x/label_table.%s.csv" % s["set"], dtype=str, keep_default_na=False)
    for key in ["code", "title", "count"] + (["itemid", "fluid"] if s["set"] == "labs" else []):
        assert l[key].tolist() == [str(one.get(key, "")) for one in s["labels"]], key
    assert l["index"].astype(int).tolist() == list(range(len(l)))
signal = np.load("x/signal.npy", mmap_mode="r")
assert signal.dtype == np.dtype("<f4") and signal.flags.c_contiguous
same(np.asarray(signal), T["signal"], "signal")
said = json.load(open("x/contract.json"))
assert said["leads"] == contract["leads"] and said["rate_hz"] == 100 and said["statement"] == "Research software. Not a medical device." and said["synthetic"]
assert said["tables"] == contract["tables"] and said["columns"] == contract["columns"] and said["records"] == rows
EOF

# ---- describe as a page and as tables
expect 0 'synthetic cohort' "page and tables" "$E" cohort describe a.cohort --html a.html --csv d
expect 0 'tables alone' "of tables alone" "$E" cohort describe t.cohort --html t.html
"$E" cohort describe a.cohort --json >a.json
"$E" cohort describe t.cohort --json >t.json
check "the page needs no network" sh -c '! grep -qiE "https?:|src=|href=|url\(|@import|<script" a.html t.html'
check "the statement stands on it" grep -q 'Research software. Not a medical device.' a.html
check "that it is synthetic, too" grep -q 'Synthetic cohort' a.html
check "the same page twice" sh -c '"$0" cohort describe a.cohort --html b.html >/dev/null && cmp -s a.html b.html' "$E"
expect 1 'none/a.html' "a page that cannot be written" "$E" cohort describe a.cohort --html none/a.html
expect 1 'a.html' "tables where a file stands" "$E" cohort describe a.cohort --csv a.html

py "page and tables say what the JSON says" <<'EOF'
import json
from html.parser import HTMLParser
import pandas as pd
class Page(HTMLParser):
    void = {"meta", "rect"}
    def __init__(self):
        super().__init__()
        self.open, self.rows, self.row, self.cell = [], [], None, None
    def handle_startendtag(self, tag, attrs):
        pass
    def handle_starttag(self, tag, attrs):
        if tag not in self.void:
            self.open.append(tag)
        if tag == "tr":
            self.row = []
        if tag in ("td", "th"):
            self.cell = []
            assert tag == "td" or dict(attrs).get("scope") in ("row", "col"), "a head without scope"
    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag
        if tag in ("td", "th"):
            self.row.append("".join(self.cell).strip())
            self.cell = None
        if tag == "tr":
            self.rows.append(self.row)
    def handle_data(self, data):
        if self.cell is not None:
            self.cell.append(data)
def page(path):
    p = Page()
    p.feed(open(path, encoding="utf-8").read())
    p.close()
    assert not p.open, p.open
    return p.rows
def count(cell):
    return int(cell.split()[0].replace(",", "")) if cell[0] != "\u2013" else None
rows, j = page("a.html"), json.load(open("a.json"))
first = {}
for r in rows:
    first.setdefault(r[0], []).append(r)
for step in j["attrition"]:
    r = first[step["step"]][0]
    assert (count(r[1]), count(r[2])) == (step["kept"], step["dropped"]), step
for name, role in j["roles"].items():
    r = first[name][0]
    assert (count(r[2]), count(r[3])) == (role["records"], role["patients"]), name
for f in j["folds"]:
    assert sum(count(x) for x in first[str(f["fold"])][0][1:]) == f["records"], f
labels = 0
for s in j["sets"]:
    for l in s["labels"]:
        code = l["code"][:3] + "." + l["code"][3:] if s["set"] == "diagnoses" and len(l["code"]) > 3 else l["code"]
        (r,) = first[(code + " " + l["title"]).strip()]
        for cell, role in zip(r[1:4], ("train", "validation", "test")):
            assert count(cell) == (l[role]["positive"] if l[role]["known"] else None), l
        labels += 1
assert labels > 20
for d in j["ages"]["decades"]:
    key = "%d-%d" % (d["from"], d["from"] + 9)
    if key in first:
        assert [count(x) for x in first[key][0][1:]] == d["records"][: len(first[key][0]) - 1], d
    else:
        assert sum(d["records"]) == 0 or d["from"] == 110
for w in j["quality"]["warnings"]:
    assert count(first[w["warning"]][0][1]) == w["records"], w
for s in j["sources"]:
    r = first[s["name"]][0]
    assert count(r[1]) == s["bytes"] and r[2] == s["sha256"], s
a = pd.read_csv("d/attrition.csv")
assert a.to_dict("records") == j["attrition"]
p = pd.read_csv("d/prevalence.csv", keep_default_na=False, na_values={"share": [""]})
at = 0
for s in j["sets"]:
    for l in s["labels"]:
        for role in ("train", "validation", "test"):
            r = p.iloc[at]
            at += 1
            assert (r["set"], r["code"], r["title"], r["role"], r["known"], r["positive"]) == (s["set"], l["code"], l["title"], role, l[role]["known"], l[role]["positive"])
            assert l[role]["known"] == 0 or abs(r["share"] - l[role]["positive"] / l[role]["known"]) < 1e-8
assert at == len(p)
m = pd.read_csv("d/missing.csv").pivot(index="column", columns="role", values="missing")
for c in j["columns"]:
    assert [m.loc[c["name"], r] for r in ("train", "validation", "test")] == [c[r]["missing"] for r in ("train", "validation", "test")], c
    assert sum(c[r]["missing"] for r in ("train", "validation", "test")) == c["missing"]
assert j["statement"] == "Research software. Not a medical device." and j["waveforms"]
page("t.html")
t = json.load(open("t.json"))
assert t["waveforms"] is False and t["quality"] is None and t["records"] == j["records"]
EOF
# ---- and back: an exported folder is a source
back() { "$E" cohort build --folder "$@"; }
same_folder() { for f in "$1"/*.csv* "$1"/signal.npy; do [ ! -e "$f" ] || cmp -s "$f" "$2/${f##*/}" || return 1; done; [ "$(ls "$1")" = "$(ls "$2")" ]; }
holds() { if "$@"; then passed=$((passed + 1)); else echo "FAIL $*"; failed=$((failed + 1)); fi; }
expect 0 'an exported cohort: .* label sets' "read back" back x -o back.cohort
"$E" cohort export back.cohort -o x2 --signal -q
holds same_folder x x2
expect 0 '' "it is sound" "$E" cohort check back.cohort
expect 0 'no signal.npy: a cohort of tables alone' "packed tables, no signal" back z -o back.cohort
"$E" cohort export back.cohort -o z2 --gzip -q
gzip -dc z/records.csv.gz | cut -d, -f1-7 >one && gzip -dc z2/records.csv.gz | cut -d, -f1-7 >two
holds cmp -s one two
gzip -dc z/tabular.csv.gz >one && gzip -dc z2/tabular.csv.gz >two
holds cmp -s one two
expect 0 '' "tables of a cohort of tables alone" back w -o back.cohort -q
"$E" cohort export back.cohort -o w2 -q
holds same_folder w w2
bad() { # file, awk program, code, pattern, what it is
    rm -rf b && cp -r x b && awk -F, -v OFS=, "$2" "x/$1" >"b/$1"
    expect "$3" "$4" "$5" back b -o bad.cohort
}
bad tabular.csv 'NR == 3 {$2 = "x"} 1' 1 'tabular.csv:3:2: .*not a number' "a word among the values"
bad tabular.csv 'NR == 3 {$NF = 5} 1' 1 'tabular.csv:3:466|tabular.csv:3:467' "a category that there is not"
bad tabular.csv 'NR == 3 {$1 = 1} 1' 1 'tabular.csv:3:1: study_id: another recording' "rows in another order"
bad tabular.csv 'NR != 3' 1 'tabular.csv' "a row too few"
bad labels.labs.csv 'NR == 4 {$2 = 2} 1' 1 'labels.labs.csv:4:2: .*1, 0 or nothing is expected' "a label that is none"
bad records.csv 'NR == 2 {$5 = 40} 1' 1 'records.csv:2:5: fold' "fold 40"
bad records.csv 'NR == 2 {$8 = 2000} 1' 1 'records.csv:2:8: valid_samples' "longer than a recording"
bad records.csv 'NR == 1' 1 'not one recording' "no rows"
rm -rf b && cp -r x b && head -c 100000 x/signal.npy >b/signal.npy
expect 1 'signal.npy: [0-9]+ bytes of values, [0-9]+ announced' "half of the signals" back b -o bad.cohort
sed 's/<f4/<f8/' x/signal.npy >b/signal.npy
expect 1 'signal.npy: an array of another kind' "doubles" back b -o bad.cohort
echo '{}' >b/contract.json
expect 1 'contract.json: not the contract of an exported cohort' "a contract of something else" back b -o bad.cohort
expect 2 'taken as it is' "options that it has no use for" back x --masks -o bad.cohort
rm b/contract.json
expect 2 'go together' "no exported folder" back b -o bad.cohort
holds [ -z "$(find . -maxdepth 1 -name 'bad.cohort*')" ]
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
