#!/bin/sh
# SPDX-License-Identifier: MIT
# The six tasks of the public PTB-XL benchmark: every row against its rules written a second time with pandas, and a small made-up PTB-XL.
. test/expect.sh
case ${ECGRAFT_DATA:=../shared/data} in /*) DATA=$ECGRAFT_DATA ;; *) DATA=$PWD/$ECGRAFT_DATA ;; esac
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1

cat >tasks.py <<'PY'
import ast, json, struct, sys
import numpy as np, pandas as pd

folder, cohort = sys.argv[1:3]
good = bad = 0


def check(ok, what):
    global good, bad
    good, bad = good + bool(ok), bad + (not ok)
    if not ok:
        print("FAIL", what)


raw = open(cohort, "rb").read()
(n,) = struct.unpack("<Q", raw[:8])
head = json.loads(raw[8 : 8 + n])
contract = json.loads(head.pop("__metadata__")["contract"])


def tensor(name):
    a, b = head[name]["data_offsets"]
    return np.frombuffer(raw[8 + n + a : 8 + n + b], {"I64": "<i8", "I8": "<i1"}[head[name]["dtype"]]).reshape(head[name]["shape"])


statements = pd.read_csv(folder + "/scp_statements.csv", index_col=0)
database = pd.read_csv(folder + "/ptbxl_database.csv", index_col="ecg_id").loc[tensor("study")]
keys = database.scp_codes.map(lambda text: list(ast.literal_eval(text)))
diagnostic = statements[statements.diagnostic == 1]


def through(frame, column=None):
    """keys of a recording that are in frame, or what their column says"""
    series = frame[column] if column else pd.Series(frame.index, frame.index)
    return lambda ks: {series[k] for k in ks if k in series.index and pd.notna(series[k])}


rule = {"all": set, "diagnostic": through(diagnostic), "subdiagnostic": through(diagnostic, "diagnostic_subclass"),
        "superdiagnostic": through(diagnostic, "diagnostic_class"), "form": through(statements[statements.form == 1]),
        "rhythm": through(statements[statements.rhythm == 1])}
kinds = {"all": statements.index, "diagnostic": diagnostic.index, "subdiagnostic": diagnostic.diagnostic_subclass.dropna(),
         "superdiagnostic": diagnostic.diagnostic_class.dropna(), "form": statements.index[statements.form == 1],
         "rhythm": statements.index[statements.rhythm == 1]}
published = {"all": 71, "diagnostic": 44, "subdiagnostic": 23, "superdiagnostic": 5, "form": 19, "rhythm": 12}
tables = {t["set"]: t["labels"] for t in contract["tables"]}
titles = statements.description.to_dict()
for name, of in rule.items():
    if len(statements) == 71:
        check(len(set(kinds[name])) == published[name], name + ": number of labels by the statements file")
    wanted = keys.map(of)
    codes = sorted(set().union(*wanted), key=lambda s: s.encode())
    if not codes:
        check(name not in tables, name + ": no label, no set")
        continue
    check([l["code"] for l in tables[name]] == codes, name + ": labels and their order")
    expected = np.array([[c in w for c in codes] if w else [-1] * len(codes) for w in wanted], np.int8)
    got = tensor("labels." + name)
    check(got.shape == expected.shape and (got == expected).all(), name + ": every row")
    check([l["count"] for l in tables[name]] == list((expected == 1).sum(0)), name + ": counts")
    check(all(l["title"] for l in tables[name]), name + ": titles")
    if name in ("all", "diagnostic", "form", "rhythm"):
        check(all(l["title"] == titles.get(l["code"], l["title"])[:159] for l in tables[name]), name + ": titles of the statements")
if len(database) == 434:
    check({l["code"]: l["count"] for l in tables["superdiagnostic"]} == {"NORM": 261, "STTC": 80, "CD": 67, "MI": 65, "HYP": 33}, "counts by hand")
five = np.array([[c in w for c in ("CD", "HYP", "MI", "NORM", "STTC")] for w in keys.map(rule["superdiagnostic"])], np.int8)
check((tensor("labels.superclass") == five).all(), "superclass: 0 where there is none")
learns = database.strat_fold.isin(range(1, 10)).values
often = sorted(c for c in set().union(*keys) if sum(c in k for k in keys[learns]) >= int(sys.argv[3]))
check([l["code"] for l in tables["diagnoses"]] == often and (tensor("labels.diagnoses") >= 0).all(), "diagnoses: frequent ones, never unknown")
print(good, bad)
PY
against_pandas() { # folder, cohort, minimum count of diagnoses, what it is
    /usr/bin/python3 tasks.py "$1" "$2" "$3" >report 2>&1
    set -- "$4" $(tail -n 1 report)
    if [ $# -eq 3 ] && [ "$2" -ge 0 ] 2>/dev/null && [ "$3" -ge 0 ] 2>/dev/null; then
        passed=$((passed + $2)) failed=$((failed + $3))
        grep '^FAIL' report
    else
        echo "FAIL $1: $(tail -n 1 report)"; failed=$((failed + 1))
    fi
}
pandas() { /usr/bin/python3 -c 'import pandas' 2>/dev/null; }

# ---- the sample
if [ -f "$DATA/ptbxl/ptbxl_database.csv" ]; then
    expect 0 '434 records of 407 patients' "built" "$E" cohort build --ptbxl "$DATA/ptbxl" -o p.cohort
    "$E" cohort describe p.cohort --all | sed -n '/^Set superdiagnostic/,/^$/p' >said
    for row in NORM:225:36 STTC:59:21 CD:57:10 MI:49:16 HYP:25:8; do
        train=${row#*:}
        expect 0 "^  ${row%%:*} +${train%:*} .* ${row##*:} " "superdiagnostic ${row%%:*}, training and validation" cat said
    done
    expect 0 '' "masks" "$E" cohort build --ptbxl "$DATA/ptbxl" -o q.cohort --masks -q
    expect 0 '^  biometrics_height_nan ' "what can be missing has a mask" "$E" cohort describe q.cohort --all
    if pandas; then against_pandas "$DATA/ptbxl" p.cohort 10 "the sample"; else echo "skip no pandas"; skipped=$((skipped + 1)); fi
else
    echo "skip no PTB-XL below $DATA"; skipped=$((skipped + 1))
fi

# ---- made up: a statement of two kinds, one without a subclass, one in no table, likelihood 0, a recording of each task's outside
mkdir m
cat >m/scp_statements.csv <<'CSV'
,description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass
NORM,normal ECG,1.0,,,NORM,NORM
NDT,non-diagnostic T abnormalities,1.0,1.0,,STTC,STTC
ISC_,non-specific ischemic,1.0,,,STTC,
LVOLT,low voltage,,1.0,,HYP,LVH
SR,sinus rhythm,,,1.0,,
AFIB,atrial fibrillation,,,1.0,,
CSV
{
    echo ecg_id,patient_id,age,sex,height,weight,recording_date,scp_codes,strat_fold,filename_lr,filename_hr
    i=0
    for codes in "'NORM': 100.0, 'SR': 0.0" "'NDT': 0.0" "'ISC_': 35.0, 'AFIB': 0.0" "'LVOLT': 100.0" "'SR': 0.0" "'OTHER': 50.0" "" "'NORM': 100.0, 'NDT': 50.0"; do
        i=$((i + 1))
        echo "$i,$i,5$i,0,,,2000-01-01 00:00:00,\"{$codes}\",$i,r$i,r$i"
    done
} >m/ptbxl_database.csv
"$E" synth h --patients 12 --seed 3 -q
n=0
for hea in $(find h -name '*.hea' | sort | head -n 8); do
    n=$((n + 1)) old=$(basename "$hea" .hea)
    cp "${hea%.hea}.dat" m/r$n.dat && sed "s/$old/r$n/g" "$hea" >m/r$n.hea
done
expect 0 '8 records of 8 patients' "made up" "$E" cohort build --ptbxl m -o m.cohort --min-count 2
"$E" cohort describe m.cohort --all >said
for set in diagnoses:3 superclass:5 all:7 diagnostic:3 subdiagnostic:2 superdiagnostic:2 form:2 rhythm:2; do
    expect 0 "^Set ${set%:*}: ${set#*:} labels" "$set" cat said
done
if pandas; then
    sed -i 's/all(l\["title"\] for l in tables\[name\])/True/' tasks.py # OTHER has none
    against_pandas m m.cohort 2 "made up"
fi
sed -i '/AFIB/d; s/,SR,/,SR,/; s/^SR,sinus rhythm,,,1.0/SR,sinus rhythm,,,/' m/scp_statements.csv
expect 0 'rhythm: no recording has a label of it' "a task without labels is left out and said" "$E" cohort build --ptbxl m -o m.cohort --min-count 2
! "$E" cohort describe m.cohort | grep -q '^Set rhythm' && passed=$((passed + 1)) || { echo "FAIL an empty set was written"; failed=$((failed + 1)); }
expect 1 'no diagnosis has 9 recordings' "diagnoses too rare" "$E" cohort build --ptbxl m -o x.cohort --min-count 9
sed -i '2s/1.0/yes/' m/scp_statements.csv
expect 1 'scp_statements.csv:2.*diagnostic' "a kind that is no number" "$E" cohort build --ptbxl m -o x.cohort
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
