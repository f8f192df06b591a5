/* SPDX-License-Identifier: MIT
 * formats.h: the list of recording formats {name, detect, read}. A reader takes names and bytes from a source and opens nothing itself. */
#ifndef ECG_ECG_FORMATS_H
#define ECG_ECG_FORMATS_H

#include "ecg/record.h"

typedef struct {
    const char *name;
    bool (*detect)(const char *file, const uint8_t *head, size_t len); /* the first bytes of the named file */
    ecg_status (*read)(ecg_record *rec, ecg_source *src, const char *file, ecg_err *err);
} ecg_format;

extern const ecg_format *const ecg_formats[]; /* ends with NULL */

/* file is a name inside src, with or without extension. */
ecg_status ecg_record_read_from(ecg_record *rec, ecg_source *src, const char *file, ecg_err *err);

#endif
