#!/bin/sh
# SPDX-License-Identifier: MIT
# ecgraft cohort build and describe, end to end: PTB-XL where it is, a synthetic hospital, and what is refused.
. test/expect.sh
case ${ECGRAFT_DATA:=../shared/data} in /*) DATA=$ECGRAFT_DATA ;; *) DATA=$PWD/$ECGRAFT_DATA ;; esac
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
says() { # pattern in the last output, what it is
    if cat out err | grep -qE -e "$1"; then passed=$((passed + 1)); else echo "FAIL $2: no \"$1\""; failed=$((failed + 1)); fi
}
check() { # what, command...
    why=$1
    shift
    if "$@"; then passed=$((passed + 1)); else echo "FAIL $why"; failed=$((failed + 1)); fi
}

# ---- PTB-XL
if [ -f "$DATA/ptbxl/ptbxl_database.csv" ]; then
    expect 0 '434 records of 407 patients' "PTB-XL at 100 Hz" "$E" cohort build --ptbxl "$DATA/ptbxl" -o p.cohort
    expect 0 '434 records of 407 patients' "described" "$E" cohort describe p.cohort
    says '^  train +1-8 +353 +339' "training folds"
    says '^  validation +9 +81 +68' "validation fold"
    says '^  test +10 +0 +0' "the test fold is empty here"
    says 'no patient is in two folds' "patients in one fold"
    says '^  SR +291 +[0-9.]+% +63 ' "statements"
    says '^Set diagnoses: 19 labels' "at least ten recordings each"
    "$E" cohort describe p.cohort --json | tr -d '\n' >json
    for row in NORM:261 STTC:80 CD:67 MI:65 HYP:33; do
        check "superclass $row" grep -qE "\"code\": *\"${row%:*}\",[^}]*\"count\": *${row#*:}," json
    done
    "$E" cohort build --ptbxl "$DATA/ptbxl" -o q.cohort --threads 1 -q
    check "one thread and several: the same bytes" cmp -s p.cohort q.cohort
    expect 0 '' "other roles" "$E" cohort build --ptbxl "$DATA/ptbxl" -o q.cohort --roles train:1-2,5-9,validation:4,test:3 -q
    expect 0 '^  test +3 +34 +34' "other roles described" "$E" cohort describe q.cohort
    expect 3 '87 records of 86 patients' "500 Hz, of which few are here" "$E" cohort build --ptbxl "$DATA/ptbxl" --rate 500 -o r.cohort
    check "absent recordings are listed" [ "$(wc -l <r.cohort.failures.csv)" -eq 348 ]
    rm -f r.cohort*
    expect 1 'max-failures' "more absent than allowed" "$E" cohort build --ptbxl "$DATA/ptbxl" --rate 500 -o r.cohort --max-failures 3%
    check "nothing under the name" [ ! -e r.cohort ]
else
    echo "skip no PTB-XL below $DATA"; skipped=$((skipped + 1))
fi

# ---- a synthetic hospital
expect 0 '' "synthetic hospital" "$E" synth h --patients 150 --seed 5 -q
expect 0 'synthetic cohort' "built" "$E" cohort build --mimic h -o s.cohort --min-count 10 --min-labs 8
expect 0 'synthetic cohort' "described" "$E" cohort describe s.cohort
says '^  train +0-13 ' "folds of a synthetic cohort"
says '^Set labs' "laboratory labels"
expect 0 '"synthetic": true' "described as JSON" "$E" cohort describe s.cohort --json
listed=$(tail -n +2 h/mimic-iv-ecg/record_list.csv | wc -l)
outside=$(tr -d ' \n' <h/truth/manifest.json | sed 's/.*"ecg_outside_hospital":{"count":\([0-9]*\).*/\1/')
late=$(tr -d ' \n' <h/truth/manifest.json | sed 's/.*"ecg_after_90_minutes":{"count":\([0-9]*\).*/\1/')
"$E" cohort describe s.cohort >out
says "taken during an ED stay +$((listed - outside)) +$outside\$" "recordings outside any stay meet their fate"
says "at most 90 minutes after arrival +$((listed - outside - late)) +$late\$" "late recordings meet their fate"
expect 0 '' "uncoded ones kept" "$E" cohort build --mimic h -o u.cohort --min-count 10 --min-labs 8 --keep-uncoded -q
expect 0 "or without \\(kept\\) +$((listed - outside - late)) +0\$" "uncoded ones counted" "$E" cohort describe u.cohort

