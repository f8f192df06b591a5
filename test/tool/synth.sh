#!/bin/sh
# SPDX-License-Identifier: MIT
# ecgraft synth end to end: twins on disk, slices, threads, a run that is killed, interrupted or finds the disk full, and what is refused.
. test/expect.sh
T=$(mktemp -d) && trap 'umount "$T/small" 2>/dev/null; rm -rf "$T"' EXIT
cd "$T" || exit 1
check() { # what, command...
    why=$1
    shift
    if "$@"; then passed=$((passed + 1)); else echo "FAIL $why"; failed=$((failed + 1)); fi
}
no_half_record() { # every header has its whole signal, no table and no manifest is there
    for h in $(find "$1" -name '*.hea'); do
        [ "$(wc -c <"${h%.hea}.dat")" -eq 120000 ] && [ "$(wc -l <"$h")" -eq 14 ] || return 1
    done
    [ -z "$(find "$1" \( -name '*.csv' -o -name '*.csv.gz' -o -name manifest.json \) | head -n 1)" ]
}
body() { # a table of a slice without its header
    case $1 in *.gz) gzip -dc "$1" ;; *) cat "$1" ;; esac | tail -n +2
}

# ---- threads and twins
expect 0 'twins$' "with two threads" "$E" synth whole --patients 200 --seed 3 --threads 2
expect 0 '' "with one thread" "$E" synth one --patients 200 --seed 3 --threads 1 -q
check "threads: the same bytes in the same files" diff -r whole one
check "nothing unfinished is left" [ -z "$(find whole -name '*.part' -o -name '*.tmp.*' -o -name unfinished.txt)" ]
rows=$(gzip -dc whole/truth/twins.csv.gz | tail -n +2 | wc -l)
check "twins: as many recordings as rows" [ "$rows" -gt 20 -a "$rows" -eq "$(find whole/truth/twins/files -name '*.hea' | wc -l)" ]
check "twins: as many in the record list" [ "$rows" -eq "$(tail -n +2 whole/truth/twins/record_list.csv | wc -l)" ]
counted=$(tr -d ' ' <whole/truth/manifest.json | sed -n 's/^"twins":{\(.*\)},$/\1/p' | tr ',' '\n' | awk -F: '{n += $2} END {print n}')
check "twins: as many in the manifest" [ "$rows" -eq "$counted" ]
check "twins: running numbers" [ "$(gzip -dc whole/truth/twins.csv.gz | tail -n +2 | cut -d, -f4 | paste -sd' ')" = "$(seq 50000001 $((50000000 + rows)) | paste -sd' ')" ]
check "twins: none in the hospital's own list" [ "$(grep -c ',5000' whole/mimic-iv-ecg/record_list.csv)" -eq 0 ]
expect 0 ' 0 twins' "--twins 0" "$E" synth none --patients 20 --no-waveforms --twins 0
check "--twins 0: no rows" [ "$(gzip -dc none/truth/twins.csv.gz | wc -l)" -eq 1 ]
first=$(gzip -dc whole/truth/twins.csv.gz | sed -n 's/^\([0-9]*\),K,.*,\([0-9]*\),hyper.*/\1 \2/p' | head -n 1)
for id in $first; do "$E" convert "$(find whole -name "$id.hea")" -o "$id.csv" -q; done
set -- $first
check "a twin is another recording of the same length" [ "$(wc -l <"$1.csv")" -eq "$(wc -l <"$2.csv")" ]
check "and differs from its original" [ "$(cksum <"$1.csv")" != "$(cksum <"$2.csv")" ]

# ---- slices
"$E" synth s1 --patients 200 --first 1 --last 77 --seed 3 -q
"$E" synth s2 --patients 200 --first 78 --last 200 --seed 3 -q
for t in $(cd whole && find . -name '*.csv' -o -name '*.csv.gz' | grep -v '/d_'); do
    { body s1/$t; body s2/$t; } >joined
    body whole/$t >direct
    check "slices join to the whole: $t" cmp -s joined direct
