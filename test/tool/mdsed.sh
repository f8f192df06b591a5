#!/bin/sh
# SPDX-License-Identifier: MIT
# ecgraft cohort build --mdsed: a table in the published schema against what test/py/make_mdsed.py wrote into it, and what is refused.
. test/expect.sh
case ${ECGRAFT_DATA:=../shared/data} in /*) ;; *) ECGRAFT_DATA=$PWD/$ECGRAFT_DATA ;; esac
export ECGRAFT_DATA
if ! /usr/bin/python3 -c 'import numpy, pandas' 2>/dev/null || [ ! -f "$ECGRAFT_DATA/mds_ed_schema/columns.csv" ]; then
    echo "skip no python3 with numpy and pandas, or no $ECGRAFT_DATA/mds_ed_schema"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi
PY=$PWD/test/py MAKE="/usr/bin/python3 $PWD/test/py/make_mdsed.py"
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
says() { # pattern in the last output, what it is
    if cat out err | grep -qE -e "$1"; then passed=$((passed + 1)); else echo "FAIL $2: no \"$1\" in: $(cat out err | head -c 300)"; failed=$((failed + 1)); fi
}
check() { # what, command...
    why=$1
    shift
    if "$@"; then passed=$((passed + 1)); else echo "FAIL $why"; failed=$((failed + 1)); fi
}
build() { "$E" cohort build --mdsed "$@"; }
"$E" synth h --patients 60 --seed 5 -q
ECG=h/mimic-iv-ecg LIST=h/mimic-iv-ecg/record_list.csv
n=$(($(wc -l <$LIST) - 1))

# ---- every tensor
$MAKE write a $LIST --seed 1
expect 0 "$n records of 60 patients \\(synthetic cohort\\)" "a folder with mds_ed.csv" build a --ecg $ECG -o a.cohort
says 'no labels of laboratory tests' "what the table cannot give is said"
expect 0 '0 failed' "columns, labels, folds, ids" $MAKE compare a.cohort a/expected.npz
build a --ecg $ECG -o one.cohort --threads 1 -q
check "one thread and several: the same bytes" cmp -s a.cohort one.cohort
expect 0 "$n records" "the file itself" build a/mds_ed.csv --no-waveforms -o t.cohort
expect 0 '' "described" "$E" cohort describe a.cohort
says '^  train +0-13 ' "roles of a synthetic hospital"
says '^Set diagnoses: 1428 labels' "diagnoses"
says '^Set deterioration: 15 labels' "deterioration"
expect 0 '' "checked" "$E" cohort check a.cohort
mkdir far && mv a/mds_ed.csv far
expect 0 "$n records of 60 patients\$" "nothing generated near it" build far --no-waveforms -o t.cohort
expect 0 '^  train +0-17 ' "roles as published" "$E" cohort describe t.cohort
expect 0 '0 failed' "tables alone" $MAKE compare t.cohort a/expected.npz
$MAKE write b $LIST --seed 2 --gz --permute --extra --repeat 5 --without general_strat_fold
expect 0 'no general_strat_fold: 20 folds are made' "gzip, columns in any order, without folds" build b --no-waveforms -o b.cohort
says 'column is not of this table, not used: "comment"' "unknown columns are named"
says 'diagnoses: [0-9]+ of 1429 labels have one class only' "labels of one class are named"
expect 0 '0 failed' "the same, against an independent generator of folds" $MAKE compare b.cohort b/expected.npz
expect 0 "study not seen before +$n +5\$" "studies that are repeated" "$E" cohort describe b.cohort
expect 0 ' 1428 diagnoses' "--labels mdsed" build b --no-waveforms --labels mdsed -o l.cohort
says '2 columns are not of this table' "a code that is not on the list"
expect 0 '' "--min-count" build b --no-waveforms --min-count 10 -o m.cohort
expect 0 '"count": [0-9]' "described as JSON" "$E" cohort describe m.cohort --json --all
check "no rare diagnosis" [ "$(sed -n '/"diagnoses"/,/"deterioration"/p' out | grep -oE '"count": *[0-9]+' | grep -cE ' [0-9]$')" -eq 0 ]
$MAKE write c $LIST --seed 3 --masks --without deterioration_
expect 0 'no column deterioration' "--masks, without deterioration" build c --no-waveforms --masks -o c.cohort
expect 0 '0 failed' "with masks" $MAKE compare c.cohort c/expected.npz
"$E" cohort build --mimic h -o raw.cohort --min-count 3 --min-labs 3 -q
$MAKE write r $LIST --cohort raw.cohort
build r --no-waveforms -o r.cohort -q
expect 0 '0 failed' "a hospital's cohort written as the table" $MAKE compare r.cohort r/expected.npz

# ---- laboratory labels of the hospital that the table is about
same_sets() { # cohort, cohort: every lab set of the first is in the second, study by study; prints how many labels and positives
    /usr/bin/python3 - "$1" "$2" "$PY" <<'PY'
import json, sys
sys.path.insert(0, sys.argv[3])
from check_cohort import read_cohort
import numpy as np
(ma, a), (mb, b) = (read_cohort(x) for x in sys.argv[1:3])
sets = [x for x in a if x.startswith("labels.labs")]
tables = [{t["set"]: [l["code"] for l in t["labels"]] for t in json.loads(m["contract"])["tables"]} for m in (ma, mb)]
assert sets and sets == [x for x in b if x.startswith("labels.labs")], (sets, list(b))
oa, ob = np.argsort(a["study"]), np.argsort(b["study"])
assert np.array_equal(a["study"][oa], b["study"][ob])
for s in sets:
    assert tables[0][s[7:]] == tables[1][s[7:]]
    assert np.array_equal(a[s][oa], b[s][ob]), s
print(len(sets), "sets,", sum(a[s].shape[1] for s in sets), "labels,", sum(int((a[s] == 1).sum()) for s in sets), "positives")
PY
}
for how in '--min-labs 3' '--lab-families est,mon30,mon60,mon120 --min-labs 2 --ranges median'; do
    "$E" cohort build --mimic h -o raw.cohort --min-count 3 $how --no-waveforms -q
    expect 0 'labs: [1-9][0-9]* labels' "--hosp, $how" build r --hosp h/mimic-iv --no-waveforms $how --roles train:0-13,validation:14-15,test:16-19 -o hosp.cohort
    expect 0 '[1-9] sets, [1-9][0-9]* labels, [1-9][0-9]* positives' "as the hospital gives them, $how" same_sets raw.cohort hosp.cohort
done
"$E" cohort build --mimic h -o raw.cohort --min-count 3 --no-waveforms -q --lab-rows raw.csv
expect 0 'low, [0-9]+ normal' "--lab-rows" build r --hosp h --no-waveforms --roles train:0-13,validation:14-15,test:16-19 -o hosp.cohort --lab-rows hosp.csv
check "the class of every row" cmp -s raw.csv hosp.csv
head -n 1 r/mds_ed.csv >shuffled.csv && sed 1d r/mds_ed.csv | sort -r >>shuffled.csv
expect 0 '' "rows in another order" build shuffled.csv --hosp h --no-waveforms --roles train:0-13,validation:14-15,test:16-19 --min-labs 3 -o shuffled.cohort -q
build r --hosp h --no-waveforms --roles train:0-13,validation:14-15,test:16-19 --min-labs 3 -o hosp.cohort -q
expect 0 'labels' "the same labels" same_sets hosp.cohort shuffled.cohort
expect 0 '' "the cohort is sound" "$E" cohort check hosp.cohort
$MAKE edit r/mds_ed.csv bad.csv 4 general_ecg_time ''
expect 1 'has no general_ecg_time in mds_ed.csv: laboratory rows of --hosp cannot be linked' "a recording without a time" build bad.csv --hosp h --no-waveforms -o bad.cohort
mkdir -p part/hosp && cp h/mimic-iv/hosp/labevents.csv* part/hosp
expect 1 'no d_labitems.csv' "half a laboratory" build r --hosp part --no-waveforms -o bad.cohort
expect 2 'takes one source' "two sources" build r --icu h --no-waveforms -o bad.cohort

# ---- recordings
sed 2d $LIST >short && mv $LIST full && cp short $LIST
expect 0 '1 studies are not in record_list.csv' "a study that is not listed, but there" build a/../far --ecg h -o x.cohort
mv "$ECG/$(sed -n 2p full | cut -d, -f5).hea" gone
expect 3 '1 recordings are not in the folder' "neither listed nor there" build far --ecg h -o x.cohort
check "it is listed" grep -q "^$(sed -n 2p full | cut -d, -f2)," x.cohort.failures.csv
rm $LIST
expect 3 'no record_list.csv.*looked for where they are published' "no list at all" build far --ecg $ECG -o y.cohort
says "y.cohort: $((n - 1)) records" "the same recordings"
mv gone "$ECG/$(sed -n 2p full | cut -d, -f5).hea" && mv full $LIST
if /usr/bin/python3 -c 'import shutil, sys; shutil.make_archive("ecg", "zip", "h", "mimic-iv-ecg")'; then
    expect 0 "$n records" "recordings in an archive" build far --ecg ecg.zip -o z.cohort
    expect 0 '0 failed' "from an archive" $MAKE compare z.cohort a/expected.npz
fi

# ---- refused
bad() { # what, pattern, line, column, value
    $MAKE edit far/mds_ed.csv bad.csv "$3" "$4" "$5"
    expect 1 "bad\\.csv:$3.*$2" "$1" build bad.csv --no-waveforms -o bad.cohort
}
bad "a column is absent" 'no column "labvalues_sodium_coeff", the nearest is "labvalues_sodium_coefff"' 1 labvalues_sodium_coeff labvalues_sodium_coefff
bad "no study column" 'no column "general_study_id"' 1 general_study_id study
bad "a misspelt deterioration" 'no column "deterioration_icu_stay", the nearest' 1 deterioration_icu_stay deterioration_icu_stey
bad "too few fields" '1935 fields, the header has 1936' 7 "" ""
bad "label 2" 'diagnoses_i10: "2" is not 0, 1, -999 or empty' 9 diagnoses_i10 2
bad "label of deterioration" 'deterioration_ecmo: "-1" is not' 3 deterioration_ecmo -1
bad "fold 40" 'general_strat_fold: "40" is not a fold' 5 general_strat_fold 40
bad "no fold" 'general_strat_fold: "" is not a fold' 5 general_strat_fold ""
bad "a time that does not exist" 'general_ecg_time: "2150-02-30 10:00:00" is not a moment' 4 general_ecg_time "2150-02-30 10:00:00"
bad "half an id" 'general_subject_id: "12345.5" is not a whole number' 4 general_subject_id 12345.5
bad "no id" 'general_study_id: "" is not a study' 4 general_study_id ""
bad "a number that is none" 'labvalues_ph_mean: "7,4" is not a number' 6 labvalues_ph_mean 7,4
bad "gender 2" 'demographics_gender: "2" is not 0 or 1' 6 demographics_gender 2
bad "acuity 6" 'vitals_acuity: "6" is not 1 to 5' 6 vitals_acuity 6
column=$(head -n 1 far/mds_ed.csv | sed 's/"[^"]*"/q/g' | tr ',' '\n' | grep -n '^diagnoses_i10$' | cut -d: -f1)
$MAKE edit far/mds_ed.csv bad.csv 100 diagnoses_i10 x
expect 1 "bad\\.csv:100:$column:" "the column's number" build bad.csv --no-waveforms -o bad.cohort
$MAKE edit far/mds_ed.csv bad.csv 1 diagnoses_i10 diagnoses_i999
expect 1 'no column "diagnoses_i10"' "--labels mdsed without one of the list" build bad.csv --no-waveforms --labels mdsed -o bad.cohort
expect 0 ' 1428 diagnoses' "all codes of the table" build bad.csv --no-waveforms -o good.cohort
$MAKE edit far/mds_ed.csv bad.csv 1 diagnoses_i10 diagnoses_I480
expect 1 'code I480 has two columns' "two columns of one code" build bad.csv --no-waveforms -o bad.cohort
head -c 100000 b/mds_ed.csv.gz >cut.csv.gz
expect 1 'cut.csv.gz.*(gzip|stream)' "a gzip stream that ends early" build cut.csv.gz --no-waveforms -o bad.cohort
head -n 1 far/mds_ed.csv >empty.csv
expect 1 'empty.csv: no recording in it' "no rows" build empty.csv --no-waveforms -o bad.cohort
expect 1 'no mds_ed.csv' "no table there" build h/mimic-iv-ecg --no-waveforms -o bad.cohort
expect 2 'ecg names those' "no recordings named" build far -o bad.cohort
expect 2 'offset-minutes' "windows are made already" build far --no-waveforms --offset-minutes 5 -o bad.cohort
expect 2 'lab-rows' "no laboratory rows" build far --no-waveforms --lab-rows x.csv -o bad.cohort
check "nothing under the name" [ -z "$(find . -maxdepth 1 -name 'bad.cohort*')" ]
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
