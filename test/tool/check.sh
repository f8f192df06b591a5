#!/bin/sh
# SPDX-License-Identifier: MIT
# ecgraft cohort check, through the program: good stores, and stores that were cut, changed by a byte, or are none. Every single check has its
# case in test/cohort/test_check.c.
. test/expect.sh
case ${ECGRAFT_DATA:=../shared/data} in /*) DATA=$ECGRAFT_DATA ;; *) DATA=$PWD/$ECGRAFT_DATA ;; esac
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
says() { # pattern in the last output, what it is
    if cat out err | grep -qE -e "$1"; then passed=$((passed + 1)); else echo "FAIL $2: no \"$1\""; failed=$((failed + 1)); fi
}
only() { # name: the one check of the last output that is WRONG
    found=$(sed -n 's/^  WRONG  \(.*[a-z]\)   .*/\1/p' out | sed 's/  .*//')
    if [ "$found" = "$1" ]; then passed=$((passed + 1)); else echo "FAIL only \"$1\" is WRONG: found \"$found\""; failed=$((failed + 1)); fi
}
spoil() { # file, byte from the end, octal value
    printf "\\$3" | dd of="$1" bs=1 seek=$(($(wc -c <"$1") - $2)) conv=notrunc 2>/dev/null
}

"$E" synth h --patients 120 --seed 5 -q && "$E" cohort build --mimic h -o s.cohort --min-count 10 --min-labs 8 -q >out 2>&1 || { echo "FAIL no cohort: $(head -c 300 out)"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
expect 0 '0 WRONG' "a good cohort" "$E" cohort check s.cohort
says 'synthetic cohort' "says that nobody lived"
says 'Not a medical device' "the statement of use"
says '^  OK     data hash' "the hash of the data"
says '^  OK     patients in one fold +[0-9]+ patients, none in two folds' "leakage"
says '^  OK     copied signals' "copies"
says '^  OK     attrition' "attrition"
expect 0 '"schema": "ecgraft.check/1"' "as JSON" "$E" cohort check s.cohort --json
says '"good": true' "good in JSON"
"$E" cohort check s.cohort --threads 1 >one; "$E" cohort check s.cohort --threads 4 >four
if cmp -s one four; then passed=$((passed + 1)); else echo "FAIL one thread and four say the same"; failed=$((failed + 1)); fi

# the last tensor are labels: a 0 that becomes another 0 or 1 is found by the hash and by the counts, a 5 by the values
cp s.cohort x.cohort; spoil x.cohort 1 005
expect 1 'label values' "a label of 5" "$E" cohort check x.cohort
says '^  WRONG  label values' "named"
says '^  WRONG  data hash' "not the data that were written"
expect 1 '"good": false' "wrong in JSON" "$E" cohort check x.cohort --json
cp s.cohort x.cohort; sed -i 's/\(taken during an ED stay\\",\\"kept\\":\)[0-9]/\19/' x.cohort
expect 1 'attrition' "a number of the attrition table" "$E" cohort check x.cohort
only attrition
cp s.cohort x.cohort; sed -i 's/train:0-13,validation:14-15/train:0-13,validation:14-14/' x.cohort
expect 0 '^  note   fold roles' "a fold without a role is a note" "$E" cohort check x.cohort

# files that cannot be opened: the reason and the file
head -c 100000 s.cohort >cut.cohort;  expect 1 'cut.cohort: ' "cut" "$E" cohort check cut.cohort
: >empty.cohort;                      expect 1 'empty.cohort: ' "empty" "$E" cohort check empty.cohort
expect 1 'none.cohort: ' "absent" "$E" cohort check none.cohort
expect 1 'h: ' "a folder" "$E" cohort check h
expect 1 'safetensors' "a table" "$E" cohort check h/mimic-iv-ecg/record_list.csv
expect 2 'cohort file' "no file named" "$E" cohort check

expect 0 '' "tables alone" "$E" cohort build --mimic h -o t.cohort --no-waveforms --min-count 10 --min-labs 8 -q
expect 0 '^  note   signal +a cohort of tables alone' "tables alone are checked as such" "$E" cohort check t.cohort
says ' 0 WRONG' "and are good"

if [ -f "$DATA/ptbxl/ptbxl_database.csv" ]; then
    "$E" cohort build --ptbxl "$DATA/ptbxl" -o p.cohort -q
    expect 0 'copied signals +2 rows .* same fold' "PTB-XL holds a recording twice" "$E" cohort check p.cohort
else
    echo "skip no PTB-XL below $DATA"; skipped=$((skipped + 1))
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
