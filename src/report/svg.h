/* SPDX-License-Identifier: MIT
 * svg.h: a drawing in true millimetres, written as SVG. One user unit is 1 mm; coordinates are whole hundredths of a millimetre, so that
 * a drawing has the same bytes on every machine. Knows nothing of ECGs. Looks are attributes of the <g> around a shape and never a style
 * sheet: several drawings may stand in one HTML page. Out of memory shows in ecg_text.failed. */
#ifndef ECG_REPORT_SVG_H
#define ECG_REPORT_SVG_H

#include "base/text.h"

enum { ECG_SVG_MM = 100 };

/* 1234 -> "12.34", -5 -> "-.05", 500 -> "5" */
void ecg_svg_number(ecg_text *to, int hundredths);

/* Fit for XML text and attributes: & < > " ' as entities, what is no UTF-8 or no character of XML 1.0 as U+FFFD. */
void ecg_svg_escape(ecg_text *to, const char *s);

/* x, y of the left or right end of the text on its base line. */
void ecg_svg_text(ecg_text *to, int x, int y, const char *s);
void ecg_svg_text_end_at(ecg_text *to, int x, int y, const char *s);

/* One <path>: moves are absolute, lines relative, as many blanks left out as SVG allows. A point without a line is drawn as a dot where
 * line ends are round. */
typedef struct {
    ecg_text *to;
    int x, y;           /* the pen */
    bool alone, point;  /* nothing drawn since the move; the last number had a decimal point */
} ecg_svg_path;
void ecg_svg_path_begin(ecg_svg_path *p, ecg_text *to);
void ecg_svg_move(ecg_svg_path *p, int x, int y);
void ecg_svg_line(ecg_svg_path *p, int x, int y);
void ecg_svg_path_end(ecg_svg_path *p);

#endif
