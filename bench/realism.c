/* SPDX-License-Identifier: MIT
 * realism.c: real sinus rhythm and synthetic sinus rhythm through the same delineator and the same spectrum, as the Markdown tables of
 * docs/realism.md. Usage: realism DATA, where DATA/ptbxl, DATA/ludb and DATA/cinc2021 are read if they are there. */
#include <complex.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "base/source.h"
#include "cohort/delineate.h"
#include "cohort/synth_tables.h"
#include "ecg/record.h"

enum { MOST = 600, BANDS = 8, WINDOW = 4096, RATE = 500 };

static const double band[BANDS][2] = {{0.05, 0.5}, {0.5, 5}, {5, 15}, {15, 40}, {40, 58}, {62, 100}, {49, 51}, {59, 61}};

enum { FIGURES = 5 };
static const char *const figure_name[FIGURES] = {"heart rate, beats/min", "PR, ms", "QRS, ms", "QT, ms", "frontal axis, degrees"};

typedef struct {
    const char *name;
    int n;
    double figure[FIGURES][MOST];
    double r[12][MOST], s[12][MOST], t[12][MOST], sd[12][MOST];
    double rms[2][BANDS][MOST]; /* limb leads I II III aVR aVL aVF and chest leads: root of the mean square, uV */
} group;

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of what is not NAN. */
static double quantile(const double *x, int n, double share)
{
    double v[MOST];
    int m = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(x[i]))
            v[m++] = x[i];
    qsort(v, (size_t)m, sizeof *v, ascending);
    return m ? v[(int)(share * (m - 1) + 0.5)] : NAN;
}

static double mean(const double *x, int n)
{
    double sum = 0;
    int m = 0;
    for (int i = 0; i < n; i++)
        if (!isnan(x[i]))
            sum += x[i], m++;
    return sum / m;
}

/* ---- one recording -------------------------------------------------------------------------------------------------------- */

static void fourier(double complex *x)
{
    for (int i = 1, j = 0; i < WINDOW; i++) {
        int bit = WINDOW / 2;
        for (; j & bit; bit /= 2)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            const double complex swap = x[i];
            x[i] = x[j];
            x[j] = swap;
        }
    }
    for (int size = 2; size <= WINDOW; size *= 2)
        for (int k = 0; k < size / 2; k++) {
            const double complex w = cexp(-2 * acos(-1) * I * k / size);
            for (int i = k; i < WINDOW; i += size) {
                const double complex a = x[i], b = w * x[i + size / 2];
                x[i] = a + b;
                x[i + size / 2] = a - b;
            }
        }
}

/* Mean square of the first 8.2 s in each band, Hann window. */
static void add_power(double power[BANDS], const float *x)
{
    static double complex y[WINDOW];
    double level = 0, weight = 0;
    for (int i = 0; i < WINDOW; i++)
        level += (double)x[i] / WINDOW;
    for (int i = 0; i < WINDOW; i++) {
        const double w = 0.5 - 0.5 * cos(2 * acos(-1) * i / WINDOW);
        y[i] = w * ((double)x[i] - level);
        weight += w * w;
    }
    fourier(y);
    for (int k = 1; k < WINDOW / 2; k++) {
        const double hertz = (double)k * RATE / WINDOW, a = cabs(y[k]);
        for (int b = 0; b < BANDS; b++)
            if (hertz >= band[b][0] && hertz < band[b][1])
                power[b] += 2 * a * a / weight / WINDOW;
    }
}

