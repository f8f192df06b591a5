/* SPDX-License-Identifier: MIT
 * train.c: the training loop and its checkpoint. Everything that a step draws depends on (seed, step, epoch, row), and what was drawn is
 * not stored: parameters, moments and the position are the whole state. */
#include "study/train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "study/room.h"
#include "study/work.h"

int64_t ecg_train_epochs(int64_t epochs, int64_t updates, int64_t rows, int64_t batch)
{
    const int64_t steps = rows / batch > 0 ? rows / batch : 1, asked = (updates + steps - 1) / steps;
    return asked > epochs ? asked : epochs;
}

ecg_encoder_config ecg_train_encoder(const ecg_config *c, int leads)
{
    return (ecg_encoder_config){.leads = leads, .width = (int)c->encoder.width, .blocks = (int)c->encoder.blocks, .state = (int)c->encoder.state,
                                .length = (int)c->encoder.length, .bidirectional = c->encoder.bidirectional, .dropout = (float)c->encoder.dropout};
}

ecg_status ecg_train_encoder_ready(ecg_model *m, const ecg_exec *exec, ecg_err *err)
{
    const ecg_status st = ecg_encoder_prepare(m->encoder, &m->table, err);
    if (!st)
        ecg_encoder_refresh(m->encoder, &m->table, exec);
    return st;
}

ecg_status ecg_train_begin(ecg_model *m, uint64_t seed, const ecg_exec *exec, ecg_err *err)
{
    ecg_params_init(&m->table, seed);
    ecg_encoder_init(m->encoder, &m->table, seed);
    return ecg_train_encoder_ready(m, exec, err);
}

/* ---- checkpoint --------------------------------------------------------------------------------------------------------- */

enum {POSITIONS = 5, SCORES = 2};

static ecg_status save_checkpoint(const ecg_training *t, const ecg_train_state *s, ecg_err *err)
{
    char path[512];
    ecg_tensorsw *w;
    const ecg_params *p = &t->model->table;
    const int64_t position[POSITIONS] = {s->epoch, s->in_epoch, s->step, s->best_epoch, s->best_step};
    const double score[SCORES] = {s->best, s->loss_sum};
    ecg_status st = ecg_run_path(path, t->run, "last.safetensors", err);
    if (st || (st = ecg_tensorsw_create(&w, path, 0, err)))
        return st;
    if ((st = ecg_tensorsw_meta(w, "format", "ecgraft.train", err)) || (st = ecg_tensorsw_meta(w, "format_version", "1.0", err)) ||
        (st = ecg_tensorsw_meta(w, "identity", t->identity, err)) ||
        (st = ecg_tensorsw_put(w, "train.position", ECG_I64, 1, (int64_t[]){POSITIONS}, position, err)) ||
        (st = ecg_tensorsw_put(w, "train.score", ECG_F64, 1, (int64_t[]){SCORES}, score, err)) ||
        (t->parts && (st = ecg_tensorsw_put(w, "train.parts", ECG_F64, 1, (int64_t[]){t->parts}, s->part_sum, err))) ||
        (st = ecg_params_save(p, w, "", p->value, err)) || (st = ecg_params_save(p, w, "m/", p->m, err)) ||
        (st = ecg_params_save(p, w, "v/", p->v, err)) || (t->mean && (st = ecg_params_save(p, w, "mean/", t->mean, err)))) {
        ecg_tensorsw_abort(w);
        return st;
    }
    return ecg_tensorsw_commit(w, err);
}

static ecg_status read_checkpoint(ecg_train_state *s, const ecg_training *t, const ecg_tensors *f, int64_t steps, ecg_err *err)
{
    const ecg_tensor *position, *score, *parts = NULL;
    ecg_params *p = &t->model->table;
    ecg_status st = ecg_tensors_check_format(f, "ecgraft.train", err);
    if (st || (st = ecg_tensors_need(f, &position, "train.position", ECG_I64, 1, (int64_t[]){POSITIONS}, err)) ||
        (st = ecg_tensors_need(f, &score, "train.score", ECG_F64, 1, (int64_t[]){SCORES}, err)) ||
        (t->parts && (st = ecg_tensors_need(f, &parts, "train.parts", ECG_F64, 1, (int64_t[]){t->parts}, err))))
        return st;
    const char *identity = ecg_tensors_meta(f, "identity");
    if (!identity || strcmp(identity, t->identity))
        return ecg_fail(err, ECG_EDATA, "the checkpoint belongs to another run: %.80s, not %.80s", identity ? identity : "nameless", t->identity);
    if ((st = ecg_params_load(p, f, "", "", p->value, err)) || (st = ecg_params_load(p, f, "", "m/", p->m, err)) ||
        (st = ecg_params_load(p, f, "", "v/", p->v, err)) || (t->mean && (st = ecg_params_load(p, f, "", "mean/", t->mean, err))))
        return st;
    int64_t at[POSITIONS];
    double x[SCORES];
    memcpy(at, position->data, sizeof at);
    memcpy(x, score->data, sizeof x);
    *s = (ecg_train_state){at[0], at[1], at[2], at[3], at[4], x[0], x[1], {0}};
    if (parts)
        memcpy(s->part_sum, parts->data, parts->bytes);
    if (s->epoch < 0 || s->in_epoch < 0 || s->in_epoch > steps || s->epoch > UINT32_MAX / (steps + 1) || s->step != s->epoch * steps + s->in_epoch)
        return ecg_fail(err, ECG_EDATA, "epoch %" PRId64 ", step %" PRId64 " of %" PRId64 ", %" PRId64 " steps in all do not fit together", s->epoch,
                        s->in_epoch, steps, s->step);
    return ECG_OK;
}

