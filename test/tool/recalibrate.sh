#!/bin/sh
# SPDX-License-Identifier: MIT
# recalibrate, predict with claims, explain-check through the program: what a model without calibrators says, another site, the same cohort, odd recordings.
. test/expect.sh
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
ok() { passed=$((passed + 1)); }
bad() { echo "FAIL $1"; failed=$((failed + 1)); }
PY=${PYTHON:-/usr/bin/python3}

"$E" synth hospital --patients 300 --seed 7 --twins 40 -q && "$E" cohort build --mimic hospital -o c.cohort -q &&
    "$E" synth other --patients 260 --seed 8 --twins 0 -q && "$E" cohort build --mimic other -o d.cohort -q ||
    { echo "FAIL no cohorts"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
SMALL="--set encoder.width=8 --set encoder.blocks=2 --set finetune.updates=0"
"$E" finetune diagnoses c.cohort -o two $SMALL --epochs 4 -q && "$E" finetune labs c.cohort --from two -o three --epochs 3 --no-claims -q &&
    "$E" finetune labs c.cohort -o alone $SMALL --epochs 1 --no-claims -q || { echo "FAIL no models"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
R=$(find hospital/mimic-iv-ecg -name '*.hea' | sort | head -n 1)

# what an answer holds, and how its figures hang together
cat >read.py <<'END'
import json, sys
j = json.load(open(sys.argv[1]))
want = dict(a.split("=") for a in sys.argv[2:])
assert j["schema"] == "ecgraft.prediction/1" and j["statement"] and j["synthetic"] and len(j["model"]["sha256"]) == 64
assert str(j["calibrated"]) == want["calibrated"] and str(j["explained"]) == want["explained"], (j["calibrated"], j["explained"], j["explained_note"])
assert (j["calibration_note"] is None) == j["calibrated"] and (j["explained_note"] is None) == j["explained"]
v = j["verdicts"]
assert len(v["yes"]) + v["no"] + v["uncertain"] + v["none"] == len(j["diagnoses"]), v
assert sum(d["verdict"] is None for d in j["diagnoses"]) == v["none"] and [d["code"] for d in j["diagnoses"] if d["verdict"] == "YES"] == v["yes"]
p = [d["probability"] for d in j["diagnoses"]]
assert p == sorted(p, reverse=True)
for d in j["diagnoses"] + j["labs"]:
    if d["interval"]:
        assert d["interval"][0] <= d["probability"] + 1e-9 and d["probability"] <= d["interval"][1] + 1e-9
    if d["calibrator"] and min(d["calibrator"]["positives"], d["calibrator"]["negatives"]) < 20:
        assert d["verdict"] is None and "20" in d["verdict_note"], d
    if d["p_values"] and j["input"]["state"] == "ok":
        yes, no = d["p_values"]["yes"] >= j["alpha"], d["p_values"]["no"] >= j["alpha"]
        assert d["verdict"] == ("YES" if yes and not no else "NO" if no and not yes else "UNCERTAIN"), d
    if not j["calibrated"]:
        assert d["interval"] is None and d["verdict"] is None and d["flagged"] is None and d["probability"] == d["raw_probability"]
whys = [d["why"] for d in j["diagnoses"] if d["why"]]
assert bool(whys) == j["explained"]
for w in whys:
    assert abs(w["above"] - sum(w["parts"].values())) < 1e-6 and abs(w["logit"] - w["baseline"] - w["above"]) < 1e-6
    bars = [c["bar"] for c in w["cited"]]
    assert bars == sorted(bars, reverse=True) and all(c["interval"][0] > 0 and c["same_thing"] is None for c in w["cited"])
    assert all(c["same_thing"] for c in w["same_thing"]) and w["grade"] in "ABCD" and w["sentences"] and "cause" in w["note"]
END
answer() { # why, model, calibrated, explained
    if "$E" predict "$2" "$R" --json --top 0 >answer.json 2>err && "$PY" read.py answer.json calibrated=$3 explained=$4; then ok; else bad "$1: $(head -c 300 err)"; fi
}
answer "a model without calibrators" three False False
expect 0 'without claims' "it says so" "$E" predict three "$R" --json

# ---- the cohort of the training: 300 patients are too few to be cut, so there is an explainer and no calibrator
expect 0 'no calibrators: validation has [0-9]* patients' "the cohort of the training" "$E" recalibrate three c.cohort -o same.safetensors
answer "explained, not calibrated" same.safetensors False True
expect 0 'follow [0-9]+ %' "what explains" "$E" recalibrate three c.cohort -o again.safetensors --threads 1
if cmp -s same.safetensors again.safetensors; then ok; else bad "one thread and many give different models"; fi

# ---- finetune does it by itself
expect 0 'no calibrators: validation has' "finetune makes claims" "$E" finetune labs c.cohort --from two -o own --epochs 3
if cmp -s own/model.safetensors same.safetensors; then ok; else bad "finetune and recalibrate give different models"; fi
if [ -e own/claims.safetensors ]; then bad "a file is left"; else ok; fi

# ---- another site
expect 0 'another cohort than that' "another site" "$E" recalibrate same.safetensors d.cohort -o site.safetensors
answer "calibrated and explained" site.safetensors True True
expect 0 '"records": ?[1-9]' "as JSON" "$E" recalibrate three d.cohort -o plain.safetensors --json
answer "calibrated, never explained" plain.safetensors True False
expect 0 'made on the cohort of the training' "why not" "$E" recalibrate three d.cohort -o plain.safetensors
expect 0 'validation|calibrators from' "some folds of another site" "$E" recalibrate same.safetensors d.cohort -o few.safetensors --roles train:0-13,validation:14-19
expect 0 'no explanations: no diagnosis head' "one head alone" "$E" recalibrate alone c.cohort -o lab.safetensors
expect 0 'UNCERTAIN|YES|NO at' "verdicts in the text" "$E" predict site.safetensors "$R" --top 0
"$E" predict site.safetensors "$R" --json --top 0 --alpha 0.02 >strict.json 2>/dev/null
"$E" predict site.safetensors "$R" --json --top 0 --alpha 0.5 >loose.json 2>/dev/null
if "$PY" - <<'END'
import json
a, b = json.load(open("strict.json")), json.load(open("loose.json"))
assert a["verdicts"]["uncertain"] >= b["verdicts"]["uncertain"] and (a["alpha"], b["alpha"]) == (0.02, 0.5)
assert [d["p_values"] for d in a["diagnoses"]] == [d["p_values"] for d in b["diagnoses"]]
END
then ok; else bad "alpha"; fi

# ---- no patient is in the file: the scores of the records are nowhere in its tensors
if "$PY" - same.safetensors site.safetensors <<'END'
import json, struct, sys
for path in sys.argv[1:]:
    f = open(path, "rb")
    head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    mine = {k: v for k, v in head.items() if k.startswith(("uncertain.", "outlier.", "explain."))}
    assert mine and head["__metadata__"]["format_version"] == "1.1"
    assert not any(v["shape"] and v["shape"][0] > 4000 for k, v in mine.items() if "step" not in k), mine
END
then ok; else bad "what the file holds"; fi

# ---- odd recordings get no claims
"$PY" - "$R" <<'END'
import math, random, struct, sys
random.seed(3)
leads = "I II III aVR aVL aVF V1 V2 V3 V4 V5 V6".split()
def write(name, value, n=5000):
    with open(name + ".dat", "wb") as f:
        for t in range(n):
            i, ii = value(t, 0), value(t, 1)
            row = [i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2] + [value(t, 6 + v) for v in range(6)]
            f.write(struct.pack("<12h", *(max(-32767, min(32767, round(200 * x))) for x in row)))
    with open(name + ".hea", "w") as f:
        f.write(f"{name} 12 500 {n}\n" + "".join(f"{name}.dat 16 200/mV 16 0 0 0 0 {l}\n" for l in leads))
write("noise", lambda t, l: random.gauss(0, 0.3))
write("sine", lambda t, l: math.sin(t / 70 + l))
write("flat", lambda t, l: 0.0)
write("volts", lambda t, l: 100 * math.sin(t / 70 + l))
END
state() { # recording, wanted states
    if "$E" predict site.safetensors "$1" --json --top 0 >answer.json 2>err && "$PY" - "$2" <<'END'
import json, sys
j = json.load(open("answer.json"))
assert j["input"]["state"] in sys.argv[1].split(",") and j["input"]["reasons"], j["input"]
assert not j["verdicts"]["yes"] and not j["verdicts"]["no"] and not j["confirm"]
if j["input"]["state"] == "refused":
    assert all(d["interval"] is None and d["verdict"] is None and d["why"] is None for d in j["diagnoses"])
END
    then ok; else bad "$1 is not $2"; fi
}
state noise.hea refused
state sine.hea refused,caution
state flat.hea refused
state volts.hea refused

write_more() {
    "$PY" - <<'END'
import math, struct
leads = "I II III aVR aVL aVF V1 V2 V3 V4 V5 V6".split()
def beat(t, rr, spike):
    s = t / 500 % rr - rr / 2
    v = math.exp(-(s / 0.010) ** 2) + 0.15 * math.exp(-((s - 0.3 * rr) / 0.05) ** 2)
    return v + (1.5 if spike and abs(s + 0.03) < 0.003 else 0)
def write(name, rr, n=5000, names=leads, scale=1.0, spike=False):
    with open(name + ".dat", "wb") as f:
        for t in range(n):
            i, ii = 0.7 * beat(t, rr, spike), beat(t, rr, spike)
            all12 = [i, ii, ii - i, -(i + ii) / 2, i - ii / 2, ii - i / 2] + [(0.4 + 0.2 * v) * ii for v in range(6)]
            f.write(struct.pack(f"<{len(names)}h", *(max(-32767, min(32767, round(200 * scale * all12[leads.index(l)]))) for l in names)))
    with open(name + ".hea", "w") as f:
        f.write(f"{name} {len(names)} 500 {n}\n" + "".join(f"{name}.dat 16 200/mV 16 0 0 0 0 {l}\n" for l in names))
write("short", 0.8, n=1500)
write("infant", 0.36, spike=True)
write("single", 0.8, names=["II"])
write("microvolt", 0.8, scale=150)
write("tiny", 0.8, scale=0.004)
END
}
write_more
state short.hea caution,refused
state infant.hea caution,refused
state microvolt.hea refused
state tiny.hea refused,caution
expect 4 'absent' "a single lead" "$E" predict site.safetensors single.hea --html single.html
if grep -q 'No claims are made' single.html && ! grep -qE '<table|I10' single.html; then ok; else bad "the page of a single lead"; fi
for odd in noise sine flat volts short infant microvolt; do
    "$E" predict site.safetensors $odd.hea --html $odd.html -q >/dev/null 2>&1
    if grep -qE 'No claims are made|Read with caution' $odd.html && ! grep -q 'verdict yes' $odd.html; then ok; else bad "the page of $odd is confident"; fi
done

# ---- what is asked for: occlusion, similar recordings, another prevalence
expect 0 'to compare with' "recordings to compare with" "$E" recalibrate three d.cohort -o plain.safetensors --neighbours-out near.safetensors
printf 'code,prevalence\nI10,0.5\nE87.5,0.001\nnot a code,0.2\nPotassium_high,0.2\n' >here.csv
"$E" predict site.safetensors "$R" --json --top 0 >usual.json 2>/dev/null
expect 0 'occlusion' "all three" "$E" predict site.safetensors "$R" --json --top 0 --occlusion --neighbours near.safetensors --prevalence here.csv
cp out asked.json
expect 0 'similar recordings had it' "in words" "$E" predict site.safetensors "$R" --occlusion --neighbours near.safetensors --html asked.html
if grep -q 'aria-label="Fall of the logit without I ' asked.html && [ "$(wc -c <asked.html)" -lt 300000 ]; then ok; else bad "the page with occlusion"; fi
if "$PY" - <<'END'
import json
a, b = json.load(open("usual.json")), json.loads(open("asked.json").read().splitlines()[0])
assert "occlusion" not in a and "neighbours" not in a and "local_prevalence" not in a
assert b["neighbours"]["looked_at"] == 50 and b["occlusion"]["beats"] > 3 and b["local_prevalence"]["labels"] == 2 + any(l["code"] == "Potassium_high" for l in b["labs"]) - (not any(d["code"] == "E875" for d in b["diagnoses"])), b["local_prevalence"]
was = {d["code"]: d for d in a["diagnoses"]}
odds = lambda p: p / (1 - p)
for d in b["diagnoses"]:
    assert d["verdict"] == was[d["code"]]["verdict"] and 0 <= d["neighbours"]["with"] <= d["neighbours"]["known"] <= 50
    assert sorted(d["occlusion"]["waves"]) == ["P", "QRS", "ST-T"] and len(d["occlusion"]["leads"]) == 12
    if d["code"] == "I10":
        c = d["calibrator"]
        base = c["positives"] / (c["positives"] + c["negatives"])
        assert abs(odds(d["probability"]) / odds(was["I10"]["probability"]) * odds(base) - 1) < 1e-6
    elif d["local_prevalence"] is None:
        assert d["probability"] == was[d["code"]]["probability"]
assert any("most similar recordings" in s for d in b["diagnoses"] if d["why"] for s in d["why"]["sentences"])
END
then ok; else bad "what was asked for"; fi
expect 4 'another encoder' "neighbours of another model" "$E" predict alone "$R" --neighbours near.safetensors
head -c 2000 near.safetensors >cut.safetensors
expect 1 'cut.safetensors' "neighbours cut short" "$E" predict site.safetensors "$R" --neighbours cut.safetensors
printf 'code,prevalence\nI10,1.5\n' >bad.csv
expect 1 'above 0 and below 1' "a prevalence above 1" "$E" predict site.safetensors "$R" --prevalence bad.csv
printf 'code,prevalence\nI10,0.1\nI10,0.2\n' >bad.csv
expect 1 'second time' "a code twice" "$E" predict site.safetensors "$R" --prevalence bad.csv
printf 'code,prevalence\nXYZ,0.1\n' >bad.csv
expect 1 'none of its codes' "no code of the model" "$E" predict site.safetensors "$R" --prevalence bad.csv

# ---- truth
expect 0 'counterfactual twins of [0-9]+ test records' "explain-check" "$E" explain-check same.safetensors c.cohort hospital
expect 0 '"hyperkalaemia"' "explain-check --json" "$E" explain-check same.safetensors c.cohort hospital --json
expect 0 'PASS|FAIL' "explain-check: gates, another model, a report" "$E" explain-check same.safetensors c.cohort hospital --also own --markdown report.md
if grep -q '^## Gates' report.md && grep -q 'stability, models' report.md; then ok; else bad "the report"; fi
expect 4 'without explanations' "no explanations to check" "$E" explain-check three c.cohort hospital
expect 4 'not the cohort that the model was trained on' "another cohort" "$E" explain-check same.safetensors d.cohort other
expect 1 'truth' "a hospital without truth" "$E" explain-check same.safetensors c.cohort hospital/mimic-iv

# ---- refused
expect 2 'is needed' "no output" "$E" recalibrate three c.cohort
expect 1 'a name of its own' "the model itself" "$E" recalibrate three c.cohort -o three/model.safetensors
expect 1 'none.cohort' "no such cohort" "$E" recalibrate three none.cohort -o x.safetensors
expect 1 '' "no such model" "$E" recalibrate nowhere c.cohort -o x.safetensors
expect 1 '' "unwritable output" "$E" recalibrate three d.cohort -o /dev/null/x.safetensors
expect 2 'alpha' "alpha out of range" "$E" predict three "$R" --alpha 0.9
expect 2 'alpha' "alpha 0" "$E" explain-check same.safetensors c.cohort hospital --alpha 0
[ -e x.safetensors ] && bad "a refused run left a file" || ok
for c in recalibrate explain-check; do expect 0 '^Example' "$c --help" "$E" $c --help; done

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