static void add(group *g, const float *mv, int64_t n)
{
    static delineation d;
    if (g->n == MOST || n < WINDOW || !delineate(&d, mv, n))
        return;
    double power[2][BANDS] = {{0}};
    for (int l = 0; l < 12; l++) {
        const float *x = mv + l * n;
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < n; i++) {
            sum += (double)x[i];
            squares += (double)x[i] * (double)x[i];
        }
        if (isnan(sum))
            return;
        g->sd[l][g->n] = sqrt(squares / (double)n - sum / (double)n * (sum / (double)n));
        g->r[l][g->n] = d.r[l];
        g->s[l][g->n] = d.s[l];
        g->t[l][g->n] = d.t[l];
        add_power(power[l >= 6], x);
    }
    const double figures[FIGURES] = {d.rate, d.qrs_on - d.p_on, d.qrs_off - d.qrs_on, d.t_end - d.qrs_on, d.axis};
    for (int f = 0; f < FIGURES; f++)
        g->figure[f][g->n] = figures[f];
    for (int part = 0; part < 2; part++)
        for (int b = 0; b < BANDS; b++)
            g->rms[part][b][g->n] = 1000 * sqrt(power[part][b] / 6);
    g->n++;
}

/* ---- two cardiologists ---------------------------------------------------------------------------------------------------- */

enum { BY_HAND = 3 };
static double by_hand[BY_HAND][MOST], found[BY_HAND][MOST]; /* PR, QRS, QT of LUDB's recordings in sinus rhythm, ms */
static int compared;

/* Medians over the beats of an annotation file of one lead: ( p ) ( N ) ( t ) with the types of WFDB. NAN: not marked. */
static void read_hand(double out[BY_HAND], const char *path)
{
    double every[BY_HAND][BEATS], p_on = NAN, qrs_on = NAN, open = NAN;
    int n[BY_HAND] = {0}, wave = 0;
    int64_t time = 0;
    ecg_bytes b;
    ecg_err err;
    for (int i = 0; i < BY_HAND; i++)
        out[i] = NAN;
    if (ecg_file_read(&b, path, &err))
        return;
    for (size_t i = 0; i + 1 < b.len; i += 2) {
        const int word = b.at[i] | b.at[i + 1] << 8, type = word >> 10;
        if (word == 0 || type >= 59) /* the end; SKIP and texts do not occur here */
            break;
        time += word & 1023;
        const double ms = (double)time * 1000 / RATE;
        int which = -1;
        double value = 0;
        if (type == 39) {
            open = ms;
            wave = 0;
        } else if (type == 24) {
            p_on = open;
        } else if (type == 1) {
            which = 0;
            value = open - p_on;
            qrs_on = open;
            wave = 1;
        } else if (type == 27) {
            wave = 2;
        } else if (type == 40 && wave) {
            which = wave;
            value = ms - qrs_on;
            p_on = NAN;
        }
        if (which >= 0 && value > 0 && value < 700 && n[which] < BEATS)
            every[which][n[which]++] = value;
    }
    ecg_bytes_free(&b);
    for (int i = 0; i < BY_HAND; i++)
        out[i] = n[i] ? quantile(every[i], n[i], 0.5) : NAN;
}

static void compare_with_hand(const group *g, const char *header)
{
    char path[1000];
    snprintf(path, sizeof path, "%.*sii", (int)(strlen(header) - 3), header);
    if (compared == MOST)
        return;
    double hand[BY_HAND];
    read_hand(hand, path);
    for (int i = 0; i < BY_HAND; i++) {
        by_hand[i][compared] = hand[i];
        found[i][compared] = g->figure[1 + i][g->n - 1];
    }
    compared++;
}

static void print_hand(void)
{
    if (!compared)
        return;
    printf("\n| against two cardiologists (LUDB, lead II) | n | median absolute difference, ms | median difference, ms |\n|---|--:|--:|--:|");
    for (int i = 0; i < BY_HAND; i++) {
        double difference[MOST], size[MOST];
        int n = 0;
        for (int k = 0; k < compared; k++) {
            difference[k] = found[i][k] - by_hand[i][k];
            size[k] = fabs(difference[k]);
            n += !isnan(size[k]);
        }
        printf("\n| %.*s | %d | %.0f | %+.0f |", (int)strcspn(figure_name[1 + i], ","), figure_name[1 + i], n, quantile(size, compared, 0.5), quantile(difference, compared, 0.5));
    }
    printf("\n");
}

