#!/bin/sh
# SPDX-License-Identifier: MIT
# ecgraft bench through the program: the shape of its list, small sizes, what is refused, nothing left behind. Not how fast it is.
. test/expect.sh
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
mkdir "$T/tmp" && export TMPDIR="$T/tmp"
cd "$T" || exit 1
SMALL="--width 20 --length 50 --blocks 1 --labels 5 --set projector.hidden=16 --set projector.out=16 --seconds 0.1"
check() { # what it is, test...
    why=$1
    shift
    if "$@"; then passed=$((passed + 1)); else echo "FAIL $why"; failed=$((failed + 1)); fi
}
row() { # pattern of one object of the list
    check "a row $1" grep -qE "\{\"name\": $1[^}]*\}" out
}

expect 0 '' "a list" "$E" bench --only peak,pretrain,finetune,latency,throughput,load --json $SMALL --batch 16 -q
number='[0-9.e+-]+'
for name in pretrain finetune; do
    row "\"$name\", \"precision\": \"float32\", \"batch\": 16, \"value\": $number, \"unit\": \"samples/s\", \"bound\": $number"
done
for name in latency p99; do
    row "\"$name\", \"precision\": \"float32\", \"batch\": 1, \"value\": $number, \"unit\": \"ms\", \"bound\": $number"
done
row "\"throughput\", \"precision\": \"float32\", \"batch\": 16, \"value\": $number, \"unit\": \"crops/s\", \"bound\": $number"
row "\"load\", \"precision\": \"float32\", \"batch\": 0, \"value\": $number, \"unit\": \"ms\", \"bound\": $number"
row "\"rss_anon\", \"precision\": \"float32\", \"batch\": 16, \"value\": $number, \"unit\": \"MiB\", \"bound\": $number"
row "\"fma\", \"precision\": \"float32\", \"batch\": 0, \"value\": $number, \"unit\": \"GFLOP/s\", \"bound\": null"
row "\"gemm\", \"precision\": \"float32\", \"batch\": 0, \"value\": $number, \"unit\": \"GFLOP/s\", \"bound\": $number"
check "one line" [ "$(wc -l <out)" -eq 1 ]
expect 0 '^latency .* ms .* % of ' "for a person" "$E" bench --only latency,throughput $SMALL -q
expect 0 '"precision": "bf16"' "bf16" "$E" bench --only pretrain,latency --json $SMALL --batch 16 --precision bf16 -q
expect 0 'synth .* patients/s' "hospital and cohort" "$E" bench --only synth,cohort -q
check "the cohort too" grep -q '^cohort .* records/s' out

# widths and lengths that are no multiple of anything, one crop at a time, more threads than processors, every level
expect 0 'throughput' "a batch of one" "$E" bench --only latency,throughput --batch 1 --width 33 --length 47 --blocks 2 --labels 3 --seconds 0.1 --threads 1
expect 0 'pretrain' "64 threads" "$E" bench --only pretrain $SMALL --batch 17 --threads 64
expect 0 'finetune' "two records" "$E" bench --only finetune $SMALL --batch 2 --threads 3
for level in ref avx2 avx512 amx; do
    ECGRAFT_CPU=$level "$E" bench --only pretrain,latency $SMALL --batch 9 -q >out 2>err
    case $? in
    0) check "$level answers" grep -q "kernels $level" out ;;
    1) check "$level is refused by name" grep -q "ECGRAFT_CPU=$level: " err ;;
    *) check "$level neither answers nor is refused: $(head -c 200 err)" false ;;
    esac
done
ECGRAFT_CPU=sse "$E" bench --only latency >out 2>err; check "a level that is none" grep -q 'ECGRAFT_CPU=sse' err

expect 2 '1 to 1024' "no thread" "$E" bench --threads 0
expect 0 'latency' "a thousand threads" "$E" bench --only latency $SMALL --threads 1000
expect 2 'batch 1: pretraining couples' "a batch of one cannot be pre-trained" "$E" bench --batch 1
expect 2 'batch 0: 1 to 65536' "no batch" "$E" bench --batch 0
expect 2 'did you mean pretrain' "a part misspelt" "$E" bench --only peak,pretrian
expect 2 'encoder.width' "a width of none" "$E" bench --width 1
expect 2 'float32 or bf16' "a precision that is none" "$E" bench --precision int8
expect 1 'none.safetensors' "a model that is not there" "$E" bench none.safetensors --only latency
if (ulimit -v 4000000) 2>/dev/null && [ -z "$(nm "$E" 2>/dev/null | grep -m1 -E '__asan_init|__tsan_init')" ]; then
    expect 1 'a batch of 65536 needs [0-9.]+ GiB of memory, [0-9.]+ GiB are free' "a batch larger than memory" sh -c "ulimit -v 4000000; '$E' bench --only pretrain --batch 65536 -q"
else
    skipped=$((skipped + 1))
fi
check "nothing is left behind" [ -z "$(ls tmp)" ]

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
