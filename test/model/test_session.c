/* SPDX-License-Identifier: MIT
 * test_session.c: after a model is open a prediction takes no memory, for one thread or many; however many threads share a recording, and however its
 * crops are cut, the bytes are those of the encoder that training uses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>

#include "made.h"
#include "model/parts.h"

/* ---- an allocator that counts: this program's definitions come before the C library's, for that library too ------------------------- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define COUNTS 0
#endif
#endif
#if !defined(COUNTS) && defined(__GLIBC__)
#define COUNTS 1
#endif

static _Thread_local volatile long taken; /* calls of this thread that took or gave back memory */

#if COUNTS
#pragma GCC visibility push(default) /* the C library is to find them */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *at, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *at);

void *malloc(size_t size) { taken++; return __libc_malloc(size); }
void *calloc(size_t n, size_t size) { taken++; return __libc_calloc(n, size); }
void *realloc(void *at, size_t size) { taken++; return __libc_realloc(at, size); }
void *aligned_alloc(size_t align, size_t size) { taken++; return __libc_memalign(align, size); }
void *memalign(size_t align, size_t size);
void *memalign(size_t align, size_t size) { taken++; return __libc_memalign(align, size); }
int posix_memalign(void **out, size_t align, size_t size)
{
    taken++;
    *out = __libc_memalign(align, size);
    return *out ? 0 : ENOMEM;
}
void free(void *at)
{
    taken += at != NULL;
    __libc_free(at);
}
#pragma GCC visibility pop
#endif

static void skip_unless_counting(void)
{
#if !COUNTS
    skip();
#endif
}

static const made_shape usual = {.width = 24, .length = 250, .blocks = 2, .diagnoses = 200, .labs = 20, .hidden = 10};

/* Saved and opened again, as a user has it. */
static ecg_model *opened(void)
{
    static ecg_model made;
    ecg_model *m = NULL;
    ecg_err err = {0};
    const char *path = made_path("model.safetensors");
    made_model(&made, &usual);
    if (ecg_model_save(&made, path, &err) || ecg_model_open(&m, path, &err))
        fail_msg("%s", err.msg);
    ecg_model_clear(&made);
    return m;
}

/* ---- no memory is taken ---------------------------------------------------------------------------------------------------------- */

static void test_the_count_counts(void **state)
{
    (void)state;
    skip_unless_counting();
    const long before = taken;
    void *volatile at = malloc(10);
    at = realloc(at, 100000);
    free(at);
    assert_int_equal(taken - before, 3);
    /* the C library's own calls are seen too */
    char *text = NULL;
    assert_true(asprintf(&text, "%300d", 1) == 300);
    assert_true(taken - before > 3);
    free(text);
}

static void test_nothing_taken(void **state)
{
    (void)state;
    static const struct { const char *why; double rate_hz, seconds; int explain; ecg_status status; } cases[] = {
        {"as MIMIC records it, the first call ever", 500, 10, 0, ECG_OK},
        {"with reasons", 500, 10, 5, ECG_OK},
        {"with reasons for every diagnosis", 500, 10, -1, ECG_OK},
        {"another rate", 250, 10, 0, ECG_OK},
        {"a rate without a whole ratio: its filter is tabulated", 360, 10, 0, ECG_OK},
        {"upwards", 80, 10, 0, ECG_OK},
        {"the model's own rate", 100, 10, 3, ECG_OK},
        {"the fastest recorders", 1000, 10, 0, ECG_OK},
        {"one crop", 500, 2.6, 1, ECG_OK},
        {"refused: too short", 500, 2, 0, ECG_EREFUSED},
        {"again, after a refusal", 500, 10, 5, ECG_OK},
    };
    skip_unless_counting();
    ecg_model *m = opened();
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ecg_record rec;
        ecg_answer a;
        ecg_err err = {0};
        made_record(&rec, cases[c].rate_hz, cases[c].seconds, 5);
        const long before = taken;
        const ecg_status st = ecg_predict(&a, m, &rec, &(ecg_predict_options){.explain = cases[c].explain}, &err);
        const int whys = a.whys, cited = a.whys ? a.why[0].cited + a.why[0].same + a.why[0].weak : 0;
        ecg_answer_clear(&a);
        const long calls = taken - before;
        if (st != cases[c].status || calls)
            fail_msg("%s: status %d (%s), memory taken or given back %ld times", cases[c].why, (int)st, err.msg, calls);
        if (cases[c].explain && !st && (whys != (cases[c].explain < 0 ? usual.diagnoses : cases[c].explain) || !cited))
            fail_msg("%s: %d explained, %d causes", cases[c].why, whys, cited);
        ecg_record_clear(&rec);
    }
    ecg_model_close(m);
}

