#!/bin/sh
# SPDX-License-Identifier: MIT
# info and convert on a recording of three samples that is written here: the exact bytes that come out.
B=${B:-build}
case $B in /*) E=$B/ecgraft ;; *) E=$PWD/$B/ecgraft ;; esac
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
passed=0 failed=0
same() { # what, expected, got
    if [ "$2" = "$3" ]; then passed=$((passed + 1)); else echo "FAIL $1: expected [$2], got [$3]"; failed=$((failed + 1)); fi
}
has() { # what, pattern, file
    if grep -qE "$2" "$3"; then passed=$((passed + 1)); else echo "FAIL $1: no \"$2\" in: $(head -c 300 "$3")"; failed=$((failed + 1)); fi
}
# leads in an order of their own: aVR 100, -200, missing; resp 1, 2, 3 at gain 4, baseline 1
printf 'r 2 250 3 01:02:03 04/05/2150\nr.dat 16 1000/mV 16 0 100 32668 0 AVR\nr.dat 16 4(1)/NU 16 0 1 6 0 resp, belt\n' >r.hea
printf '\144\000\001\000\070\377\002\000\000\200\003\000' >r.dat

"$E" info r >out 2>err; same "info" 0 $?
has "info: leads" 'leads +2: aVR, resp, belt' out
has "info: rate" '3 samples at 250 Hz' out
has "info: time" '2150-05-04 01:02:03' out
has "info: statement" 'Not a medical device' out
same "info: nothing on stderr" "" "$(cat err)"
"$E" info r --json >out 2>err
has "info --json" '^\{"schema":"ecgraft.info/1","statement":"Research software. Not a medical device.","kind":"recording"' out
has "info --json: gain" '"name":"aVR","unit":"mV","per_frame":1,"gain":1000.0,"lowest":-0.200000003,"highest":0.100000001,"missing":1' out
same "info --json: one line" 1 "$(wc -l <out | tr -d ' ')"

"$E" convert r.dat -o r.csv -q >out 2>err; same "convert to CSV" 0 $?
same "convert: stdout and stderr are empty with -q" "" "$(cat out err)"
same "CSV" 'aVR,"resp, belt"
0.100000001,0
-0.200000003,0.25
NaN,0.5' "$(cat r.csv)"
"$E" convert r.hea -o r.npy -q; same "convert to npy" 0 $?
same "npy header" "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }" "$(head -c 128 r.npy | tail -c 118 | sed 's/ *$//')"
same "npy size" 152 "$(wc -c <r.npy | tr -d ' ')"
same "npy values" "cdcccc3d00000000cdcc4cbe0000803e0000c07f0000003f" "$(tail -c 24 r.npy | od -An -tx1 | tr -d ' \n')"
mkdir again && "$E" convert r -o again/s.hea -q; same "convert to WFDB" 0 $?
same "WFDB header" 's 2 250 3 01:02:03 04/05/2150
s.dat 16 1000(0)/mV 16 0 100 32668 0 aVR
s.dat 16 4(0)/NU 16 0 0 3 0 resp, belt' "$(cat again/s.hea)"
"$E" convert again/s -o again.csv -q
same "WFDB values" "$(cat r.csv)" "$(cat again.csv)"

# prepared: a constant of 1 mV at 200 Hz stays one at 100 Hz; leads in the order of a model
{ printf 'p 3 200 400\n'; for l in V1 II I; do echo "p.dat 16 1000/mV 16 0 1000 0 0 $l"; done; } >p.hea
i=0; while [ $i -lt 1200 ]; do printf '\350\003'; i=$((i + 1)); done >p.dat
"$E" convert p.hea --prepared -o p.csv >out 2>err; same "convert --prepared" 0 $?
same "prepared header" "I,II,V1,V2,V3,V4,V5,V6,III,aVR,aVL,aVF" "$(head -n 1 p.csv)"
same "prepared length" 201 "$(wc -l <p.csv | tr -d ' ')"
has "prepared: what is absent" 'zeros: V2 V3 V4 V5 V6$' err
same "prepared: derived leads in the middle" "1.00 1.00 1.00 0.00 -1.00 0.50" \
    "$(sed -n 101p p.csv | awk -F, '{printf "%.2f %.2f %.2f %.2f %.2f %.2f", $1, $2, $3, $9 + 0, $10, $11}')"

for to in r.txt r; do "$E" convert r -o $to >out 2>err; same "convert to $to" 2 $?; done
"$E" convert r >out 2>err; same "convert to nowhere" 2 $?
"$E" convert r -o none/r.csv >out 2>err; same "convert into a folder that is not there" 1 $?
has "its message" 'none/r.csv' err
"$E" convert r -o again/s.hea/x.hea >out 2>err; same "convert below a file" 1 $?
same "nothing half written" "" "$(find . -name '*.tmp.*')"
"$E" info r.npy >out 2>err; same "info of no recording" 1 $?
has "its message" 'r.npy: not a recording' err

echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
