/* SPDX-License-Identifier: MIT
 * page_assets.h: the files of the local web page (src/report/page), laid into the program at build (src/report/page/embed.sh). */
#ifndef ECG_REPORT_PAGE_ASSETS_H
#define ECG_REPORT_PAGE_ASSETS_H

#include <stddef.h>

typedef struct {
    const char *path, *type;   /* "/" for app.html, else "/name"; the value of Content-Type */
    const unsigned char *data; /* (size), not ended by a zero */
    size_t size;
} ecg_asset;

extern const ecg_asset ecg_page_assets[];
extern const size_t ecg_n_page_assets;

#endif