/* ---- real ----------------------------------------------------------------------------------------------------------------- */

static void add_file(group *g, const char *path)
{
    ecg_record rec;
    ecg_err err;
    if (ecg_record_read(&rec, path, &err))
        return;
    float *mv = malloc(sizeof *mv * 12 * (size_t)rec.samples);
    if (mv && rec.rate_hz == RATE && ecg_record_twelve(mv, &rec) == 0xfff)
        add(g, mv, rec.samples);
    free(mv);
    ecg_record_clear(&rec);
}

/* Rows of a table whose `column` holds `text`: the record DATA/folder/<name><ending>. */
static void add_table(group *g, const char *data, const char *table, const char *column, const char *text, const char *folder, const char *name, const char *ending)
{
    char path[1000];
    ecg_csv *t;
    ecg_err err;
    snprintf(path, sizeof path, "%s/%s", data, table);
    if (ecg_csv_open(&t, path, &err))
        return;
    const int rhythm = ecg_csv_find(t, column), file = ecg_csv_find(t, name);
    for (bool more = true; rhythm >= 0 && file >= 0 && !ecg_csv_next(t, &more, &err) && more;) {
        const ecg_field f = ecg_csv_field(t, rhythm), r = ecg_csv_field(t, file);
        if (!memmem(f.at, f.len, text, strlen(text)))
            continue;
        snprintf(path, sizeof path, "%s/%s/%.*s%s", data, folder, (int)r.len, r.at, ending);
        const int before = g->n;
        add_file(g, path);
        if (g->n > before && strcmp(folder, "ludb/data") == 0)
            compare_with_hand(g, path);
    }
    ecg_csv_close(t);
}

/* Headers of a folder with the SNOMED code of sinus rhythm. */
static void add_folder(group *g, const char *data, const char *folder)
{
    char path[1000];
    snprintf(path, sizeof path, "%s/%s", data, folder);
    struct dirent **file;
    const int n = scandir(path, &file, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const size_t len = strlen(file[i]->d_name);
        ecg_bytes bytes;
        ecg_err err;
        snprintf(path, sizeof path, "%s/%s/%s", data, folder, file[i]->d_name);
        if (len > 4 && strcmp(file[i]->d_name + len - 4, ".hea") == 0 && !ecg_file_read(&bytes, path, &err)) {
            if (memmem(bytes.at, bytes.len, "426783006", 9))
                add_file(g, path);
            ecg_bytes_free(&bytes);
        }
        free(file[i]);
    }
    if (n >= 0)
        free(file);
}

/* ---- synthetic ------------------------------------------------------------------------------------------------------------ */

static void add_synthetic(group *g, double noise)
{
    static const int lead_of[12] = {ECG_I, ECG_II, ECG_III, ECG_AVR, ECG_AVF, ECG_AVL, ECG_V1, ECG_V2, ECG_V3, ECG_V4, ECG_V5, ECG_V6};
    static ecg_synth s;
    static ecg_course c;
    static ecg_synth_room room;
    static int16_t x[ECG_SYNTH_SAMPLES][ECG_SYNTH_LEADS];
    static float mv[12 * ECG_SYNTH_SAMPLES];
    ecg_synth_options o;
    ecg_synth_defaults(&o);
    o.noise = noise;
    ecg_synth_begin(&s, &o);
    for (uint32_t p = 1; p <= 450; p++) {
        ecg_synth_course(&c, &s, p);
        const ecg_visit *v = &c.stay[0].v;
        const ecg_take *t = &c.stay[0].take;
        if (v->afib > 0 || v->paced > 0 || t->lead_off >= 0 || t->lead_flat >= 0)
            continue;
        ecg_synth_wave(x, &room, &s, &c.p, v, t);
        for (int l = 0; l < 12; l++)
            for (int i = 0; i < ECG_SYNTH_SAMPLES; i++)
                mv[lead_of[l] * ECG_SYNTH_SAMPLES + i] = (float)x[i][l] / 200;
        add(g, mv, ECG_SYNTH_SAMPLES);
    }
}

