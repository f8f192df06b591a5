/* SPDX-License-Identifier: MIT */
#include "base/rng.h"

#include <math.h>
#include <string.h>

/* ---- Philox4x32-10 -------------------------------------------------------------------------------------------------------- */

void ecg_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

void ecg_rng_open(ecg_rng *r, uint64_t seed, uint32_t first_block, uint32_t stream, uint32_t a, uint32_t b)
{
    memset(r, 0, sizeof *r);
    r->key[0] = (uint32_t)seed;
    r->key[1] = (uint32_t)(seed >> 32);
    r->counter[0] = first_block;
    r->counter[1] = stream;
    r->counter[2] = a;
    r->counter[3] = b;
}

uint32_t ecg_rng_word(ecg_rng *r)
{
    if (!r->left) {
        ecg_philox(r->word, r->counter, r->key);
        r->counter[0]++;
        r->left = 4;
    }
    return r->word[4 - r->left--];
}

double ecg_rng_uniform(ecg_rng *r)
{
    return ((double)ecg_rng_word(r) + 0.5) * 0x1p-32;
}

double ecg_rng_normal(ecg_rng *r)
{
    if (r->has_spare) {
        r->has_spare = 0;
        return r->spare;
    }
    const double u = ecg_rng_uniform(r), angle = 2 * 3.14159265358979323846 * ecg_rng_uniform(r);
    const double radius = sqrt(-2 * ecg_log(u));
    r->spare = radius * ecg_sin(angle);
    r->has_spare = 1;
    return radius * ecg_cos(angle);
}

uint32_t ecg_rng_below(ecg_rng *r, uint32_t n)
{
    const uint32_t reject = (uint32_t)(-n) % n; /* 2^32 mod n: words below it would favour the first values */
    uint64_t product;
    do
        product = (uint64_t)ecg_rng_word(r) * n;
    while ((uint32_t)product < reject);
    return (uint32_t)(product >> 32);
}

void ecg_rng_shuffle(ecg_rng *r, uint32_t *x, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        const uint32_t j = ecg_rng_below(r, i), t = x[i - 1];
        x[i - 1] = x[j];
        x[j] = t;
    }
}

/* ---- elementary functions: the same bits everywhere ------------------------------------------------------------------------ */

/* floor for |x| below 2^62: the library's is a call on CPUs without an instruction for it */
static inline double floor_of(double x)
{
    const double whole = (double)(int64_t)x;
    return whole - (whole > x ? 1 : 0);
}

/* exp: x = k ln2 + r, |r| <= ln2/2, Taylor to r^13 (remainder below 5e-18), scaled by 2^k. */
double ecg_exp(double x)
{
    if (isnan(x))
        return x;
    if (x > 709.78271289338397)
        return HUGE_VAL;
    if (x < -745.13321910194122)
        return 0;
    const double k = floor_of(x * 1.44269504088896338700 + 0.5);
    const double r = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10; /* ln2 in two parts (fdlibm) */
    double p = 1.0 / 6227020800.0;
    p = p * r + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    const int half = (int)k / 2; /* two factors: 2^k itself may be denormal or overflow */
    const uint64_t a = (uint64_t)(1023 + half) << 52, b = (uint64_t)(1023 + (int)k - half) << 52;
    double fa, fb;
    memcpy(&fa, &a, sizeof fa);
    memcpy(&fb, &b, sizeof fb);
    return p * fa * fb;
}

/* log: x = 2^k m, m in [sqrt(1/2), sqrt 2); log m = 2 atanh(s), s = (m-1)/(m+1), |s| < 0.1716, odd series to s^21. */
double ecg_log(double x)
{
    if (isnan(x) || x < 0)
        return NAN;
    if (x == 0)
        return -HUGE_VAL;
    if (isinf(x))
        return x;
    int k = 0;
    if (x < 0x1p-1022) { /* denormal */
        x *= 0x1p54;
        k = -54;
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    k += (int)(bits >> 52) - 1023;
    bits = (bits & 0xfffffffffffffull) | 0x3ff0000000000000ull;
    double m;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.41421356237309514547) {
        m *= 0.5;
        k++;
    }
    const double f = m - 1, s = f / (2 + f), z = s * s;
    double p = 1.0 / 21;
    p = p * z + 1.0 / 19;
    p = p * z + 1.0 / 17;
    p = p * z + 1.0 / 15;
    p = p * z + 1.0 / 13;
    p = p * z + 1.0 / 11;
    p = p * z + 1.0 / 9;
    p = p * z + 1.0 / 7;
    p = p * z + 1.0 / 5;
    p = p * z + 1.0 / 3;
    /* log m = f - s (f - 2 s^2 p...): keeps the leading digits of f exact */
    const double tail = 2 * z * p;
    return (double)k * 6.93147180369123816490e-01 + (f - (s * (f - tail) - (double)k * 1.90821492927058770002e-10));
}

/* Reduction to |r| <= pi/4 by pi/2 in three parts (Cody and Waite): exact enough for |x| up to 1e6, far beyond what is asked here. */
static int quarter_turns(double *r, double x)
{
    const double n = floor(x * 0.63661977236758138 + 0.5);
    *r = ((x - n * 1.57079632673412561417e+00) - n * 6.07710050630396597660e-11) - n * 2.02226624879595063154e-21;
    return (int)(n - 4 * floor(n * 0.25));
}

static double sin_poly(double r)
{
    const double z = r * r;
    double p = 1.0 / 355687428096000.0;
    p = p * z - 1.0 / 1307674368000.0;
    p = p * z + 1.0 / 6227020800.0;
    p = p * z - 1.0 / 39916800.0;
    p = p * z + 1.0 / 362880.0;
    p = p * z - 1.0 / 5040.0;
    p = p * z + 1.0 / 120.0;
    p = p * z - 1.0 / 6.0;
    return r + r * z * p;
}

static double cos_poly(double r)
{
    const double z = r * r;
    double p = 1.0 / 20922789888000.0;
    p = p * z - 1.0 / 87178291200.0;
    p = p * z + 1.0 / 479001600.0;
    p = p * z - 1.0 / 3628800.0;
    p = p * z + 1.0 / 40320.0;
    p = p * z - 1.0 / 720.0;
    p = p * z + 1.0 / 24.0;
    return 1 - (0.5 * z - z * z * p);
}

double ecg_sin(double x)
{
    if (!isfinite(x))
        return NAN;
    double r;
    switch (quarter_turns(&r, x)) {
    case 0: return sin_poly(r);
    case 1: return cos_poly(r);
    case 2: return -sin_poly(r);
    default: return -cos_poly(r);
    }
}

double ecg_cos(double x)
{
    if (!isfinite(x))
        return NAN;
    double r;
    switch (quarter_turns(&r, x)) {
    case 0: return cos_poly(r);
    case 1: return -sin_poly(r);
    case 2: return -cos_poly(r);
    default: return sin_poly(r);
    }
}
