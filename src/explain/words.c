/* SPDX-License-Identifier: MIT
 * words.c: names of laboratory labels, and the pairs of diagnosis and test that say the same. */
#include <stdio.h>
#include <string.h>

#include "explain/explain.h"

void ecg_lab_words(char *test, int size, const char **direction, const char *code)
{
    const size_t n = strlen(code);
    *direction = n > 5 && strcmp(code + n - 5, "_high") == 0 ? "high" : n > 4 && strcmp(code + n - 4, "_low") == 0 ? "low" : "";
    const size_t keep = n - (**direction ? strlen(*direction) + 1 : 0);
    snprintf(test, (size_t)size, "%.*s", (int)keep, code);
    for (char *c = test; *c; c++)
        if (*c == '_')
            *c = ' ';
}

/* A diagnosis that is made from a test, by definition or nearly so: the test explains nothing that the name does not say. Codes by their
 * beginning, tests by a part of their name, lower case. */
static const struct { const char *code, *test, *text; } same[] = {
    {"E875", "potassium", "E87.5 is defined by potassium"},
    {"E876", "potassium", "E87.6 is defined by potassium"},
    {"E870", "sodium", "E87.0 is defined by sodium"},
    {"E871", "sodium", "E87.1 is defined by sodium"},
    {"E872", "bicarbonate", "acidosis is defined by bicarbonate and pH"},
    {"E872", "co2", "acidosis is defined by bicarbonate and pH"},
    {"E872", "ph", "acidosis is defined by bicarbonate and pH"},
    {"E872", "lactate", "acidosis is defined by bicarbonate, pH and lactate"},
    {"E872", "anion", "acidosis is told by the anion gap"},
    {"E873", "bicarbonate", "alkalosis is defined by bicarbonate and pH"},
    {"E873", "co2", "alkalosis is defined by bicarbonate and pH"},
    {"E835", "calcium", "E83.5 is defined by calcium"},
    {"E834", "magnesium", "E83.4 is defined by magnesium"},
    {"E833", "phosph", "E83.3 is defined by phosphate"},
    {"D5", "hemoglobin", "anaemia is defined by haemoglobin"},
    {"D5", "hematocrit", "anaemia is defined by haemoglobin"},
    {"D5", "red blood", "anaemia is defined by haemoglobin"},
    {"D60", "hemoglobin", "anaemia is defined by haemoglobin"},
    {"D61", "hemoglobin", "anaemia is defined by haemoglobin"},
    {"D62", "hemoglobin", "anaemia is defined by haemoglobin"},
    {"D63", "hemoglobin", "anaemia is defined by haemoglobin"},
    {"D64", "hemoglobin", "anaemia is defined by haemoglobin"},
    {"D6", "hematocrit", "anaemia is defined by haemoglobin"},
    {"D6", "red blood", "anaemia is defined by haemoglobin"},
    {"D69", "platelet", "D69 is defined by platelets"},
    {"D72", "white blood", "D72 is defined by white blood cells"},
    {"D72", "wbc", "D72 is defined by white blood cells"},
    {"N17", "creatinine", "kidney failure is defined by creatinine"},
    {"N17", "urea", "kidney failure is told by urea nitrogen"},
    {"N18", "creatinine", "kidney failure is defined by creatinine"},
    {"N18", "urea", "kidney failure is told by urea nitrogen"},
    {"N19", "creatinine", "kidney failure is defined by creatinine"},
    {"R73", "glucose", "R73 is defined by glucose"},
    {"E10", "glucose", "diabetes is defined by glucose"},
    {"E11", "glucose", "diabetes is defined by glucose"},
    {"E13", "glucose", "diabetes is defined by glucose"},
    {"E16", "glucose", "E16 is defined by glucose"},
    {"R791", "inr", "R79.1 is defined by coagulation tests"},
    {"R791", "pt", "R79.1 is defined by coagulation tests"},
    {"I21", "troponin", "infarction is defined by troponin"},
    {"I22", "troponin", "infarction is defined by troponin"},
    {"I5A", "troponin", "injury of the heart is defined by troponin"},
    {"E05", "thyro", "hyperthyroidism is defined by thyroid hormones"},
    {"E05", "tsh", "hyperthyroidism is defined by thyroid hormones"},
    {"E03", "thyro", "hypothyroidism is defined by thyroid hormones"},
    {"E03", "tsh", "hypothyroidism is defined by thyroid hormones"},
    {"R17", "bilirubin", "jaundice is bilirubin"},
    {"E785", "cholesterol", "E78.5 is defined by lipids"},
    {"E780", "cholesterol", "E78.0 is defined by cholesterol"},
};

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c == '_' ? ' ' : c);
}

/* Short parts must be words: "pt" is no part of "Transcripts". */
static int holds(const char *name, const char *part)
{
    const size_t n = strlen(part);
    for (const char *at = name; *at; at++) {
        size_t i = 0;
        while (i < n && lower(at[i]) == part[i])
            i++;
        const int begins = at == name || lower(at[-1]) < 'a' || lower(at[-1]) > 'z', ends = i == n && (lower(at[n]) < 'a' || lower(at[n]) > 'z');
        if (i == n && (n > 3 || (begins && ends)))
            return 1;
    }
    return 0;
}

const char *ecg_same_thing(const char *code, const char *lab)
{
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (strncmp(code, same[i].code, strlen(same[i].code)) == 0 && holds(lab, same[i].test))
            return same[i].text;
    return NULL;
}
