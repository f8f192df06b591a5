#!/bin/sh
# SPDX-License-Identifier: MIT
# The house rules that a script can prove: include order, exported symbols, the public header alone, the inference library alone.
B=${B:-build} CC=${CC:-gcc}
passed=0 failed=0
ok() { passed=$((passed + 1)); echo "ok $1"; }
bad() { failed=$((failed + 1)); echo "FAIL $1"; }

# 1. A file includes its own folder and folders above it in docs/ARCHITECTURE.md, section 2.
order="base num stat ecg explain net model cohort study report"
rank() { n=0; for f in $order tool; do n=$((n + 1)); [ "$f" = "$1" ] && { echo $n; return; }; done; echo 0; }
wrong=$(
    for file in src/*/*.[ch] tool/*.[ch]; do
        own=$(echo "$file" | sed -E 's#^src/([^/]+)/.*#\1#; s#^tool/.*#tool#')
        mine=$(rank "$own")
        grep -oE '^#include "[^"]+"' "$file" | sed -E 's/.*"(.*)"/\1/' | while read -r inc; do
            case $inc in
            ecgraft.h) continue ;;
            */*) other=${inc%%/*} ;;
            *) other=$own; [ "$own" = tool ] || echo "$file: \"$inc\" without its folder" ;;
            esac
            theirs=$(rank "$other")
            [ "$theirs" -gt 0 ] || echo "$file: \"$inc\" is in no folder of the house"
            [ "$theirs" -le "$mine" ] || echo "$file: \"$inc\" lies below its own folder"
        done
    done
)
[ -z "$wrong" ] && ok "include order" || { bad "include order"; echo "$wrong"; }

# 2. Every symbol that the library exports starts with ecg_ (sanitizers add their own).
wrong=$(nm -g --defined-only "$B/libecgraft.a" 2>/dev/null | awk 'NF == 3 && $3 !~ /^(ecg_|__asan|__odr_asan|__tsan|__ubsan|__sancov)/ {print $3}' | sort -u)
[ -z "$wrong" ] && ok "symbols of libecgraft.a" || { bad "symbols of libecgraft.a"; echo "$wrong"; }
wrong=$(nm -D -g --defined-only "$B/libecgraft.so" | awk 'NF == 3 && $3 !~ /^ecg_/ {print $3}' | sort -u)
count=$(nm -D -g --defined-only "$B/libecgraft.so" | awk 'NF == 3 && $3 ~ /^ecg_/' | wc -l)
[ -z "$wrong" ] && [ "$count" -gt 5 ] && ok "symbols of libecgraft.so ($count)" || { bad "symbols of libecgraft.so"; echo "$wrong"; }

# 3. The public header compiles alone as C and as C++.
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
echo '#include "ecgraft.h"' >"$tmp/alone.c"
cp "$tmp/alone.c" "$tmp/alone.cc"
"$CC" -std=c99 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only "$tmp/alone.c" && ok "ecgraft.h as C99" || bad "ecgraft.h as C99"
CXX=g++
case $CC in *clang*) CXX=clang++ ;; esac
command -v $CXX >/dev/null 2>&1 || CXX=g++
$CXX -std=c++11 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only "$tmp/alone.cc" && ok "ecgraft.h as C++11" || bad "ecgraft.h as C++11"

# 4. A program that predicts links without cohort, study and report.
objects=
for f in base num stat ecg explain net model; do
    for o in "$B"/obj/src/$f/*.o; do [ -f "$o" ] && objects="$objects $o"; done
done
libs=$(pkg-config --libs jansson yaml-0.1 zlib flac; pkg-config --exists libisal && pkg-config --libs libisal)
case $B in *address*) san=-fsanitize=address ;; *undefined*) san=-fsanitize=undefined ;; *thread*) san=-fsanitize=thread ;; *) san= ;; esac
# shellcheck disable=SC2086
"$CC" -std=c17 $san -Iinclude -o "$tmp/predict" examples/predict.c $objects $libs -lm -pthread && ok "the inference library alone" || bad "the inference library alone"
# It multiplies its own matrices, and draws in none of what only cohorts, studies, pages and the server need.
wrong=$( (nm -D -u "$tmp/predict" | grep -iE 'cblas_|[sd]gemm_|mkl_'; ldd "$tmp/predict" | grep -iE 'blas|mkl|lapack|gomp|microhttpd') 2>/dev/null)
[ -x "$tmp/predict" ] && [ -z "$wrong" ] && ok "no BLAS under it" || { bad "no BLAS under it"; echo "$wrong"; }

# 5. Every inhabited folder says what it knows; every source names its licence.
missing=$(for d in src/*/; do ls "$d"*.c >/dev/null 2>&1 && [ ! -f "${d}README.md" ] && echo "${d}README.md"; done)
[ -z "$missing" ] && ok "a README in each folder" || { bad "a README in each folder"; echo "$missing"; }
missing=$(for f in include/*.h src/*/*.[ch] tool/*.[ch] test/*/*.[ch] fuzz/*.c examples/*.c; do head -n 2 "$f" | grep -q 'SPDX-License-Identifier: MIT' || echo "$f"; done)
[ -z "$missing" ] && ok "licence lines" || { bad "licence lines"; echo "$missing"; }

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