/* ---- tables --------------------------------------------------------------------------------------------------------------- */

static void print_figures(const group *g, int groups)
{
    printf("| median (10 %% to 90 %%) |");
    for (int k = 0; k < groups; k++)
        printf(" %s |", g[k].name);
    printf("\n|---|");
    for (int k = 0; k < groups; k++)
        printf("---|");
    printf("\n| recordings |");
    for (int k = 0; k < groups; k++)
        printf(" %d |", g[k].n);
    for (int f = 0; f < FIGURES; f++) {
        printf("\n| %s |", figure_name[f]);
        for (int k = 0; k < groups; k++)
            printf(" %.0f (%.0f to %.0f) |", quantile(g[k].figure[f], g[k].n, 0.5), quantile(g[k].figure[f], g[k].n, 0.1), quantile(g[k].figure[f], g[k].n, 0.9));
    }
    printf("\n\n");
}

static void print_leads(const group *g, int groups)
{
    static const struct {
        const char *name;
        size_t at;
    } wave[] = {{"R", offsetof(group, r)}, {"S", offsetof(group, s)}, {"T", offsetof(group, t)}, {"sd", offsetof(group, sd)}};
    printf("| mean, mV | |");
    for (int l = 0; l < 12; l++)
        printf(" %s |", ecg_lead_names[l]);
    printf("\n|---|---|");
    for (int l = 0; l < 12; l++)
        printf("--:|");
    for (size_t w = 0; w < sizeof wave / sizeof *wave; w++)
        for (int k = 0; k < groups; k++) {
            const double (*x)[MOST] = (const double (*)[MOST])(const void *)((const char *)&g[k] + wave[w].at);
            printf("\n| %s | %s |", k ? "" : wave[w].name, g[k].name);
            for (int l = 0; l < 12; l++)
                printf(w == 3 ? " %.3f |" : " %.2f |", mean(x[l], g[k].n));
        }
    printf("\n| | MIMIC-IV-ECG, published | .155 | .158 | | | | | .207 | .282 | .284 | .253 | .222 | .197 |\n\n");
}

static void print_bands(const group *g, int groups)
{
    printf("| median, uV | |");
    for (int b = 0; b < BANDS; b++)
        printf(" %g-%g Hz |", band[b][0], band[b][1]);
    printf("\n|---|---|");
    for (int b = 0; b < BANDS; b++)
        printf("--:|");
    for (int part = 0; part < 2; part++)
        for (int k = 0; k < groups; k++) {
            printf("\n| %s | %s |", k ? "" : part ? "chest leads" : "limb leads", g[k].name);
            for (int b = 0; b < BANDS; b++)
                printf(" %.1f |", quantile(g[k].rms[part][b], g[k].n, 0.5));
        }
    printf("\n");
}

int main(int argc, char **argv)
{
    static group g[5] = {{.name = "PTB-XL"}, {.name = "LUDB"}, {.name = "CinC 2021"}, {.name = "synthetic, `--noise 1`"}, {.name = "synthetic, default"}};
    const char *data = argc > 1 ? argv[1] : ".";
    add_table(&g[0], data, "ptbxl/ptbxl_database.csv", "scp_codes", "'SR'", "ptbxl", "filename_hr", ".hea");
    add_table(&g[1], data, "ludb/ludb.csv", "Rhythms", "Sinus", "ludb/data", "ID", ".hea");
    add_folder(&g[2], data, "cinc2021");
    add_synthetic(&g[3], 1);
    add_synthetic(&g[4], 2.5);
    int groups = 0;
    for (int k = 0; k < 5; k++)
        if (g[k].n)
            g[groups++] = g[k];
    print_figures(g, groups);
    print_leads(g, groups);
    print_bands(g, groups);
    print_hand();
    return 0;
}
