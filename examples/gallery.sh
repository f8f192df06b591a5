#!/bin/sh
# SPDX-License-Identifier: MIT
# Twelve ECGs of the synthetic cohort on ECG paper, found by what truth/latent.csv.gz says of them. Writes docs/gallery (or $1).
set -eu
ecgraft=${B:-build}/ecgraft
out=${1:-docs/gallery}
seed=5
people=6000
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
mkdir -p "$out"

"$ecgraft" synth "$room/tables" --patients $people --seed $seed --no-waveforms --twins 0 --quiet
gzip -dc "$room/tables/truth/latent.csv.gz" >"$room/latent.csv"

cat >"$out/README.md" <<END
# Gallery

Twelve pages of a **synthetic cohort**: nobody here ever lived. Made by \`examples/gallery.sh\` (seed $seed, default noise: an emergency
department), which looks for them in \`truth/latent.csv.gz\`; the values below are those that the generator drew the ECG from (QTc by
Framingham; axis and voltage as in \`synth_model.h\`). How they compare with real recordings: [realism](../realism.md).
END

# picture FILE TITLE CONDITION KEY SIGNS: the recording with the largest key among those that fulfil the condition
picture()
{
    awk -F, '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        function v(name) { return $(at[name]) + 0 }
        function plain() { return !v("afib") && !v("paced") && !v("lbbb") && !v("rbbb") && v("ppvc") < 0.02 && v("ppac") < 0.02 }
        function calm() { return v("bw") < 0.09 && v("emg") < 0.018 && v("mains") < 0.012 }
        function salts() { return v("K") > 3.7 && v("K") < 4.6 && v("iCa") > 1.15 && v("iCa") < 1.26 }
        function well() { return !v("hf") && !v("cad") && !v("mi") && !v("omi") && !v("copd") && !v("pe") && v("sev") < 0.3 }
        {
            if (!v("stay_id") || !calm() || !('"$3"')) next
            key = '"$4"'
            if (found++ && key <= best) next
            best = key
            line = v("patient") " " v("study_id")
            truth = sprintf("%.0f | %s | %.0f | %s | %.0f | %.0f | %.1f | %.2f | %.1f | %.2f", v("age"), v("male") ? "m" : "f", v("hr"),
                            v("afib") || v("paced") ? "" : sprintf("%.0f", v("PR")), v("QRSd"), v("QTc"), v("K"), v("iCa"), v("lvm"), v("stm"))
        }
        END { print line; print truth }' "$room/latent.csv" >"$room/found"
    read -r patient study <"$room/found"
    "$ecgraft" synth "$room/one" --patients $people --first "$patient" --last "$patient" --seed $seed --twins 0 --quiet --force
    "$ecgraft" plot "$room/one/mimic-iv-ecg/files/"*/*/s"$study/$study.hea" -o "$out/$1.svg" --title "Synthetic cohort: $2"
    rm -rf "$room/one"
    cat >>"$out/README.md" <<END

## $2

$5

| age | sex | rate | PR | QRS | QTc | K | iCa | LV mass, z | ST vector, mV |
|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|
| $(sed -n 2p "$room/found") |

![Synthetic cohort: $2]($1.svg)
END
}

picture normal "normal" 'plain() && salts() && well() && v("age") < 50 && v("lvm") < 0.3 && !v("lafb") && v("axis") > -8 && v("axis") < 12 && v("hr") > 58 && v("hr") < 76 && v("PR") < 180 && v("ppvc") < 0.005 && v("volt") > 0.9 && v("volt") < 1.25' \
    '-v("bw") - 3 * v("emg") - v("ppac")' "P upright in I and II, R growing from V1 to V4, T upright but for aVR and perhaps V1."
picture af "atrial fibrillation" 'v("afib") && !v("lbbb") && !v("rbbb") && v("hr") > 80 && v("hr") < 120 && v("ppvc") < 0.02 && salts() && !v("mi") && !v("dig") && v("volt") < 1.3' \
    '-(v("fwave") - 0.06) ^ 2' "No P waves, an unsteady baseline, no two RR intervals alike."
picture lbbb "left bundle branch block" 'v("lbbb") && !v("afib") && !v("paced") && !v("mi") && v("ppvc") < 0.03' \
    '-(v("volt") - 1) ^ 2' "Broad QRS, deep S in V1 to V3, notched R without Q in I, V5 and V6, T against the QRS."
picture rbbb "right bundle branch block" 'v("rbbb") && !v("lafb") && !v("afib") && !v("paced") && !v("mi") && !v("omi") && !v("pe") && v("ppvc") < 0.01 && v("horizontal") < 5 && v("axis") > -20' \
    '-(v("volt") - 1) ^ 2' "rSR in V1, broad S in I and V6, T negative in V1."
picture lvh "left ventricular hypertrophy with strain" 'plain() && v("K") > 3.7 && v("K") < 5 && v("lvm") > 1.9 && v("lvm") < 3.5 && v("volt") > 1.1 && v("volt") < 1.7 && !v("mi") && !v("lafb")' \
    'v("strain") - 0.1 * v("ta")' "Tall R in V4 and V5, deep S in V1 and V2, ST sinking into a negative T to the left."
picture hyperkalaemia "hyperkalaemia" 'plain() && v("K") > 6 && v("lvm") < 1.6 && !v("mi") && v("volt") > 0.7' \
    'v("K")' "Narrow tented T, P flat, PR long, QRS a little broad."
picture hypokalaemia "hypokalaemia" 'plain() && v("K") < 2.9 && v("lvm") < 1 && !v("mi") && v("hr") < 95 && v("ppvc") < 0.02' \
    '-v("K")' "T flat, ST low, a U wave after T (V2 to V4), QT (with U) long."
picture hypocalcaemia "hypocalcaemia" 'plain() && v("iCa") < 1.06 && v("K") > 3.7 && v("K") < 5 && v("lvm") < 1.3 && !v("mi") && v("hr") < 90 && v("volt") < 1.5' \
    'v("QTc")' "QT long because of a long flat ST; T itself is as it was."
picture inferior "inferior ST elevation infarction" 'plain() && salts() && v("stemi") && v("terr") == 1 && !v("omi")' \
    'v("stm") - v("bw")' "ST elevated in II, III and aVF, the mirror image in aVL."
picture anterior "anterior ST elevation infarction" 'plain() && salts() && v("stemi") && v("terr") == 0 && !v("omi")' \
    'v("stm") - v("bw")' "ST elevated in V1 to V4, merging with T."
picture paced "ventricular pacing" 'v("paced") && v("ppvc") < 0.03 && v("volt") > 0.9' \
    'v("spike") - 5 * v("bw")' "A spike before each broad QRS, negative in II, III and aVF; no P before it."
picture pvc "premature ventricular beats" '!v("afib") && !v("paced") && !v("lbbb") && !v("rbbb") && !v("mi") && v("ppvc") > 0.12 && v("ppvc") < 0.25 && v("lvm") < 1.5' \
    '-v("bw") - 3 * v("emg")' "Broad early beats without P, T against them, a compensatory pause."
