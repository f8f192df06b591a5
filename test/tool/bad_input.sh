#!/bin/sh
# SPDX-License-Identifier: MIT
# The three lists of bad input, through the program: refused (1), read with a warning (0), refused by predict (4).
. test/expect.sh
fold=-i
T=$(mktemp -d) && trap 'rm -rf "$T"' EXIT
cd "$T" || exit 1
gone() { # what, file: it must not exist, nor a half-written sibling
    if ls "$2"* >/dev/null 2>&1; then echo "FAIL $1: $(ls "$2"*) was left behind"; failed=$((failed + 1)); else passed=$((passed + 1)); fi
}

# one good recording: 12 leads, 500 Hz, 10 s
"$E" synth hospital --patients 3 --seed 7 -q || { echo "FAIL no recording to spoil"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
good=$(find hospital -name '*.hea' | sort | head -n 1)
base=${good%.hea} name=$(basename "${good%.hea}")
fresh() { # a copy under the name x, header named x as well
    rm -rf work && mkdir work
    sed "s/$name/x/g" "$base.hea" >work/x.hea
    cp "$base.dat" work/x.dat
}
edit() { sed -i "$1" work/x.hea; }
fresh
expect 0 '12' "the good one" "$E" info work/x.hea
expect 0 '12' "without extension" "$E" info work/x
expect 0 'ecgraft.info/1' "as JSON" "$E" info work/x.hea --json

# ---- refused, exit 1, with the file and the cause
expect 1 'none.hea' "absent" "$E" info work/none.hea
expect 1 'folder' "a folder for a file" "$E" info work/
: >work/empty.hea;                                   expect 1 'empty.hea' "empty" "$E" info work/empty.hea
fresh; head -c 60000 "$base.dat" >work/x.dat;        expect 1 'x.dat' "signal file cut in half" "$E" info work/x.hea
fresh; rm work/x.dat;                                expect 1 'x.dat' "signal file absent" "$E" info work/x.hea
fresh; : >work/x.dat;                                expect 1 'x.dat' "signal file empty" "$E" info work/x.hea
fresh; edit '2s/ 16 / 17 /';                         expect 1 'x.hea:2.*format' "unknown storage format" "$E" info work/x.hea
fresh; edit '1s/ 12 / 13 /';                         expect 1 '13.*12|12.*13' "more signals announced than described" "$E" info work/x.hea
fresh; edit '1s/ 5000/ 50000/';                      expect 1 'x.dat|x.hea' "more samples announced than present" "$E" info work/x.hea
fresh; edit '1s/ 12 / 0 /';                          expect 1 'x.hea' "no signals" "$E" info work/x.hea
fresh; edit '1s/ 12 / 999999999 /';                  expect 1 'x.hea' "absurd number of signals" "$E" info work/x.hea
fresh; edit '1s/ 12 / -3 /';                         expect 1 'x.hea' "negative number of signals" "$E" info work/x.hea
fresh; edit '1s/ 5000/ 99999999999999999999/';       expect 1 'x.hea' "absurd number of samples" "$E" info work/x.hea
fresh; edit '1s/ 500 / nan /';                       expect 1 'x.hea:1' "rate is NaN" "$E" info work/x.hea
fresh; edit '1s/ 500 / -500 /';                      expect 1 'x.hea:1' "negative rate" "$E" info work/x.hea
fresh; edit '1s/ 500 / 0 /';                         expect 1 'x.hea:1' "rate zero" "$E" info work/x.hea
fresh; edit 's#x.dat#../../etc/passwd#';             expect 1 'leaves the folder' "name leaves the folder" "$E" info work/x.hea
fresh; edit 's#x.dat#/etc/passwd#';                  expect 1 'leaves the folder|absolute' "absolute name" "$E" info work/x.hea
fresh; edit 's#x.dat#/dev/zero#';                    expect 1 'leaves the folder|absolute' "a device" "$E" info work/x.hea
fresh; edit '3s/ II$/ I/';                           expect 1 'lead|twice|duplicat' "a lead twice" "$E" info work/x.hea
fresh; head -c 4000 "$base.dat" >work/x.hea;         expect 1 'x.hea' "binary noise as header" "$E" info work/x.hea
fresh; expect 1 '' "output folder absent" "$E" convert work/x.hea -o work/no/such/place.csv
fresh; expect 1 '' "output is a folder" "$E" convert work/x.hea -o work
if [ -w /dev/full ]; then
    fresh; ln -s /dev/full work/full.csv 2>/dev/null
    if mkdir small 2>/dev/null && mount -t tmpfs -o size=64k tmpfs small 2>/dev/null; then
        expect 1 'space|write' "disk full" "$E" convert work/x.hea -o small/x.csv
        gone "disk full" small/x.csv
        umount small
    else
        echo "skip disk full: no small file system can be mounted here"; skipped=$((skipped + 1))
    fi
fi

# ---- read, with a warning in the quality line
fresh; edit '2s/ \(-\{0,1\}[0-9]*\) 0 I/ 4242 0 I/'; expect 0 'checksum' "wrong checksum" "$E" info work/x.hea
fresh; edit '2s/200.0(0)/0(0)/';                     expect 0 'gain' "gain 0" "$E" info work/x.hea
fresh; printf '# caf\351 \001\n' >>work/x.hea;       expect 0 '' "odd bytes in a comment" "$E" info work/x.hea
fresh; sed -i 's/$/\r/' work/x.hea;                  expect 0 '12' "CRLF" "$E" info work/x.hea
fresh; printf '\357\273\277' | cat - work/x.hea >work/y && mv work/y work/x.hea; expect 0 '12' "byte order mark" "$E" info work/x.hea
fresh; head -c 2400 "$base.dat" >>work/x.dat;        expect 0 'longer|more' "longer file than announced" "$E" info work/x.hea
fresh; edit '1s/ 5000.*//';                          expect 0 '' "sample count left out" "$E" info work/x.hea
fresh; head -c 120000 /dev/zero >work/x.dat;         expect 0 'flat' "flat leads" "$E" info work/x.hea

# ---- a model, small and quick
"$E" synth big --patients 260 --seed 8 -q && "$E" cohort build --mimic big -o big.cohort -q >out 2>err &&
    "$E" pretrain big.cohort -o s1 --preset small --set pretrain.epochs=1 -q >>out 2>>err &&
    "$E" finetune diagnoses big.cohort --from s1 -o s2 --set finetune.epochs=1 --set finetune.updates=0 -q >>out 2>>err ||
    { echo "FAIL no model to spoil: $(tail -n 3 err)"; failed=$((failed + 1)); }
model=s2/model.safetensors
if [ -f $model ]; then
    fresh
    expect 0 'not a medical device' "predict" "$E" predict s2 work/x.hea
    expect 0 'ecgraft.prediction/1' "predict as JSON" "$E" predict $model work/x.hea --json
    expect 0 'no lab' "a model without a laboratory head says so" "$E" predict s2 work/x.hea
    head -c $(($(wc -c <$model) / 2)) $model >half.safetensors
    expect 1 'half.safetensors' "a model cut in half" "$E" predict half.safetensors work/x.hea
    expect 1 '' "a recording for a model" "$E" predict work/x.hea work/x.hea
    : >none.safetensors; expect 1 'none.safetensors' "an empty model" "$E" predict none.safetensors work/x.hea
    # quality refusals: exit 4
    fresh; edit '1s/ 5000/ 1000/';                    expect 4 '200|250|short|samples' "2 seconds" "$E" predict s2 work/x.hea
    fresh; edit '13d;1s/ 12 / 11 /'; expect_dat=1
    python3 - "$base.dat" work/x.dat 2>/dev/null <<'PY' || expect_dat=0
import sys
d = open(sys.argv[1], 'rb').read()
open(sys.argv[2], 'wb').write(b''.join(d[i:i + 22] for i in range(0, len(d), 24)))
PY
    if [ $expect_dat = 1 ]; then
        expect 4 'V6' "V6 absent" "$E" predict s2 work/x.hea
        expect 0 '' "V6 absent, allowed" "$E" predict s2 work/x.hea --allow-missing-leads
    else
        echo "skip a lead absent: no python3"; skipped=$((skipped + 2))
    fi
    fresh; head -c 120000 /dev/zero | tr '\000' '\200' >work/x.dat; sed -i 's/200.0(0)/200.0(0)/' work/x.hea
    # 0x8080 is a number, 0x8000 is the missing code: little endian 00 80
    i=0; : >miss; while [ $i -lt 600 ]; do printf '\000\200\000\200\000\200\000\200\000\200\000\200\000\200\000\200\000\200\000\200' >>miss; i=$((i + 1)); done
    rm work/x.dat; for i in 1 2 3 4 5 6 7 8 9 10; do cat miss >>work/x.dat; done
    expect 4 'missing|valid' "every sample missing" "$E" predict s2 work/x.hea
    fresh; mkdir other; cp work/x.* other/; head -c 100 "$base.dat" >other/x.dat
    expect 3 '' "one of two recordings fails" "$E" predict s2 work/x.hea other/x.hea
    expect 2 'model' "no arguments" "$E" predict
    expect 2 'top' "unknown option names the nearest" "$E" predict s2 work/x.hea --tob 3
fi
expect 2 '' "unknown command" "$E" predikt
expect 1 '' "no such cohort" "$E" pretrain none.cohort -o run
expect 2 'pretrain.epochs' "unknown configuration key, the nearest named" "$E" pretrain big.cohort -o run --set pretrain.epochz=3
gone "unknown configuration key" run
expect 1 '' "not a cohort" "$E" pretrain work/x.hea -o run
expect 1 '' "not a cohort to describe" "$E" cohort describe work/x.dat
expect 2 '' "nobody to make" "$E" synth none --patients 0
expect 1 'empty|force' "a target that is not empty" "$E" synth hospital --patients 3

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