static ecg_status load_checkpoint(ecg_train_state *s, const ecg_training *t, int64_t steps, ecg_err *err)
{
    char path[512];
    ecg_tensors *f;
    ecg_status st = ecg_run_path(path, t->run, "last.safetensors", err);
    if (st || (st = ecg_tensors_open(&f, path, err)))
        return st;
    if ((st = read_checkpoint(s, t, f, steps, err)))
        ecg_fail_in(err, st, path);
    ecg_tensors_close(f);
    return st;
}

/* ---- one epoch ---------------------------------------------------------------------------------------------------------- */

typedef struct {
    uint32_t *order; /* (rows) */
    int64_t steps, total_steps;
    double saved_at; /* clock at the last checkpoint */
    double in_steps, waited; /* seconds in the steps of this epoch, and of those for data */
    bool ahead;      /* the cohort does not lie in memory: the next batch is asked for before a step begins */
} course;

/* mean += (1 - decay)(value - mean): what never moves stays as it is bit for bit. The first steps count more, or the beginning would weigh for long. */
static void follow(const ecg_training *t, int64_t step)
{
    const ecg_params *p = &t->model->table;
    const double early = (double)(step + 1) / (double)(step + 10);
    const float share = (float)(1 - (t->average < early ? t->average : early));
    for (size_t i = 0; i < p->floats; i++)
        t->mean[i] = p->value[i] == t->mean[i] ? p->value[i] : t->mean[i] + share * (p->value[i] - t->mean[i]); /* -0 stays -0 */
}

/* The mean in the place of the parameters, and back again. */
static void change_places(ecg_training *t)
{
    ecg_params *p = &t->model->table;
    float *value = p->value;
    if (!t->mean)
        return;
    p->value = t->mean;
    t->mean = value;
    if (t->encoder_trains)
        ecg_encoder_refresh(t->model->encoder, p, t->exec);
}

static ecg_status one_step(const ecg_training *t, ecg_train_state *s, const course *c, ecg_err *err)
{
    ecg_params *p = &t->model->table;
    double loss = 0;
    ecg_params_zero_grad(p);
    ecg_status st = t->step(t->ctx, &loss, c->order + s->in_epoch * t->batch, (int)t->batch, (uint32_t)s->epoch, (uint32_t)s->step, err);
    if (st)
        return st;
    if (!isfinite(loss) || !isfinite(ecg_params_grad_norm(p)))
        return ecg_fail(err, ECG_EDATA, "%s: %s is not finite in epoch %" PRId64 ", step %" PRId64 "; the last checkpoint was kept", t->stage,
                        isfinite(loss) ? "a gradient" : "the loss", s->epoch + 1, s->step + 1);
    ecg_adamw now = t->optimiser;
    const double factor = ecg_lr_factor(t->schedule, s->step, t->warmup, c->total_steps);
    for (int g = 0; g < 4; g++)
        now.lr[g] *= factor;
    ecg_adamw_step(p, &now, s->step + 1, t->exec);
    if (t->encoder_trains)
        ecg_encoder_refresh(t->model->encoder, p, t->exec);
    if (t->mean)
        follow(t, s->step);
    s->loss_sum += loss;
    for (int i = 0; i < t->parts; i++)
        s->part_sum[i] += t->part_now[i];
    s->in_epoch++;
    s->step++;
    return ECG_OK;
}

static long pages_read(void) /* by this process, because they were not in memory when they were needed */
{
    struct rusage u;
    return getrusage(RUSAGE_SELF, &u) == 0 ? u.ru_majflt : 0;
}

