/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <limits.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- growing strings ------------------------------------------------------------------------------------------------------ */

static bool make_room(ecg_text *t, size_t more)
{
    if (t->failed)
        return false;
    if (more >= SIZE_MAX / 2 - t->len) {
        t->failed = true;
        return false;
    }
    if (t->len + more + 1 > t->room) {
        const size_t room = (t->len + more + 1) * 2;
        char *at = realloc(t->at, room);
        if (!at) {
            t->failed = true;
            return false;
        }
        t->at = at;
        t->room = room;
    }
    return true;
}

void ecg_text_add(ecg_text *t, const char *bytes, size_t len)
{
    if (!make_room(t, len))
        return;
    if (len)
        memcpy(t->at + t->len, bytes, len);
    t->len += len;
    t->at[t->len] = 0;
}

void ecg_text_puts(ecg_text *t, const char *s)
{
    ecg_text_add(t, s, strlen(s));
}

void ecg_text_printf(ecg_text *t, const char *fmt, ...)
{
    char small[256];
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    const int need = vsnprintf(small, sizeof small, fmt, args);
    va_end(args);
    if (need < 0) {
        t->failed = true;
    } else if ((size_t)need < sizeof small) {
        ecg_text_add(t, small, (size_t)need);
    } else if (make_room(t, (size_t)need)) {
        vsnprintf(t->at + t->len, (size_t)need + 1, fmt, again);
        t->len += (size_t)need;
    }
    va_end(again);
}

void ecg_text_clear(ecg_text *t)
{
    free(t->at);
    *t = (ecg_text){0};
}

/* ---- numbers -------------------------------------------------------------------------------------------------------------- */

static void trim(const char **bytes, size_t *len)
{
    while (*len && (**bytes == ' ' || **bytes == '\t'))
        ++*bytes, --*len;
    while (*len && ((*bytes)[*len - 1] == ' ' || (*bytes)[*len - 1] == '\t'))
        --*len;
}

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* strtod in the C locale, whatever the program's locale is. (The C library hands out its own constant object for "C": no allocation.) */
static double c_strtod(const char *text, char **end)
{
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c)
        return strtod(text, end);
    const double x = strtod_l(text, end, c);
    freelocale(c);
    return x;
}

