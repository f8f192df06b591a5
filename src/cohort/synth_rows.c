/* SPDX-License-Identifier: MIT */
#include "cohort/synth_rows.h"

#include <math.h>
#include <string.h>

#include "cohort/synth_model.h"

static const double power[7] = {1, 10, 100, 1000, 10000, 100000, 1000000};

static size_t digits(char *out, int64_t x, int least)
{
    char back[24];
    size_t n = 0, at = 0;
    uint64_t left = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
    do
        back[n++] = (char)('0' + left % 10);
    while ((left /= 10) || n < (size_t)least);
    if (x < 0)
        out[at++] = '-';
    while (n)
        out[at++] = back[--n];
    return at;
}

void ecg_fixed(char out[32], double x, int decimals)
{
    const int64_t scaled = ecg_nearest_int(x * power[decimals]);
    char all[32];
    const size_t n = digits(all, scaled < 0 ? -scaled : scaled, decimals + 1);
    size_t at = 0;
    if (scaled < 0)
        out[at++] = '-';
    memcpy(out + at, all, n - (size_t)decimals);
    at += n - (size_t)decimals;
    if (decimals) {
        out[at++] = '.';
        memcpy(out + at, all + n - (size_t)decimals, (size_t)decimals);
        at += (size_t)decimals;
    }
    out[at] = 0;
}

double ecg_rounded(double x, int decimals)
{
    return (double)ecg_nearest_int(x * power[decimals]) / power[decimals];
}

void ecg_row_text(ecg_text *t, const char *s)
{
    if (s && strpbrk(s, ",\"\n\r")) {
        ecg_text_add(t, "\"", 1);
        for (; *s; s++)
            ecg_text_add(t, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
        ecg_text_add(t, "\",", 2);
        return;
    }
    if (s)
        ecg_text_add(t, s, strlen(s));
    ecg_text_add(t, ",", 1);
}

void ecg_row_int(ecg_text *t, int64_t x)
{
    char s[32];
    size_t n = digits(s, x, 1);
    s[n++] = ',';
    ecg_text_add(t, s, n);
}

void ecg_row_id(ecg_text *t, int64_t x)
{
    if (x < 0)
        ecg_text_add(t, ",", 1);
    else
        ecg_row_int(t, x);
}

void ecg_row_fixed(ecg_text *t, double x, int decimals)
{
    if (isnan(x)) {
        ecg_text_add(t, ",", 1);
        return;
    }
    char s[34];
    ecg_fixed(s, x, decimals);
    const size_t n = strlen(s);
    s[n] = ',';
    ecg_text_add(t, s, n + 1);
}

/* Days to civil date (proleptic Gregorian), after H. Hinnant's public-domain algorithm. */
void ecg_civil_of(int64_t seconds, int *year, int *month, int *day)
{
    int64_t days = seconds / 86400;
    if (seconds % 86400 < 0)
        days--;
    const int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
    const int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365, of_year = of_era - (365 * y + y / 4 - y / 100);
    const int64_t m = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = (int)(y + era * 400 + (*month <= 2));
}

static void two(char *at, int x)
{
    at[0] = (char)('0' + x / 10);
    at[1] = (char)('0' + x % 10);
}

static void date_text(char s[10], int64_t seconds)
{
    int year, month, day;
    ecg_civil_of(seconds, &year, &month, &day);
    two(s, year / 100), two(s + 2, year % 100);
    s[4] = s[7] = '-';
    two(s + 5, month), two(s + 8, day);
}

void ecg_row_date(ecg_text *t, int64_t seconds)
{
    char s[11];
    date_text(s, seconds);
    s[10] = ',';
    ecg_text_add(t, s, 11);
}

void ecg_row_time(ecg_text *t, int64_t seconds)
{
    if (seconds == INT64_MIN) {
        ecg_text_add(t, ",", 1);
        return;
    }
    char s[20];
    const int of_day = (int)(((seconds % 86400) + 86400) % 86400);
    date_text(s, seconds);
    s[10] = ' ', s[13] = s[16] = ':', s[19] = ',';
    two(s + 11, of_day / 3600), two(s + 14, of_day / 60 % 60), two(s + 17, of_day % 60);
    ecg_text_add(t, s, 20);
}

void ecg_row_end(ecg_text *t)
{
    if (!t->failed)
        t->at[t->len - 1] = '\n';
}
