/* SPDX-License-Identifier: MIT
 * serve_results.c: the last results, in memory alone: recordings are patients' data. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "report/serve_parts.h"

static size_t bytes_of(const ecg_record *rec, const ecg_answer *a)
{
    size_t n = sizeof(ecg_result) + (size_t)rec->leads * ((size_t)rec->samples * sizeof *rec->value + sizeof *rec->lead);
    if (a) {
        n += (size_t)(a->diagnoses + a->labs + a->reasons) * sizeof *a->lab + (size_t)a->whys * sizeof *a->why + (size_t)a->occlusions * sizeof *a->occlusion;
        for (int i = 0; i < a->whys; i++)
            n += (size_t)(a->why[i].cited + a->why[i].same) * sizeof *a->why[i].cite;
    }
    return n;
}

static void *take(char **at, const void *from, size_t bytes)
{
    void *to = *at;
    if (bytes)
        memcpy(to, from, bytes);
    *at += bytes;
    return to;
}

static void point(ecg_score *s, int n, const ecg_answer *to, const ecg_answer *from)
{
    for (int i = 0; i < n; i++) {
        s[i].why = s[i].why ? to->why + (s[i].why - from->why) : NULL;
        s[i].occlusion = s[i].occlusion ? to->occlusion + (s[i].occlusion - from->occlusion) : NULL;
    }
}

/* An answer holds all that the model needed for it; a result that is kept holds what is told of it, in one block (at lists). NULL: no memory. */
static void *copy_answer(ecg_answer *to, const ecg_answer *from)
{
    size_t bytes = (size_t)(from->diagnoses + from->labs + from->reasons) * sizeof(ecg_score) + (size_t)from->whys * sizeof(ecg_why) +
                   (size_t)from->occlusions * sizeof(ecg_occlusion);
    for (int i = 0; i < from->whys; i++)
        bytes += (size_t)(from->why[i].cited + from->why[i].same) * sizeof(ecg_cited);
    char *lists = malloc(bytes ? bytes : 1), *at = lists; /* every part is a multiple of 8 bytes */
    if (!lists)
        return NULL;
    *to = *from;
    to->held = NULL;
    to->diagnosis = take(&at, from->diagnosis, (size_t)from->diagnoses * sizeof(ecg_score));
    to->lab = take(&at, from->lab, (size_t)from->labs * sizeof(ecg_score));
    to->reason = take(&at, from->reason, (size_t)from->reasons * sizeof(ecg_score));
    to->why = take(&at, from->why, (size_t)from->whys * sizeof(ecg_why));
    to->occlusion = take(&at, from->occlusion, (size_t)from->occlusions * sizeof(ecg_occlusion));
    for (int i = 0; i < to->whys; i++)
        to->why[i].cite = take(&at, from->why[i].cite, (size_t)(from->why[i].cited + from->why[i].same) * sizeof(ecg_cited));
    point(to->diagnosis, to->diagnoses, to, from);
    point(to->lab, to->labs, to, from);
    point(to->reason, to->reasons, to, from);
    return lists;
}

static void free_result(ecg_result *r)
{
    ecg_record_clear(&r->rec);
    free(r->lists);
    for (int i = 0; i < r->views; i++)
        ecg_text_clear(&r->view[i].text);
    free(r);
}

/* Under the lock. */
static void let_go(ecg_result *r)
{
    if (--r->holders == 0)
        free_result(r);
}

/* Under the lock. */
static void remove_at(ecg_results *l, int i)
{
    ecg_result *r = l->kept[i];
    l->bytes -= r->bytes;
    r->listed = false;
    memmove(&l->kept[i], &l->kept[i + 1], (size_t)(l->n - i - 1) * sizeof *l->kept);
    l->n--;
    let_go(r);
}

/* Under the lock. */
static void make_room(ecg_results *l)
{
    while (l->n > l->most || (l->n > 1 && l->bytes > l->most_bytes))
        remove_at(l, l->n - 1);
}

ecg_status ecg_results_open(ecg_results *l, int most, size_t most_bytes, ecg_err *err)
{
    *l = (ecg_results){.most = most, .most_bytes = most_bytes, .kept = calloc((size_t)most + 1, sizeof *l->kept)};
    if (!l->kept)
        return ecg_fail(err, ECG_ENOMEM, "no memory for %d results", most);
    pthread_mutex_init(&l->lock, NULL);
    return ECG_OK;
}

void ecg_results_close(ecg_results *l)
{
    if (!l->kept)
        return;
    ecg_results_drop(l, NULL);
    pthread_mutex_destroy(&l->lock);
    free(l->kept);
    *l = (ecg_results){0};
}

