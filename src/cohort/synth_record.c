/* SPDX-License-Identifier: MIT */
#include "cohort/synth_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cohort/synth_rows.h"
#include "cohort/synth_tables.h"

enum { LEADS = ECG_SYNTH_LEADS, SAMPLES = ECG_SYNTH_SAMPLES, PATH = 512 + 200 };

static const char *const lead_names[LEADS] = {"I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6"};

static ecg_status write_file(const char *path, const void *bytes, size_t len, ecg_err *err)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return ecg_fail_errno(err, path, "cannot create");
    const char *at = bytes;
    while (len) {
        const ssize_t done = write(fd, at, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            const ecg_status st = ecg_fail_errno(err, path, "cannot write");
            close(fd);
            unlink(path);
            return st;
        }
        at += done;
        len -= (size_t)done;
    }
    if (close(fd) != 0) {
        const ecg_status st = ecg_fail_errno(err, path, "cannot write");
        unlink(path);
        return st;
    }
    return ECG_OK;
}

static void header_text(char *out, size_t size, const ecg_record_name *name, int16_t samples[SAMPLES][LEADS])
{
    int year, month, day;
    ecg_civil_of(name->time, &year, &month, &day);
    const int of_day = (int)(name->time % 86400), study = (int)name->study_id;
    int at = snprintf(out, size, "%d %d 500 %d %02d:%02d:%02d %02d/%02d/%04d\n", study, LEADS, SAMPLES, of_day / 3600, of_day / 60 % 60, of_day % 60, day, month, year);
    uint16_t sum[LEADS] = {0};
    for (int i = 0; i < SAMPLES; i++)
        for (int lead = 0; lead < LEADS; lead++)
            sum[lead] = (uint16_t)(sum[lead] + (uint16_t)samples[i][lead]);
    for (int lead = 0; lead < LEADS; lead++)
        at += snprintf(out + at, size - (size_t)at, "%d.dat 16 200.0(0)/mV 16 0 %d %d 0 %s\n", study, samples[0][lead], (int16_t)sum[lead], lead_names[lead]);
    snprintf(out + at, size - (size_t)at, "# <subject_id>: %d\n", (int)name->subject_id);
}

/* The folders of a record; path: the innermost. */
static ecg_status make_folders(char path[PATH], const char *root, const ecg_record_name *name, ecg_err *err)
{
    char folder[64];
    ecg_synth_record_folder(folder, name->subject_id, name->study_id);
    snprintf(path, PATH, "%s/files/%s", root, folder);
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return ECG_OK;
    for (size_t n = 1; n <= strlen(folder); n++) {
        if (folder[n] && folder[n] != '/')
            continue;
        snprintf(path, PATH, "%s/files/%.*s", root, (int)n, folder);
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            return ecg_fail_errno(err, path, "cannot make the folder");
    }
    return ECG_OK;
}

ecg_status ecg_synth_record_write(const char *root, const ecg_record_name *name, int16_t samples[SAMPLES][LEADS], bool again, uint8_t bytes[ECG_SYNTH_BYTES],
                                  ecg_err *err)
{
    for (int i = 0; i < SAMPLES; i++)
        for (int lead = 0; lead < LEADS; lead++) {
            const uint16_t word = (uint16_t)samples[i][lead];
            bytes[2 * (i * LEADS + lead)] = (uint8_t)word;
            bytes[2 * (i * LEADS + lead) + 1] = (uint8_t)(word >> 8);
        }
    char path[PATH], part[PATH], header[1400];
    ecg_status st = make_folders(path, root, name, err);
    if (st)
        return st;
    const size_t base = strlen(path);
    memcpy(part, path, base);
    snprintf(path + base, sizeof path - base, "/%d.hea", (int)name->study_id);
    snprintf(part + base, sizeof part - base, "/%d.hea.part", (int)name->study_id);
    if (again && unlink(path) != 0 && errno != ENOENT)
        return ecg_fail_errno(err, path, "cannot remove");
    char signal[PATH];
    memcpy(signal, path, base);
    snprintf(signal + base, sizeof signal - base, "/%d.dat", (int)name->study_id);
    if ((st = write_file(signal, bytes, ECG_SYNTH_BYTES, err)))
        return st;
    header_text(header, sizeof header, name, samples);
    st = write_file(part, header, strlen(header), err);
    if (!st && rename(part, path) != 0)
        st = ecg_fail_errno(err, path, "cannot rename into place");
    if (st) {
        unlink(part);
        unlink(signal);
    }
    return st;
}