done
cp -r s1 joined.d && cp -r s2/mimic-iv-ecg/files/. joined.d/mimic-iv-ecg/files && cp -r s2/truth/twins/files/. joined.d/truth/twins/files
check "slices: the same recordings" diff -r whole/mimic-iv-ecg/files joined.d/mimic-iv-ecg/files
check "slices: the same twins" diff -r whole/truth/twins/files joined.d/truth/twins/files
rm -rf joined.d s1 s2 one none

# ---- stopped and continued
run="--patients 500 --seed 4 --twins 20 -q"
stopped_at() { # signal, seconds: a run in the background is sent the signal; $got: its exit code
    "$E" synth cut $run --threads 2 >out 2>err &
    pid=$!
    sleep "$2"
    kill -"$1" $pid 2>/dev/null
    wait $pid 2>/dev/null
    got=$?
}
"$E" synth straight $run
for way in KILL:0.1 INT:0.3 KILL:0.5; do
    rm -rf cut
    stopped_at "${way%:*}" "${way#*:}"
    if [ -f cut/truth/manifest.json ] || [ ! -f cut/truth/unfinished.txt ]; then
        echo "skip $way: this machine was done before, or not yet begun"; skipped=$((skipped + 1)); continue
    fi
    [ "${way%:*}" = KILL ] || check "interrupted: exit code" [ $got -eq 130 ]
    check "$way: nothing half-written" no_half_record cut
    stopped_at KILL 0.2
    check "$way, once more: nothing half-written" [ -f cut/truth/manifest.json -o -z "$(find cut -name '*.csv' -o -name '*.csv.gz')" ]
    if [ -f cut/truth/unfinished.txt ]; then
        expect 1 '"seed 4".*"seed 5"' "$way: other seed" "$E" synth cut $run --seed 5
        expect 1 '"noise 2.5".*"noise 1"' "$way: other noise" "$E" synth cut $run --noise 1
        expect 1 '"do nothing".*"do K=4' "$way: an intervention" "$E" synth cut $run --do K=4
        expect 0 '' "$way: continued" "$E" synth cut $run --threads 1
    fi
    check "$way: the same bytes" diff -r straight cut
done
rm -rf cut
stopped_at KILL 0.3
expect 0 '' "--force starts over" "$E" synth cut $run --force
check "--force: the same bytes" diff -r straight cut
expect 1 'not empty' "a finished cohort is not touched" "$E" synth cut $run
check "and was not" diff -r straight cut
rm -rf cut straight

# a state of a run that had gone on: parts longer than the state are cut, shorter ones are noticed
"$E" synth long --patients 25000 --no-waveforms --seed 4 --twins 20 --threads 1 -q >out 2>err &
pid=$!
for i in $(seq 100); do
    sleep 0.1
    grep -q '^next 1$' long/truth/unfinished.txt 2>/dev/null || [ ! -f long/truth/unfinished.txt ] || break
done
expect 1 'another run' "two runs in one folder" "$E" synth long --patients 25000 --no-waveforms --seed 4 --twins 20 -q
kill -9 $pid
wait $pid 2>/dev/null
check "a killed run knows where it was" grep -q '^next [0-9][0-9][0-9]' long/truth/unfinished.txt
cp -r long copy
printf 'more than was counted' >>copy/truth/latent.csv.gz.part
head -c 100 long/truth/latent.csv.gz.part >cut && cat cut >long/truth/latent.csv.gz.part
expect 1 'bytes.*were written' "a part that was shortened" "$E" synth long --patients 25000 --no-waveforms --seed 4 --twins 20 -q
sed 's/^sizes .*/sizes 1 2/' copy/truth/unfinished.txt >cut && cp cut long/truth/unfinished.txt
expect 1 'damaged' "a damaged state" "$E" synth long --patients 25000 --no-waveforms --seed 4 --twins 20 -q
expect 0 'goes on at patient [0-9][0-9]' "continued" "$E" synth copy --patients 25000 --no-waveforms --seed 4 --twins 20
check "continued: the whole table" gzip -t copy/truth/latent.csv.gz
check "continued: each recording once" [ "$(tail -n +2 copy/mimic-iv-ecg/record_list.csv | cut -d, -f2 | sort | uniq -d | wc -l)" -eq 0 ]
check "continued: all patients" [ "$(gzip -dc copy/mimic-iv/hosp/patients.csv.gz | wc -l)" -eq 25001 ]
rm -rf copy long

