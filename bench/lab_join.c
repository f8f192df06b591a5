/* SPDX-License-Identifier: MIT
 * lab_join.c: the one pass over labevents alone, for bench_cohort.sh: every row within 90 minutes of the arrival of one of N ED stays.
 * lab_join HOSPITAL N THREADS prints one line: rows read, rows kept, how many of them have a number, the sum of these, bytes of text and of the file, seconds
 * of processor (user + system) and of the clock in that pass, MB of anonymous memory at its end. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/file.h"
#include "base/unpack.h"
#include "cohort/lab_rows.h"

static double processor(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double wall(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double anonymous_mb(void)
{
    char line[256];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "RssAnon:", 8))
            kb = strtol(line + 8, NULL, 10);
    if (f)
        fclose(f);
    return (double)kb / 1024;
}

static int by_subject_time(const void *x, const void *y)
{
    const ecg_visit *a = x, *b = y;
    if (a->subject != b->subject)
        return a->subject < b->subject ? -1 : 1;
    return a->time < b->time ? -1 : a->time > b->time;
}

/* N stays, evenly over the table. */
static ecg_status read_stays(ecg_visits *v, const char *path, int64_t n, ecg_err *err)
{
    static const char *const need[] = {"subject_id", "intime"};
    int at[2];
    int64_t stays = 0, room = 0;
    bool more;
    ecg_csv *t;
    ecg_status st = ecg_table_open(&t, at, path, need, 2, err);
    while (!st && !(st = ecg_csv_next(t, &more, err)) && more) {
        if (stays == room)
            v->at = realloc(v->at, (size_t)(room = room ? room * 2 : 1024) * sizeof *v->at);
        if (!v->at)
            return ecg_fail(err, ECG_ENOMEM, "no memory for the stays");
        ecg_visit *x = &v->at[stays++];
        *x = (ecg_visit){0};
        if ((st = ecg_csv_i64(t, at[0], &x->subject, err)) || (st = ecg_csv_time(t, at[1], &x->time, err)))
            break;
        x->arrival = x->time;
    }
    ecg_csv_close(t);
    v->n = n < stays ? n : stays;
    for (int64_t i = 0; i < v->n; i++)
        v->at[i] = v->at[i * stays / v->n];
    qsort(v->at, (size_t)v->n, sizeof *v->at, by_subject_time);
    for (int64_t i = 0; i < v->n; i++) {
        v->patients += i > 0 && v->at[i].subject != v->at[i - 1].subject;
        v->at[i].patient = (int32_t)v->patients;
    }
    v->patients += v->n > 0;
    return st;
}

static int64_t count_text(const char *path, ecg_err *err)
{
    ecg_unpack u;
    static char text[1 << 20];
    int64_t n = 0;
    size_t got = 1;
    ecg_status st = ecg_unpack_open(&u, path, err);
    for (; !st && got; n += (int64_t)got)
        st = ecg_unpack_read(&u, text, sizeof text, &got, 0, err);
    ecg_unpack_close(&u);
    return st ? -1 : n;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 1;
    char stays[512], events[512], items[512];
    ecg_err err = {0};
    ecg_visits v = {0};
    ecg_lab_rows l = {0};
    ecg_status st;
    if ((st = ecg_table_find(stays, argv[1], "ed", "edstays.csv", &err)) || (st = ecg_table_find(events, argv[1], "hosp", "labevents.csv", &err)) ||
        (st = ecg_table_find(items, argv[1], "hosp", "d_labitems.csv", &err)) || (st = read_stays(&v, stays, strtol(argv[2], NULL, 10), &err))) {
        fprintf(stderr, "%s: %s\n", err.path, err.msg);
        return 1;
    }
    const int64_t text = count_text(events, &err);
    uint8_t *training = calloc((size_t)v.patients + 1, 1);
    ecg_pool *pool = ecg_pool_new((int)strtol(argv[3], NULL, 10));
    const double cpu = processor(), clock = wall();
    st = training ? ecg_lab_rows_read(&l, &v, training, items, events, 0, ECG_WINDOW, pool, NULL, &err) : ECG_ENOMEM;
    const double cpu_s = processor() - cpu, wall_s = wall() - clock;
    if (st) {
        fprintf(stderr, "%s: %s\n", err.path, err.msg);
        return 1;
    }
    int64_t numbers = 0;
    double sum = 0;
    for (int64_t i = 0; i < l.n; i++)
        if (!l.kind[l.row[i].kind].sign) {
            numbers++;
            sum += l.row[i].number;
        }
    printf("%" PRId64 " %" PRId64 " %" PRId64 " %.3f %" PRId64 " %" PRId64 " %.4f %.4f %.1f\n", l.read, l.n, numbers, sum, text, ecg_file_size(events), cpu_s,
           wall_s, anonymous_mb());
    ecg_lab_rows_clear(&l);
    ecg_pool_free(pool);
    free(training);
    free(v.at);
    return 0;
}
