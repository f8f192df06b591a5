# SPDX-License-Identifier: MIT
# icd9_table.awk: the general equivalence mapping of CMS (public domain; columns icd_9,icd_10,flags) to icd9_table.inc. The last row of a code wins,
# "NoDx" means that there is none.   zcat icd_cm_9_to_10_mapping.csv.gz | LC_ALL=C awk -f icd9_table.awk > icd9_table.inc
# The mapping is in ascending order of ICD-9 and ends with V9199. Behind it the file carries some 1,400 rows of a second list, which begins again at
# 25010; the published cohorts were made without them, and with them 401.9 would be a hypertensive crisis (I16.9) and no hypertension (I10).
BEGIN { FS = ","; print "/* made by icd9_table.awk from the general equivalence mapping of CMS (public domain): ICD-9-CM, ICD-10-CM */" }
NR > 1 {
    gsub(/[" \r]/, "")
    if ($1 "" < last "")
        exit # to END
    target[last = $1] = $2
}
END {
    n = 0
    for (code in target)
        if (target[code] != "NoDx" && target[code] != "")
            sorted[++n] = code
    for (gap = int(n / 2); gap > 0; gap = int(gap / 2))     # Shell sort: awk has none of its own
        for (i = gap + 1; i <= n; i++) {
            x = sorted[i]
            for (j = i; j > gap && sorted[j - gap] "" > x ""; j -= gap)
                sorted[j] = sorted[j - gap]
            sorted[j] = x
        }
    for (i = 1; i <= n; i++)
        printf "{\"%s\",\"%s\"},%s", sorted[i], target[sorted[i]], i % 6 && i < n ? "" : "\n"
}
