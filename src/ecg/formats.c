/* SPDX-License-Identifier: MIT */
#include "ecg/formats.h"

#include <stdio.h>
#include <string.h>

#include "ecg/read_wfdb.h"

const ecg_format *const ecg_formats[] = {&ecg_format_wfdb, NULL};

/* The signal file of a record stands for it ("1.dat" for "1.hea"), but only if that header names it. */
static bool header_names(ecg_source *src, const char *header, const char *file)
{
    ecg_bytes bytes;
    ecg_wfdb_header h;
    bool named = false;
    if (ecg_source_open(src, header, &bytes, NULL))
        return false;
    if (!ecg_wfdb_header_parse(&h, bytes.at, bytes.len, NULL)) {
        const char *slash = strrchr(file, '/');
        for (int i = 0; !h.segments && i < h.signals; i++)
            named = named || strcmp(h.signal[i].file, slash ? slash + 1 : file) == 0;
        ecg_wfdb_header_clear(&h);
    }
    ecg_bytes_free(&bytes);
    return named;
}

/* One that is refused is there: reading it will say why. */
static bool is_there(ecg_source *src, const char *file)
{
    ecg_bytes bytes;
    const ecg_status st = ecg_source_open(src, file, &bytes, NULL);
    if (!st)
        ecg_bytes_free(&bytes);
    return st != ECG_EIO;
}

ecg_status ecg_record_read_from(ecg_record *rec, ecg_source *src, const char *file, ecg_err *err)
{
    char header[512];
    ecg_bytes bytes = {0};
    memset(rec, 0, sizeof *rec);
    /* without extension: the header beside it */
    snprintf(header, sizeof header, "%.500s.hea", file);
    if (!ecg_format_wfdb.detect(file, NULL, 0) && is_there(src, header))
        return ecg_format_wfdb.read(rec, src, header, err);

    const ecg_status st = ecg_source_open(src, file, &bytes, err);
    if (st)
        return st;
    for (int i = 0; ecg_formats[i]; i++)
        if (ecg_formats[i]->detect(file, bytes.at, bytes.len)) {
            ecg_bytes_free(&bytes);
            return ecg_formats[i]->read(rec, src, file, err);
        }
    const bool empty = bytes.len == 0;
    ecg_bytes_free(&bytes);
    const char *dot = strrchr(file, '.');
    if (dot && !strchr(dot, '/')) {
        snprintf(header, sizeof header, "%.*s.hea", (int)(dot - file < 500 ? dot - file : 500), file);
        if (header_names(src, header, file))
            return ecg_format_wfdb.read(rec, src, header, err);
    }
    char path[512];
    if (ecg_join(path, sizeof path, src->where, file, NULL))
        snprintf(path, sizeof path, "%.511s", file);
    return ecg_fail_at(err, ECG_EFORMAT, path, 0, 0, empty ? "the file is empty" : "not a recording in a format that is known here");
}

ecg_status ecg_record_read(ecg_record *rec, const char *path, ecg_err *err)
{
    char folder[512], beside[520];
    ecg_source src;
    memset(rec, 0, sizeof *rec);
    size_t len = strlen(path);
    if (len == 0)
        return ecg_fail(err, ECG_EARG, "no path");
    if (len >= sizeof folder)
        return ecg_fail_at(err, ECG_EARG, path, 0, 0, "a path of over 511 bytes");
    snprintf(beside, sizeof beside, "%s.hea", path);
    if (ecg_is_folder(path) && !ecg_is_file(beside))
        return ecg_fail_at(err, ECG_EIO, path, 0, 0, "a folder, not a recording");
    memcpy(folder, path, len + 1);
    char *slash = strrchr(folder, '/');
    const char *file = slash ? path + (slash - folder) + 1 : path;
    if (slash)
        slash[slash == folder] = 0; /* "/1.hea" lies in "/" */
    else
        folder[0] = 0;
    ecg_status st = ecg_source_folder(&src, folder, err);
    if (st)
        return st;
    st = ecg_record_read_from(rec, &src, file, err);
    ecg_source_close(&src);
    return st;
}
