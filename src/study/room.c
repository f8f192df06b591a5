/* SPDX-License-Identifier: MIT
 * room.c: see room.h. */
#include "study/room.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* The number behind a word at the beginning of a line, in the file's own unit; NAN: not there. word "": the first number of the file. */
static double number_in(const char *path, const char *word)
{
    char line[256];
    double x = NAN;
    FILE *f = fopen(path, "r");
    while (f && isnan(x) && fgets(line, sizeof line, f))
        if (strncmp(line, word, strlen(word)) == 0 && sscanf(line + strlen(word), "%lf", &x) != 1)
            x = NAN;
    if (f)
        fclose(f);
    return x;
}

double ecg_memory_anonymous(void)
{
    return 1024 * number_in("/proc/self/status", "RssAnon:");
}

double ecg_memory_free(void)
{
    double room = INFINITY;
    const double available = 1024 * number_in("/proc/meminfo", "MemAvailable:");
    const double group = number_in("/sys/fs/cgroup/memory.max", ""), used = number_in("/sys/fs/cgroup/memory.current", "");
    const double cached = number_in("/sys/fs/cgroup/memory.stat", "file "), size = 1024 * number_in("/proc/self/status", "VmSize:");
    struct rlimit addresses;
    if (isfinite(available))
        room = available;
    if (isfinite(group) && isfinite(used))
        room = fmin(room, group - used + (isfinite(cached) ? cached : 0)); /* files in memory make room where it is short */
    if (getrlimit(RLIMIT_AS, &addresses) == 0 && addresses.rlim_cur != RLIM_INFINITY && isfinite(size))
        room = fmin(room, (double)addresses.rlim_cur - size);
    return fmax(room, 0);
}

/* Floats that a row of a batch takes in the chains: what a linear map puts out, its norm, its ReLU, and gradients. */
static double chain_floats(const ecg_model *m)
{
    double sum = 0;
    for (int i = 0; i < m->table.n; i++) {
        const ecg_param *p = &m->table.row[i];
        const size_t n = strlen(p->name);
        if (p->rank == 2 && strncmp(p->name, "ecg.", 4) != 0 && n > 7 && strcmp(p->name + n - 7, ".weight") == 0)
            sum += 4 * (double)p->dim[0];
    }
    return sum;
}

double ecg_batch_bytes(const ecg_model *m, ecg_need what, int64_t batch, int workers, int64_t keep)
{
    const double H = m->shape.width, E = m->proj_E;
    double row = (double)m->shape.length * m->shape.leads + 2 * H + chain_floats(m), once = 0;
    if (what == ECG_NEED_PRETRAIN) {
        row += 6 * E + 3 * m->tab.out + 2 * m->contract.columns;
        once = 2 * E * E;
    }
    return 4 * ((double)batch * row + once) + (double)ecg_encoder_work_bytes(m->encoder, workers, (int)keep, true);
}

ecg_status ecg_room_for(double bytes, const char *what, ecg_err *err)
{
    const double room = ecg_memory_free(), gib = 1073741824.0;
    if (bytes <= room)
        return ECG_OK;
    return ecg_fail(err, ECG_ENOMEM, "%s needs %.3g GiB of memory, %.3g GiB are free", what, bytes / gib, room / gib);
}

ecg_status ecg_room_keep(int *keep, const ecg_model *m, ecg_need what, int batch, int workers, int64_t memory_mb, const ecg_watch *watch, ecg_err *err)
{
    const double none = (double)ecg_encoder_work_bytes(m->encoder, workers, 0, true), each = (double)ecg_encoder_work_bytes(m->encoder, workers, 1, true) - none;
    const double bytes = ecg_batch_bytes(m, what, batch, workers, 0);
    char name[48];
    snprintf(name, sizeof name, "a batch of %d", batch);
    const ecg_status st = ecg_room_for(bytes, name, err);
    if (st)
        return st;
    const double room = fmin((double)memory_mb * 1048576 - none, ecg_memory_free() - bytes), crops = floor(fmax(room, 0) / each);
    *keep = crops < batch ? (int)crops : batch;
    if (*keep < batch)
        ecg_say(watch, "the activations of %d of %d crops fit into memory (train.memory_mb %lld): the others are computed again in the backward pass", *keep,
                batch, (long long)memory_mb);
    return ECG_OK;
}