/* Eight digits at once; false: not all are digits. Each step joins neighbours: 1 and 1 to 2 digits, 2 and 2 to 4, 4 and 4 to 8. */
static bool eight_digits(uint64_t *out, const char *s)
{
    uint64_t x;
    memcpy(&x, s, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    x ^= 0x3030303030303030u; /* '0' .. '9' are now 0 .. 9 */
    if (((x + 0x7676767676767676u) | x) & 0x8080808080808080u)
        return false;
    x = (x * 10 + (x >> 8)) & 0x00ff00ff00ff00ffu;
    x = (x * 100 + (x >> 16)) & 0x0000ffff0000ffffu;
    *out = (x * 10000 + (x >> 32)) & 0xffffffffu;
    return true;
}

/* [sign] digits [. digits] [e [sign] digits] whose digits are a whole number below 2^53 and whose power of ten is at most 22: both are exact as doubles,
 * and so one multiplication or division rounds correctly (Clinger, "How to read floating point numbers accurately"). False: look closer. */
static bool parse_short(double *out, const char *s, size_t len)
{
    static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    size_t i = s[0] == '-' || s[0] == '+';
    const size_t begin = i;
    uint64_t whole = 0;
    for (; i < len && digit(s[i]) && i < begin + 19; i++)
        whole = whole * 10 + (uint64_t)(s[i] - '0');
    size_t digits = i - begin;
    int power = 0;
    if (i < len && s[i] == '.') {
        const size_t point = ++i;
        for (; i < len && digit(s[i]) && digits + i - point < 19; i++)
            whole = whole * 10 + (uint64_t)(s[i] - '0');
        power = -(int)(i - point);
        digits += i - point;
    }
    if (!digits || whole > (uint64_t)1 << 53)
        return false;
    if (i + 1 < len && (s[i] == 'e' || s[i] == 'E')) {
        const bool minus = s[++i] == '-';
        int e = 0;
        i += minus || s[i] == '+';
        const size_t first = i;
        for (; i < len && digit(s[i]) && i < first + 4; i++)
            e = e * 10 + (s[i] - '0');
        if (i == first)
            return false;
        power += minus ? -e : e;
    }
    if (i != len || power < -22 || power > 22)
        return false;
    const double x = power < 0 ? (double)whole / ten[-power] : (double)whole * ten[power];
    *out = s[0] == '-' ? -x : x;
    return true;
}

bool ecg_parse_double(double *out, const char *bytes, size_t len)
{
    trim(&bytes, &len);
    if (!len || len > 400)
        return false;
    if (parse_short(out, bytes, len))
        return true;
    for (size_t i = 0; i < len; i++) /* strtod would also take hexadecimal, nan and inf */
        if (!digit(bytes[i]) && !strchr("+-.eE", bytes[i]))
            return false;
    char copy[401], *end;
    memcpy(copy, bytes, len);
    copy[len] = 0;
    const double x = c_strtod(copy, &end);
    if (end != copy + len || !isfinite(x))
        return false;
    *out = x;
    return true;
}

bool ecg_parse_i64(int64_t *out, const char *bytes, size_t len)
{
    uint64_t eight;
    if (len == 8 && eight_digits(&eight, bytes)) { /* the ids of MIMIC */
        *out = (int64_t)eight;
        return true;
    }
    trim(&bytes, &len);
    size_t i = 0;
    const bool minus = len && bytes[0] == '-';
    if (len && (bytes[0] == '-' || bytes[0] == '+'))
        i++;
    if (i == len || !digit(bytes[i]))
        return false;
    int64_t x = 0;
    for (; i < len && digit(bytes[i]); i++)
        if (__builtin_mul_overflow(x, 10, &x) || __builtin_sub_overflow(x, bytes[i] - '0', &x)) /* below zero: INT64_MIN has no positive twin */
            return false;
    if (i < len && bytes[i] == '.') /* a float column that holds ids: "12345.0" */
        for (i++; i < len && bytes[i] == '0'; i++)
            ;
    if (i != len || (!minus && x == INT64_MIN))
        return false;
    *out = minus ? x : -x;
    return true;
}

/* ---- time ----------------------------------------------------------------------------------------------------------------- */

/* Days since 1970-01-01 in the proleptic Gregorian calendar; years begin in March so that the leap day comes last. */
int64_t ecg_days_from_civil(int year, int month, int day)
{
    const int64_t y = (int64_t)year - (month <= 2);
    const int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void civil_from_days(int *year, int *month, int *day, int64_t days)
{
    const int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
    const int64_t yoe = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const int64_t doy = of_era - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

static bool fixed_digits(int *out, const char *s, int n)
{
    *out = 0;
    for (int i = 0; i < n; i++) {
        if (!digit(s[i]))
            return false;
        *out = *out * 10 + (s[i] - '0');
    }
    return true;
}

bool ecg_parse_time(int64_t *seconds, const char *s, size_t len)
{
    static const int days_of[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day, hour = 0, minute = 0, second = 0;
    trim(&s, &len);
    if ((len != 10 && len != 19) || s[4] != '-' || s[7] != '-' || !fixed_digits(&year, s, 4) || !fixed_digits(&month, s + 5, 2) ||
        !fixed_digits(&day, s + 8, 2))
        return false;
    if (len == 19 && ((s[10] != ' ' && s[10] != 'T') || s[13] != ':' || s[16] != ':' || !fixed_digits(&hour, s + 11, 2) ||
                      !fixed_digits(&minute, s + 14, 2) || !fixed_digits(&second, s + 17, 2)))
        return false;
    if (month < 1 || month > 12)
        return false;
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day < 1 || day > days_of[month - 1] + (month == 2 && leap) || hour > 23 || minute > 59 || second > 59)
        return false;
    *seconds = ecg_days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}

static int64_t floor_days(int64_t seconds)
{
    return (seconds >= 0 ? seconds : seconds - 86399) / 86400;
}

void ecg_format_time(char out[20], int64_t seconds)
{
    int year, month, day;
    const int64_t days = floor_days(seconds);
    const int rest = (int)(seconds - days * 86400);
    civil_from_days(&year, &month, &day, days);
    char text[64];
    snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d", year, month, day, rest / 3600, rest / 60 % 60, rest % 60);
    memcpy(out, text, 19);
    out[19] = 0;
}

int ecg_year_of(int64_t seconds)
{
    int year, month, day;
    civil_from_days(&year, &month, &day, floor_days(seconds));
    return year;
}

/* ---- words ---------------------------------------------------------------------------------------------------------------- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool ecg_same_word(const char *a, const char *b)
{
    for (; *a && lower(*a) == lower(*b); a++, b++)
        ;
    return lower(*a) == lower(*b);
}

static int edit_distance(const char *a, const char *b)
{
    enum { MOST = 64 };
    int row[MOST + 1];
    const size_t la = strlen(a), lb = strlen(b);
    if (la > MOST || lb > MOST)
        return INT_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= la; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= lb; j++) {
            const int change = diagonal + (lower(a[i - 1]) != lower(b[j - 1]));
            diagonal = row[j];
            const int step = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < step ? change : step;
        }
    }
    return row[lb];
}

const char *ecg_nearest(const char *word, const char *const *candidates, int n)
{
    const char *best = NULL;
    int least = INT_MAX;
    for (int i = 0; i < n; i++) {
        const int d = edit_distance(word, candidates[i]);
        if (d < least)
            least = d, best = candidates[i];
    }
    const size_t longer = best ? (strlen(word) > strlen(best) ? strlen(word) : strlen(best)) : 0;
    return best && (size_t)least * 3 <= longer + 1 ? best : NULL;
}
