#!/bin/sh
# SPDX-License-Identifier: MIT
# --precision and ECGRAFT_CPU through the program: what they do, what is refused, what a run says of itself.
. test/expect.sh
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
ok() { passed=$((passed + 1)); }
bad() { echo "FAIL $1"; failed=$((failed + 1)); }

"$E" synth hospital --patients 120 --seed 7 -q && "$E" cohort build --mimic hospital -o c.cohort -q ||
    { echo "FAIL no cohort to train on"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
SMALL="--set encoder.width=24 --set encoder.blocks=1 --set projector.hidden=32 --set projector.out=16 --batch 32 --epochs 1 --threads 1"

expect 0 'precision bf16: ' "trained in bf16" "$E" pretrain c.cohort -o rounded $SMALL --precision bf16
expect 0 'pretrain epoch 1/1' "trained in float32" "$E" pretrain c.cohort -o exact $SMALL --precision float32
grep -q '"precision": "bf16"' rounded/run.json && grep -q '"precision": "float32"' exact/run.json && ok || bad "run.json names the precision"
cmp -s rounded/model.safetensors exact/model.safetensors && bad "bf16 changes nothing" || ok
expect 0 'precision' "a model names its precision" "$E" info rounded/model.safetensors
expect 1 'train.precision: bf16 in the run, float32 asked' "another precision to go on" "$E" pretrain c.cohort -o rounded --resume --precision float32
expect 0 'precision of this run: ' "a later stage inherits it" "$E" finetune diagnoses c.cohort --from rounded -o stage2 --epochs 1 --set finetune.updates=0 --threads 1
expect 0 '' "embedded in float32" "$E" embed c.cohort --model exact -o a.npy -q
expect 0 'precision bf16' "embedded in bf16" "$E" embed c.cohort --model exact -o b.npy --precision bf16
[ "$(wc -c <a.npy)" = "$(wc -c <b.npy)" ] && ! cmp -s a.npy b.npy && ok || bad "embeddings in bf16 are others"
for level in ref avx2 avx512; do
    ECGRAFT_CPU=$level "$E" embed c.cohort --model exact -o $level.npy --precision bf16 2>log && ok || { grep -q 'does not have' log && ok || bad "ECGRAFT_CPU=$level in bf16"; }
done
expect 2 'fp16: float32 or bf16' "no such precision" "$E" embed c.cohort --model exact -o x.npy --precision fp16
expect 2 'precision' "no such precision to train in" "$E" pretrain c.cohort -o x --precision half
expect 1 'there are ref, avx2, avx512, vnni, amx' "no such level" env ECGRAFT_CPU=avx1024 "$E" embed c.cohort --model exact -o x.npy
if grep -q amx_bf16 /proc/cpuinfo 2>/dev/null; then
    ECGRAFT_CPU=amx "$E" embed c.cohort --model exact -o amx.npy --precision bf16 2>log && grep -q 'bf16 on tiles' log && ok || { grep -q permit log && ok || bad "ECGRAFT_CPU=amx"; }
else
    expect 1 'does not have AMX' "no tiles here" env ECGRAFT_CPU=amx "$E" embed c.cohort --model exact -o x.npy --precision bf16
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
