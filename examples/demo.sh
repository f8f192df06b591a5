#!/bin/sh
# SPDX-License-Identifier: MIT
# The main job end to end on the embedded synthetic cohort: hospital, cohort, three stages with their calibrators, evaluation, one explained ECG.
set -eu
E=${B:-build}/ecgraft
D=${DEMO:-demo}
P=${PATIENTS:-3000}
step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || step() { printf '\n%s\n' "$*"; }
began=$(date +%s)

step "1. A hospital that never lived: $P patients in the layout of MIMIC-IV-ECG, MIMIC-IV and MIMIC-IV-ED (synthetic cohort)"
rm -rf "$D"; mkdir -p "$D"
"$E" synth "$D/hospital" --patients "$P" --seed 42 --twins 0

step "2. Tables and recordings -> one cohort file"
"$E" cohort build --mimic "$D/hospital" -o "$D/hospital.cohort"
"$E" cohort describe "$D/hospital.cohort" | head -n 40

step "3. Stage 1: the ECG encoder learns what the blood and the vital signs say (Barlow Twins)"
"$E" pretrain "$D/hospital.cohort" -o "$D/stage1" --preset small

step "4. Stage 2: diagnoses"
"$E" finetune diagnoses "$D/hospital.cohort" --from "$D/stage1" -o "$D/stage2"

step "5. Stage 3: laboratory abnormalities on the same embedding; calibrators and reasons from patients that chose nothing"
"$E" finetune labs "$D/hospital.cohort" --from "$D/stage2" -o "$D/stage3"

step "6. What it is worth on patients it has never seen (synthetic cohort)"
"$E" evaluate "$D/stage3"

step "7. One ECG of the test folds, explained (synthetic cohort)"
# of the ECGs with the most probable laboratory abnormalities the first that is like those of the training: any recording would do
for study in $(awk -F, 'NR > 1 { best = 0; for (i = 4; i <= NF; i++) if ($i > best) best = $i; print best, $1 }' "$D/stage3/predictions.labs.test.csv" |
    sort -rn | head -n 40 | cut -d' ' -f2); do
    path=$(awk -F, -v study="$study" '$2 == study { print $5 }' "$D/hospital/mimic-iv-ecg/record_list.csv")
    "$E" predict "$D/stage3" "$D/hospital/mimic-iv-ecg/$path.hea" --html "$D/ecg.html" >"$D/ecg.txt"
    grep -qE 'no claims|withheld: unlike' "$D/ecg.txt" || break
done
cat "$D/ecg.txt"
echo "the same on one page: $D/ecg.html"

printf '\ndone in %s s; everything is under %s: a synthetic cohort, its figures say nothing of real patients.\n' $(($(date +%s) - began)) "$D"
echo "Research software. Not a medical device."
