#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes the files given as the C table of report/page_assets.h to stdout: the program needs no file beside it to show its page.
echo '/* made by src/report/page/embed.sh */'
echo '#include "report/page_assets.h"'
n=0 rows=
for file in "$@"; do
    name=${file##*/}
    case $name in
    *.html) type=text/html ;;
    *.css) type=text/css ;;
    *.js) type=text/javascript ;;
    *) echo "$0: $file: no type is known for it" >&2; exit 1 ;;
    esac
    [ -s "$file" ] || { echo "$0: $file: empty or not there" >&2; exit 1; }
    [ "$name" = app.html ] && name=
    echo "static const unsigned char asset_$n[] = {"
    od -An -v -tu1 "$file" | sed 's/  *\([0-9][0-9]*\)/\1,/g'
    echo '};'
    rows="$rows    {\"/$name\", \"$type; charset=utf-8\", asset_$n, sizeof asset_$n},
"
    n=$((n + 1))
done
printf 'const ecg_asset ecg_page_assets[] = {\n%s};\nconst size_t ecg_n_page_assets = %d;\n' "$rows" "$n"
