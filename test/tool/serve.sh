#!/bin/sh
# SPDX-License-Identifier: MIT
# serve through the program: the same bytes as predict, folder, token, names, what strangers send, load, the end.
. test/expect.sh
HERE=$PWD
T=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill $pid 2>/dev/null; rm -rf "$T"' EXIT
cd "$T" || exit 1
ok() { passed=$((passed + 1)); }
bad() { echo "FAIL $1"; failed=$((failed + 1)); }
check() { # what it is, test...
    why=$1
    shift
    if "$@"; then ok; else bad "$why"; fi
}
finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ $failed -eq 0 ]
    exit
}

"$E" synth hospital --patients 300 --seed 7 --twins 0 -q && "$E" cohort build --mimic hospital -o c.cohort -q || { bad "no cohort"; finish; }
SMALL="--set encoder.width=8 --set encoder.blocks=2 --set finetune.updates=0"
"$E" finetune diagnoses c.cohort -o two $SMALL --epochs 3 -q && "$E" finetune labs c.cohort --from two -o three --epochs 2 -q &&
    "$E" recalibrate three c.cohort -o model.safetensors -q >/dev/null || { bad "no model"; finish; }
mkdir records && find hospital/mimic-iv-ecg -name '*.hea' | sort | head -n 3 | while read -r h; do cp "$h" "${h%.hea}.dat" records/; done
N=$(basename "$(ls records/*.hea | head -n 1)" .hea)
ln -s ../model.safetensors records/out.hea

# ---- what is said before anything listens
expect 1 'no/such' "a model that is not there" "$E" serve no/such.safetensors --port 0
expect 2 'nothing to work on' "no model" "$E" serve
expect 2 'did you mean --folder' "an option misspelt" "$E" serve model.safetensors --foldr x
expect 2 'open-to-network' "another address without the flag" "$E" serve model.safetensors --address 0.0.0.0 --port 0
expect 2 'at least 16' "open without a token" "$E" serve model.safetensors --open-to-network --port 0
expect 2 'at least 16' "open with a short token" "$E" serve model.safetensors --open-to-network --token short --port 0
expect 2 'not both' "two tokens" "$E" serve model.safetensors --token a --token-file b
expect 2 '0 to 65535' "a port that is none" "$E" serve model.safetensors --port 65536
expect 1 'no/folder' "a folder that is not there" "$E" serve model.safetensors --folder no/folder --port 0
mkdir pre && "$E" pretrain c.cohort -o pre/run --preset small $SMALL --set pretrain.updates=1 -q >/dev/null 2>&1
[ ! -f pre/run/model.safetensors ] || expect 1 'without a head' "a model without a head" "$E" serve pre/run --port 0

# start arguments... : sets U and pid
start() {
    : >address
    "$E" serve model.safetensors --port 0 "$@" >address 2>log &
    pid=$!
    for _ in $(seq 600); do
        [ -s address ] && break
        kill -0 $pid 2>/dev/null || break
        sleep 0.1
    done
    U=$(sed 's|/$||' address)
    [ -n "$U" ] || { bad "no server: $(cat log)"; finish; }
}
stop() { # signal
    kill -"$1" $pid
    wait $pid
    check "exit 0 after $1" [ $? -eq 0 ]
    pid=
    check "no sanitizer speaks" [ -z "$(grep -E 'Sanitizer|runtime error' log)" ]
}
status() { curl -s -o body -w '%{http_code}' "$@"; }
is() { # status, what it is, curl's arguments...
    want=$1 why=$2
    shift 2
    got=$(status "$@")
    if [ "$got" = "$want" ]; then ok; else bad "$why: $got, not $want: $(head -c 200 body)"; fi
}

