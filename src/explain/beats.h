/* SPDX-License-Identifier: MIT
 * beats.h: where heartbeats and their waves lie, well enough to take them away: QRS complexes by steepness, the other waves by windows that scale with the
 * distance of the beats. Not a measurement of intervals. */
#ifndef ECG_EXPLAIN_BEATS_H
#define ECG_EXPLAIN_BEATS_H

#include <stdint.h>

#include "ecgraft.h"

/* Middles of the QRS complexes of x (n, leads), ascending, at most `most` into at; NAN counts as no change. room: 2 n. Returns how many. */
int64_t ecg_find_beats(int64_t *at, int64_t most, double *room, const float *x, int64_t n, int leads, double rate_hz);

/* The window [from, to) of a wave of beat i, within the recording; empty where from >= to. QRS: 60 ms before its middle to 80 ms behind. P: from 250 ms before,
 * or a third of the distance to the beat before if that is less, to the QRS. ST-T: from the QRS for 0.45 s times the root of the distance to the next beat in
 * seconds, at most to that beat's P. At the ends of the recording the median distance stands for the one that is not known. */
void ecg_wave_window(int64_t *from, int64_t *to, int wave, int64_t i, const int64_t *at, int64_t beats, int64_t n, double rate_hz);

/* out = x with the wave of all beats (ECG_WAVE_P ...) replaced in each lead by the line between the means of the 30 ms at the window's ends. */
void ecg_without_wave(float *out, const float *x, int64_t n, int leads, int wave, const int64_t *at, int64_t beats, double rate_hz);

/* out = x with one lead replaced by its own median. room: n. */
void ecg_without_lead(float *out, double *room, const float *x, int64_t n, int leads, int lead);

#endif
