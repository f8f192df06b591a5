#!/bin/sh
# SPDX-License-Identifier: MIT
# The table by one command on a small synthetic cohort: every row, control and file; killed, interrupted, out of space and gone on with; what is
# refused; embeddings and probes.
. test/expect.sh
DOC=$PWD/docs/study_results.md
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
ok() { passed=$((passed + 1)); }
bad() { echo "FAIL $1"; failed=$((failed + 1)); }
check() { # what, command...
    why=$1
    shift
    if "$@"; then ok; else bad "$why"; fi
}
py() { PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$@"; }
wait_for() { # seconds, command...: until it is true
    i=$(($1 * 20))
    shift
    while ! "$@" 2>/dev/null && [ $i -gt 0 ]; do sleep 0.05; i=$((i - 1)); done
}

"$E" synth h --patients 260 --seed 7 -q && "$E" cohort build --mimic h -o a.cohort -q ||
    { echo "FAIL no cohort to study"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
cat >tiny.yaml <<'Y'
train: {checkpoint_steps: 4}
encoder: {width: 8, blocks: 2}
projector: {hidden: 16, out: 16}
pretrain: {batch: 32, epochs: 3}
finetune: {epochs: 4, updates: 0, judge_every: 1}
labs: {epochs: 2, head_hidden: 16}
joint: {epochs: 1, batch: 32}
evaluate: {resamples: 40}
Y
# figures.py RUN: all of results.json that does not depend on the machine or the hour
cat >figures.py <<'P'
import json, sys


def still(x):
    if isinstance(x, dict):
        return {k: still(v) for k, v in x.items() if k not in ("seconds", "started", "finished", "command", "machine", "version", "seconds_ours")}
    return [still(v) for v in x] if isinstance(x, list) else x


json.dump(still(json.load(open(sys.argv[1] + "/results.json"))), sys.stdout, indent=1, sort_keys=True)
P
# state RUN JSONPATH-ish: a small question in Python, r is results.json
ask() { py -c "import json,sys; r=json.load(open('$1/results.json')); rows={(x['row'],x['task']):x for x in r['rows']}; sys.exit(not ($2))"; }
STUDY="study a.cohort --config tiny.yaml --labelled 80 --threads 1" # a second one only waits, on so little

# ---- the plan, then the whole table
expect 0 'about .* for 1 run of the plan' "the plan" "$E" $STUDY -o run --dry-run
check "the plan leaves nothing behind" [ ! -e run ]
expect 0 'of 1[0-9]. signal/diagnoses|report.html' "the whole table" "$E" $STUDY -o run
for f in results.json study.json config.yaml labels.csv forgetting.csv report.html report.md report.json signal/diagnoses/predictions.diagnoses.test.csv \
    signal/diagnoses/predictions.diagnoses.validation.csv ours/labs_shared/predictions.labs.test.csv ours/pretrain/probe.tabular.csv; do
    check "no $f" [ -s run/$f ]
done
check "rows" ask run "all(x['status'] == 'done' and 0 < x['lo'] < x['auroc'] < x['hi'] < 1 for x in r['rows']) and len(rows) == 15 and r['complete']"
check "one cohort and seed: intervals of the bootstrap" ask run "all(x['interval'] == 'bootstrap' and x['spread'] is None for x in r['rows'])"
check "differences" ask run "all(abs(d['difference'] - (rows[d['a'], d['task']]['auroc'] - rows[d['b'], d['task']]['auroc'])) < 1e-8 for d in r['differences'])"
check "stages that rows share are trained once" ask run "len([s for s in r['stages'] if s['stage'] == 'ours/pretrain']) == 1 and len(r['stages']) == 17"
check "labelled" ask run "80 <= r['cohorts'][0]['labelled']['records'] < r['cohorts'][0]['labelled']['of']"
check "controls" ask run "[c['control'] for c in r['controls']] == ['shuffled', 'all_labels', 'converged', 'pretraining'] and all(c['status'] == 'done' for c in r['controls'])"
check "probes after each stage" ask run "[s['stage'] for s in r['forgetting']['stages'] if s['r2_test'] is not None] == ['random', 'pretrain', 'diagnoses', 'labs', 'signal']"
check "curves" ask run "all(len(c['epoch']) == len(c['value']) == len(c['loss']) > 1 for c in r['curves'])"
check "report.json" py -c "import json; r = json.load(open('run/report.json')); assert len([x for x in r['rows'] if x['paper']]) >= 7"
expect 0 '' "a model of the table predicts" "$E" predict run/ours/labs_shared "$(find h -name '*.hea' | head -n 1)"
expect 0 'macro AUROC' "a row is an ordinary run" "$E" evaluate run/signal/diagnoses --resamples 0
py figures.py run >whole.json
hash=$(py -c "import json; print(json.load(open('run/results.json'))['cohorts'][0]['hash'])")
check "config.yaml says of what, by what, where" [ "$(grep -cE "^# (settings of a study.*ecgraft [0-9]|command: ecgraft study|cohort 1: a.cohort|  sha256 $hash|seeds: 42|machine: ..*kernels)" run/config.yaml)" -eq 6 ]
expect 0 'about .* for 1 run' "config.yaml is a file for --config" "$E" study a.cohort --config run/config.yaml --threads 1 --only signal --no-controls --dry-run

# ---- nothing is trained twice
stamp=$(stat -c %Y.%Z run/ours/pretrain/model.safetensors run/signal/diagnoses/model.safetensors)
expect 0 'report' "again" "$E" $STUDY -o run
check "a finished stage was trained again" [ "$stamp" = "$(stat -c %Y.%Z run/ours/pretrain/model.safetensors run/signal/diagnoses/model.safetensors)" ]
py figures.py run >again.json
check "the same figures" cmp -s whole.json again.json
rm -r run/ecg_labs
expect 0 'ecg_labs/labs' "a stage that was deleted" "$E" $STUDY -o run
py figures.py run >again.json
check "the same figures after a stage was deleted" cmp -s whole.json again.json

# ---- killed, interrupted, no room on the disk: the same command goes on
"$E" $STUDY -o two -q 2>err & pid=$!
wait_for 20 [ -s two/ours/pretrain/metrics.jsonl ]
kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
check "killed too late" [ ! -e two/results.json ]
"$E" $STUDY -o two -q 2>err & pid=$!
wait_for 20 [ -s two/multi/diagnoses/metrics.jsonl ]
kill -INT $pid; wait $pid; got=$?
check "Ctrl-C: exit $got" [ $got -eq 130 ]
check "Ctrl-C: $(cat err)" grep -q 'saved, the same command goes on' err
check "interrupted: pending rows" ask two "not r['complete'] and rows['ours_all', 'diagnoses']['status'] == 'pending' and rows['signal', 'diagnoses']['status'] == 'done'"
cp -r two/multi/diagnoses before
(trap '' XFSZ; ulimit -f 200; exec "$E" $STUDY -o two -q) >out 2>err
got=$?
check "no room: exit $got" [ $got -eq 1 ]
check "no room: $(cat err)" grep -qE '(last|model).safetensors.*File too large' err
check "no room: the checkpoint before is whole" cmp -s before/last.safetensors two/multi/diagnoses/last.safetensors
check "no room: the model before is whole" cmp -s before/model.safetensors two/multi/diagnoses/model.safetensors
check "no room: a half-written file" [ -z "$(find two -name '*.tmp.*')" ]
expect 0 "" "to the end" "$E" $STUDY -o two --threads 2 -q
py figures.py two >again.json
check "the same figures after all that" cmp -s whole.json again.json

# ---- further: rows, ablations, seeds, cohorts, settings
expect 0 'signal_published/diagnoses' "the released recipes" "$E" $STUDY -o run --baselines published
check "their rows" ask run "all(rows[k]['status'] == 'done' and rows[k]['kind'] == 'published' for k in (('signal_published', 'diagnoses'), ('multi_labs_published', 'labs'), ('multi_published', 'diagnoses')))"
expect 0 '' "one row" "$E" $STUDY -o three --only signal --no-controls -q
expect 0 '' "settings of what is not done may change" "$E" $STUDY -o three --only multi_labs --no-controls --set labs.epochs=1 -q
expect 1 'signal/diagnoses was made with other settings: finetune.lr_head' "other settings" "$E" $STUDY -o three --set finetune.lr_head=0.1
expect 0 'ablation-frozen_1' "--force trains anew what they change; an ablation" "$E" $STUDY -o three --only signal --no-controls --set finetune.lr_head=0.01 --force --ablate frozen_1,joint_none,lambda_quarter
check "ablations" ask three "[(a['ablation'], a['status']) for a in r['ablations']] == [('lambda_quarter', 'done'), ('frozen_1', 'done'), ('joint_none', 'done')]"
check "an ablation says what it changes" ask three "r['ablations'][0]['changes'] == ['pretrain.lambda=0.01'] and all(a['labs_auroc'] > 0 for a in r['ablations']) and r['ablations'][1]['r2_test'] is not None"
check "what was asked before is still told" ask three "rows['signal', 'diagnoses']['status'] == 'done' and rows['multi', 'diagnoses']['status'] == 'not_asked'"
cat >keys.py <<'P'
import json, re, sys


def keys(x, at=""):
    if isinstance(x, list):
        return set().union(*(keys(v, at + "[]") for v in x)) if x else set()
    if not isinstance(x, dict) or at == ".settings":
        return set()
    return set().union(*({at + "." + k} | keys(v, at + "." + k) for k, v in x.items())) if x else set()


said = keys(json.loads(re.search(r"```json\n(.*?)```", open(sys.argv[1]).read(), re.S).group(1)))
real = set().union(*(keys(json.load(open(f))) for f in sys.argv[2:]))
if said != real:
    sys.exit("described only: %s; written only: %s" % (sorted(said - real), sorted(real - said)))
P
check "results.json has the keys of its description" py keys.py "$DOC" run/results.json three/results.json
"$E" synth g --patients 260 --seed 8 -q && "$E" cohort build --mimic g -o b.cohort -q
"$E" synth f --patients 260 --seed 9 -q && "$E" cohort build --mimic f -o c.cohort -q
expect 0 '' "three cohorts" "$E" study a.cohort b.cohort c.cohort --config tiny.yaml --threads 1 --labelled 0.25 --only signal,multi --no-controls -o four -q
check "an interval over cohorts" ask four "rows['signal', 'diagnoses']['interval'] == 't' and abs(rows['signal', 'diagnoses']['auroc'] - sum(u['auroc'] for u in rows['signal', 'diagnoses']['units']) / 3) < 1e-8"
expect 0 '' "seeds of one cohort" "$E" study a.cohort --config tiny.yaml --threads 1 --seeds 2 --only signal --no-controls -o five -q
check "a spread between seeds" ask five "r['seeds'] == [42, 43] and rows['signal', 'diagnoses']['spread'] > 0 and r['units'][1]['folder'] == 'c01-s02'"

# ---- a loss that diverges: its rows fail, the others are there
expect 3 'gradient|loss' "diverging" "$E" study a.cohort --config tiny.yaml --threads 1 -o six --only signal,ours_shared --no-controls --set pretrain.lr=1 --set pretrain.decay=10 --set pretrain.epochs=30
check "the failed row says at which step" ask six "rows['ours_shared', 'diagnoses']['status'] == 'failed' and 'step' in rows['ours_shared', 'diagnoses']['why'] and rows['signal', 'diagnoses']['status'] == 'done'"
check "the last good state is kept" [ -s six/ours/pretrain/last.safetensors ]
expect 0 '' "a failed stage goes another way" "$E" study a.cohort -o six --only signal,ours_shared --no-controls --set pretrain.lr=0.001 --set pretrain.decay=0.001 --set pretrain.epochs=1 -q
check "done after all" ask six "rows['ours_shared', 'labs']['status'] == 'done'"

# ---- cohorts that lack something
R=h/mimic-iv-ecg
table() { # head of the columns, awk text of their values
    awk -F, 'NR == 1 {for (i = 1; i <= NF; i++) at[$i] = i; print "id,path,patient,'"$1"'"; next}
             {n++; s = $at["subject_id"]; printf "E%d,%s,P%s,%s\n", n, $at["path"], s, '"$2"'}' $R/record_list.csv >t.csv
    "$E" cohort build --folder $R --table t.csv -o "$3" -q
}
table "label.AF" "s % 3 == 0" d.cohort
expect 0 'multi_labs \(labs\) is left out: the cohort has no laboratory labels' "no labs, no columns, one label" "$E" study d.cohort --config tiny.yaml --threads 1 -o seven
check "rows say why they are empty" ask seven "rows['ours_shared', 'diagnoses']['why'] == 'the cohort has no tabular columns' and rows['signal', 'diagnoses']['status'] == 'done'"
table "tabular.age[years],tabular.crp[mg/L]:lab,label.echo.low" "s % 60 \",\" (n % 5 ? \"\" : n) \",\" (s % 3 == 0)" e.cohort
expect 0 '' "features mostly missing, another label set" "$E" study e.cohort --config tiny.yaml --threads 1 -o eight --only signal,ours_shared -q
check "the label set that there is" ask eight "r['diagnosis_set'] == 'echo' and rows['ours_shared', 'diagnoses']['status'] == 'done' and rows['ours_shared', 'labs']['status'] == 'left_out'"
table "tabular.age[years]" "s % 60" n.cohort
expect 1 'no row can be trained: the cohort has no diagnosis labels|no laboratory labels' "no labels at all" "$E" study n.cohort --config tiny.yaml --threads 1 -o x
expect 4 'tabular columns: 2 in cohort 2, 0 in cohort 1' "cohorts that differ" "$E" study d.cohort e.cohort --config tiny.yaml --threads 1 -o x
head -n 12 t.csv >few.csv; "$E" cohort build --folder $R --table few.csv -o f.cohort -q
expect 1 'no record is for (test|training)' "fewer patients than folds" "$E" study f.cohort --config tiny.yaml --threads 1 -o x
"$E" cohort build --mimic h -o w.cohort --no-waveforms -q
expect 1 'no ECG in it' "tables alone" "$E" study w.cohort --config tiny.yaml --threads 1 -o x

# ---- refused
expect 1 'the folder holds another study: its cohort 1' "a folder of another study" "$E" study b.cohort --config tiny.yaml --threads 1 -o run
expect 1 'not empty and holds no study' "a folder of something else" "$E" study a.cohort -o h
expect 1 'same file' "one cohort twice" "$E" study a.cohort a.cohort -o x
expect 1 "no label set 'x'; the cohort has diagnoses" "no such label set" "$E" study a.cohort -o x --labels x
expect 1 'tells the rows of a study apart' "a setting that is a row's" "$E" study a.cohort -o x --set finetune.tabular=all
expect 2 "nearest is 'pretrain.epochs'" "unknown setting" "$E" study a.cohort -o x --set pretrain.epoch=3
printf 'pretrain:\n  epoch: 3\n' >wrong.yaml
expect 1 'wrong.yaml:2.*pretrain.epochs' "unknown setting in a file" "$E" study a.cohort -o x --config wrong.yaml
expect 2 'nearest is signal' "unknown row" "$E" study a.cohort -o x --only signl
expect 2 'nearest is lambda' "unknown ablation" "$E" study a.cohort -o x --ablate lamda
expect 2 'RUN' "no folder" "$E" study a.cohort
expect 2 'published' "unknown baselines" "$E" study a.cohort -o x --baselines old
expect 1 'none.cohort' "no such cohort" "$E" study none.cohort -o x
check "a refused study left a folder behind" [ ! -e x ]

# ---- embeddings and probes on another cohort
expect 0 '' "embed" "$E" embed b.cohort --model run/ours/pretrain -o h.npy
check "as many rows as records" py -c "
import numpy as np, csv
h = np.load('h.npy'); rows = list(csv.DictReader(open('h.csv')))
assert h.shape == (len(rows), 8) and np.isfinite(h).all() and len({r['study_id'] for r in rows}) == len(rows)"
expect 0 'set labs.*macro AUROC' "probe" "$E" probe b.cohort --model run/ours/pretrain --few 8,32 --draws 3 --resamples 20
expect 0 'ecgraft.probe/1' "probe --json" "$E" probe b.cohort --model run/ours/diagnoses --set diagnoses --json --resamples 0
expect 1 "no label set 'x'" "probe: no such set" "$E" probe b.cohort --model run/ours/pretrain --set x
expect 2 'few' "probe: no numbers" "$E" probe b.cohort --model run/ours/pretrain --few 8,x
expect 2 'model' "probe: no model" "$E" probe b.cohort
for c in study report embed probe; do expect 0 '^Example' "$c --help" "$E" $c --help; done

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
