#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# mdsed_codes.py: the 1,428 diagnosis codes of the published table, written short in mdsed_codes.txt, to mdsed_codes.inc with titles of ICD-10-CM 2021
# (CMS and NCHS, public domain). In the text "cat(s1,s2)" stands for cat, cat+s1 and cat+s2.
#     python3 mdsed_codes.py ICD_MAPS_FOLDER <mdsed_codes.txt >mdsed_codes.inc
# The published table is keyed by the code without its version, so that an ICD-9 code that also is an ICD-10 string stayed as it was: there V103 is
# the history of breast cancer and no pedal cyclist. Codes V00-V99 that ICD-9 has are therefore titled through the general equivalence mapping: by the
# longest code that all targets of the ICD-9 codes below them share; without a title where they share none.
import csv, gzip, os, re, sys

folder = sys.argv[1]
with gzip.open(os.path.join(folder, "icd10cm-order-Jan-2021.csv.gz"), "rt", encoding="utf-8", newline="") as f:
    title = {row["code"]: row["long"] for row in csv.DictReader(f)}
with gzip.open(os.path.join(folder, "icd_cm_9_to_10_mapping.csv.gz"), "rt", encoding="utf-8", newline="") as f:
    target = [(row["icd_9"], row["icd_10"]) for row in csv.DictReader(f) if row["icd_10"] != "NoDx"]

codes = []
for category, rest in re.findall(r"([a-z0-9]+)(?:\(([^)]*)\))?", sys.stdin.read()):
    codes += [category.upper()] + [(category + s).upper() for s in rest.split(",") if s]


def title_of(code):
    below = [to for icd9, to in target if icd9.startswith(code)] if code[0] == "V" else []
    if not below:
        return title.get(code, "")
    shared = os.path.commonprefix(below)
    while len(shared) > 3 and shared not in title:
        shared = shared[:-1]
    return "%s (ICD-9-CM %s)" % (title[shared], code[:3] + "." * (len(code) > 3) + code[3:]) if shared in title else ""


print("/* made by mdsed_codes.py from mdsed_codes.txt and the titles of ICD-10-CM 2021 (CMS and NCHS, public domain) */")
for code in sorted(codes):
    print('{"%s", "%s"},' % (code, title_of(code).replace("\\", "\\\\").replace('"', '\\"')))