/* ---- many threads, one model ------------------------------------------------------------------------------------------------------ */

enum { THREADS = 16, TURNS = 4 };

typedef struct {
    const ecg_model *m;
    const ecg_record *rec;
    const ecg_answer *expected;
    pthread_barrier_t *start;
    long calls;
    int wrong;
} asker;

static bool same_scores(const ecg_score *a, const ecg_score *b, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(a[i].code, b[i].code) || memcmp(&a[i].crop_mean_logit, &b[i].crop_mean_logit, sizeof(double)) ||
            memcmp(&a[i].probability, &b[i].probability, sizeof(double)))
            return false;
    return true;
}

static void *ask(void *arg)
{
    asker *me = arg;
    ecg_answer a[2];
    pthread_barrier_wait(me->start);
    const long before = taken;
    for (int turn = 0; turn < TURNS; turn++) {
        const bool ok = !ecg_predict(&a[0], me->m, me->rec, &(ecg_predict_options){.explain = 2}, NULL);
        if (!ok) {
            me->wrong++;
            continue;
        }
        me->wrong += a[0].diagnoses != me->expected->diagnoses || !same_scores(a[0].diagnosis, me->expected->diagnosis, a[0].diagnoses) ||
                     !same_scores(a[0].lab, me->expected->lab, a[0].labs);
        ecg_answer_clear(&a[0]);
    }
    me->calls = taken - before;
    return NULL;
}

