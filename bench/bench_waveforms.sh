#!/bin/sh
# SPDX-License-Identifier: MIT
# What it costs to read recordings: `cohort build` over WFDB at 500 Hz, decoded, judged, resampled to 100 Hz and written, from folders and from one
# archive, less what the tables alone cost. The best of three; records of the archive must be those of the folders, and some are read again in numpy.
# Usage: B=build sh bench/bench_waveforms.sh [patients] [DIR]     DIR (default: a temporary folder) decides which disk is measured; 2 GB are needed
E=${B:-build}/ecgraft patients=${1:-2000} threads=${THREADS:-2} failed=0
T=$(mktemp -d "${2:-${TMPDIR:-/tmp}}/ecgraft_bench_XXXXXX") && trap 'rm -rf "$T"' EXIT
here=$(dirname "$0")
data_hash() { head -c 4000000 "$1" | grep -aoE '"data_sha256":"[0-9a-f]{64}"' | head -n 1; }
# threads, options... -> $wall $cpu, the best of three by processor time
measure() {
    n=$1 best=
    shift
    for try in 1 2 3; do
        rm -f "$T"/x.cohort*
        /usr/bin/env bash -c 'TIMEFORMAT="%R %U %S"; time "$@"' - "$E" cohort build --mimic "$T/tables" "$@" --roles train:0-17,validation:18,test:19 \
            -o "$T/x.cohort" --threads "$n" -q 2>"$T/time" >/dev/null || { cat "$T/time"; exit 1; }
        now=$(awk 'END {print $1, $2 + $3}' "$T/time")
        if [ -z "$best" ] || awk "BEGIN {exit !(${now#* } < ${best#* })}"; then best=$now; fi
    done
    wall=${best% *} cpu=${best#* }
}
"$E" synth "$T/h" --patients "$patients" --threads "$threads" --seed 1 -q || exit 1
mkdir "$T/tables" && mv "$T/h/mimic-iv" "$T/h/mimic-iv-ed" "$T/tables"
ecg=$T/h/mimic-iv-ecg
echo "load $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) processors, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)"
measure 1 --ecg "$ecg" --no-waveforms
tables_wall=$wall tables_cpu=$cpu
report() { # what
    awk -v n="$records" -v wall="$wall" -v cpu="$cpu" -v twall="$tables_wall" -v tcpu="$tables_cpu" -v what="$1" 'BEGIN {
        printf "%-28s %7.2f s, %6.2f s of processor: %6.0f records/s, %6.0f per processor second\n", what, wall, cpu, n / (wall - twall), n / (cpu - tcpu)}'
}
measure 1 --ecg "$ecg"
records=$("$E" cohort describe "$T/x.cohort" 2>/dev/null | grep -oE '[0-9]+ records' | head -n 1 | cut -d' ' -f1)
folder=$(data_hash "$T/x.cohort")
echo "$records recordings; the tables alone: $tables_wall s"
report "folders, one thread"
measure "$threads" --ecg "$ecg"
report "folders, $threads threads"
[ "$(data_hash "$T/x.cohort")" = "$folder" ] || { echo "FAIL threads make a difference"; failed=1; }
if python3 -c 'import numpy' 2>/dev/null; then python=python3; else python=/usr/bin/python3; fi
if $python -c 'import zipfile' 2>/dev/null; then
    (cd "$T/h" && $python -m zipfile -c "$T/ecg.zip" mimic-iv-ecg) || exit 1
    measure "$threads" --ecg "$T/ecg.zip"
    report "archive, $threads threads"
    [ "$(data_hash "$T/x.cohort")" = "$folder" ] || { echo "FAIL the archive makes a difference"; failed=1; }
    if $python -c 'import numpy' 2>/dev/null; then
        $python "$here/wfdb_again.py" "$T/x.cohort" "$ecg" || failed=1
    else
        echo "not read again: no numpy"
    fi
else
    echo "archive: no python3 to make one"
fi
exit $failed
