#!/bin/sh
# SPDX-License-Identifier: MIT
# ecgraft report: the files it writes, what it refuses; the page as headless Chromium sees it: no error, no request, pages of paper.
. test/expect.sh
FIXTURE=$PWD/test/report/study
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
check() { # what, command...
    why=$1
    shift
    if "$@"; then passed=$((passed + 1)); else echo "FAIL $why"; failed=$((failed + 1)); fi
}

# ---- files
cp -r "$FIXTURE" run
expect 0 'run/report.html' "the report of a study" "$E" report run
for f in report.html report.md report.json; do check "$f is there" [ -s run/$f ]; done
check "nothing else is left" [ "$(find run -name '*.tmp*' | wc -l)" -eq 0 ]
cp run/report.html first.html
expect 0 '' "quietly again" "$E" report run -q
check "nothing was said" [ ! -s err ]
check "the same bytes" cmp -s first.html run/report.html
check "the first table of report.md has a line a row" [ "$(sed -n '/^| row | diagnoses | labs |/,/^$/p' run/report.md | grep -c '^|')" -eq 15 ]
check "statement in JSON" grep -q '"statement": "Research software. Not a medical device."' run/report.json
check "no address in the page" [ "$(grep -cE '(src|href)=.?(https?:)?//|url\(|@import|<script|<link' run/report.html)" -eq 0 ]

# ---- what is refused
expect 2 'RUN' "no folder" "$E" report
expect 1 'none/results.json' "a folder that is not there" "$E" report none
mkdir broken && printf '{\n "schema": "ecgraft.study/1", "synthetic": true,\n "rows": 5\n}\n' >broken/results.json
expect 1 'broken/results.json:3: rows: a list expected' "results that are none, with the line" "$E" report broken
check "and no report" [ ! -e broken/report.html ]
mkdir bare && printf '{"schema": "ecgraft.study/1", "synthetic": false, "rows": []}' >bare/results.json
expect 0 '' "a study that has only begun" "$E" report bare
check "its page" grep -q 'Not reported' bare/report.html
check "not called synthetic" [ "$(grep -c 'Synthetic cohort' bare/report.html)" -eq 0 ]

# ---- the page in a browser
browser=
for b in chromium chromium-browser google-chrome; do command -v $b >/dev/null 2>&1 && browser=$b && break; done
if [ -z "$browser" ]; then
    echo "skip the page in a browser: chromium is not here (make deps-test)"
    skipped=$((skipped + 1))
else
    see() { # arguments...: what the page logs goes to log
        HOME=$T timeout 120 "$browser" --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars --no-first-run --disable-background-networking \
            --disable-component-update --user-data-dir="$T/profile" --enable-logging=stderr \
            --log-net-log="$T/net.json" "$@" "file://$T/run/report.html" >out 2>log
    }
    see --window-size=1200,4000 --dump-dom
    check "the page opens" grep -q '</footer>' out
    check "nothing on the console" [ "$(grep -c ':CONSOLE' log)" -eq 0 ]
    # the net log names every request, the browser's own to its makers among them
    check "nothing but the file is asked for" [ "$(grep -oE '"url":"[a-z]+:[^"]*"' net.json | grep -vE 'google|gstatic|gvt1|chrome|file:|data:|about:' | wc -l)" -eq 0 ]
    for width in 1200 390; do
        see --window-size=$width,3000 --screenshot="$T/shot$width.png"
        check "a picture $width pixels wide" [ "$(wc -c <"shot$width.png" 2>/dev/null || echo 0)" -gt 20000 ]
    done
    see --print-to-pdf="$T/page.pdf" --no-pdf-header-footer
    check "a printed page" [ "$(head -c 5 page.pdf 2>/dev/null)" = "%PDF-" ]
    pages=$(grep -aoE '/Type */Pages?[^s]' page.pdf 2>/dev/null | grep -c 'Page[^s]')
    count=$(grep -aoE '/Count [0-9]+' page.pdf | sort -k2 -n -r | head -n 1 | cut -d' ' -f2)
    pages=$([ "${count:-0}" -gt "${pages:-0}" ] && echo "$count" || echo "$pages")
    check "pages of paper: $pages" [ "$pages" -ge 8 -a "$pages" -le 30 ]
    check "A4" grep -aqE '/MediaBox *\[ *0 0 59[45](\.[0-9]+)? 84[12]' page.pdf
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