# ---- a recording
start --folder records
is 200 "the page" "$U/"
is 200 "what the server is" "$U/api/info"
check "it says what it is" grep -q '"statement":"Research software. Not a medical device."' body
is 200 "a recording" -H 'X-Ecgraft: 1' -F "file=@records/$N.hea" -F "file=@records/$N.dat" "$U/api/predict"
ID=$(sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p' body)
(cd records && "$E" predict ../model.safetensors "$N.hea" --json --html ../p.html -q >../p.json 2>/dev/null
    "$E" predict ../model.safetensors "$N.hea" --html ../p2.html --layout cabrera --speed 50 --gain 20 -q >/dev/null)
is 200 "its JSON" "$U/api/results/$ID.json"
check "the bytes of predict --json" cmp -s p.json body
is 200 "its page" "$U/api/results/$ID.html"
check "the bytes of predict --html" cmp -s p.html body
is 200 "its page again" "$U/api/results/$ID.html"
check "the same bytes" cmp -s p.html body
is 200 "another layout" "$U/api/results/$ID.html?layout=cabrera&speed=50&gain=20"
check "the bytes of predict --html --layout" cmp -s p2.html body
is 200 "its drawing" "$U/api/results/$ID.svg"
check "an SVG" grep -q '^<svg' body
is 200 "its table" "$U/api/results/$ID.csv"
is 200 "the list" "$U/api/results"
check "with the recording" grep -q "\"name\":\"$N.hea\"" body
is 200 "the list as a table" "$U/api/results.csv"

# ---- the folder
is 200 "its records" "$U/api/records"
check "three, and a link" [ "$(grep -o '"name"' body | wc -l)" -eq 4 ]
is 200 "one of them" -X POST -H 'X-Ecgraft: 1' "$U/api/open?record=$N.hea"
ID=$(sed -n 's/.*"id":"\([0-9a-f]*\)".*/\1/p' body)
is 200 "its JSON" "$U/api/results/$ID.json"
check "the bytes of predict --json in the folder" cmp -s p.json body
is 400 "up" -X POST -H 'X-Ecgraft: 1' "$U/api/open?record=../model.safetensors"
is 400 "an absolute name" -X POST -H 'X-Ecgraft: 1' "$U/api/open?record=/etc/passwd"
is 400 "a link that leaves" -X POST -H 'X-Ecgraft: 1' "$U/api/open?record=out.hea"
is 404 "a record that is not there" -X POST -H 'X-Ecgraft: 1' "$U/api/open?record=none.hea"
is 403 "a page of another site" -X POST -H 'Origin: http://evil.example' "$U/api/open?record=$N.hea"

# ---- what strangers send
is 421 "another name" -H 'Host: evil.example' "$U/"
is 400 "a part that leaves" -H 'X-Ecgraft: 1' -F "file=@records/$N.hea;filename=../../x.hea" "$U/api/predict"
is 200 "signals alone" -H 'X-Ecgraft: 1' -F "file=@records/$N.dat" "$U/api/predict"
check "the reader's words" grep -q 'not a recording' body
is 415 "JSON" -H 'X-Ecgraft: 1' -H 'Content-Type: application/json' -d '{}' "$U/api/predict"
is 405 "GET" "$U/api/predict"
is 400 "up" --path-as-is "$U/../../etc/passwd"
is 404 "nothing there" "$U/api/x"
head -c 40000000 /dev/zero >large
is 413 "40 MB" -H 'X-Ecgraft: 1' -F file=@large "$U/api/predict"
is 413 "40 MB without a question first" -H 'X-Ecgraft: 1' -H 'Expect:' -F file=@large "$U/api/predict"
expect 1 'in use' "a second server on the port" "$E" serve model.safetensors --port "${U##*:}"
is 200 "it still answers" "$U/api/results"
is 204 "all results dropped" -X DELETE -H 'X-Ecgraft: 1' "$U/api/results"
stop INT

# ---- a token
printf 'sesame-0123456789\n' >token
start --token-file token --open-to-network --address 127.0.0.1 --host-name ecg.example
P=${U##*:} U=http://127.0.0.1:${U##*:}
is 401 "no token" "$U/"
is 200 "the token" -H 'Authorization: Bearer sesame-0123456789' "$U/api/info"
is 303 "the token in the address" -c jar "$U/?token=sesame-0123456789"
is 200 "its cookie" -b jar "$U/"
is 200 "by its name" -H 'Authorization: Bearer sesame-0123456789' -H "Host: ecg.example:$P" "$U/"
is 421 "by another name" -H 'Authorization: Bearer sesame-0123456789' -H 'Host: evil.example' "$U/"
stop TERM

# ---- load, in small; docs/serve.md has the figures of the whole
if /usr/bin/python3 -c '' 2>/dev/null; then
    expect 0 'nothing lost' "16 clients, 64 predictions, 500 pages" /usr/bin/python3 "$HERE/bench/serve_load.py" "$E" model.safetensors "records/$N.hea" --clients 16 --predictions 64 --pages 500
else
    echo "skip load: no python3"; skipped=$((skipped + 1))
fi
finish
