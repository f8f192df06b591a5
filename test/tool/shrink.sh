#!/bin/sh
# SPDX-License-Identifier: MIT
# shrink: what the smaller file weighs, that it answers nearly the same and carries everything else over, and what is refused.
. test/expect.sh
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
ok() { passed=$((passed + 1)); }
bad() { echo "FAIL $1"; failed=$((failed + 1)); }

"$E" synth hospital --patients 120 --seed 11 -q && "$E" cohort build --mimic hospital -o c.cohort -q &&
    "$E" pretrain c.cohort -o stage1 --set encoder.width=48 --set encoder.blocks=2 --batch 32 --epochs 1 -q &&
    "$E" finetune diagnoses c.cohort --from stage1 -o stage2 --set finetune.updates=20 --set finetune.judge_every=1 -q ||
    { echo "FAIL no model to shrink"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
record=$(find hospital -name '*.hea' | sort | head -n 1)
[ -n "$record" ] || bad "a recording to ask about"

for type in bf16 int8; do
    expect 0 '' "shrunk to $type" "$E" shrink stage2 -o $type.safetensors --weights $type
    expect 0 "$type" "a model says how its weights are stored: $type" "$E" info $type.safetensors
    expect 0 '' "asked: $type" "$E" predict $type.safetensors "$record" --json
    cp out $type.json
    expect 0 '' "back to float32 from $type" "$E" shrink $type.safetensors -o back.safetensors --weights float32
    expect 0 '' "asked: $type and back" "$E" predict back.safetensors "$record" --json
    cp out back.json
    python3 - $type.json back.json <<'PY' && ok || bad "$type and back to float32 are the same weights"
import json, sys
a, b = (json.load(open(f)) for f in sys.argv[1:])
a, b = ({d["code"]: d["probability"] for d in x["diagnoses"]} for x in (a, b))
sys.exit(not (a and a.keys() == b.keys() and all(abs(a[k] - b[k]) < 1e-6 for k in a)))
PY
done
expect 0 '' "asked: the whole one" "$E" predict stage2 "$record" --json
cp out whole.json
python3 - whole.json bf16.json int8.json <<'PY' && ok || bad "answers of smaller models are near and not the same"
import json, sys
read = lambda f: {d["code"]: d["probability"] for d in json.load(open(f))["diagnoses"]}
whole, *small = map(read, sys.argv[1:])
for s, most in zip(small, (0.01, 0.03)):
    apart = max(abs(s[k] - whole[k]) for k in whole if k in s)
    if not 0 < apart < most:
        sys.exit(f"apart by {apart}")
PY
whole=$(wc -c <stage2/model.safetensors) bf16=$(wc -c <bf16.safetensors) int8=$(wc -c <int8.safetensors)
[ "$int8" -lt "$bf16" ] && [ "$bf16" -lt "$whole" ] && ok || bad "sizes: $whole, bf16 $bf16, int8 $int8"
cmp -s back.safetensors stage2/model.safetensors && bad "rounding cost nothing" || ok

expect 2 '\-o FILE is missing' "no output" "$E" shrink stage2
expect 2 'bf16, int8 or float32' "no such type" "$E" shrink stage2 -o x.safetensors --weights fp4
expect 1 '' "no such model" "$E" shrink nowhere -o x.safetensors
head -c 3000 bf16.safetensors >cut.safetensors
expect 1 '' "a model that ends too early" "$E" shrink cut.safetensors -o x.safetensors
expect 1 '' "a folder that is not there" "$E" shrink stage2 -o nowhere/x.safetensors
[ -z "$(ls x.safetensors* 2>/dev/null)" ] && ok || bad "nothing is left behind by a refusal"

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
