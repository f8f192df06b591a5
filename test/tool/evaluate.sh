#!/bin/sh
# SPDX-License-Identifier: MIT
# `evaluate` on anybody's predictions: what is refused and with which words, what is written, subgroups, thresholds; and the same figures by the
# files of a run as by the run. The values themselves: test/py/check_evaluate.py, test/stat, test/study.
. test/expect.sh
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
ok() { passed=$((passed + 1)); }
bad() { echo "FAIL $1"; failed=$((failed + 1)); }
has() { # what, file, pattern
    if grep -qE -e "$3" "$2"; then ok; else bad "$1: no \"$3\" in $2"; fi
}
refused() { # pattern, what, options...
    pattern=$1 why=$2
    shift 2
    expect 1 "$pattern" "$why" "$E" evaluate "$@" --resamples 20
}

# ---- files: 300 rows of 200 patients, two labels and one without a positive; other predictions, validation rows, groups
awk 'BEGIN { srand(4); print "id,patient_id,first_in_stay,A,B,C" >"p.csv"; print "id,A,B,C" >"y.csv"; print "id,B,C,A" >"q.csv"
    print "id,A,B,C" >"pv.csv"; print "id,A,B,C" >"yv.csv"; print "id,sex,age,ward,note" >"g.csv"
    for (i = 0; i < 300; i++) {
        a = rand() < .4; b = rand() < .2; p = (rand() + a * .6) / 1.6; q = (rand() + b) / 2
        printf "r%d,%d,%d,%.6f,%.6f,%.6f\n", i, i % 200, i < 200, p, q, rand() >"p.csv"
        printf "r%d,%d,%s,0\n", i, a, i % 7 ? b : "" >"y.csv"
        printf "r%d,%.6f,%.6f,%.6f\n", i, rand(), rand(), p / 2 + rand() / 2 >"q.csv"
        if (i < 100) { printf "v%d,%.6f,%.6f,%.6f\n", i, p, q, rand() >"pv.csv"; printf "v%d,%d,%d,0\n", i, a, b >"yv.csv" }
        printf "r%d,%s,%d,%s,text %d\n", i, i % 2 ? "F" : "M", 20 + i % 70, i % 100 == 3 ? "small" : i % 3 ? "one" : "two", i >"g.csv"
    } }'
F="--predictions p.csv --labels y.csv --resamples 20"

# ---- what is said and written
expect 0 'all rows: 300 ECGs of 200 patients, 2 of 3 labels with both classes' "scored" "$E" evaluate $F
has "areas" out 'macro AUROC 0\.[0-9]+ \[0\.[0-9]+, 0\.[0-9]+\]'
has "micro" out 'micro 0\.'
has "first ECGs" out 'first ECG of each stay: 200 ECGs'
has "calibration" out 'Brier 0\.[0-9]+, skill .*ECE .*10 equal widths.*15.*10 equal masses'
has "undefined" out 'without one of the classes, hence undefined: C'
has "the unit of the bootstrap" out '20 resamples by patient'
has "no thresholds" out 'chosen on validation data only'
has "the statement" out 'Not a medical device'
expect 0 '20 resamples by ECG' "by ECG" "$E" evaluate $F --bootstrap ecg
expect 0 'macro AUROC 0\.[0-9]+  undefined' "no intervals" "$E" evaluate --predictions p.csv --labels y.csv --resamples 0
expect 0 'macro AUROC \+0\.[0-9]+ \[.*above zero in [0-9.]+ %' "other predictions, columns in another order" "$E" evaluate $F --against q.csv
expect 0 'youden +0\.' "thresholds" "$E" evaluate $F --validation-predictions pv.csv --validation-labels yv.csv
expect 0 'age 40-59 ' "subgroups" "$E" evaluate $F --groups g.csv -o new/folder
has "no grouping" err "column 'note' has 300 different texts"
has "a small subgroup" out 'ward small +<11 +<11'
has "the smallest beside it" out 'ward two +- +- '
has "hidden in the table" new/folder/subgroups.csv '^ward,small,\(macro\),<11,<11,,,0,,,,$'
if grep -q '^ward,small,A' new/folder/subgroups.csv; then bad "labels of a hidden subgroup"; else ok; fi
for f in evaluation.json labels.csv reliability.csv decision.csv subgroups.csv; do
    [ -s new/folder/$f ] && ok || bad "no $f"
