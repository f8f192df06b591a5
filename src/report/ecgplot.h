/* SPDX-License-Identifier: MIT
 * ecgplot.h: one recording on ECG paper, in true millimetres: grid of 1 and 5 mm, calibration pulse of 1 mV and 200 ms on every row, lead
 * names, paper speed, gain, filter state and the statement of use on the page. Draws what was recorded and filters nothing. */
#ifndef ECG_REPORT_ECGPLOT_H
#define ECG_REPORT_ECGPLOT_H

#include "base/text.h"
#include "ecg/record.h"

typedef enum {
    ECG_LAYOUT_3X4,     /* I II III | aVR aVL aVF | V1 V2 V3 | V4 V5 V6, a quarter of the time each, a rhythm strip below */
    ECG_LAYOUT_6X2,     /* I II III aVR aVL aVF | V1 ... V6, half of the time each */
    ECG_LAYOUT_12X1,    /* twelve rows, the whole time each */
    ECG_LAYOUT_CABRERA, /* aVL I -aVR II aVF III | V1 ... V6, half of the time each */
    ECG_LAYOUTS
} ecg_layout;
extern const char *const ecg_layout_names[ECG_LAYOUTS]; /* "3x4" "6x2" "12x1" "cabrera" */

enum { ECG_GAIN_FITTING = 0 /* 10, or 5 where waves would leave the paper at 10: the drawing says so */ };
enum { ECG_RHYTHM_USUAL = -1 /* II below 3x4, none below the others */, ECG_RHYTHM_NONE = -2 };

typedef struct {
    ecg_layout layout;
    int speed_mm_per_s; /* 25 or 50 */
    int gain_mm_per_mv; /* 5, 10 or 20; ECG_GAIN_FITTING */
    int seconds;        /* of the paper, 1 to 60: what is drawn of a longer recording is its beginning */
    int rhythm;         /* ECG_I ... ECG_V6, or one of the above */
    const char *title;  /* first line of the page; NULL: the record's name */
    bool panel;         /* part of a page that names the record itself: no head, no margin, rows nearer each other */
} ecg_plot_options;
extern const ecg_plot_options ecg_plot_usual; /* 3x4, 25 mm/s, 10 mm/mV, 10 s, II below, no title */

/* Appends an <svg> element (no XML declaration, so that it may also stand inside an HTML page). The first seconds are drawn and the page
 * says so if there are more; columns share the time of the drawing and follow each other in time, so a beat in a column stands above the
 * same beat of the rhythm strip. A lead that is absent is written "not recorded", missing samples leave gaps. The paper grows with the
 * amplitude; what would still leave it is held at its edge and named on the page, as is a lead that is drawn around another level than 0.
 * For whoever measures on it, the element says where things are: data-speed, data-gain, data-time0 (mm, where time 0 stands), and each
 * <g data-strip data-lead> data-ms ("first last") and data-level (mm, where its middle line stands).
 * ECG_EARG: an option that is none of the above. ECG_EDATA: no samples, no rate, none of the twelve leads. */
ecg_status ecg_plot(ecg_text *svg, const ecg_record *rec, const ecg_plot_options *options, ecg_err *err);

#endif