/* A step by the clock. Where its records had to be read first (a cohort larger than memory), those of the next one are asked for before it begins. */
static ecg_status timed_step(const ecg_training *t, ecg_train_state *s, course *c, ecg_err *err)
{
    const double began = ecg_clock(), waited = *t->loader->waited;
    const long pages = pages_read();
    if (c->ahead && s->in_epoch + 1 < c->steps)
        ecg_loader_ahead(t->loader, c->order + (s->in_epoch + 1) * t->batch, (int)t->batch, t->seed, (uint32_t)s->epoch);
    const ecg_status st = one_step(t, s, c, err);
    c->in_steps += ecg_clock() - began;
    c->waited += *t->loader->waited - waited;
    c->ahead |= pages_read() - pages > t->batch / 4;
    return st;
}

static ecg_status interrupted(const ecg_training *t, const ecg_train_state *s, ecg_err *err)
{
    const ecg_status st = save_checkpoint(t, s, err);
    return st ? st : ecg_fail(err, ECG_EINTR, "interrupted in epoch %" PRId64 ", step %" PRId64 "; saved, --resume goes on", s->epoch + 1, s->step);
}

static ecg_status all_steps(const ecg_training *t, ecg_train_state *s, course *c, ecg_err *err)
{
    char extra[64];
    while (s->in_epoch < c->steps) {
        ecg_status st = timed_step(t, s, c, err);
        if (st)
            return st;
        snprintf(extra, sizeof extra, "epoch %" PRId64 "/%" PRId64 ", loss %.4f", s->epoch + 1, t->epochs, s->loss_sum / (double)s->in_epoch);
        ecg_progress(t->watch, t->stage, (double)s->step, (double)c->total_steps + 1, extra);
        if (ecg_stopped(t->watch))
            return interrupted(t, s, err);
        const bool by_time = t->config->checkpoint_seconds > 0 && ecg_clock() - c->saved_at >= t->config->checkpoint_seconds;
        const bool by_step = t->config->checkpoint_steps > 0 && s->step % t->config->checkpoint_steps == 0;
        if (s->in_epoch < c->steps && (by_time || by_step)) {
            if ((st = save_checkpoint(t, s, err)))
                return st;
            c->saved_at = ecg_clock();
        }
    }
    return ECG_OK;
}

/* ", \"loss_labels\": 0.31 ..." of the epoch */
static void parts_text(char *out, size_t size, const ecg_training *t, const ecg_train_state *s, int64_t steps)
{
    size_t at = 0;
    out[0] = 0;
    for (int i = 0; i < t->parts && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, ", \"%s\": %.9g", t->part[i], s->part_sum[i] / (double)steps);
}

/* Is the epoch the best so far? Then it is written down. */
static ecg_status judge_and_keep(const ecg_training *t, ecg_train_state *s, double *measure, ecg_err *err)
{
    const ecg_status st = t->judge(t->ctx, measure, err);
    const bool better = s->best_epoch == 0 || !isfinite(*measure) || (t->higher ? *measure > s->best : *measure < s->best);
    if (st || !better)
        return st;
    s->best = *measure;
    s->best_epoch = s->epoch + 1;
    s->best_step = s->step;
    return t->keep(t->ctx, s, err);
}

/* ", \"steps_per_s\": 1.6 ...": the pace of the steps that this session made of the epoch. */
static void pace_text(char *out, size_t size, const ecg_training *t, const course *c, int64_t steps)
{
    const double seconds = c->in_steps > 0 ? c->in_steps : 1, mib = 1048576, anonymous = ecg_memory_anonymous();
    snprintf(out, size, ", \"steps_per_s\": %.4g, \"data_wait\": %.2g, \"gflops\": %.4g, \"rss_mib\": %.0f", (double)steps / seconds,
             c->waited / seconds, (double)(steps * t->batch) * ecg_work_step(t->model) / seconds / 1e9, isfinite(anonymous) ? anonymous / mib : 0);
}

