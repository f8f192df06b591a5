#!/bin/sh
# SPDX-License-Identifier: MIT
# The page of `ecgraft serve` in a browser: every view, with recordings whose intervals are known. serve_page.py holds the cases.
. test/expect.sh
HERE=$PWD
T=$(mktemp -d) && trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$T"' EXIT
server=
cd "$T" || exit 1
end() { # words for a failure, or nothing
    [ -z "$1" ] || { echo "FAIL $1"; failed=$((failed + 1)); }
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
    exit
}
/usr/bin/python3 -c 'import sys; sys.path.insert(0, "'"$HERE"'/test/tool"); import browser; sys.exit(not browser.find())' 2>/dev/null || {
    echo "skip no python3 or no chromium: the page of serve is not looked at"; skipped=1; end ""; }

"$E" synth hospital --patients 300 --seed 7 --twins 0 -q && "$E" cohort build --mimic hospital -o c.cohort -q || end "no cohort"
SMALL="--set encoder.width=8 --set encoder.blocks=2 --set finetune.updates=0"
"$E" finetune diagnoses c.cohort -o two $SMALL --epochs 3 -q && "$E" finetune labs c.cohort --from two -o three --epochs 2 -q &&
    "$E" recalibrate three c.cohort -o three/calibrated.safetensors -q >/dev/null || end "no model"
mkdir in
find hospital/mimic-iv-ecg -name '*.hea' | sort | head -n 3 | while read -r h; do cp "$h" "${h%.hea}.dat" in/; done
"$E" serve three/calibrated.safetensors --port 0 --folder in --max-upload 1 >where 2>log &
server=$!
for i in $(seq 100); do [ -s where ] && break; sleep 0.2; done
URL=$(grep -o 'http://[^ ]*' where) || end "serve printed no address: $(head -c 300 log)"
/usr/bin/python3 "$HERE/test/tool/serve_page.py" "$URL" in "$T" >page.log 2>&1
grep -vE '^[0-9]+ passed' page.log
set -- $(grep -E '^[0-9]+ passed, [0-9]+ failed$' page.log)
[ -n "$1" ] || end "the browser's part ended without a closing line"
passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + $(grep -c '^skip' page.log)))
kill -TERM $server && wait $server
[ $? -eq 0 ] && passed=$((passed + 1)) || { echo "FAIL serve ends with an error"; failed=$((failed + 1)); }
server=
end ""
