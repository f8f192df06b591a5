#!/bin/sh
# SPDX-License-Identifier: MIT
# What a synthetic cohort costs: visits/s without waveforms and records/s with, on two threads; cost of a visit from 10^3 to 10^5 visits
# (--full: 10^6); memory. DIR (default: a temporary folder) decides which disk is measured; 2 GB are needed, 5 GB with --full.
# Usage: B=build sh bench/bench_synth.sh [--full] [DIR]
E=${B:-build}/ecgraft full=0
[ "$1" = --full ] && full=1 && shift
T=$(mktemp -d "${1:-${TMPDIR:-/tmp}}/ecgraft_bench_XXXXXX") && trap 'rm -rf "$T"' EXIT
threads=${THREADS:-2}
# name, patients, options... -> $seconds $cpu $memory, $visits (first ECGs of a stay), $stays, $records (ECGs and twins)
measure() {
    name=$1 patients=$2
    shift 2
    rm -rf "$T/h"
    /usr/bin/env bash -c 'TIMEFORMAT="%R %U"; time "$@"' - "$E" synth "$T/h" --patients "$patients" --threads "$threads" --seed 1 -q "$@" 2>"$T/time" &
    pid=$! memory=0
    while kill -0 $pid 2>/dev/null; do
        for p in $(pgrep -P $pid); do
            now=$(awk '/^VmHWM/ {print $2}' "/proc/$p/status" 2>/dev/null)
            [ "${now:-0}" -le "$memory" ] || memory=$now
        done
        sleep 0.05
    done
    wait $pid
    read -r seconds cpu <"$T/time"
    flat=$(tr -d ' \n' <"$T/h/truth/manifest.json")
    count() { echo "$flat" | sed "s/.*\"$1\":\({\"count\":\)*\([0-9]*\).*/\2/"; }
    stays=$(count stays)
    visits=$((stays - $(count stay_without_ecg)))
    twins=$(echo "$flat" | sed 's/.*"twins":{\([^}]*\)}.*/\1/' | tr ',' '\n' | awk -F: '{n += $2} END {print n}')
    records=$(($(count recordings) + twins))
    rm -rf "$T/h"
}
echo "load $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) processors, $threads threads, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)"
measure tables 20000 --no-waveforms
awk "BEGIN {printf \"without waveforms: %.0f visits/s (%.0f stays/s), %d visits in %.2f s, %.2f s of processor, %.0f MB\n\", $visits/$seconds, $stays/$seconds, $visits, $seconds, $cpu, $memory/1024}"
measure records 2000
awk "BEGIN {printf \"with waveforms:    %.0f records/s to disk, %d records in %.2f s, %.2f s of processor, %.0f MB\n\", $records/$seconds, $records, $seconds, $cpu, $memory/1024}"
echo "cost of a visit, without waveforms:"
sizes="500 5000 50000"
[ $full = 0 ] || sizes="$sizes 500000"
for n in $sizes; do
    measure grow "$n" --no-waveforms
    awk "BEGIN {printf \"%9d visits %8.2f s %7.1f us/visit %7.1f us/visit of processor %5.0f MB\n\", $visits, $seconds, 1e6*$seconds/$visits, 1e6*$cpu/$visits, $memory/1024}"
done
echo "cost of a record, with waveforms:"
for n in 500 5000; do
    measure grow "$n"
    awk "BEGIN {printf \"%9d records %7.2f s %7.1f us/record %7.1f us/record of processor %5.0f MB\n\", $records, $seconds, 1e6*$seconds/$records, 1e6*$cpu/$records, $memory/1024}"
done
