#!/bin/sh
# SPDX-License-Identifier: MIT
# predict --html through the program; and the page in a browser: one sheet of A4, true millimetres on it, nothing cut off on a telephone.
. test/expect.sh
HERE=$PWD
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
ok() { passed=$((passed + 1)); }
bad() { echo "FAIL $1"; failed=$((failed + 1)); }
skip() { echo "skip $1"; skipped=$((skipped + 1)); }
check() { # what it is, test...
    why=$1
    shift
    if "$@"; then ok; else bad "$why"; fi
}
none() { ! grep -qE "$@"; }

"$E" synth hospital --patients 300 --seed 7 --twins 0 -q && "$E" cohort build --mimic hospital -o c.cohort -q || { echo "FAIL no cohort"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
SMALL="--set encoder.width=8 --set encoder.blocks=2 --set finetune.updates=0"
"$E" finetune diagnoses c.cohort -o two $SMALL --epochs 3 -q && "$E" finetune labs c.cohort --from two -o three --epochs 2 -q &&
    "$E" recalibrate three c.cohort -o three/calibrated.safetensors -q >/dev/null || { echo "FAIL no model"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
R=$(find hospital/mimic-iv-ecg -name '*.hea' | sort | head -n 1)
M=three/calibrated.safetensors

# ---- the program
expect 0 'predicts' "a page beside the words" "$E" predict $M "$R" --html full.html
expect 0 'ecgraft.prediction/1' "a page beside JSON" "$E" predict $M "$R" --html json.html --json
check "the same page" cmp -s full.html json.html
expect 0 '' "a model without calibrators" "$E" predict two "$R" --html plain.html
check "it says so" grep -q 'no calibrators' plain.html
check "and claims nothing" none 'class="verdict|of 100 flagged' plain.html
for layout in 3x4 6x2 12x1 cabrera; do
    expect 0 '' "layout $layout" "$E" predict $M "$R" --html $layout.html --layout $layout
    check "$layout is drawn" grep -q "<title>ECG [0-9]*: $layout, 25 mm/s" $layout.html
    check "$layout is under 300 kB" [ "$(wc -c <$layout.html)" -lt 300000 ]
done
expect 0 '' "50 mm/s, 20 mm/mV" "$E" predict $M "$R" --html fast.html --speed 50 --gain 20
expect 0 '' "50 mm/s" "$E" predict $M "$R" --html quick.html --speed 50
check "speed and gain on the page" grep -q '>50 mm/s, 20 mm/mV, no filter, the first 5 s of 10 s<' fast.html
expect 2 '3x4, 6x2' "unknown layout" "$E" predict $M "$R" --html x.html --layout 4x3
expect 2 '25 or 50' "unknown speed" "$E" predict $M "$R" --html x.html --speed 30
expect 2 '5, 10 or 20' "unknown gain" "$E" predict $M "$R" --html x.html --gain 3
expect 2 'one recording' "two recordings on one page" "$E" predict $M "$R" "$R" --html x.html
expect 1 'no/such' "folder that is not there" "$E" predict $M "$R" --html no/such/x.html
{ echo 'flat 12 500 5000'; for l in I II III aVR aVL aVF V1 V2 V3 V4 V5 V6; do echo "flat.dat 16 1000(0)/mV 16 0 0 0 0 $l"; done; } >flat.hea
head -c 120000 /dev/zero >flat.dat
expect 0 '' "nothing but zeros" "$E" predict $M flat.hea --html flat.html
check "no claims are made for zeros" grep -q 'No claims are made for this recording' flat.html
check "no figure of the model either" none '<table|I10' flat.html
head -n 3 flat.hea | sed 's/^flat 12/two 2/' >two.hea
expect 4 '' "two leads" "$E" predict $M two.hea --html two.html
check "the page of what was refused" grep -q 'No claims are made for this recording' two.html
check "nothing half written" [ -z "$(ls | grep -E '^x.html|tmp')" ]
for page in full plain flat fast; do
    check "$page: needs nothing but itself" none 'https:|src=|href=|url\(|@import|<script|<link' $page.html
    check "$page: tab order is that of the page" none 'tabindex="[^0]' $page.html
    check "$page: the statement" grep -q 'Research software. Not a medical device.' $page.html
done

# ---- the browser
CHROME=
for c in chromium chromium-browser google-chrome; do
    command -v $c >/dev/null 2>&1 && CHROME=$c && break
done
browser() { # arguments; quiet, at most a minute
    HOME=$T timeout 60 "$CHROME" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$T/chrome" "$@" 2>/dev/null
}
sheets() { grep -ac '/Type */Page$' "$1"; }
if [ -z "$CHROME" ]; then
    skip "no chromium: sheets, millimetres and widths are not looked at"
else
    for page in full 6x2 cabrera quick plain flat two; do
        browser --no-pdf-header-footer --print-to-pdf=$page.pdf "file://$T/$page.html" >/dev/null
        check "$page prints on one sheet" [ "$(sheets $page.pdf)" = 1 ]
        check "$page: A4 on its side" grep -aqE 'MediaBox \[0 0 841\.[0-9]+ 59[45]' $page.pdf
    done
    # in a window as wide as a telephone nothing but the frames that scroll is wider than the page
    sed 's|</body>|<script>document.title = document.documentElement.scrollWidth + " of " + innerWidth + ", ECG " + document.querySelector(".ecg svg").getBoundingClientRect().width.toFixed(1)</script></body>|' full.html >wide.html
    for width in 500 800 1280; do
        title=$(browser --window-size=$width,900 --dump-dom "file://$T/wide.html" | grep -o '<title>[0-9]* of [^<]*')
        title=${title#<title>}
        check "nothing hangs over at $width: $title" [ "${title%% of*}" = "$(echo "$title" | sed 's/.* of \([0-9]*\),.*/\1/')" ]
        check "270 mm are 1020.5 px at 96 to the inch, at $width: $title" [ "${title##*ECG }" = 1020.5 ]
    done
    # printed at 100 %: bold lines of the grid 5.00 mm from each other
    if command -v pdftoppm >/dev/null 2>&1 && /usr/bin/python3 -c 'import numpy' 2>/dev/null; then
        pdftoppm -r 254 -singlefile full.pdf full && check "5 mm of grid are 5 mm of paper" /usr/bin/python3 "$HERE/test/tool/page_grid.py" full.ppm
    else
        skip "no pdftoppm or no numpy: millimetres of the print are not measured"
    fi
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
