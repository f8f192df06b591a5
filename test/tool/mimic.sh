#!/bin/sh
# SPDX-License-Identifier: MIT
# ecgraft cohort build: where the modules of a MIMIC-like hospital may lie, what is said of them, and what is refused. What is built of each
# arrangement is compared with the protocol in test/py/check_mimic.py.
. test/expect.sh
case ${ECGRAFT_DATA:=../shared/data} in /*) DATA=$ECGRAFT_DATA ;; *) DATA=$PWD/$ECGRAFT_DATA ;; esac
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
check() { # what, command...
    why=$1
    shift
    if "$@"; then passed=$((passed + 1)); else echo "FAIL $why"; failed=$((failed + 1)); fi
}
says() { # pattern in the last output, what it is
    if cat out err | grep -qE -e "$1"; then passed=$((passed + 1)); else echo "FAIL $2: no \"$1\" in: $(cat out err | head -c 400)"; failed=$((failed + 1)); fi
}
data_hash() { # of a cohort: the same tensors
    head -c 2000000 "$1" | grep -aoE '"data_sha256":"[0-9a-f]{64}"' | head -n 1
}
same() { # two cohorts, what it is
    if [ -n "$(data_hash "$1")" ] && [ "$(data_hash "$1")" = "$(data_hash "$2")" ]; then passed=$((passed + 1)); else echo "FAIL $3"; failed=$((failed + 1)); fi
}
build() { "$E" cohort build --min-count 10 --min-labs 8 "$@"; }

# ---- real tables: 75 patients, 48 of them with 115 stays in the emergency department; no ED module, no recordings
if [ -d "$DATA/mimic_iv_demo" ]; then
    expect 0 '115 records of 48 patients' "MIMIC-IV demo" "$E" cohort build --mimic "$DATA/mimic_iv_demo" -o d.cohort
    says 'no record_list.csv.*ED stay is a row' "what a row is"
    says 'no edstays.csv.*no acuity, no vital signs' "what is missing"
    says 'labs: no label is kept' "a set that keeps nothing is left out"
    says 'laboratory rows of 75 patients: [0-9]+ low, [0-9]+ normal, [0-9]+ high: d.cohort.lab_rows.csv' "classes of laboratory rows"
    check "a line for each row" [ "$(wc -l <d.cohort.lab_rows.csv)" -gt 60000 ]
    check "counts beside it" grep -qE 'Hemoglobin,Blood,[0-9]+,[0-9]+,[0-9]+' d.cohort.lab_rows.counts.csv
    expect 0 'ED stays listed +115 +0$' "attrition" "$E" cohort describe d.cohort
    says '^Set diagnoses: [1-9]' "diagnoses"
    "$E" cohort build --mimic "$DATA/mimic_iv_demo" -o e.cohort --threads 1 -q --lab-rows rows.csv.gz
    check "one thread and several: the same bytes" cmp -s d.cohort e.cohort
    check "the same rows compressed" [ "$(gzip -dc rows.csv.gz | cksum)" = "$(cksum <d.cohort.lab_rows.csv)" ]
    check "they lie where they were asked for" [ ! -e e.cohort.lab_rows.csv ]
    expect 0 '115 records' "module by module" "$E" cohort build --hosp "$DATA/mimic_iv_demo" --icu "$DATA/mimic_iv_demo/icu" -o e.cohort
    same d.cohort e.cohort "module by module: the same cohort"
    rm -f d.cohort* e.cohort* rows*
else
    echo "skip no mimic_iv_demo below $DATA"; skipped=$((skipped + 1))
fi

# ---- a synthetic hospital, its modules moved
"$E" synth h --patients 90 --seed 8 -q
expect 0 'rows: recordings of mimic-iv-ecg/record_list.csv' "as written" build --mimic h -o a.cohort
says 'diagnoses: diagnoses_icd of the admissions, where these have none ED diagnosis' "codes are said"
says 'laboratory: hosp/labevents.csv.gz' "laboratory is said"
mkdir -p far/mimiciv/3.1 far/mimic-iv-ed/2.2 far/mimic-iv-ecg/1.0 far/note
cp -r h/mimic-iv/hosp far/mimiciv/3.1/hosp
cp -r h/mimic-iv-ed/ed far/mimic-iv-ed/2.2/ed
cp h/mimic-iv-ecg/record_list.csv far/mimic-iv-ecg/1.0/
ln -s "$T/h/mimic-iv-ecg/files" far/mimic-iv-ecg/1.0/files
expect 0 '' "version folders" build --mimic far -o b.cohort --roles train:0-13,validation:14-15,test:16-19 -q
same a.cohort b.cohort "version folders: the same cohort"
cp -r h/mimic-iv/hosp mine
expect 0 '' "a folder of another name" build --mimic far/mimic-iv-ed --ecg h/mimic-iv-ecg --hosp mine -o b.cohort -q
same a.cohort b.cohort "a folder of another name: the same cohort"
gzip -d mine/*.gz
expect 0 '' "plain files" build --ed far --ecg far/mimic-iv-ecg --hosp mine/ -o b.cohort --roles train:0-13,validation:14-15,test:16-19 -q
same a.cohort b.cohort "plain files: the same cohort"
rm mine/omr.csv mine/d_icd_diagnoses.csv
expect 0 'biometrics: none \(no omr.csv\)' "tables that may be absent" build --mimic h --hosp mine -o b.cohort
says 'no titles \(d_icd_diagnoses.csv\)' "no titles"
rm mine/d_labitems.csv
expect 0 'laboratory: none \(no d_labitems.csv\)' "no laboratory" build --mimic h --hosp mine -o b.cohort
expect 1 'lab-rows.*d_labitems' "no laboratory, but its rows are wanted" build --mimic h --hosp mine -o x.cohort --lab-rows rows.csv
rm mine/diagnoses_icd.csv
expect 0 'no diagnoses_icd.csv, where these have none ED diagnosis' "codes of the ED alone" build --mimic h --hosp mine -o b.cohort
mkdir ed2
cp h/mimic-iv-ed/ed/edstays.csv.gz ed2
expect 0 'diagnoses: none' "no codes at all" build --mimic h --hosp mine --ed ed2 -o b.cohort
says 'vital signs: none' "no vital signs"
says 'acuity: none' "no acuity"
"$E" cohort describe b.cohort >out
check "nobody is dropped for want of a code" [ "$(grep -c 'diagnosis code' out)" -eq 0 ]

# ---- an offset and masks
expect 0 '' "masks" build --mimic h --masks -o m.cohort -q
expect 0 'Tabular columns: 929' "described with masks" "$E" cohort describe m.cohort
expect 0 '' "a cohort with masks can be learnt from" "$E" pretrain -o run m.cohort --epochs 1 --batch 16 -q
rm -rf run
expect 0 '' "an hour later" build --mimic h --offset-minutes 60 -o b.cohort -q --no-waveforms
later=$("$E" cohort describe b.cohort | sed -n 's/.*at most 90 minutes after arrival *[0-9]* *//p')
now=$("$E" cohort describe a.cohort | sed -n 's/.*at most 90 minutes after arrival *[0-9]* *//p')
check "an hour later more are late: $later, not $now" [ "$later" -gt "$now" ]

