#!/bin/sh
# SPDX-License-Identifier: MIT
# Options of stage 1 and joint training through the program: killed and resumed, threads, what is refused, what the model is good for.
. test/expect.sh
fold=-i
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
ok() { passed=$((passed + 1)); }
bad() { echo "FAIL $1"; failed=$((failed + 1)); }
same() { # what, file, file
    if cmp -s "$2" "$3"; then ok; else bad "$1: $2 and $3 differ"; fi
}
lines() { if [ -f "$1" ]; then wc -l <"$1"; else echo 0; fi; }
wait_for() { # lines, file: until an epoch is in the metrics, ten seconds at most
    i=0
    while [ "$(lines "$2")" -lt "$1" ] && [ $i -lt 200 ]; do sleep 0.05; i=$((i + 1)); done
}

"$E" synth hospital --patients 200 --seed 9 -q && "$E" cohort build --mimic hospital -o c.cohort -q ||
    { echo "FAIL no cohort to train on"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
SMALL="--set encoder.width=8 --set encoder.blocks=2 --set encoder.dropout=0.2 --set projector.hidden=16 --set projector.out=16 --batch 32 --set train.checkpoint_steps=2"

# ---- stage 1
expect 0 'columns of group routine' "routine columns" "$E" pretrain c.cohort -o routine $SMALL --epochs 2 --set pretrain.tabular=routine
expect 0 'table of another patient' "shuffled pairs" "$E" pretrain c.cohort -o shuffled $SMALL --epochs 2 --set train.shuffle_pairs=true
expect 0 'epoch 2/2' "vicreg" "$E" pretrain c.cohort -o vicreg $SMALL --epochs 2 --set pretrain.loss=vicreg
grep -q '"shuffled_pairs": true' shuffled/run.json && ok || bad "run.json does not say that the pairs were shuffled"
expect 0 '' "fine-tuning goes on from shuffled pairs" "$E" finetune diagnoses c.cohort --from shuffled -o control --epochs 1 --set finetune.updates=0 -q
expect 2 'all|routine|lab' "no such columns" "$E" pretrain c.cohort -o x $SMALL --set pretrain.tabular=labs
expect 2 'barlow|vicreg' "no such loss" "$E" pretrain c.cohort -o x $SMALL --set pretrain.loss=clip
expect 1 'train.shuffle_pairs' "resumed with its own pairs" "$E" pretrain c.cohort -o shuffled --resume --set train.shuffle_pairs=false

# ---- joint: killed, resumed, threads
expect 0 'joint epoch 6/6' "uninterrupted" "$E" joint c.cohort -o whole $SMALL --epochs 6 --threads 1
"$E" joint c.cohort -o killed $SMALL --epochs 6 --threads 1 -q & pid=$!
wait_for 2 killed/metrics.jsonl
kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
if [ "$(lines killed/metrics.jsonl)" -lt 6 ]; then ok; else bad "the run to kill was over before it was killed"; fi
expect 0 '' "resume after kill -9" "$E" joint c.cohort -o killed --resume --threads 2
same "resumed after kill -9" whole/model.safetensors killed/model.safetensors
same "resumed after kill -9" whole/last.safetensors killed/last.safetensors
for w in projection none; do
    expect 0 "weighting: $w" "$w" "$E" joint c.cohort -o $w $SMALL --epochs 2 --set joint.weighting=$w
done
grep -q '"conflicts": ' projection/metrics.jsonl && ok || bad "conflicts are not counted"

# ---- what it is good for
expect 0 'labs .set labs., test' "both heads are evaluated" "$E" evaluate whole --resamples 0
expect 0 'predicts' "predict" "$E" predict whole "$(find hospital -name '*.hea' | head -n 1)"
expect 0 'head *labs' "info" "$E" info whole

# ---- refused
"$E" cohort build --mimic hospital --no-waveforms -o tables.cohort -q
expect 1 'no recordings' "a cohort of tables alone" "$E" joint tables.cohort -o x $SMALL
expect 1 'not empty' "a run folder that is not empty" "$E" joint c.cohort -o whole $SMALL
expect 1 'joint.alignment' "resume with other settings" "$E" joint c.cohort -o whole --resume --set joint.alignment=1
expect 1 "no label set 'superclass'" "no such label set" "$E" joint c.cohort -o x $SMALL --set superclass
expect 2 'uncertainty|projection|none' "no such weighting" "$E" joint c.cohort -o x --set joint.weighting=equal
expect 2 'joint.weighting' "unknown key" "$E" joint c.cohort -o x --set joint.weigthing=none
expect 2 'RUN' "no run folder" "$E" joint c.cohort
[ -e x ] && bad "a refused run left a folder behind" || ok
expect 0 '^Example' "joint --help" "$E" joint --help

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
