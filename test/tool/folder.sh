#!/bin/sh
# SPDX-License-Identifier: MIT
# A plain folder of recordings and one table, end to end: the recipe of docs/own_data.md, PTB-XL by this way and by its own, LUDB, every bad table.
. test/expect.sh
case ${ECGRAFT_DATA:=../shared/data} in /*) DATA=$ECGRAFT_DATA ;; *) DATA=$PWD/$ECGRAFT_DATA ;; esac
GUIDE=$PWD/docs/own_data.md
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
check() { # what, command...
    why=$1
    shift
    if "$@"; then passed=$((passed + 1)); else echo "FAIL $why"; failed=$((failed + 1)); fi
}
says() { # what it is, pattern in the last output
    if cat out err | grep -qE -e "$2"; then passed=$((passed + 1)); else echo "FAIL $1: no \"$2\""; failed=$((failed + 1)); fi
}
cat >look.py <<'PY'
import json, struct
import numpy as np


def cohort(path):
    """metadata, contract, tensors"""
    raw = open(path, "rb").read()
    (n,) = struct.unpack("<Q", raw[:8])
    head = json.loads(raw[8 : 8 + n])
    meta = head.pop("__metadata__")
    kind = {"F32": "<f4", "I64": "<i8", "I8": "<i1", "U8": "<u1"}
    at = {k: (t["data_offsets"], kind[t["dtype"]], t["shape"]) for k, t in head.items()}
    return meta, json.loads(meta["contract"]), {k: np.frombuffer(raw[8 + n + o[0] : 8 + n + o[1]], d).reshape(s) for k, (o, d, s) in at.items()}


def same(a, b, what):
    if not np.array_equal(np.asarray(a), np.asarray(b), equal_nan=np.asarray(a).dtype.kind == "f"):
        raise SystemExit("differs: " + what)
PY
python() { PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$@"; }
numpy() { python -c 'import numpy, pandas' 2>/dev/null; }

# ---- a hospital's recordings and a table made up for them; text ids, words, units, two sets, unknown labels, no folds
"$E" synth h --patients 300 --seed 7 -q
R=h/mimic-iv-ecg
awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) at[$i] = i
                  print "id,path,patient,stay,time,tabular.age[years],tabular.sex,tabular.crp[mg/L]:lab,tabular.grade:cat,notes,label.I48.0,label.MI,label.never,label.echo.low_ef"; next}
         {n++; s = $at["subject_id"]; f = s % 2
          printf "E-%04d,%s,P%s,%s,%s,%d,%s,%s,%d,\"a, b\",%s,%d,0,%s\n", n, $at["path"], s, n % 3 ? "" : s, $at["ecg_time"], 20 + s % 70, f ? "F" : "M",
                 n % 5 ? n / 8 : "", n % 4 + 1, n % 7 ? s % 3 == 0 : "", s % 5 == 0, n % 2 ? "" : s % 4 == 0}' $R/record_list.csv >t.csv
rows=$(($(wc -l <t.csv) - 1))
expect 0 "$rows records" "built by column names" "$E" cohort build --folder $R --table t.csv -o c.cohort --threads 2
says "what is read is said" "t.csv: $rows rows, 4 input columns, 4 label columns"
says "a label without positives" 'label never of set diagnoses has 0 positives, fewer than 1: left out'
says "text ids" 'c.cohort.ids.csv'
says "what is synthetic stays synthetic" 'synthetic cohort'
check "ids and numbers" [ "$(sed -n 2p c.cohort.ids.csv | cut -d, -f1-3)" = "1,E-0001,1" ]
"$E" cohort build --folder $R --table t.csv -o d.cohort --threads 1 -q
check "one thread and several: the same bytes" cmp -s c.cohort d.cohort
expect 0 'no patient is in two folds' "described" "$E" cohort describe c.cohort --all
says "labels of both sets" '^Set echo: 1 labels'
says "a dot in a code" '^  I48.0 '
says "folds of the generator" '^  train +0-17 '
says "attrition" "^  rows of the table +$rows +0"
"$E" cohort build --folder $R --table t.csv -o e.cohort --seed 3 -q
check "another seed, other folds" sh -c '! cmp -s c.cohort e.cohort'
expect 0 '' "another minimum" "$E" cohort build --folder $R --table t.csv -o e.cohort --min-count 100000 --label-columns label.MI,echo:label.echo.low_ef --max-failures 0 --min-count 2
expect 1 'no label has 100000 positives' "labels too rare" "$E" cohort build --folder $R --table t.csv -o x.cohort --min-count 100000
expect 0 '' "masks" "$E" cohort build --folder $R --table t.csv -o m.cohort --masks -q
expect 0 '^  crp_nan ' "what can be missing has a mask" "$E" cohort describe m.cohort --all
check "what is never missing has none" sh -c '! grep -q "age_nan\|sex_nan" out'
if numpy; then
    cat >one.py <<'PY'
import pandas as pd
from look import *

meta, contract, t = cohort("c.cohort")
d = pd.read_csv("t.csv", dtype={"stay": str})
columns = {c["name"]: c for c in contract["columns"]}
assert list(columns) == ["age", "sex", "crp", "grade"], columns
assert columns["age"]["unit"] == "years" and columns["crp"]["unit"] == "mg/L" and columns["crp"]["group"] == "lab" and columns["age"]["group"] == "routine"
assert columns["sex"]["words"] == ["F", "M"] and columns["grade"]["words"] == ["1", "2", "3", "4"] and "words" not in columns["age"]
same(t["tabular"][:, 0], d["tabular.age[years]"].values.astype("f4"), "age")
same(t["tabular"][:, 1], (d["tabular.sex"] == "M").values.astype("f4"), "sex")
same(t["tabular"][:, 2], d["tabular.crp[mg/L]:lab"].values.astype("f4"), "crp")
same(t["tabular"][:, 3], (d["tabular.grade:cat"] - 1).values.astype("f4"), "grade")
codes = {s["set"]: [l["code"] for l in s["labels"]] for s in contract["tables"]}
assert codes == {"diagnoses": ["I48.0", "MI"], "echo": ["low_ef"]}, codes
same(t["labels.diagnoses"], d[["label.I48.0", "label.MI"]].fillna(-1).values.astype("i1"), "diagnoses")
same(t["labels.echo"], d[["label.echo.low_ef"]].fillna(-1).values.astype("i1"), "echo")
same(t["study"], range(1, len(d) + 1), "study")
same(t["patient"], pd.factorize(d.patient)[0] + 1, "patient")
same(t["stay"], d.stay.fillna(-1).astype("int64"), "stay")
same(t["ecg_time"], (pd.to_datetime(d.time) - pd.Timestamp(0)) // pd.Timedelta(seconds=1), "time")
first = d.assign(time=pd.to_datetime(d.time), order=range(len(d))).sort_values(["time", "order"]).drop_duplicates("stay").index
same(t["first_in_stay"], [int(pd.isna(s) or i in first) for i, s in enumerate(d.stay)], "first in stay")
masks, contract, m = cohort("m.cohort")
assert [c["name"] for c in contract["columns"]] == ["age", "sex", "crp", "grade", "crp_nan"] and contract["columns"][4]["group"] == "lab"
same(m["tabular"][:, :4], t["tabular"], "columns beside a mask")
same(m["tabular"][:, 4], np.isnan(t["tabular"][:, 2]).astype("f4"), "mask")
assert (pd.Series(t["fold"]).groupby(t["patient"]).nunique() == 1).all() and len(set(t["fold"])) == 20
PY
    check "every value of the table" python one.py
else
    echo "skip no pandas"; skipped=$((skipped + 1))
fi
expect 0 '' "tables alone" "$E" cohort build --folder $R --table t.csv -o n.cohort --no-waveforms -q
SMALL="--set encoder.width=8 --set encoder.blocks=2 --set projector.hidden=16 --set projector.out=16 --batch 32"
expect 0 'pretrain epoch 1/1' "pre-training" "$E" pretrain c.cohort -o one $SMALL --epochs 1 --threads 2
expect 0 '' "fine-tuning" "$E" finetune diagnoses c.cohort --from one -o two --set finetune.updates=0 --epochs 1
expect 0 'macro AUROC' "evaluation" "$E" evaluate two --resamples 0 --roles train:0-9,validation:10-14,test:15-19
expect 0 'I48.0' "prediction" "$E" predict two "$(find $R -name '*.hea' | head -n 1)"

# ---- the table of the guide, word for word
sed -n '/^id,path,/,/^$/p' "$GUIDE" | grep , >guide.csv
check "the guide has five rows" [ "$(wc -l <guide.csv)" -eq 6 ]
n=0
mkdir -p mine
for path in $(tail -n +2 guide.csv | cut -d, -f2); do
    n=$((n + 1)) hea=$(find $R -name '*.hea' | sort | sed -n ${n}p)
    mkdir -p "mine/$(dirname "$path")"
    new=$(basename "$path" .hea) old=$(basename "$hea" .hea)
    cp "${hea%.hea}.dat" "mine/$(dirname "$path")/$new.dat" && sed "s/$old/$new/g" "$hea" >"mine/$(dirname "$path")/$new.hea"
done
expect 0 '5 records of 4 patients' "the guide's table" "$E" cohort build --folder mine --table guide.csv -o guide.cohort
expect 0 'train +0 ' "its folds are words" "$E" cohort describe guide.cohort

# ---- CRLF, byte order mark, gzip, endings, blanks; default roles of numbers; recordings that are not there
sed 's/$/\r/; 1s/^/\xef\xbb\xbf/; s/,F,/, F ,/' t.csv >crlf.csv
"$E" cohort build --folder $R --table crlf.csv -o e.cohort -q
gzip -k t.csv
"$E" cohort build --folder $R --table t.csv.gz -o f.cohort -q
"$E" cohort describe c.cohort --all | tail -n +3 >1
for f in e f; do
    "$E" cohort describe $f.cohort --all | tail -n +3 >2
    check "$f.cohort: the same table, otherwise packed" cmp 1 2
done
small() { # header, row...: a table of rows with recordings 1, 2, 3
    : >s.csv
    for line; do printf '%s\n' "$line" >>s.csv; done
}
m1=$(sed -n 2p t.csv | cut -d, -f2) m2=$(sed -n 3p t.csv | cut -d, -f2) m3=$(sed -n 4p t.csv | cut -d, -f2)
S="$E cohort build --folder $R --table s.csv -o s.cohort --masks"
small id,path,fold "1,$m1.hea,4" "2,$m2.dat,9" "3,./$m3,7"
expect 0 'no column patient' "no patients: said" $S
says "nothing to train with: said" 'no input column'
says "no labels: said" 'no label column'
check "numbers as ids: no list" [ ! -e s.cohort.ids.csv ]
expect 0 'validation +7 +1 ' "the highest fold tests, the one below validates" "$E" cohort describe s.cohort
says "and the rest trains" 'train +4 +1 '
small id,path,fold,label.A "1,$m1,1,1" "2,$m2,2,True" "3,$m3,3,"
expect 0 'label A of set diagnoses has one class only: 2 positives' "one class: kept and said" $S
small id,path,fold "1,$m1,train" "2,$m2,VAL" "3,nowhere/x,test" "4,$m3,Training"
expect 3 '1 recordings are not in the folder' "an absent recording" $S
check "it is listed" grep -q '^3,nowhere/x,no such file' s.cohort.failures.csv
expect 1 'max-failures' "absent ones, none allowed" $S --max-failures 0
small id,path,fold "1,$m1,0" "2,$m2,0"
expect 1 's.csv: one fold: .*--roles' "one fold, no roles" $S
expect 0 '' "one fold, all of it for testing" $S --roles test:0
small id,path,patient "1,$m1,7" "2,$m2,7"
expect 0 '2 records of 1 patients' "a patient of two recordings" $S

# ---- refused: what it is, what must be said, header and rows
bad() {
    why=$1 pattern=$2
    shift 2
    small "$@"
    expect 1 "$pattern" "$why" $S
}
rm -f s.cohort*
bad "no id" 's.csv:1: no column "id"' ids,path "1,$m1"
bad "no path, one near" 's.csv:1: no column "path", the nearest is "paths"' id,paths "1,$m1"
bad "semicolons" 'commas are expected' 'id;path' "1;$m1"
bad "a header alone" 's.csv: no row in it' id,path
bad "an id twice" 's.csv:3:1: id: 1 a second time, first in line 2' id,path "1,$m1" "1.0,$m2"
bad "no id in a row" 's.csv:2:1: id: no id' id,path ",$m1"
bad "a field too few" 's.csv:3' id,path "1,$m1" 2
bad "a quote that does not end" 's.csv:2' id,path "1,\"$m1"
bad "a path that leaves" 's.csv:2:2: path: "../x" leaves the folder' id,path 1,../x
bad "a path from the root" 'leaves the folder' id,path 1,/etc/passwd
bad "a path with ." 'leaves the folder' id,path 1,a/./b
bad "a backslash" 'folders are separated by /' id,path '1,a\b'
bad "no path in a row" 's.csv:2:2: path: a path of 0 bytes' id,path 1,
bad "fold 32" 's.csv:2:3: fold: "32" is neither' id,path,fold "1,$m1,32"
bad "a word that is no role" 'fold: "dev" is neither' id,path,fold "1,$m1,dev"
bad "a fold missing" 's.csv:3:3: fold: "" is neither' id,path,fold "1,$m1,1" "2,$m2,"
bad "words after numbers" 's.csv:3:3: fold: "test" after line 2 has a number' id,path,fold "1,$m1,1" "2,$m2,test"
bad "a patient in two folds" 's.csv:4:4: patient B is in test here and in train in line 2' id,path,patient,fold "1,$m1,B,train" "2,$m2,A,val" "3,$m3,B,test"
bad "no patient in a row" 's.csv:2:3: patient: no patient' id,path,patient "1,$m1,"
bad "label 2" 's.csv:2:3: label.A: "2" is no label' id,path,label.A "1,$m1,2"
bad "label yes" 'label.A: "yes" is no label' id,path,label.A "1,$m1,yes"
bad "a number with a comma" 's.csv:2:3: tabular.x: "1,5" is a number with a comma' id,path,tabular.x "1,$m1,\"1,5\""
bad "NaN" 's.csv:3:3: tabular.x: "NaN": what is missing is left empty' id,path,tabular.x "1,$m1,2" "2,$m2,NaN"
bad "inf" '"-inf": what is missing' id,path,tabular.x "1,$m1,-inf"
bad "___" '"___": what is missing' id,path,tabular.x "1,$m1,___"
bad "beyond single precision" 'beyond single precision' id,path,tabular.x "1,$m1,1e39"
bad "a word among numbers" 's.csv:3:3: tabular.x: "low" is no number, line 2 has one \(with x:cat' id,path,tabular.x "1,$m1,2" "2,$m2,low"
bad "a number among words" 's.csv:3:3: tabular.x: "2" is a number, line 2 has a word' id,path,tabular.x "1,$m1,low" "2,$m2,2"
bad "a time that does not exist" 's.csv:2.*time' id,path,time "1,$m1,2020-02-30 10:00:00"
bad "no UTF-8" 's.csv:2:3: tabular.x: bytes that are no UTF-8' id,path,tabular.x "1,$m1,$(printf 'm\344nnlich')"
bad "an input column twice" 'input column "x" a second time' id,path,tabular.x,tabular.x:cat "1,$m1,1,1"
bad "a name twice in the header" 's.csv:1:[34]: two columns are called "tabular.x"' id,path,tabular.x,tabular.x "1,$m1,1,1"
bad "a label twice" 'label "A" of set diagnoses a second time' id,path,label.A,label.diagnoses.A "1,$m1,1,1"
bad "a column without a name" 'a column name is not UTF-8 of 1 to 63' id,path,tabular. "1,$m1,1"
bad "a mask of the name of a column" 'input column "x_nan" stands for the gaps of x' id,path,tabular.x,tabular.x_nan "1,$m1,,1"
bad "a unit of 16 bytes" 'the unit of' id,path,'tabular.x[0123456789abcdef]' "1,$m1,1"
{ echo id,path,tabular.x; i=0; while [ $i -lt 65 ]; do i=$((i + 1)); echo "$i,r$i,w$i"; done; } >s.csv
expect 1 's.csv:66:3: tabular.x: "w65" is the 65th different word' "free text" $S
{ printf id,path; i=0; while [ $i -lt 17 ]; do i=$((i + 1)); printf ,label.s$i.A; done; echo; } >s.csv
expect 1 's.csv:1:19: more than 16 sets' "seventeen sets" $S
small id,path,age,AF "1,$m1,50,1"
expect 2 'columns: .*none of id=' "a column of no meaning" $S --columns ids=id
expect 1 'columns: no column "idd", the nearest is "id"' "a column that is not there" $S --columns id=idd
expect 1 'tabular: no column "agee", the nearest is "age"' "an input that is not there" $S --tabular agee:cat
expect 1 'label-columns: no column "A"' "a label that is not there" $S --label-columns s:A
expect 2 'no name of a set' "a set that is none" $S --label-columns S-1:AF
expect 1 'AF.* is a label and something else' "a label among the inputs" $S --tabular age,AF --label-columns AF
expect 1 'no such folder' "no folder" "$E" cohort build --folder nowhere --table s.csv -o x.cohort
expect 1 'none.csv' "no table" "$E" cohort build --folder $R --table none.csv -o x.cohort
expect 2 'go together' "no table given" "$E" cohort build --folder $R -o x.cohort
check "nothing under the names after all that" [ ! -e s.cohort ] && check "nor under x" [ ! -e x.cohort ]
if head -c 40 t.csv.gz >cut.csv.gz; then expect 1 'cut.csv.gz' "a gzip stream cut short" "$E" cohort build --folder $R --table cut.csv.gz -o x.cohort; fi

# ---- PTB-XL by this way and by its own
if [ -f "$DATA/ptbxl/ptbxl_database.csv" ] && numpy; then
    cat >wide.py <<'PY'
import ast, sys
import pandas as pd

d = pd.read_csv(sys.argv[1] + "/ptbxl_database.csv")
keys = d.scp_codes.map(ast.literal_eval)
codes = sorted(set().union(*keys))
d = pd.concat([d.drop(columns="scp_codes"), pd.DataFrame({c: [int(c in k) for k in keys] for c in codes})], axis=1)
d.to_csv("wide.csv", index=False)
print(",".join("all:" + c for c in codes), end="")
PY
    labels=$(python wide.py "$DATA/ptbxl")
    expect 0 '434 records of 407 patients' "PTB-XL through its table" "$E" cohort build --folder "$DATA/ptbxl" --table wide.csv -o w.cohort --label-columns "$labels" \
        --columns id=ecg_id,path=filename_lr,patient=patient_id,fold=strat_fold,time=recording_date --tabular 'age[years],height[cm],weight[kg],sex:cat'
    "$E" cohort build --ptbxl "$DATA/ptbxl" -o p.cohort -q
    cat >two.py <<'PY'
from look import *

(_, c, a), (_, d, b) = cohort("w.cohort"), cohort("p.cohort")
for name in "signal quality patient study stay ecg_time fold first_in_stay".split():
    same(a[name], b[name], name)
same(np.where(a["tabular"][:, :3] == 300, 90, a["tabular"][:, :3]), b["tabular"][:, :3], "age, height, weight")
same(1 - a["tabular"][:, 3], b["tabular"][:, 3], "sex")
same(a["labels.all"], b["labels.all"], "labels")
codes = [[l["code"] for l in t["labels"]] for k in (c, d) for t in k["tables"] if t["set"] == "all"]
assert codes[0] == codes[1]
PY
    check "the same cohort by both ways" python two.py
else
    echo "skip no PTB-XL below $DATA, or no pandas"; skipped=$((skipped + 1))
fi

# ---- LUDB: its own table with a path put in front; WFDB samples: what has a lead of the twelve is kept, what has none is listed
if [ -f "$DATA/ludb/ludb.csv" ]; then
    awk 'NR == 1 {print "path," $0; next} {split($0, f, ","); print "data/" f[1] "," $0}' "$DATA/ludb/ludb.csv" >ludb.csv
    expect 1 'ludb.csv:22:4: Age: ">89" is no number, line 2 has one' "an age that is no number" "$E" cohort build --folder "$DATA/ludb" --table ludb.csv \
        -o l.cohort --columns id=ID --tabular Age
    sed -i 's/>89/90/' ludb.csv
    expect 0 '120 records of 120 patients' "LUDB" "$E" cohort build --folder "$DATA/ludb" --table ludb.csv -o l.cohort --columns id=ID --tabular 'Age[years],Sex'
    expect 0 '^  Sex +categorical' "its columns" "$E" cohort describe l.cohort --all
else
    echo "skip no LUDB below $DATA"; skipped=$((skipped + 1))
fi
if [ -f "$DATA/wfdb_formats/100.hea" ]; then
    { echo id,path; for r in 100 s0010_re.hea a103l.mat flacformats nowhere; do echo "$r,$r"; done; } >odd.csv
    expect 3 '^odd.cohort: 3 records' "odd recordings" "$E" cohort build --folder "$DATA/wfdb_formats" --table odd.csv -o odd.cohort --max-failures 2
    check "each with its reason" [ "$(cut -d, -f3 odd.cohort.failures.csv | grep -c 'no such file\|249 samples')" -eq 2 ]
    says "they are numbered" 'odd.cohort.ids.csv'
else
    echo "skip no WFDB samples below $DATA"; skipped=$((skipped + 1))
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
