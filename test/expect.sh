# SPDX-License-Identifier: MIT
# expect.sh: what the command-line tests share. Sourced from the project's root: E is the program, expect counts into passed and failed.
E=$(cd "${B:-build}" && pwd)/ecgraft
passed=0 failed=0 skipped=0
fold= # -i: patterns whatever their case
expect() { # code, pattern in stdout or stderr ("" any), what it is, command...
    code=$1 pattern=$2 why=$3
    shift 3
    "$@" >out 2>err
    got=$?
    if [ $got -ne "$code" ]; then
        echo "FAIL $why: exit $got, expected $code: $(head -c 300 err)"; failed=$((failed + 1))
    elif [ -n "$pattern" ] && ! cat out err | grep -qE $fold -e "$pattern"; then
        echo "FAIL $why: no \"$pattern\" in: $(cat out err | head -c 300)"; failed=$((failed + 1))
    elif grep -qE 'Sanitizer|runtime error' err; then
        echo "FAIL $why: $(grep -E 'Sanitizer|runtime error' err | head -n 1)"; failed=$((failed + 1))
    else
        passed=$((passed + 1))
    fi
}
