#!/bin/sh
# SPDX-License-Identifier: MIT
# ecgraft plot through the program: options, exit codes, nothing left behind where it fails.
. test/expect.sh
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
check() { # what it is, test...
    why=$1
    shift
    if "$@"; then passed=$((passed + 1)); else echo "FAIL $why"; failed=$((failed + 1)); fi
}

{ echo 'x 2 100 200'; echo 'x.dat 16 1000(0)/mV 16 0 0 0 0 I'; echo 'x.dat 16 1000(0)/mV 16 0 0 0 0 II'; } >x.hea
{ echo 'y 1 100 400'; echo 'x.dat 16 1000(0)/mV 16 0 0 0 0 MLII'; } >y.hea
head -c 800 /dev/zero >x.dat

expect 0 '' "a page" "$E" plot x -o x.svg
check "it is SVG in millimetres" grep -qE '^<svg .*width="[0-9.]+mm"' x.svg
check "paper speed, gain, filter" grep -q '>25 mm/s, 10 mm/mV, no filter<' x.svg
check "the statement" grep -q '>Research software. Not a medical device.<' x.svg
expect 0 '^<svg ' "to standard output" "$E" plot x.hea
expect 0 '>50 mm/s, 20 mm/mV, no filter<' "speed and gain" "$E" plot x --speed 50 --gain 20
expect 0 'data-strip="rhythm" data-lead="I"' "rhythm lead in any spelling" "$E" plot x --rhythm 'lead i'
expect 0 '>a &lt;b&gt;<' "title" "$E" plot x --title 'a <b>' --layout Cabrera
expect 2 '3x4, 6x2, 12x1' "unknown layout" "$E" plot x --layout 4x3
expect 2 '25 or 50' "unknown speed" "$E" plot x --speed 500
expect 2 '5, 10 or 20' "unknown gain" "$E" plot x --gain 7
expect 2 'V1' "unknown lead" "$E" plot x --rhythm V9
expect 2 'did you mean --layout' "misspelt option" "$E" plot x --layuot 6x2
expect 2 '' "no recording" "$E" plot
expect 1 'none.hea' "absent recording" "$E" plot none.hea -o none.svg
expect 1 'y: 1 signal, none of the twelve' "none of the twelve leads" "$E" plot y -o y.svg
expect 1 'no/such' "folder that is not there" "$E" plot x -o no/such/x.svg
check "nothing is left behind" [ "$(ls)" = "$(printf 'err\nout\nx.dat\nx.hea\nx.svg\ny.hea')" ]
if [ -w /dev/full ]; then
    expect 1 'standard output' "full disk" sh -c "'$E' plot x >/dev/full"
fi

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
