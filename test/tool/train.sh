#!/bin/sh
# SPDX-License-Identifier: MIT
# Training through the program: killed and resumed, interrupted, one and two threads, exit codes, what a run folder holds.
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

"$E" synth hospital --patients 300 --seed 7 -q && "$E" cohort build --mimic hospital -o c.cohort -q ||
    { echo "FAIL no cohort to train on"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
SMALL="--set encoder.width=8 --set encoder.blocks=2 --set encoder.dropout=0.2 --set projector.hidden=16 --set projector.out=16 --batch 32 --set train.checkpoint_steps=2"
TUNE="--set finetune.updates=0 --epochs 3"

# ---- killed in the middle, resumed: the same bytes; and whatever the threads
expect 0 'pretrain epoch 8/8' "uninterrupted" "$E" pretrain c.cohort -o whole $SMALL --epochs 8 --threads 1
"$E" pretrain c.cohort -o killed $SMALL --epochs 8 --threads 1 -q & pid=$!
wait_for 2 killed/metrics.jsonl
kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
if [ "$(lines killed/metrics.jsonl)" -lt 8 ]; then ok; else bad "the run to kill was over before it was killed"; fi
echo half >killed/last.safetensors.tmp.1 # what a kill inside a write leaves
expect 0 '' "resume after kill -9" "$E" pretrain c.cohort -o killed --resume --threads 2
same "resumed after kill -9" whole/model.safetensors killed/model.safetensors
same "resumed after kill -9" whole/last.safetensors killed/last.safetensors
[ "$(lines killed/metrics.jsonl)" -eq 8 ] && ok || bad "metrics.jsonl has $(lines killed/metrics.jsonl) lines, 8 expected"
[ -e killed/last.safetensors.tmp.1 ] && bad "a half-written file was left" || ok

# ---- Ctrl-C
"$E" pretrain c.cohort -o stopped $SMALL --epochs 8 --threads 1 -q 2>err & pid=$!
wait_for 1 stopped/metrics.jsonl
kill -INT $pid; wait $pid; got=$?
[ $got -eq 130 ] && grep -q 'saved, --resume goes on' err && ok || bad "Ctrl-C: exit $got, $(cat err)"
grep -q '"interrupted"' stopped/run.json && ok || bad "run.json does not say interrupted"
expect 0 '' "resume after Ctrl-C" "$E" pretrain c.cohort -o stopped --resume --threads 1
same "resumed after Ctrl-C" whole/last.safetensors stopped/last.safetensors
expect 0 'complete' "resume of a complete run" "$E" pretrain c.cohort -o stopped --resume

# ---- stages 2 and 3, evaluation
expect 0 'synthetic cohort' "diagnoses" "$E" finetune diagnoses c.cohort --from whole -o two $TUNE
expect 0 'shared' "labs on the same embedding" "$E" finetune labs c.cohort --from two -o three --epochs 2
expect 0 'branched' "labs on a branch" "$E" finetune labs c.cohort --from whole -o branch --epochs 1
expect 0 "set 'labs'" "another label set by --set NAME" "$E" finetune diagnoses c.cohort --from whole -o named --set labs $TUNE --epochs 1
grep -q '  width: 8 ' two/config.yaml && ok || bad "finetune did not inherit the settings"
expect 0 'macro AUROC' "evaluate" "$E" evaluate three --resamples 50
grep -q '^synthetic cohort' out && ok || bad "evaluate does not say that the cohort is synthetic"
for f in evaluation.json predictions.diagnoses.test.csv predictions.labs.test.csv labels.labs.test.csv; do
    [ -s three/$f ] && ok || bad "evaluate wrote no $f"
done
expect 0 'ecgraft.evaluation/1' "evaluate --json" "$E" evaluate three --json --resamples 0 --fold validation
expect 0 'validation' "other roles" "$E" evaluate two --resamples 0 --roles train:0-15,validation:16-19
expect 4 'head' "a pre-training run has nothing to evaluate" "$E" evaluate whole
expect 0 '' "predict explains" "$E" predict three "$(find hospital -name '*.hea' | head -n 1)"
cp c.cohort kept.cohort
"$E" synth other --patients 60 --seed 8 -q && "$E" cohort build --mimic other -o c.cohort -q
expect 4 'hash' "another cohort under the old name" "$E" evaluate three --resamples 0
mv kept.cohort c.cohort

# ---- a linear head that begins as a regression, a running mean of the weights, epochs that nobody judges
RIDGE="$TUNE --set finetune.head_hidden=0 --set finetune.head_start=ridge --set finetune.average=0.9 --set finetune.judge_every=2"
expect 0 'begins as a ridge regression' "a head from a regression" "$E" finetune diagnoses c.cohort --from whole -o ridge $RIDGE --threads 1
"$E" finetune diagnoses c.cohort --from whole -o ridge2 $RIDGE --threads 2 -q
same "the regression on two threads" ridge/model.safetensors ridge2/model.safetensors
same "the mean on two threads" ridge/last.safetensors ridge2/last.safetensors
[ "$(grep -c '"validation_auroc": null' ridge/metrics.jsonl)" -eq 1 ] && ok || bad "of three epochs the second and the last are judged"
expect 0 '' "evaluate it" "$E" evaluate ridge --resamples 0
expect 2 "random.ridge" "no such beginning" "$E" finetune diagnoses c.cohort --from whole -o x --set finetune.head_start=zero
expect 2 'finetune.average' "a mean that never moves" "$E" finetune diagnoses c.cohort --from whole -o x --set finetune.average=1

# ---- refused
expect 1 'not empty' "a run folder that is not empty" "$E" pretrain c.cohort -o whole $SMALL --epochs 8
expect 1 'pretrain.lr' "resume with other settings" "$E" pretrain c.cohort -o whole --resume --lr 0.1
expect 1 'none.cohort' "no such cohort" "$E" pretrain none.cohort -o x
expect 1 'folder' "a folder for a cohort" "$E" pretrain hospital -o x
expect 1 'whole' "a model for a cohort" "$E" pretrain whole/model.safetensors -o x
expect 1 '' "unwritable output" "$E" pretrain c.cohort -o /dev/null/x $SMALL
expect 1 "no label set 'superclass'" "no such label set" "$E" finetune diagnoses c.cohort --from whole -o x --set superclass
expect 1 '' "no such run" "$E" finetune diagnoses c.cohort --from nowhere -o x
head -c 3000 whole/model.safetensors >cut.safetensors
expect 1 'cut.safetensors' "a model cut in half" "$E" finetune diagnoses c.cohort --from cut.safetensors -o x
printf 'pretrain:\n  epoch: 3\n' >wrong.yaml
expect 1 'wrong.yaml:2.*pretrain.epochs' "unknown key in a file" "$E" pretrain c.cohort -o x --config wrong.yaml
expect 2 'pretrain.lambda' "unknown key on the line" "$E" pretrain c.cohort -o x --set pretrain.lamda=1
expect 2 'paper' "unknown preset" "$E" pretrain c.cohort -o x --preset papers
expect 2 'RUN' "no run folder" "$E" pretrain c.cohort
expect 2 'neither' "no such stage" "$E" finetune both c.cohort -o x
expect 2 'two label sets' "two label sets" "$E" finetune diagnoses c.cohort --from whole -o x --set a --set b
expect 2 'roles' "wrong roles" "$E" pretrain c.cohort -o x --roles train:0-40
[ -e x ] && bad "a refused run left a folder behind" || ok
printf 'pretrain:\n  epochs: 7\n  lr: 0.5\n' >some.yaml
expect 0 'epoch 1/1' "preset < file < --set < flags" "$E" pretrain c.cohort -o order $SMALL --config some.yaml --set pretrain.epochs=5 --set pretrain.lr=0.001 --epochs 1
grep -q '  lr: 0.001 ' order/config.yaml && ok || bad "--set did not win over the file"
for c in pretrain finetune evaluate; do expect 0 '^Example' "$c --help" "$E" $c --help; done

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