# ---- refused
mkdir -p two/mimiciv/2.2 two/mimiciv/3.1
cp -r h/mimic-iv/hosp two/mimiciv/2.2/hosp
cp -r h/mimic-iv/hosp two/mimiciv/3.1/hosp
expect 1 '2.2/hosp.*3.1/hosp.*--hosp' "two versions" build --mimic two --ed h --ecg h/mimic-iv-ecg -o x.cohort
expect 0 '' "two versions, one is named" build --mimic two --ed h --ecg h/mimic-iv-ecg --hosp two/mimiciv/3.1 -o b.cohort -q
same a.cohort b.cohort "two versions, one is named: the same cohort"
rm two/mimiciv/2.2/hosp/[b-z]*
rm two/mimiciv/3.1/hosp/admissions.csv.gz
expect 1 'another folder.*--hosp' "half a module in two folders" build --mimic two --ed h --ecg h/mimic-iv-ecg -o x.cohort
cp h/mimic-iv/hosp/patients.csv.gz mine
expect 1 'also there as .gz' "plain and compressed" build --mimic h --hosp mine -o x.cohort
rm mine/patients.csv*
expect 1 'patients.csv' "no patients" build --mimic h --hosp mine -o x.cohort
mkdir only
cp h/mimic-iv/hosp/[d-z]* only
expect 1 'admissions.csv' "no admissions" build --mimic h --hosp only -o x.cohort
expect 1 'edstays.csv.*--ed' "an ED folder without stays" build --mimic h --ed mine -o x.cohort
expect 1 'no such folder.*--icu' "no such folder" build --mimic h --icu nowhere -o x.cohort
expect 1 'icustays.csv.*--icu' "no ICU there" build --mimic h --icu mine -o x.cohort
expect 1 'records_w_diag_icd10.csv.*--icd' "no published codes there" build --mimic h --icd mine -o x.cohort
printf 'no archive' >no.zip
expect 1 'no.zip' "an archive that is none" build --mimic h --ecg no.zip -o x.cohort
rl=h/mimic-iv-ecg/record_list.csv
cp $rl good.csv
{ cat good.csv; sed -n 5p good.csv; } >$rl
expect 0 'record_list.csv:[0-9]+: study [0-9]+ is listed again; 1 such rows are left out' "a study listed again" build --mimic h -o b.cohort
same a.cohort b.cohort "a study listed again counts once"
bad() { # sed command on record_list.csv, pattern, what it is
    sed "$1" good.csv >$rl
    expect 1 "$2" "$3" build --mimic h -o x.cohort
}
bad '4s/^[0-9]*/x/' 'record_list.csv:4.*subject_id' "a patient that is no number"
bad '6s/-[0-9][0-9]-[0-9][0-9] /-02-30 /' 'record_list.csv:6.*ecg_time' "a day that does not exist"
bad '6s/,[^,]*$//' 'record_list.csv:6' "a row with too few fields"
bad '1s/ecg_time/time/' 'record_list.csv.*ecg_time' "a column is absent"
bad '7s/,files/,"files/' 'record_list.csv:7' "a quote never closed"
sed 's/^\([0-9]*\),\([0-9]*\),/\1.0,\2.0,/;s/$/\r/;1s/^/\xef\xbb\xbf/' good.csv >$rl
expect 0 '' "ids like 12345.0, CRLF, byte order mark" build --mimic h -o b.cohort -q
same a.cohort b.cohort "the same cohort"
head -n 1 good.csv >$rl
expect 1 'record_list.csv.*none of 0' "not one recording" build --mimic h -o x.cohort
cp good.csv $rl

# ---- a laboratory row spoiled: of a patient of the cohort, and of nobody
cp -r h/mimic-iv/hosp lab && gzip -d lab/labevents.csv.gz && mv lab/labevents.csv whole.csv
spoil() { awk -F, -v OFS=, -v c="$1" -v v="$2" -v who="${3:-0}" 'NR == 1 {for (i = 1; i <= NF; i++) at[$i] = i} NR == 30 {$at[c] = v; if (who) $2 = who} 1' whole.csv >lab/labevents.csv; }
labs() { build --mimic h --hosp lab -o x.cohort --no-waveforms "$@"; }
for column in valuenum:7,4 valuenum:___ ref_range_lower:abc charttime:2125-02-30; do
    spoil ${column%:*} "\"${column#*:}\""
    expect 1 "labevents.csv:30:[0-9]+: ${column%:*}: \"${column#*:}\" is not a (number|moment)" "$column" labs
done
spoil value ___
expect 0 '' "___ as value" labs
spoil valuenum x 99999999
expect 0 "laboratory: $(($(wc -l <whole.csv) - 1)) rows read" "a row of nobody is only counted" labs
rm -f x.cohort*
check "nothing under the name after all that" [ -z "$(ls | grep x.cohort)" ]
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