done
[ "$(wc -l <new/folder/labels.csv)" -eq 4 ] && ok || bad "labels.csv: $(wc -l <new/folder/labels.csv) lines"
expect 0 '"schema": "ecgraft.evaluation/1"' "json" "$E" evaluate $F --json --groups g.csv
has "json and nothing else" out '^}$'
gzip -k p.csv y.csv
"$E" evaluate $F --json >plain.json && "$E" evaluate --predictions p.csv.gz --labels y.csv.gz --resamples 20 --json | sed 's/p\.csv\.gz/p.csv/' >packed.json
cmp -s plain.json packed.json && ok || bad "gzip gives other figures"
"$E" evaluate $F --json --threads 1 >one.json && cmp -s plain.json one.json && ok || bad "one thread gives other figures"
"$E" evaluate $F --json --seed 43 >other.json && ! cmp -s plain.json other.json && ok || bad "another seed gives the same intervals"
awk -F, 'NR == 1 || $2 % 2 == 0 { print $1 "," $4 }' p.csv >one.csv
expect 0 '2 columns of the predictions|1 labels in both files; 0 columns of the predictions and 2 of the labels' "one label, half of the rows" \
    "$E" evaluate --predictions one.csv --labels y.csv --ignore-missing --resamples 20
has "rows left out" err '0 ids left out .* 150 only among the labels'
cut -d, -f1,4 y.csv >c.csv
expect 0 '0 of 1 labels with both classes' "one class only" "$E" evaluate --predictions p.csv --labels c.csv --resamples 20
has "one class only" out 'macro AUROC -'
printf ',A\n0,.1\n1,.7\n2,.6\n' >index.csv && printf ',A\n0,0\n1,1\n2,1\n' >index.y.csv
expect 0 'macro AUROC 1.000' "a column of ids without a name" "$E" evaluate --predictions index.csv --labels index.y.csv --resamples 0

# ---- refused: file, line, column
sed '5s/.*/r3,3,1,0.5,1.5,0.2/' p.csv >x.csv
refused 'x.csv:5:5: B: "1.5" is outside 0 to 1' "above 1" --predictions x.csv --labels y.csv
sed '5s/.*/r3,3,1,0.5,-0.001,0.2/' p.csv >x.csv
refused 'x.csv:5:5: B: "-0.001" is outside 0 to 1' "below 0" --predictions x.csv --labels y.csv
for v in nan NaN inf high ''; do
    sed "5s/.*/r3,3,1,0.5,$v,0.2/" p.csv >x.csv
    refused "x.csv:5:5: B: \"$v\" is no probability" "'$v' for a probability" --predictions x.csv --labels y.csv