/* Selection, metrics, checkpoint. */
static ecg_status end_epoch(ecg_training *t, ecg_train_state *s, course *c, double began, int64_t steps_here, ecg_err *err)
{
    double measure = NAN;
    ecg_status st = ECG_OK;
    if (t->judge_every < 2 || (s->epoch + 1) % t->judge_every == 0 || s->epoch + 1 == t->epochs) {
        change_places(t);
        st = judge_and_keep(t, s, &measure, err);
        change_places(t);
    }
    if (st == ECG_EINTR)
        return interrupted(t, s, err);
    if (st)
        return st;
    const double loss = s->loss_sum / (double)c->steps;
    char value[32] = "null", parts[384], pace[160], line[1024];
    parts_text(parts, sizeof parts, t, s, c->steps);
    pace_text(pace, sizeof pace, t, c, steps_here);
    s->epoch++;
    s->in_epoch = 0;
    s->loss_sum = 0;
    memset(s->part_sum, 0, sizeof s->part_sum);
    if (isfinite(measure))
        snprintf(value, sizeof value, "%.9g", measure);
    const double seconds = ecg_clock() - began;
    snprintf(line, sizeof line,
             "{\"stage\": \"%s\", \"epoch\": %" PRId64 ", \"step\": %" PRId64 ", \"loss\": %.9g%s, \"%s\": %s, \"best_epoch\": %" PRId64
             ", \"seconds\": %.3f, \"samples_per_s\": %.1f%s}",
             t->stage, s->epoch, s->step, loss, parts, t->measure, value, s->best_epoch, seconds, (double)(steps_here * t->batch) / (seconds > 0 ? seconds : 1), pace);
    if ((st = ecg_run_metric(t->run, line, err)) || (st = save_checkpoint(t, s, err)))
        return st;
    c->saved_at = ecg_clock();
    const int64_t judged = t->judge_every > 1 ? t->judge_every : 1, often = t->epochs >= 40 ? t->epochs / 20 : 1;
    const int64_t every = (often + judged - 1) / judged * judged; /* epochs that were judged */
    if (s->epoch % every == 0 || s->epoch == t->epochs)
        ecg_say(t->watch, "%s epoch %" PRId64 "/%" PRId64 ": loss %.4f, %s %s; best epoch %" PRId64, t->stage, s->epoch, t->epochs, loss, t->measure, value,
                s->best_epoch);
    return ECG_OK;
}

static ecg_status to_the_end(ecg_train_state *state, ecg_training *t, ecg_err *err)
{
    ecg_train_state s = {0};
    course c = {.steps = t->rows->n / t->batch, .saved_at = ecg_clock()};
    ecg_status st = ECG_OK;
    c.total_steps = c.steps * t->epochs;
    if (c.total_steps >= UINT32_MAX)
        return ecg_fail(err, ECG_EARG, "%" PRId64 " updates are more than a step counter holds", c.total_steps);
    if (t->run->resumed) {
        if ((st = load_checkpoint(&s, t, c.steps, err)))
            return st;
        if ((st = ecg_encoder_prepare(t->model->encoder, &t->model->table, err)))
            return st;
        ecg_encoder_refresh(t->model->encoder, &t->model->table, t->exec);
        ecg_say(t->watch, s.epoch < t->epochs ? "%s goes on after epoch %" PRId64 ", step %" PRId64 : "%s is complete: epoch %" PRId64 ", step %" PRId64,
                t->stage, s.epoch, s.step);
    }
    c.order = malloc((size_t)t->rows->n * sizeof *c.order);
    if (!c.order)
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    st = ecg_run_keep_metrics(t->run, s.epoch, err);
    while (!st && s.epoch < t->epochs) {
        const double began = ecg_clock();
        const int64_t first = s.in_epoch;
        c.in_steps = c.waited = 0;
        ecg_rows_order(c.order, t->rows, t->seed, (uint32_t)s.epoch);
        if (!(st = all_steps(t, &s, &c, err)))
            st = end_epoch(t, &s, &c, began, c.steps - first, err);
    }
    ecg_progress(t->watch, t->stage, 1, 1, "");
    free(c.order);
    *state = s;
    return st;
}

ecg_status ecg_train(ecg_training *t, const char *more, ecg_err *err)
{
    char best[32] = "null", result[1024];
    ecg_train_state state = {0};
    const ecg_params *p = &t->model->table;
    if (t->average > 0 && !(t->mean = malloc(p->floats * sizeof *t->mean)))
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    if (t->mean)
        memcpy(t->mean, p->value, p->floats * sizeof *t->mean);
    const ecg_status st = to_the_end(&state, t, err);
    free(t->mean);
    t->mean = NULL;
    if (st && st != ECG_EINTR)
        return st;
    if (isfinite(state.best) && state.best_epoch)
        snprintf(best, sizeof best, "%.9g", state.best);
    snprintf(result, sizeof result, "{\"epochs\": %" PRId64 ", \"steps\": %" PRId64 ", \"best_epoch\": %" PRId64 ", \"%s\": %s%s}", state.epoch, state.step,
             state.best_epoch, t->measure, best, more);
    const ecg_status closed = ecg_run_close(t->run, st ? "interrupted" : "done", result, st ? NULL : err);
    return st ? st : closed;
}
