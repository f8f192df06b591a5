#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs every test and adds up: cmocka programs (TAP), golden vectors, recordings, command-line cases, stored fuzz corpora.
# The last line reads "N passed, N failed, N skipped". UNITS=1: cmocka programs and golden vectors only (slow instrumented builds).
B=${B:-build}
: "${ECGRAFT_GOLDEN:=../shared/golden}" "${ECGRAFT_DATA:=../shared/data}"
export ECGRAFT_GOLDEN ECGRAFT_DATA B
passed=0 failed=0 skipped=0
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT

closing() { # adds the closing line of a program that prints one
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -n 1)
    if [ -z "$line" ]; then
        echo "FAIL $1: ended without a closing line (status $2)"; tail -n 20 "$log"; failed=$((failed + 1)); return
    fi
    set -- "$1" "$2" $line
    passed=$((passed + $3)) failed=$((failed + $5)) skipped=$((skipped + $7))
    [ "$2" -eq 0 ] || [ "$5" -gt 0 ] || { echo "FAIL $1: status $2"; failed=$((failed + 1)); }
    grep -E '^FAIL|^skip' "$log"
    echo "$1: $3 passed, $5 failed, $7 skipped"
}

for t in "$B"/test/*/test_*; do
    [ -x "$t" ] || continue
    case $t in *.o | *.d | */test_data) continue ;; esac
    CMOCKA_MESSAGE_OUTPUT=TAP "$t" >"$log" 2>&1
    st=$?
    ok=$(grep -cE '^ok ' "$log") bad=$(grep -cE '^not ok ' "$log") skip=$(grep -cE '^(not )?ok .*# SKIP' "$log")
    badskip=$(grep -cE '^not ok .*# SKIP' "$log") goodskip=$((skip - badskip))
    ok=$((ok - goodskip)) bad=$((bad - badskip))
    if [ $((ok + bad + skip)) -eq 0 ] || { [ $st -ne 0 ] && [ $bad -eq 0 ]; }; then
        echo "FAIL $t: status $st"; tail -n 20 "$log"; bad=$((bad + 1))
    fi
    [ $bad -eq 0 ] || grep -vE '^ok ' "$log" | head -n 40
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
    echo "${t#"$B"/test/}: $ok passed, $bad failed, $skip skipped"
done

"$B"/test/golden/golden test/golden/vectors >"$log" 2>&1; closing "golden (own copy)" $?
"$B"/test/golden/golden "$ECGRAFT_GOLDEN" >"$log" 2>&1; closing "golden $ECGRAFT_GOLDEN" $?
"$B"/test/golden/golden --bf16 test/golden/vectors "$ECGRAFT_GOLDEN" >"$log" 2>&1; closing "golden in bf16" $?
scripts="test/tool/*.sh test/py/check_*.py"
[ -z "${UNITS:-}" ] || scripts=
if [ -z "${UNITS:-}" ] && [ -x "$B"/test/ecg/test_data ]; then
    "$B"/test/ecg/test_data "$ECGRAFT_DATA" >"$log" 2>&1; closing "recordings $ECGRAFT_DATA" $?
fi
for s in $scripts; do
    [ -f "$s" ] || continue
    case $s in
    *.sh) sh "$s" >"$log" 2>&1; closing "$s" $? ;;
    *.py)
        if /usr/bin/python3 -c 'import numpy, pandas' 2>/dev/null; then
            /usr/bin/python3 "$s" >"$log" 2>&1; closing "$s" $?
        else
            echo "skip $s: python3 with numpy and pandas is not here"; skipped=$((skipped + 1))
        fi ;;
    esac
done
for r in "$B"/replay/fuzz_*; do
    [ -x "$r" ] || continue
    case $r in *.d) continue ;; esac
    name=$(basename "$r")
    if "$r" fuzz/corpus/"${name#fuzz_}" >"$log" 2>&1; then
        passed=$((passed + 1))
    else
        echo "FAIL $name on its corpus"; tail -n 20 "$log"; failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
