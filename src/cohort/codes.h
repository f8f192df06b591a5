/* SPDX-License-Identifier: MIT
 * codes.h: diagnosis codes to labels: ICD-9 to ICD-10, five characters and their prefixes (docs/cohort.md 3), and codes in
 * columns that hold what Python prints: lists, and the SCP dictionaries of PTB-XL. */
#ifndef ECG_COHORT_CODES_H
#define ECG_COHORT_CODES_H

#include "base/status.h"

/* The ICD-10-CM code of an ICD-9-CM code (no dots) by the general equivalence mapping of CMS, its last row where it has several; NULL: none. */
const char *ecg_icd9_to_10(const char *icd9);

/* code as a table spells it -> the label it stands for in out: blanks and dots off, upper case, ICD-9 mapped, five characters, trailing X off.
 * False: no label (unmapped, fewer than three characters, odd bytes). */
bool ecg_icd_label(char out[6], const char *code, size_t len, int version);

typedef struct {
    const char *at; /* inside the text; not ended by 0 */
    size_t len;     /* 0: None, nan or an empty string */
} ecg_list_item;
/* The next item of a list as Python prints it: "['I4891', 'E785']", "[]". *at = 0 to begin. 1: an item, 0: the end, -1: this is no such list. */
int ecg_list_next(ecg_list_item *out, const char *text, size_t len, size_t *at);

typedef struct {
    char code[64];
    double likelihood; /* 0..100 */
} ecg_scp;
/* "{'NORM': 100.0, 'SR': 0.0}" -> out (room). Returns how many, -1: this is no such dictionary, or it has more than room. */
int ecg_scp_parse(ecg_scp *out, int room, const char *text, size_t len);

#endif