/* Not to be guessed: who knows an id has seen the list. */
static ecg_status draw_id(char id[ECG_ID_LEN + 1], ecg_err *err)
{
    uint8_t bytes[ECG_ID_LEN / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return ecg_fail_errno(err, NULL, "no random numbers");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    return ECG_OK;
}

ecg_status ecg_results_add(ecg_result **out, ecg_results *l, const char *name, ecg_record *rec, const ecg_answer *a, const char *why_not, ecg_err *err)
{
    ecg_result *r = calloc(1, sizeof *r);
    ecg_status st = r && (!a || (r->lists = copy_answer(&r->a, a))) ? draw_id(r->id, err) : ecg_fail(err, ECG_ENOMEM, "no memory for a result");
    *out = NULL;
    if (st) {
        if (r)
            free(r->lists);
        free(r);
        return st;
    }
    snprintf(r->name, sizeof r->name, "%s", name);
    snprintf(r->why_not, sizeof r->why_not, "%s", why_not ? why_not : "");
    r->bytes = bytes_of(rec, a);
    r->rec = *rec;
    *rec = (ecg_record){0};
    r->answered = a != NULL;
    r->holders = 2; /* the list, the caller */
    r->listed = true;
    pthread_mutex_lock(&l->lock);
    memmove(&l->kept[1], &l->kept[0], (size_t)l->n * sizeof *l->kept);
    l->kept[0] = r;
    l->n++;
    l->bytes += r->bytes;
    make_room(l);
    pthread_mutex_unlock(&l->lock);
    *out = r;
    return ECG_OK;
}

static int place_of(const ecg_results *l, const char *id)
{
    int i = 0;
    while (i < l->n && strcmp(l->kept[i]->id, id) != 0)
        i++;
    return i < l->n ? i : -1;
}

ecg_result *ecg_results_find(ecg_results *l, const char *id)
{
    pthread_mutex_lock(&l->lock);
    const int i = place_of(l, id);
    ecg_result *r = i < 0 ? NULL : l->kept[i];
    if (r)
        r->holders++;
    pthread_mutex_unlock(&l->lock);
    return r;
}

int ecg_results_all(ecg_result **out, ecg_results *l, int most)
{
    pthread_mutex_lock(&l->lock);
    const int n = l->n < most ? l->n : most;
    for (int i = 0; i < n; i++) {
        out[i] = l->kept[i];
        out[i]->holders++;
    }
    pthread_mutex_unlock(&l->lock);
    return n;
}

bool ecg_results_drop(ecg_results *l, const char *id)
{
    pthread_mutex_lock(&l->lock);
    const int i = id ? place_of(l, id) : -1;
    if (i >= 0)
        remove_at(l, i);
    while (!id && l->n)
        remove_at(l, l->n - 1);
    pthread_mutex_unlock(&l->lock);
    return !id || i >= 0;
}

void ecg_result_done(ecg_results *l, ecg_result *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&l->lock);
    let_go(r);
    pthread_mutex_unlock(&l->lock);
}

/* Under the lock. */
static const ecg_view *find_view(const ecg_result *r, const char *key)
{
    for (int i = 0; i < r->views; i++)
        if (strcmp(r->view[i].key, key) == 0)
            return &r->view[i];
    return NULL;
}

bool ecg_result_view(ecg_text *out, ecg_results *l, const ecg_result *r, const char *key)
{
    pthread_mutex_lock(&l->lock);
    const ecg_view *v = find_view(r, key);
    if (v)
        ecg_text_add(out, v->text.at, v->text.len);
    pthread_mutex_unlock(&l->lock);
    return v != NULL;
}

void ecg_result_keep(ecg_results *l, ecg_result *r, const char *key, const ecg_text *text)
{
    ecg_view made = {0};
    ecg_text_add(&made.text, text->at, text->len);
    snprintf(made.key, sizeof made.key, "%s", key);
    pthread_mutex_lock(&l->lock);
    const bool keep = !made.text.failed && made.text.len && r->listed && r->views < ECG_VIEWS_MAX && !find_view(r, key);
    if (keep) {
        r->view[r->views++] = made;
        r->bytes += made.text.room;
        l->bytes += made.text.room;
        make_room(l);
    }
    pthread_mutex_unlock(&l->lock);
    if (!keep)
        ecg_text_clear(&made.text);
}

const char *ecg_result_state(const ecg_result *r)
{
    static const char *const states[] = {"answered", "caution", "refused"};
    return r->answered ? states[r->a.input] : "refused";
}
