/* SPDX-License-Identifier: MIT */
#include "cohort/synth_rows.h"

#include <math.h>
#include <string.h>

#include "cohort/synth_model.h"

static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566"
                            "676869707172737475767778798081828384858687888990919293949596979899";
static const double power[7] = {1, 10, 100, 1000, 10000, 100000, 1000000};

/* At least n bytes behind t->at + t->len, and one for the final 0; NULL: out of memory. */
static char *room_for(ecg_text *t, size_t n)
{
    if (t->len + n + 1 > t->room && !t->failed) {
        static const char blank[64];
        const size_t len = t->len;
        ecg_text_add(t, blank, n);
        t->len = len;
    }
    return t->failed ? NULL : t->at + t->len;
}

static void filled(ecg_text *t, char *end)
{
    t->len = (size_t)(end - t->at);
    *end = 0;
}

/* Returns the end. */
static char *digits(char *out, uint64_t left, int least)
{
    char back[24], *at = back + sizeof back;
    for (; left >= 100; left /= 100)
        at = memcpy(at - 2, &pairs[2 * (left % 100)], 2);
    if (left >= 10)
        at = memcpy(at - 2, &pairs[2 * left], 2);
    else
        *--at = (char)('0' + left);
    while (back + sizeof back - at < least)
        *--at = '0';
    const size_t n = (size_t)(back + sizeof back - at);
    memcpy(out, at, n);
    return out + n;
}

static char *whole(char *out, int64_t x)
{
    if (x < 0)
        *out++ = '-';
    return digits(out, x < 0 ? 0 - (uint64_t)x : (uint64_t)x, 1);
}

static char *fixed(char *out, double x, int decimals)
{
    const int64_t scaled = ecg_nearest_int(x * power[decimals]);
    if (scaled < 0)
        *out++ = '-';
    char *end = digits(out, scaled < 0 ? 0 - (uint64_t)scaled : (uint64_t)scaled, decimals + 1);
    if (!decimals)
        return end;
    memmove(end - decimals + 1, end - decimals, (size_t)decimals);
    end[-decimals] = '.';
    return end + 1;
}

void ecg_synth_fixed(char out[32], double x, int decimals)
{
    *fixed(out, x, decimals) = 0;
}

double ecg_rounded(double x, int decimals)
{
    return (double)ecg_nearest_int(x * power[decimals]) / power[decimals];
}

void ecg_row_text(ecg_text *t, const char *s)
{
    const size_t len = s ? strcspn(s, ",\"\n\r") : 0;
    if (s && s[len]) {
        ecg_text_add(t, "\"", 1);
        for (; *s; s++)
            ecg_text_add(t, *s == '"' ? "\"\"" : s, *s == '"' ? 2 : 1);
        ecg_text_add(t, "\",", 2);
        return;
    }
    if (len)
        ecg_text_add(t, s, len);
    ecg_text_add(t, ",", 1);
}

void ecg_row_int(ecg_text *t, int64_t x)
{
    char *end = room_for(t, 24);
    if (!end)
        return;
    end = whole(end, x);
    *end++ = ',';
    filled(t, end);
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
    char *end = room_for(t, 32);
    if (!end)
        return;
    if (!isnan(x))
        end = fixed(end, x, decimals);
    *end++ = ',';
    filled(t, end);
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
    char *s = room_for(t, 20);
    if (!s)
        return;
    const int of_day = (int)(((seconds % 86400) + 86400) % 86400);
    date_text(s, seconds);
    s[10] = ' ', s[13] = s[16] = ':', s[19] = ',';
    two(s + 11, of_day / 3600), two(s + 14, of_day / 60 % 60), two(s + 17, of_day % 60);
    filled(t, s + 20);
}

void ecg_row_end(ecg_text *t)
{
    if (!t->failed)
        t->at[t->len - 1] = '\n';
}
