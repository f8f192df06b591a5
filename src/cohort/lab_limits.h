/* SPDX-License-Identifier: MIT
 * lab_limits.h: how often each reference limit stands in the laboratory rows of a group, for its median. */
#ifndef ECG_COHORT_LAB_LIMITS_H
#define ECG_COHORT_LAB_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    double *value;  /* open addressing; NAN: free */
    int64_t *count;
    int64_t n, room;
} ecg_lab_limits; /* = {0} to begin */

bool ecg_lab_limits_add(ecg_lab_limits *l, double value, int64_t count); /* value is no NAN; false: out of memory */
bool ecg_lab_limits_merge(ecg_lab_limits *l, const ecg_lab_limits *other);
/* Of all that both lists hold (y may be NULL), NAN if that is nothing. False: out of memory. */
bool ecg_lab_limits_median(double *out, const ecg_lab_limits *x, const ecg_lab_limits *y);
void ecg_lab_limits_clear(ecg_lab_limits *l);

#endif