for f in $(find h/mimic-iv-ecg/files -name '*.dat' | sort | head -n 3); do # one of them at least is in the cohort
    head -c 1000 "$f" >cut && cat cut >"$f"
done
expect 1 'max-failures' "unreadable recordings, none allowed" "$E" cohort build --mimic h -o b.cohort --min-count 10 --max-failures 0
expect 3 'could not be used' "unreadable recordings, some allowed" "$E" cohort build --mimic h -o b.cohort --min-count 10 --max-failures 5
check "they are listed" grep -q '.dat\|samples\|bytes' b.cohort.failures.csv

# ---- refused
head -c 100000 s.cohort >half.cohort
expect 1 'half.cohort' "a cohort cut in half" "$E" cohort describe half.cohort
expect 1 'none.cohort' "no such cohort" "$E" cohort describe none.cohort
expect 1 'ptbxl_database.csv' "no PTB-XL there" "$E" cohort build --ptbxl h/truth -o x.cohort
expect 1 'edstays.csv.*admissions.csv' "no hospital there" "$E" cohort build --mimic h/truth -o x.cohort
expect 1 'record_list.csv.*--ecg' "no recordings there" "$E" cohort build --mimic h --ecg h/mimic-iv -o x.cohort
expect 1 'cannot create' "output cannot be written" "$E" cohort build --mimic h -o none/x.cohort
labs=h/mimic-iv/hosp/labevents.csv.gz
cp $labs good.gz
head -c 20000 good.gz >$labs
expect 1 'labevents.csv.gz' "a gzip stream that ends early" "$E" cohort build --mimic h -o x.cohort --min-count 10 --max-failures 5
gzip -dc good.gz | sed '1s/valuenum/number/' | gzip >$labs
expect 1 'labevents.csv.gz.*valuenum' "a column is absent" "$E" cohort build --mimic h -o x.cohort --min-count 10 --max-failures 5
gzip -dc good.gz | sed '5s/,/,x/' | gzip >$labs
expect 1 'labevents.csv.gz:5.*subject_id' "an id that is no number" "$E" cohort build --mimic h -o x.cohort --min-count 10 --max-failures 5
cp good.gz $labs
check "nothing under the name after all that" [ ! -e x.cohort ]
check "no temporary file either" [ -z "$(find . -maxdepth 1 -name 'x.cohort*' ! -name "*.failures.csv" ! -name "*.part*")" ]
mkdir p
printf ',description,diagnostic,diagnostic_class\nNORM,normal ECG,1.0,NORM\n' >p/scp_statements.csv
row() {
    printf 'ecg_id,patient_id,age,sex,height,weight,recording_date,scp_codes,strat_fold,filename_lr,filename_hr\n%s\n' "$1" >p/ptbxl_database.csv
}
row '1,5.0,50.0,0,,,2000-01-01 00:00:00,"{NORM: 100.0}",1,a,b'
expect 1 'ptbxl_database.csv:2.*scp_codes' "statements that are no dictionary" "$E" cohort build --ptbxl p -o x.cohort
row "1,5.0,50.0,0,,,2000-01-01 00:00:00,\"{'NORM': 100.0}\",40,a,b"
expect 1 'ptbxl_database.csv:2.*strat_fold' "fold 40" "$E" cohort build --ptbxl p -o x.cohort
row "1,5.0,50.0,0,,,2000-01-01 00:00:00,\"{'NORM': 100.0}\",1,../../etc/passwd,b"
expect 1 'leaves the folder' "a file name that leaves the folder" "$E" cohort build --ptbxl p -o x.cohort
expect 2 'one source' "two sources" "$E" cohort build --ptbxl p --mimic h -o x.cohort
expect 2 '-o' "no output" "$E" cohort build --ptbxl p
expect 2 'roles' "a fold in two roles" "$E" cohort build --ptbxl p -o x.cohort --roles train:1-9,test:9
expect 2 'none of' "no such verb" "$E" cohort make
expect 2 'negative' "a negative seed" "$E" cohort build --ptbxl nowhere -o x.cohort --seed -1
expect 2 '4294967295' "a seed that the fold generator cannot take" "$E" cohort build --ptbxl nowhere -o x.cohort --seed 4294967296
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