done
sed '5s/.*/r3,3,1,0.5,0.2/' p.csv >x.csv
refused 'x.csv:5: 5 fields, the header has 6' "a ragged row" --predictions x.csv --labels y.csv
sed '7s/^r5,/r3,/' p.csv >x.csv
refused "x.csv:7:1: id 'r3' again, first on line 5" "an id twice" --predictions x.csv --labels y.csv
sed '7s/^r5,/,/' p.csv >x.csv
refused 'x.csv:7:1: id: "" is no id' "a row without id" --predictions x.csv --labels y.csv
sed '7s/^r5,/r3,/' y.csv >x.csv
refused "x.csv:7:1: id 'r3' again" "an id twice among the labels" --predictions p.csv --labels x.csv
sed '7s/,[01],/,2,/' y.csv >x.csv
refused 'x.csv:7:2: A: "2" is no label: 1, 0 or empty' "a label that is none" --predictions p.csv --labels x.csv
sed '9d;10d' y.csv >x.csv
refused "p.csv:9:1: 2 of 300 ids are not in x.csv, 'r7' first; --ignore-missing" "ids without label" --predictions p.csv --labels x.csv
expect 0 '298 ECGs' "ids without label left out" "$E" evaluate --predictions p.csv --labels x.csv --ignore-missing --resamples 0
sed '9d;10d' p.csv >x.csv
refused "y.csv: 2 ids are not in x.csv, 'r7' first" "labels without prediction" --predictions x.csv --labels y.csv
sed '9d' q.csv >x.csv
refused "p.csv:9:1: 1 of 300 ids are not in x.csv" "ids that the others do not have" $F --against x.csv
cut -d, -f1,3,4 q.csv >x.csv
refused 'x.csv:1: no column "B"' "a label that the others do not have" $F --against x.csv
sed 's/^r/s/' y.csv >x.csv
refused 'none of its 300 ids' "nothing in common" --predictions p.csv --labels x.csv --ignore-missing
sed '1s/.*/id,a,bb,cc/' y.csv >x.csv
refused "no label column in common with the predictions; nearest to their 'A' is 'a'" "labels under other names" --predictions p.csv --labels x.csv
cut -d, -f1 y.csv >x.csv
refused 'x.csv:1: no column besides the id' "labels without labels" --predictions p.csv --labels x.csv
tr , ';' <p.csv >x.csv
refused 'fields are separated by commas' "semicolons" --predictions x.csv --labels y.csv
sed '1s/.*/id,patient_id,first_in_stay,A,B,A/' p.csv >x.csv
refused "x.csv:1:6: a second column 'A'" "a column twice" --predictions x.csv --labels y.csv
: >x.csv
refused 'x.csv:1: no header row' "an empty file" --predictions x.csv --labels y.csv
refused 'x.csv:1: no header row' "empty labels" --predictions p.csv --labels x.csv
head -n 1 p.csv >x.csv
refused 'x.csv: no row below the header' "a header alone" --predictions x.csv --labels y.csv
head -c 900 p.csv.gz >x.csv.gz
refused 'x.csv.gz.*gzip stream ends' "half a gzip file" --predictions x.csv.gz --labels y.csv
refused 'none.csv: cannot open' "no such file" --predictions none.csv --labels y.csv
refused 'regular file' "a folder" --predictions . --labels y.csv
refused 'none of its ids is among the predictions' "groups of others" $F --groups pv.csv
sed 's/^r1,/r0,/' g.csv >x.csv
refused "x.csv:3:1: id 'r0' again" "a group twice" $F --groups x.csv
refused 'p.csv: the rows that are scored: thresholds come from other rows' "thresholds on what is scored" $F --validation-predictions p.csv --validation-labels y.csv
sed 's/^v/r/' pv.csv >pr.csv; sed 's/^v/r/' yv.csv >yr.csv
expect 0 'pr.csv: 100 of its 100 ids are scored as well' "validation rows under the same ids" "$E" evaluate $F --validation-predictions pr.csv --validation-labels yr.csv
refused 'pv.csv:2:1: 100 of 100 ids are not in y.csv' "validation rows without labels" $F --validation-predictions pv.csv --validation-labels y.csv
refused 'cannot make the folder' "unwritable output" $F -o /dev/null/x
expect 2 'not both' "a run and predictions" "$E" evaluate run $F
expect 2 'nothing to work on' "neither" "$E" evaluate
expect 2 'needs --labels' "no labels" "$E" evaluate --predictions p.csv
expect 2 'go together' "half of a pair" "$E" evaluate $F --validation-labels y.csv
expect 2 'belong to RUN' "a fold of files" "$E" evaluate $F --fold test
expect 2 'belong to --predictions' "labels for a run" "$E" evaluate run --labels y.csv
expect 2 'patient or ecg' "another unit" "$E" evaluate $F --bootstrap row
expect 2 'resamples -3: 0 to' "fewer than no resamples" "$E" evaluate --predictions p.csv --labels y.csv --resamples -3

# ---- a run, by itself and by its files
"$E" synth hospital --patients 150 --seed 7 -q && "$E" cohort build --mimic hospital -o c.cohort -q && "$E" cohort export c.cohort -o tables -q &&
    "$E" finetune diagnoses c.cohort --random-encoder -o run --set encoder.width=8 --set encoder.blocks=2 --set finetune.updates=0 --epochs 1 -q &&
    "$E" finetune diagnoses c.cohort --random-encoder -o two --set encoder.width=4 --set encoder.blocks=2 --set finetune.updates=0 --epochs 1 -q ||
    bad "no run to evaluate"
expect 0 'minus two, the same ECGs and resamples' "a run against another" "$E" evaluate run --resamples 50 --against two
for f in predictions labels reliability decision subgroups; do
    [ -s run/$f.diagnoses.test.csv ] && ok || bad "evaluate wrote no $f.diagnoses.test.csv"
done
has "groups of the cohort" run/subgroups.diagnoses.test.csv '^sex,female,'
has "thresholds" run/evaluation.json '"thresholds_from": \{'
grep -E 'macro|micro' out | head -n 2 | sed 's/^ *//' >by_run
expect 0 'macro AUROC' "its files" "$E" evaluate --predictions run/predictions.diagnoses.test.csv --labels tables/labels.diagnoses.csv --ignore-missing --resamples 50
grep -E 'macro AUROC|micro' out | sed 's/^ *//' >by_files
[ "$(head -n 1 by_run)" = "$(head -n 1 by_files)" ] && ok || bad "a run: $(head -n 1 by_run), by its files: $(head -n 1 by_files)"
expect 1 'none.safetensors|none: ' "against nothing" "$E" evaluate run --resamples 0 --against none
"$E" evaluate two --resamples 0 -q >/dev/null
expect 0 'minus|difference to two/predictions' "files of two runs" "$E" evaluate --predictions run/predictions.diagnoses.test.csv \
    --labels tables/labels.diagnoses.csv --against two/predictions.diagnoses.test.csv --ignore-missing --resamples 0

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