static void ask_from_all(ecg_model *m, const ecg_record *rec, const ecg_answer *expected, const char *why)
{
    pthread_t thread[THREADS];
    pthread_barrier_t start;
    asker who[THREADS];
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        who[i] = (asker){.m = m, .rec = rec, .expected = expected, .start = &start};
        assert_int_equal(pthread_create(&thread[i], NULL, ask, &who[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        if (who[i].wrong || who[i].calls)
            fail_msg("%s: thread %d: %d wrong answers, memory taken %ld times", why, i, who[i].wrong, who[i].calls);
    }
    pthread_barrier_destroy(&start);
}

static void test_threads_share_a_model(void **state)
{
    (void)state;
    ecg_model *m = opened();
    ecg_record rec;
    ecg_answer expected;
    ecg_err err = {0};
    made_record(&rec, 500, 10, 6);
    assert_int_equal(ecg_predict(&expected, m, &rec, &(ecg_predict_options){.explain = 2}, &err), ECG_OK);
    assert_int_equal(ecg_model_reserve(m, THREADS, &err), ECG_OK);
    ask_from_all(m, &rec, &expected, "each alone");
    ecg_pool *pool = ecg_pool_new(3);
    assert_non_null(pool);
    ecg_model_use(m, &(ecg_exec){m->exec.k, pool});
    ask_from_all(m, &rec, &expected, "one of them with a pool");
    assert_int_equal(ecg_model_reserve(m, 0, &err), ECG_EARG);
    assert_int_equal(ecg_model_reserve(m, 1 << 20, &err), ECG_EARG);
    ecg_model_close(m);
    ecg_answer_clear(&expected); /* an answer may outlive its model: its memory does, its labels do not */
    ecg_pool_free(pool);
    ecg_record_clear(&rec);
}

/* Answers at a time: the second one has its own memory. */
static void test_two_answers(void **state)
{
    (void)state;
    ecg_model *m = opened();
    ecg_record rec[2];
    ecg_answer a[2], again;
    for (int i = 0; i < 2; i++) {
        made_record(&rec[i], 500, 10, 7 + (uint32_t)i);
        assert_int_equal(ecg_predict(&a[i], m, &rec[i], NULL, NULL), ECG_OK);
    }
    assert_false(same_scores(a[0].diagnosis, a[1].diagnosis, a[0].diagnoses));
    assert_int_equal(ecg_predict(&again, m, &rec[0], NULL, NULL), ECG_OK);
    assert_true(same_scores(a[0].diagnosis, again.diagnosis, again.diagnoses));
    for (int i = 0; i < 2; i++) {
        ecg_answer_clear(&a[i]);
        ecg_record_clear(&rec[i]);
    }
    ecg_answer_clear(&again);
    ecg_answer_clear(&again); /* twice is fine */
    ecg_model_close(m);
}

/* ---- the same bytes --------------------------------------------------------------------------------------------------------------- */

static void test_same_bytes(void **state)
{
    (void)state;
    static const struct { const char *why; made_shape shape; } cases[] = {
        {"width and length no multiples of 16", {.width = 24, .length = 117, .blocks = 2, .diagnoses = 3, .labs = 2}},
        {"several pieces of channels, the last one narrow", {.width = 150, .length = 250, .blocks = 1, .diagnoses = 3, .labs = 2}},
        {"one channel", {.width = 1, .length = 250, .blocks = 1, .diagnoses = 1, .labs = 1}},
        {"so short that the taps are used", {.width = 20, .length = 30, .blocks = 2, .diagnoses = 3, .labs = 2}},
    };
    static const int threads[] = {1, 2, 3, 7, 64};
    enum { CROPS = 9 };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        static ecg_model m;
        made_model(&m, &cases[c].shape);
        const size_t n = (size_t)m.shape.length * 12, H = (size_t)m.shape.width;
        float *x = malloc(CROPS * n * sizeof *x), *h = malloc(2 * CROPS * H * sizeof *h);
        ecg_encoder_work *w = ecg_encoder_work_new(m.encoder, 1, 0, false);
        ecg_rng g;
        ecg_rng_open(&g, 8, 0, 305, 0, 0);
        assert_true(x && h && w);
        for (size_t i = 0; i < CROPS * n; i++)
            x[i] = i % 97 == 5 ? NAN : (float)ecg_rng_normal(&g);
        const ecg_exec exec = m.exec;
        ecg_encoder_forward(h, NULL, m.encoder, &m.table, w, &exec, x, CROPS, NULL);
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            ecg_pool *pool = threads[t] > 1 ? ecg_pool_new(threads[t]) : NULL;
            ecg_model_use(&m, &(ecg_exec){exec.k, pool});
            for (int crops = 1; crops <= CROPS; crops++) {
                memset(h + CROPS * H, 0, CROPS * H * sizeof *h);
                assert_int_equal(ecg_embed_crops(h + CROPS * H, &m, x, crops, NULL), ECG_OK);
                if (memcmp(h, h + CROPS * H, (size_t)crops * H * sizeof *h))
                    fail_msg("%s: %d crops, %d threads: other bytes than the encoder's", cases[c].why, crops, threads[t]);
            }
            ecg_model_use(&m, &exec);
            ecg_pool_free(pool);
        }
        ecg_encoder_work_free(w);
        free(x);
        free(h);
        ecg_model_clear(&m);
    }
}

/* One output of a head is what all of them together give. */
static void test_one_output(void **state)
{
    (void)state;
    for (int hidden = 0; hidden <= 10; hidden += 10) {
        static ecg_model m;
        made_shape shape = usual;
        ecg_record rec;
        ecg_answer a;
        shape.hidden = hidden;
        made_model(&m, &shape);
        made_record(&rec, 100, 10, 9);
        assert_int_equal(ecg_predict(&a, &m, &rec, NULL, NULL), ECG_OK);
        const int crops = 3;
        float h[3 * 24];
        double *logit = malloc((size_t)usual.diagnoses * sizeof *logit);
        assert_non_null(logit);
        for (int i = 0; i < 3 * 24; i++)
            h[i] = (float)sin(i);
        assert_int_equal(ecg_head_means(logit, NULL, &m, &m.head[0], h, crops, NULL), ECG_OK);
        for (int k = 0; k < usual.diagnoses; k++) {
            const double one = ecg_head_logit(&a, &m, &m.head[0], k, h, crops);
            assert_memory_equal(&one, &logit[k], sizeof one);
        }
        free(logit);
        ecg_answer_clear(&a);
        ecg_record_clear(&rec);
        ecg_model_clear(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_count_counts),      cmocka_unit_test(test_nothing_taken), cmocka_unit_test(test_threads_share_a_model),
        cmocka_unit_test(test_two_answers),           cmocka_unit_test(test_same_bytes),    cmocka_unit_test(test_one_output),
    };
    return cmocka_run_group_tests(tests, made_begin, made_end);
}
