#!/bin/sh
# SPDX-License-Identifier: MIT
# ecgraft doctor: what is there, what is wrong with it, and that the command it prints does build.
. test/expect.sh
case ${ECGRAFT_DATA:=../shared/data} in /*) DATA=$ECGRAFT_DATA ;; *) DATA=$PWD/$ECGRAFT_DATA ;; esac
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
says() { # pattern in the last output, what it is
    if cat out err | grep -qE -e "$1"; then passed=$((passed + 1)); else echo "FAIL $2: no \"$1\" in: $(head -c 1500 out)"; failed=$((failed + 1)); fi
}
check() { # what, command...
    why=$1
    shift
    if "$@"; then passed=$((passed + 1)); else echo "FAIL $why"; failed=$((failed + 1)); fi
}
builds() { # what: the first command of the last output does
    line=$(sed -n 's/^    ecgraft \(cohort build .*\)/\1/p' out | head -n 1)
    why=$1
    if [ -n "$line" ] && eval "\"\$E\" $line -q" >built 2>&1; then passed=$((passed + 1)); else echo "FAIL $why: \"$line\": $(head -c 300 built)"; failed=$((failed + 1)); fi
}

# ---- a synthetic hospital, whole
"$E" synth h --patients 150 --seed 5 -q || { echo "FAIL no hospital"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
find h -ls >before
expect 0 'ready to build' "a synthetic hospital" "$E" doctor h
find h -ls >after
check "nothing is written" cmp -s before after
check "nothing is written here" [ "$(ls)" = "$(printf 'after\nbefore\nerr\nh\nout')" ]
says 'synthetic cohort: 150 patients, seed 5' "nobody lived"
says "200 of 200 looked for are there, of $(tail -n +2 h/mimic-iv-ecg/record_list.csv | wc -l) listed" "recordings"
says '20 of 20 read and resampled' "recordings are tried"
says 'ok +labevents.csv +[0-9]+ rows' "tables"
says 'missing  MIMIC-IV icu' "a module that is not there"
says '^    ecgraft cohort build --mimic h -o mimic.cohort' "the command line"
says 'Not a medical device' "statement of use"
builds "the command builds"
rows=$(sed -n 's/^    at most \([0-9]*\) rows.*/\1/p' out)
kept=$("$E" cohort describe mimic.cohort | sed -n 's/.*at most 90 minutes after arrival *\([0-9]*\) .*/\1/p')
check "rows as foretold: $rows, built $kept" [ "${rows:-x}" = "${kept:-y}" ]
size=$("$E" doctor h --json | sed -n 's/^ *"bytes": \([0-9]*\),/\1/p' | tail -n 1) real=$(wc -c <mimic.cohort)
check "size as foretold: $size, built $real" [ $((size > real * 8 / 10 && size < real * 13 / 10)) -eq 1 ]
expect 0 '"schema": "ecgraft.doctor/1"' "as JSON" "$E" doctor h --json
says '"complete": true' "complete in JSON"
expect 0 '' "modules one by one" "$E" doctor --hosp h/mimic-iv --ed h/mimic-iv-ed/ed --ecg h/mimic-iv-ecg
says 'cohort build --ecg h/mimic-iv-ecg --hosp h/mimic-iv --ed h/mimic-iv-ed/ed -o' "the options as they were given"
mkdir 'two words' && cp -r h/mimic* 'two words'
expect 0 "cohort build --mimic 'two words' -o" "a blank in a name" "$E" doctor 'two words'
builds "the quoted command builds"