# ---- a full disk
mkdir small
if mount -t tmpfs -o size=8m tmpfs small 2>/dev/null; then
    expect 1 'No space left.*continues' "a full disk" "$E" synth small/h --patients 100 --seed 8 -q
    check "a full disk: nothing half-written" no_half_record small/h
    expect 1 'No space left' "still full" "$E" synth small/h --patients 100 --seed 8 -q
    mount -o remount,size=200m small
    expect 0 '' "continued with more room" "$E" synth small/h --patients 100 --seed 8 -q
    "$E" synth straight --patients 100 --seed 8 -q
    check "a full disk: the same bytes" diff -r straight small/h
    rm -rf small/h
    mount -o remount,size=4k small
    expect 1 'No space left' "no room at all" "$E" synth small/h --patients 100 --seed 8 -q
    mount -o remount,size=200m small
    expect 0 '' "room at last" "$E" synth small/h --patients 100 --seed 8 -q
    check "room at last: the same bytes" diff -r straight small/h
    umount small
else
    echo "skip a full disk: no right to mount one"; skipped=$((skipped + 1))
fi
rm -rf straight

# ---- what is refused
expect 2 'patients N is missing' "no N" "$E" synth r
expect 2 'at least 1' "N = 0" "$E" synth r --patients 0
expect 2 'at least 1' "N below 0" "$E" synth r --patients -3
expect 2 '' "N is no number" "$E" synth r --patients many
expect 2 '9 to 5: none' "first > last" "$E" synth r --patients 10 --first 9 --last 5
expect 2 'beyond' "last > N" "$E" synth r --patients 10 --last 11
expect 2 '0 to 5: none' "first = 0" "$E" synth r --first 0 --last 5
expect 1 'identifiers end at 624999' "N beyond the identifiers" "$E" synth r --patients 700000
expect 2 'no variable potasium' "no such variable" "$E" synth r --patients 3 --do potasium=4
expect 2 'the nearest is egfr' "the nearest variable" "$E" synth r --patients 3 --do egfrr=50
expect 2 'outside 2.2 to 8.2' "value out of range" "$E" synth r --patients 3 --do K=40
expect 2 'not a number' "value is no number" "$E" synth r --patients 3 --do K=four
expect 2 'forced twice' "a variable twice" "$E" synth r --patients 3 --do K=4 --do K=5
expect 2 'outside 0 to' "twins below 0" "$E" synth r --patients 3 --twins -1
expect 1 'noise' "noise out of range" "$E" synth r --patients 3 --noise -1
expect 2 '' "threads = 0" "$E" synth r --patients 3 --threads 0
check "nothing was written" [ ! -e r ]
mkdir r && echo mine >r/notes.txt
expect 1 'not empty' "a folder with a file" "$E" synth r --patients 3 -q
check "it is as it was" [ "$(find r | wc -l)" -eq 2 ]
expect 0 '' "--force" "$E" synth r --patients 3 -q --force
check "what was there stays" grep -q mine r/notes.txt
echo file >f
expect 1 '' "a file instead of a folder" "$E" synth f --patients 3 -q
mkdir -p e/below
expect 0 '' "empty folders are empty" "$E" synth e --patients 3 -q

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
