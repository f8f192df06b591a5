#!/bin/sh
# SPDX-License-Identifier: MIT
# ecgraft cohort build: recordings from folders and archives, builds that are stopped and taken up, cohorts of tables alone.
. test/expect.sh
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
check() { # what, command...
    why=$1
    shift
    if "$@"; then passed=$((passed + 1)); else echo "FAIL $why"; failed=$((failed + 1)); fi
}
data_hash() { head -c 2000000 "$1" | grep -aoE '"data_sha256":"[0-9a-f]{64}"' | head -n 1; }
build() { "$E" cohort build --mimic h --min-count 10 --min-labs 8 "$@"; }
only() { [ "$(ls "$1"*)" = "$1" ]; } # nothing beside this file

"$E" synth h --patients 300 --seed 11 -q || { echo "FAIL no hospital to build from"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
expect 0 '' "in one go" build -o whole.cohort -q --threads 1
check "nothing beside it" only whole.cohort
build -o two.cohort -q --threads 2
check "one thread and two: the same bytes" cmp whole.cohort two.cohort

# ---- stopped at a moment that nobody chose; a build that was faster than the signal is tried again
stopped() { # signal, its exit code: leaves stopped.cohort.part
    for attempt in 1 2 3 4 5; do
        rm -f stopped.cohort*
        "$E" cohort build --mimic h --min-count 10 --min-labs 8 -o stopped.cohort --threads 1 >out 2>err &
        pid=$!
        while kill -0 $pid 2>/dev/null && [ "$(cat stopped.cohort.part.journal 2>/dev/null | wc -c)" -lt 5000 ]; do sleep 0.01; done
        kill -"$1" $pid 2>/dev/null
        wait $pid 2>/dev/null
        [ $? -eq "$2" ] && return 0
    done
    return 1
}
for how in KILL:137 INT:130 TERM:130; do
    check "stopped by ${how%:*}" stopped ${how%:*} ${how#*:}
    check "${how%:*}: no cohort yet" [ ! -e stopped.cohort ]
    [ $how = KILL:137 ] || check "${how%:*}: it says how to go on" grep -q 'interrupted after [0-9]* of [0-9]* recordings; the same command goes on from there' err
    expect 0 'going on with an interrupted build: [0-9]+ of' "${how%:*}: taken up" build -o stopped.cohort
    check "${how%:*}: the same bytes" cmp whole.cohort stopped.cohort
    check "${how%:*}: nothing beside it" only stopped.cohort
done
stopped KILL 137
expect 0 '' "--fresh starts over" build -o stopped.cohort --fresh
check "and does not go on" [ "$(grep -c 'going on' err)" -eq 0 ]
check "--fresh: the same bytes" cmp whole.cohort stopped.cohort
stopped KILL 137
expect 0 'of another build: starting over' "an empty folder instead" sh -c "mkdir -p e && cp -r h/mimic-iv h/mimic-iv-ed h/truth e && cp -r h/mimic-iv-ecg e && '$E' cohort build --mimic e --min-count 10 --min-labs 8 -o stopped.cohort"
check "another place: the same data" [ "$(data_hash whole.cohort)" = "$(data_hash stopped.cohort)" ]

# ---- what was read is not lost when something else fails
expect 1 'keeps the [0-9]+ recordings that were read; the same command' "a list of laboratory rows that cannot be written" build -o later.cohort --lab-rows no/such/folder/rows.csv
expect 0 'going on with an interrupted build' "the recordings are taken over" build -o later.cohort
check "later: the same bytes" cmp whole.cohort later.cohort
if (ulimit -f 60000) 2>/dev/null; then
    expect 1 'write|large' "no room for the file" sh -c "ulimit -f 60000; trap '' XFSZ; exec '$E' cohort build --mimic h --min-count 10 --min-labs 8 -o full.cohort"
    expect 0 'going on with an interrupted build' "room again" build -o full.cohort
    check "room again: the same bytes" cmp whole.cohort full.cohort
fi

# ---- recordings that fail
cp -r h broken
find broken/mimic-iv-ecg -name '*.hea' | sort >heads
sed -n '1~60p' heads | xargs rm
sed -n '30~200p' heads | while read -r head; do head -c 100 "${head%.hea}.dat" >cut && mv cut "${head%.hea}.dat"; done
expect 3 '[1-9][0-9]* recordings are not in the folder, [1-9] could not be used; broken.cohort.failures.csv lists them' "absent and cut" \
    "$E" cohort build --mimic broken --min-count 10 --min-labs 8 -o broken.cohort
absent=$(sed -n 's/ recordings are not in the folder.*//p' err) cut=$(sed -n 's/.*folder, \([0-9]*\) could.*/\1/p' err)
check "the absent ones are listed" [ "$(grep -c 'no such file' broken.cohort.failures.csv)" = "$absent" ]
check "the cut ones are listed" [ "$(grep -c '\.dat holds [0-9]* samples a signal, [0-9]* announced' broken.cohort.failures.csv)" = "$cut" ]
check "nothing else is left" [ "$(ls broken.cohort* | wc -l)" -eq 2 ]
expect 1 'max-failures' "more than allowed" "$E" cohort build --mimic broken --min-count 10 --min-labs 8 -o broken.cohort --max-failures 1

# ---- archives
pack() { # name, method
    python3 - "$1" "$2" <<'PY'
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w', int(sys.argv[2])) as z:
    for folder, _, files in sorted(os.walk('h/mimic-iv-ecg')):
        for f in sorted(files):
            path = os.path.join(folder, f)
            z.write(path, os.path.join('released-ecg-1.0', os.path.relpath(path, 'h/mimic-iv-ecg')))
PY
}
zipped() { "$E" cohort build --mimic tables --ecg "$1" --min-count 10 --min-labs 8 --roles "$roles" -o zip.cohort -q --threads 2; }
if command -v python3 >/dev/null && python3 -c 'import zipfile, zlib, bz2' 2>/dev/null; then
    mkdir tables && cp -r h/mimic-iv h/mimic-iv-ed tables
    roles=train:0-13,validation:14-15,test:16-19
    expect 0 '' "recordings in a folder" zipped h/mimic-iv-ecg
    folder=$(data_hash zip.cohort)
    for method in 8 0; do
        pack ecg.zip $method
        expect 0 '' "recordings in an archive, method $method" zipped ecg.zip
        check "method $method: as from the folder" [ -n "$folder" ] && check "method $method: the same data" [ "$(data_hash zip.cohort)" = "$folder" ]
    done
    pack bz.zip 12
    expect 1 'packed by bzip2' "a method that is not read" zipped bz.zip
    head -c $(($(wc -c <ecg.zip) / 2)) ecg.zip >half.zip
    expect 1 'half.zip.*cut' "half an archive" zipped half.zip
    cp h/mimic-iv-ecg/record_list.csv no.zip
    expect 1 'no.zip' "not an archive" zipped no.zip
    python3 - <<'PY'
import zipfile
with zipfile.ZipFile('ecg.zip') as a, zipfile.ZipFile('bad.zip', 'w', 8) as b:
    names = [n for n in a.namelist() if n.endswith('.hea')]
    for n in a.namelist():
        if n != names[3]:
            b.writestr(n, a.read(n))
data = bytearray(open('bad.zip', 'rb').read())
with zipfile.ZipFile('bad.zip') as z:
    info = z.getinfo(names[40][:-3] + 'dat')
data[info.header_offset + 30 + len(info.filename) + 200] ^= 1
open('bad.zip', 'wb').write(data)
PY
    rm -f zip.cohort*
    expect 3 '' "a member absent, a member damaged" zipped bad.zip
    check "both are listed" [ "$(grep -cE 'no such file|damaged in the archive' zip.cohort.failures.csv)" -ge 1 ]
else
    echo "skip archives: no python3 to make one"; skipped=$((skipped + 1))
fi

# ---- tables alone
expect 0 '' "no recordings" build -o tables.cohort --no-waveforms
check "a small file" [ "$(wc -c <tables.cohort)" -lt 20000000 ]
expect 0 'records of' "it can be described" "$E" cohort describe tables.cohort
expect 1 'the cohort has no recordings: it was built with --no-waveforms' "nothing to train on" "$E" pretrain tables.cohort -o run --preset small
rm -rf bare && cp -r h bare && rm -r bare/mimic-iv-ecg/files
expect 0 '' "the files need not be there" "$E" cohort build --mimic bare --min-count 10 --min-labs 8 -o bare.cohort --no-waveforms -q
check "and make no difference" [ "$(data_hash bare.cohort)" = "$(data_hash tables.cohort)" ]

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