# ---- waveforms
"$E" synth n --patients 150 --seed 5 --no-waveforms -q
expect 0 '0 of 200 looked for are there' "tables without recordings" "$E" doctor n
says 'cohort build --mimic n -o mimic.cohort --no-waveforms' "tables alone"
builds "tables alone are built"
cp -r h some && find some/mimic-iv-ecg/files -name '*.hea' | sort | head -n 60 | xargs rm
expect 0 '^  missing  1[0-9][0-9] of 200 looked for are there.*not there: files' "some recordings are absent" "$E" doctor some
find some/mimic-iv-ecg/files -name '*.dat' | while read -r f; do head -c 1000 h/mimic-iv-ecg/record_list.csv >"$f"; done
expect 1 'recordings that were tried cannot be used: files' "recordings are broken" "$E" doctor some
if command -v zip >/dev/null 2>&1; then (cd h && zip -qr ../mimic-iv-ecg-1.0.zip mimic-iv-ecg); else
    (cd h && python3 -c 'import os, zipfile
z = zipfile.ZipFile("../mimic-iv-ecg-1.0.zip", "w")
[z.write(os.path.join(r, x)) for r, d, f in os.walk("mimic-iv-ecg") for x in f]') 2>/dev/null; fi
if [ -s mimic-iv-ecg-1.0.zip ]; then
    mkdir z && mv mimic-iv-ecg-1.0.zip z && cp -r h/mimic-iv h/mimic-iv-ed z
    expect 0 '200 of 200 looked for are there' "the released archive" "$E" doctor z
    says '1.0 \(by the archive' "its version"
    says 'cohort build --ecg z/mimic-iv-ecg-1.0.zip --hosp' "named as an archive"
    builds "the archive is built from"
    expect 0 '200 of 200 looked for are there' "an archive in place of a folder" "$E" doctor z/mimic-iv-ecg-1.0.zip z
    head -c 20000 z/mimic-iv-ecg-1.0.zip >cut.zip
    expect 1 'cut.zip: ' "a cut archive" "$E" doctor --ecg cut.zip --mimic z
else
    echo "skip archives: neither zip nor python3"; skipped=$((skipped + 6))
fi

# ---- tables that a build would stop at
H=b/mimic-iv/hosp D=b/mimic-iv-ed/ed
fresh() { rm -rf b && mkdir -p b/mimic-iv-ecg && cp -r h/mimic-iv h/mimic-iv-ed b && cp h/mimic-iv-ecg/*.csv b/mimic-iv-ecg; }
fresh; head -c 50000 h/mimic-iv/hosp/labevents.csv.gz >$H/labevents.csv.gz; expect 1 'labevents.csv.gz: .*(cut|damaged)' "gzip cut" "$E" doctor b
says 'not ready' "not ready"
fresh; : >$D/triage.csv.gz;                           expect 1 'triage.csv.gz: empty' "empty" "$E" doctor b
fresh; gzip -dc $H/admissions.csv.gz | sed '1s/dischtime/disch_time/' >$H/admissions.csv; rm $H/admissions.csv.gz
expect 1 'admissions.csv: no column dischtime \(there is disch_time\)' "a column is absent" "$E" doctor b
fresh; gzip -dc $H/patients.csv.gz >$H/patients.csv;  expect 1 'patients.csv and patients.csv.gz are both there' "plain and gzip" "$E" doctor b
fresh; gzip -dc $D/vitalsign.csv.gz | head -c 20005 >$D/vitalsign.csv; rm $D/vitalsign.csv.gz
expect 1 'vitalsign.csv: cut: it ends inside a row' "plain, cut" "$E" doctor b
fresh; gzip -dc $H/omr.csv.gz | head -n 1 >$H/omr.csv; rm $H/omr.csv.gz; expect 1 'omr.csv: a header and no row' "no row" "$E" doctor b
fresh; mkdir -p b/old/2.2 && cp -r $H b/old/2.2/;     expect 1 'hosp is there twice, in .* and in ' "two versions" "$E" doctor b
says 'old/2.2/hosp   2.2 \(by its folder' "a version by name"
says 'called 2.2, but has patients of a later release' "a version that contradicts the patients"
fresh; rm -r $D;                                      expect 0 'missing  MIMIC-IV-ED +no vital signs' "no ED module" "$E" doctor b
fresh; rm $H/labevents.csv.gz;                        expect 0 '^    -        labevents.csv +no laboratory values' "no laboratory" "$E" doctor b
fresh; rm -r b/mimic-iv $D;                           expect 1 'no stays to link to' "recordings alone" "$E" doctor b
if [ "$(id -u)" -ne 0 ]; then
    fresh; chmod 0 $H/omr.csv.gz;                     expect 1 'omr.csv.gz: .*[Pp]ermission' "not to be opened" "$E" doctor b
else
    echo "skip permissions: root may open everything"; skipped=$((skipped + 1))
fi
fresh; mv $H/omr.csv.gz b/ && printf '\037\213\010garbage and no deflate' >$H/omr.csv.gz; expect 1 'omr.csv.gz: ' "gzip that is none" "$E" doctor b
# too long to be read to its end: its trailer tells
awk 'BEGIN {print "labevent_id,subject_id,hadm_id,itemid,charttime,value,valuenum,valueuom,ref_range_lower,ref_range_upper"
    for (i = 0; i < 1000000; i++) {x = (x * 69069 + 1) % 1000003; print i ",1" x "," x * 3 ",50912,2150-01-01 00:00:00," x / 7 "," x / 7 ",mg/dL,0.5,1.2"}}' | gzip -1 >long.gz
fresh; cp long.gz $H/labevents.csv.gz;                expect 0 'labevents.csv +about (9[5-9]|10[0-5])[0-9]{4} rows' "a long table is estimated" "$E" doctor b
head -c $(($(wc -c <long.gz) * 9 / 10)) long.gz >$H/labevents.csv.gz; expect 1 'labevents.csv.gz: cut: its last bytes' "a long table that was cut" "$E" doctor b

# ---- published tables
fresh; mkdir b/icd && printf ',file_name,study_id,subject_id,ecg_time,ed_stay_id,all_diag_all,gender,age,strat_fold\n0,f,1,2,2150-01-01 00:00:00,3.0,[],F,50,1\n' >b/icd/records_w_diag_icd10.csv
expect 0 '^  MIMIC-IV-ECG-Ext-ICD   b/icd' "the published codes" "$E" doctor b
mkdir m && printf 'general_study_id,general_subject_id,general_strat_fold\n1,2,3\n' >m/mds_ed.csv
expect 0 'cohort build --mdsed m/mds_ed.csv --ecg h/mimic-iv-ecg -o mdsed.cohort' "the published table" "$E" doctor m --ecg h/mimic-iv-ecg
expect 0 'cohort build --mdsed m/mds_ed.csv -o mdsed.cohort --no-waveforms' "the published table alone" "$E" doctor m/mds_ed.csv
sed -i '1s/strat_fold/strat_folds/' m/mds_ed.csv
expect 1 'mds_ed.csv: no column general_strat_fold \(there is general_strat_folds\)' "of another release" "$E" doctor m

# ---- other things
mkdir e;                                              expect 1 'e: empty' "an empty folder" "$E" doctor e
echo x >e/notes.txt;                                  expect 1 'nothing in it that this program knows' "unrelated files" "$E" doctor e
says 'ecgraft synth' "something to try on"
expect 1 'e/notes.txt: a file, not a folder' "a file" "$E" doctor e/notes.txt
expect 1 'nowhere: no such folder' "no such folder" "$E" doctor nowhere
expect 1 'no MIMIC-IV hosp' "an option that names the wrong folder" "$E" doctor --hosp e
expect 2 'takes the folders' "no folder" "$E" doctor
mkdir -p w/data && cp $(find h -name '*.hea' | head -n 3) w/data
expect 1 'a row for each recording' "recordings without a table" "$E" doctor w
printf 'id,path,label.AF\n1,data/a,1\n' >w/list.csv
expect 0 'cohort build --folder w --table w/list.csv -o own.cohort' "recordings and a table" "$E" doctor w
i=0; while [ $i -lt 100 ]; do mkdir -p deep/files/p$((1000 + i))/x deep/a/b$i; i=$((i + 1)); done
for d in deep/files/p*/x deep/a/b*; do (cd $d && seq -f '%g.hea' 100 | xargs touch); done
begun=$(date +%s); expect 1 'at least 2000 recordings' "20,000 files" "$E" doctor deep
check "within seconds" [ $(($(date +%s) - begun)) -lt 10 ]

# ---- real tables
if [ -f "$DATA/mimic_iv_demo/hosp/patients.csv.gz" ]; then
    expect 0 '2.2 \(by README.md; 2.2 by its columns, patients up to 2016\)' "the demo" "$E" doctor "$DATA/mimic_iv_demo"
    says 'labevents.csv +63389 rows' "rows of the demo"
    says 'missing  MIMIC-IV-ED' "no ED module"
    says 'missing  MIMIC-IV-ECG' "no recordings"
    says 'admissions with edregtime' "what stands in"
    builds "what can be built of the demo is"
else
    echo "skip no demo below $DATA"; skipped=$((skipped + 6))
fi
if [ -f "$DATA/ptbxl/ptbxl_database.csv" ]; then
    expect 0 '^    ecgraft cohort build --ptbxl .*ptbxl -o ptbxl.cohort$' "PTB-XL" "$E" doctor "$DATA/ptbxl"
    says '200 of 200 looked for are there, of 434 listed' "its recordings"
    says 'at most 434 rows' "its rows"
    builds "PTB-XL is built"
else
    echo "skip no PTB-XL below $DATA"; skipped=$((skipped + 4))
fi
[ ! -f "$DATA/ludb/ludb.csv" ] || expect 1 'ludb.csv: no column .id.' "a table whose columns have other names" "$E" doctor "$DATA/ludb"

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
