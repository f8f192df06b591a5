/* SPDX-License-Identifier: MIT
 * study_plan.c: the table of the study as data. A row is measured on one stage; a stage names what it begins with and what it sets otherwise. */
#include "study/study_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* ---- the table ---------------------------------------------------------------------------------------------------------- */

enum { DX = ECG_TASK_DIAGNOSES, LABS = ECG_TASK_LABS };

/* Published figures: protocol 7.5, test macro AUROC. */
static const ecg_row_info table[] = {
    {"signal", "Supervised, signal only", "baseline", DX, "signal/diagnoses", 0.768, "ECG", "diagnoses"},
    {"multi_labs", "Multimodal lab prediction", "baseline", LABS, "multi_labs/labs", 0.762, "ECG, routine", "routine, labs"},
    {"multi", "Multimodal classification", "baseline", DX, "multi/diagnoses", 0.826, "ECG, routine, labs", "routine, labs, diagnoses"},
    {"ours_shared", "Ours, one embedding", "ours", DX, "ours/diagnoses", 0.795, "ECG", "routine, labs, diagnoses"},
    {"ours_shared", "Ours, one embedding", "ours", LABS, "ours/labs_shared", 0.701, "ECG", "routine, labs, diagnoses"},
    {"ours_branched", "Ours, branched", "ours", DX, "ours/diagnoses", 0.795, "ECG", "routine, labs, diagnoses"},
    {"ours_branched", "Ours, branched", "ours", LABS, "ours/labs_branched", 0.701, "ECG", "routine, labs, diagnoses"},
    {"ecg_labs", "Labs from the ECG alone", "control", LABS, "ecg_labs/labs", 0, "ECG", "labs"},
    {"ours_random", "Ours from random weights", "control", DX, "ours_random/diagnoses", 0, "ECG", "diagnoses"},
    {"ours_random", "Ours from random weights", "control", LABS, "ours_random/labs", 0, "ECG", "labs, diagnoses"},
    {"shuffled", "Ours, shuffled pairs", "control", DX, "shuffled/diagnoses", 0, "ECG", "shuffled tables, diagnoses"},
    {"signal_long", "Signal only, three times as long", "control", DX, "signal_long/diagnoses", 0, "ECG", "diagnoses"},
    {"signal_hidden", "Signal only, hidden layer in the head", "control", DX, "signal_hidden/diagnoses", 0, "ECG", "diagnoses"},
    {"signal_all", "Signal only, all labels", "control", DX, "signal_all/diagnoses", 0, "ECG", "all diagnoses"},
    {"ours_all", "Ours, all labels", "control", DX, "ours_all/diagnoses", 0, "ECG", "routine, labs, all diagnoses"},
    {"signal_published", "Signal only, as released", "published", DX, "signal_published/diagnoses", 0.768, "ECG", "diagnoses"},
    {"multi_labs_published", "Multimodal labs, as released", "published", LABS, "multi_labs_published/labs", 0.762, "ECG, routine", "routine, labs"},
    {"multi_published", "Multimodal, as released", "published", DX, "multi_published/diagnoses", 0.826, "ECG, routine, labs", "routine, labs, diagnoses"},
};
enum { ROWS = sizeof table / sizeof *table };

static const ecg_pair_info pairs[] = {
    {"ours_shared", "signal", DX}, {"multi", "signal", DX}, {"multi", "ours_shared", DX}, {"ours_random", "signal", DX},
    {"ours_shared", "ours_random", DX}, {"shuffled", "signal", DX}, {"ours_shared", "shuffled", DX}, {"ours_shared", "signal_long", DX}, {"signal_long", "signal", DX},
    {"ours_shared", "signal_hidden", DX}, {"signal_hidden", "signal", DX},
    {"ours_all", "signal_all", DX},
    {"multi_labs", "ours_shared", LABS}, {"multi_labs", "ours_branched", LABS}, {"multi_labs", "ecg_labs", LABS},
    {"ours_branched", "ours_shared", LABS}, {"ours_shared", "ecg_labs", LABS}, {"ours_branched", "ecg_labs", LABS},
    {"ours_shared", "ours_random", LABS}, {"ours_shared", "signal_published", DX}, {"multi_published", "signal_published", DX},
};

typedef struct {
    const char *id, *title;
    ecg_stage_kind kind;
    const char *from, *change;
    bool probe, released; /* released: the recipe of the published baselines */
} stage_info;

/* In an order in which they can be trained. */
static const stage_info stages[] = {
    {"signal/diagnoses", "signal only: diagnoses", ECG_KIND_DIAGNOSES, .probe = true},
    {"ours/pretrain", "ours: stage 1", ECG_KIND_PRETRAIN, .probe = true},
    {"ours/diagnoses", "ours: stage 2, diagnoses", ECG_KIND_DIAGNOSES, .from = "ours/pretrain", .probe = true},
    {"ours/labs_shared", "ours: stage 3, labs on the same embedding", ECG_KIND_LABS, .from = "ours/diagnoses"},
    {"ours/labs_branched", "ours: stage 3, labs on a branch", ECG_KIND_LABS, .from = "ours/pretrain", .probe = true},
    {"multi/diagnoses", "multimodal: diagnoses", ECG_KIND_DIAGNOSES, .change = "finetune.tabular=all"},
    {"multi_labs/labs", "multimodal: labs", ECG_KIND_LABS, .change = "labs.tabular=routine"},
    {"ecg_labs/labs", "ECG alone: labs", ECG_KIND_LABS, .from = NULL},
    {"random/encoder", "an untrained encoder", ECG_KIND_RANDOM, .probe = true},
    {"ours_random/diagnoses", "ours from random weights: diagnoses", ECG_KIND_DIAGNOSES, .from = "random/encoder"},
    {"ours_random/labs", "ours from random weights: labs", ECG_KIND_LABS, .from = "ours_random/diagnoses"},
    {"shuffled/pretrain", "shuffled pairs: stage 1", ECG_KIND_PRETRAIN, .change = "train.shuffle_pairs=true"},
    {"shuffled/diagnoses", "shuffled pairs: diagnoses", ECG_KIND_DIAGNOSES, .from = "shuffled/pretrain"},
    {"signal_long/diagnoses", "signal only: three times as long", ECG_KIND_DIAGNOSES, .change = "finetune.epochs=*3 finetune.updates=*3"},
    {"signal_hidden/diagnoses", "signal only: hidden layer in the head", ECG_KIND_DIAGNOSES, .change = "finetune.head_hidden=128"},
    {"signal_all/diagnoses", "signal only: all labels", ECG_KIND_DIAGNOSES, .change = "train.labelled=0"},
    {"ours_all/diagnoses", "ours: all labels", ECG_KIND_DIAGNOSES, .from = "ours/pretrain", .change = "train.labelled=0"},
    {"signal_published/diagnoses", "released recipe: signal only", ECG_KIND_DIAGNOSES, .released = true},
    {"multi_labs_published/labs", "released recipe: multimodal labs", ECG_KIND_LABS, .change = "labs.tabular=routine", .released = true},
    {"multi_published/diagnoses", "released recipe: multimodal", ECG_KIND_DIAGNOSES, .change = "finetune.tabular=all", .released = true},
};
enum { STAGES = sizeof stages / sizeof *stages };

/* Ablations: each changes ours in one thing. "=*F": the value of ours times F. Where the change is of stage 1, stages 1 and 2 are trained again;
 * joint training has but one. */
typedef enum { AGAIN_FINETUNE, AGAIN_PRETRAIN, AGAIN_LABS_FIRST, AGAIN_JOINT } again;
static const struct { const char *name, *group, *title; again mode; const char *change; } lines[] = {
    {"tabular_routine", "tabular", "stage 1 sees routine columns only", AGAIN_PRETRAIN, "pretrain.tabular=routine"},
    {"tabular_lab", "tabular", "stage 1 sees laboratory columns only", AGAIN_PRETRAIN, "pretrain.tabular=lab"},
    {"lambda_quarter", "lambda", "lambda a quarter", AGAIN_PRETRAIN, "pretrain.lambda=*0.25"},
    {"lambda_fourfold", "lambda", "lambda fourfold", AGAIN_PRETRAIN, "pretrain.lambda=*4"},
    {"embedding_half", "embedding", "joint embedding half as wide", AGAIN_PRETRAIN, "projector.out=*0.5"},
    {"embedding_double", "embedding", "joint embedding twice as wide", AGAIN_PRETRAIN, "projector.out=*2"},
    {"batch_half", "batch", "stage 1 with half the batch", AGAIN_PRETRAIN, "pretrain.batch=*0.5"},
    {"batch_double", "batch", "stage 1 with twice the batch", AGAIN_PRETRAIN, "pretrain.batch=*2"},
    {"frozen_0", "frozen", "nothing frozen", AGAIN_FINETUNE, "finetune.frozen_blocks=0"},
    {"frozen_1", "frozen", "input and 1 block frozen", AGAIN_FINETUNE, "finetune.frozen_blocks=1"},
    {"frozen_2", "frozen", "input and 2 blocks frozen", AGAIN_FINETUNE, "finetune.frozen_blocks=2"},
    {"frozen_3", "frozen", "input and 3 blocks frozen", AGAIN_FINETUNE, "finetune.frozen_blocks=3"},
    {"frozen_4", "frozen", "input and 4 blocks frozen", AGAIN_FINETUNE, "finetune.frozen_blocks=4"},
    {"labs_first", "order", "labs first, diagnoses from there", AGAIN_LABS_FIRST, NULL},
    {"l2sp_weak", "l2sp", "weights held, L2-SP 0.001", AGAIN_FINETUNE, "finetune.l2sp=0.001"},
    {"l2sp_strong", "l2sp", "weights held, L2-SP 0.01", AGAIN_FINETUNE, "finetune.l2sp=0.01"},
    {"hold_weak", "hold", "embedding held, 0.1", AGAIN_FINETUNE, "finetune.hold=0.1"},
    {"hold_strong", "hold", "embedding held, 1", AGAIN_FINETUNE, "finetune.hold=1"},
    {"distill_half", "distill", "teacher's probabilities, 0.5", AGAIN_FINETUNE, "finetune.distill=0.5"},
    {"distill_one", "distill", "teacher's probabilities, 1", AGAIN_FINETUNE, "finetune.distill=1"},
    {"distill_hidden_weak", "distill_hidden", "teacher's embedding, 0.1", AGAIN_FINETUNE, "finetune.distill_hidden=0.1"},
    {"distill_hidden_strong", "distill_hidden", "teacher's embedding, 1", AGAIN_FINETUNE, "finetune.distill_hidden=1"},
    {"joint_uncertainty", "joint", "all three losses at once, weighed by their uncertainty", AGAIN_JOINT, "joint.weighting=uncertainty"},
    {"joint_projection", "joint", "all three losses at once, conflicting gradients projected", AGAIN_JOINT, "joint.weighting=projection"},
    {"joint_none", "joint", "all three losses at once, their plain sum", AGAIN_JOINT, "joint.weighting=none"},
    {"vicreg", "vicreg", "stage 1 by VICReg", AGAIN_PRETRAIN, "pretrain.loss=vicreg"},
};
enum { LINES = sizeof lines / sizeof *lines };

int ecg_rows_of_table(const ecg_row_info **rows)
{
    *rows = table;
    return ROWS;
}

int ecg_pairs_of_table(const ecg_pair_info **out)
{
    *out = pairs;
    return (int)(sizeof pairs / sizeof *pairs);
}

const ecg_row_info *ecg_row_find(const char *row, int task)
{
    for (int i = 0; i < ROWS; i++)
        if (strcmp(table[i].row, row) == 0 && table[i].task == task)
            return &table[i];
    return NULL;
}

const char *ecg_task_name(int task)
{
    return task == ECG_TASK_LABS ? "labs" : "diagnoses";
}

const char *ecg_kind_name(ecg_stage_kind kind)
{
    static const char *const names[] = {"random", "pretrain", "diagnoses", "labs", "joint"};
    return names[kind];
}

const char *ecg_state_name(ecg_stage_state s)
{
    static const char *const names[] = {"pending", "done", "failed", "left_out", "not_asked", "partial"};
    return names[s];
}

const char *ecg_study_row_names(void)
{
    return "signal, multi_labs, multi, ours_shared, ours_branched; controls: ecg_labs, ours_random, shuffled, signal_long, signal_hidden, signal_all, ours_all";
}

const char *ecg_study_ablation_groups(void)
{
    return "tabular, lambda, embedding, batch, frozen, order, l2sp, hold, distill, distill_hidden, joint, vicreg";
}

/* ---- settings as text --------------------------------------------------------------------------------------------------- */

ecg_status ecg_settings_of(ecg_settings *out, const ecg_config *c, ecg_err *err)
{
    char *text = NULL, section[32] = "";
    *out = (ecg_settings){0};
    ecg_status st = ecg_config_text(&text, c, err);
    if (st)
        return st;
    size_t lines_in = 1;
    for (const char *p = text; *p; p++)
        lines_in += *p == '\n';
    out->at = calloc(lines_in, sizeof *out->at);
    if (!out->at) {
        free(text);
        return ecg_fail(err, ECG_ENOMEM, "out of memory");
    }
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        char key[40], value[64];
        if (line[0] != ' ' && sscanf(line, "%31[a-z]:", section) == 1 && strncmp(line, "preset:", 7))
            continue;
        if (line[0] == ' ' && sscanf(line, " %39[a-z0-9_]: %63s", key, value) == 2) {
            ecg_setting *s = &out->at[out->n++];
            snprintf(s->name, sizeof s->name, "%s.%s", section, key);
            snprintf(s->value, sizeof s->value, "%s", value);
        }
    }
    free(text);
    return ECG_OK;
}

void ecg_settings_clear(ecg_settings *s)
{
    free(s->at);
    *s = (ecg_settings){0};
}

bool ecg_setting_free(const char *name)
{
    return strcmp(name, "train.memory_mb") == 0 || strncmp(name, "train.checkpoint_", 17) == 0 || strncmp(name, "evaluate.", 9) == 0;
}

bool ecg_setting_value(char value[64], const ecg_config *c, const char *name)
{
    ecg_settings all;
    if (ecg_settings_of(&all, c, NULL))
        return false;
    bool found = false;
    for (int i = 0; i < all.n && !found; i++)
        if ((found = strcmp(all.at[i].name, name) == 0))
            memcpy(value, all.at[i].value, 64);
    ecg_settings_clear(&all);
    return found;
}

/* One of them: "pretrain.lambda=*0.25" becomes "pretrain.lambda=0.005". */
static ecg_status change_one(ecg_config *c, char said[64], const char *what, ecg_err *err)
{
    const char *star = strstr(what, "=*");
    char name[64], value[64];
    snprintf(said, 64, "%s", what);
    if (star) {
        snprintf(name, sizeof name, "%.*s", (int)(star - what), what);
        if (ecg_setting_value(value, c, name))
            snprintf(said, 64, "%.40s=%.9g", name, strtod(value, NULL) * strtod(star + 2, NULL));
    }
    return ecg_config_assign(c, said, err);
}

/* "name=value name=value"; said: what they came to. */
static ecg_status change(ecg_config *c, char said[128], const char *what, ecg_err *err)
{
    ecg_status st = ECG_OK;
    said[0] = 0;
    for (const char *at = what; *at && !st; at += strspn(at, " ")) {
        char one[64], came_to[64];
        const size_t n = strcspn(at, " "), used = strlen(said);
        snprintf(one, sizeof one, "%.*s", (int)n, at);
        st = change_one(c, came_to, one, err);
        snprintf(said + used, 128 - used, "%s%s", used ? " " : "", came_to);
        at += n;
    }
    return st;
}

/* ---- what is asked ------------------------------------------------------------------------------------------------------ */

/* A word of "a,b,c" at *at into out; false: no more. */
static bool next_word(char out[40], const char **at)
{
    *at += strspn(*at, ", ");
    const size_t n = strcspn(*at, ", ");
    snprintf(out, 40, "%.*s", (int)(n < 39 ? n : 39), *at);
    *at += n;
    return n > 0;
}

static bool named(const char *list, const char *name)
{
    char word[40];
    for (const char *at = list; list && next_word(word, &at);)
        if (strcmp(word, name) == 0)
            return true;
    return false;
}

static ecg_status check_words(const char *list, const char *const *names, int n, const char *what, const char *all, ecg_err *err)
{
    char word[40];
    for (const char *at = list; list && next_word(word, &at);) {
        int i = 0;
        while (i < n && strcmp(word, names[i]))
            i++;
        const char *near = i < n ? NULL : ecg_nearest(word, names, n);
        if (i == n)
            return ecg_fail(err, ECG_EARG, "no %s is called '%s'%s%s; there are %s", what, word, near ? "; the nearest is " : "", near ? near : "", all);
    }
    return ECG_OK;
}

ecg_status ecg_study_words(const char *only, const char *ablate, ecg_err *err)
{
    const char *rows[ROWS], *names[2 * LINES + 1] = {"all"};
    for (int i = 0; i < ROWS; i++)
        rows[i] = table[i].row;
    for (int k = 0; k < LINES; k++) {
        names[2 * k + 1] = lines[k].name;
        names[2 * k + 2] = lines[k].group;
    }
    const ecg_status st = check_words(only, rows, ROWS, "row", ecg_study_row_names(), err);
    return st ? st : check_words(ablate, names, 2 * LINES + 1, "ablation", ecg_study_ablation_groups(), err);
}

static bool labels_hidden(const ecg_config *c)
{
    char value[64];
    return ecg_setting_value(value, c, "train.labelled") && strtod(value, NULL) > 0;
}

/* What tells the rows apart is not for a person to set. */
static ecg_status check_settings(const ecg_config *c, ecg_err *err)
{
    if (c->train.shuffle_pairs)
        return ecg_fail(err, ECG_EARG, "train.shuffle_pairs is what the row 'shuffled' is about: it cannot be set for all rows of a study");
    if (c->finetune.tabular || c->labs.tabular)
        return ecg_fail(err, ECG_EARG, "%s.tabular is what tells the rows of a study apart: it cannot be set for all of them",
                        c->finetune.tabular ? "finetune" : "labs");
    return ecg_config_check(c, err);
}

static ecg_status choose_rows(ecg_plan *p, const ecg_study_task *t, ecg_err *err)
{
    ecg_status st = check_settings(t->config, err);
    if (st || (st = ecg_study_words(t->only, t->ablate, err)))
        return st;
    for (int i = 0; i < ROWS; i++) {
        const bool control = strcmp(table[i].kind, "control") == 0, released = strcmp(table[i].kind, "published") == 0;
        p->wanted[i] = t->only ? named(t->only, table[i].row) : control ? t->controls : released ? t->published : true;
        if (!t->only && strstr(table[i].row, "_all") && !labels_hidden(t->config))
            p->wanted[i] = false; /* the rows themselves have all labels */
        if (!t->only && strcmp(table[i].row, "signal_hidden") == 0 && t->config->finetune.head_hidden > 0)
            p->wanted[i] = false; /* the rows themselves have that layer */
    }
    return ECG_OK;
}

/* ---- stages ------------------------------------------------------------------------------------------------------------- */

int ecg_plan_find(const ecg_plan *p, const char *id)
{
    for (int i = 0; i < p->stages; i++)
        if (strcmp(p->stage[i].id, id) == 0)
            return i;
    return -1;
}

/* Head, loss, batch and rate of the released baselines; passes over the data stay those of the study. */
static ecg_status released_recipe(ecg_config *c, ecg_err *err)
{
    ecg_config old;
    const ecg_status st = ecg_config_preset(&old, "mdsed-s4", err);
    if (st)
        return st;
    ecg_cfg_tuning *to[] = {&c->finetune, &c->labs};
    const ecg_cfg_tuning *from[] = {&old.finetune, &old.labs};
    for (int i = 0; i < 2; i++) {
        const int64_t epochs = to[i]->epochs, updates = to[i]->updates;
        *to[i] = *from[i];
        to[i]->epochs = epochs;
        to[i]->updates = updates;
    }
    return ECG_OK;
}

static ecg_plan_stage *append(ecg_plan *p, const char *id, const char *title, ecg_stage_kind kind, int from, const ecg_config *c)
{
    ecg_plan_stage *s = &p->stage[p->stages++];
    *s = (ecg_plan_stage){.kind = kind, .from = from, .teacher = -1, .config = *c};
    snprintf(s->id, sizeof s->id, "%s", id);
    snprintf(s->title, sizeof s->title, "%s", title);
    return s;
}

static void leave_out(ecg_plan_stage *s, const char *why)
{
    s->state = ECG_STATE_LEFT_OUT;
    snprintf(s->why, sizeof s->why, "%s", why);
}

/* What a stage cannot follow is nothing: there is no encoder to stay close to where none was, and an encoder that does not train stays where it is. */
static void drop_pulls(ecg_config *c, const ecg_plan *p, ecg_stage_kind kind, int from)
{
    const bool shared = kind == ECG_KIND_LABS && from >= 0 && p->stage[from].kind == ECG_KIND_DIAGNOSES;
    ecg_cfg_tuning *const all[] = {&c->finetune, &c->labs};
    for (int i = 0; i < 2; i++) {
        if (from < 0 || shared)
            all[i]->l2sp = all[i]->hold = all[i]->distill_hidden = 0;
        if (from < 0)
            all[i]->distill = 0;
    }
}

static int need(ecg_plan *p, const ecg_study_task *t, const char *id, ecg_err *err);

/* A stage with these settings behind `from`, and its teacher before it. Its place, or -1. */
static int place(ecg_plan *p, const ecg_study_task *t, const char *id, const char *title, ecg_stage_kind kind, int from, const ecg_config *asked, ecg_err *err)
{
    ecg_config c = *asked;
    int teacher = -1;
    drop_pulls(&c, p, kind, from);
    const ecg_cfg_tuning *x = kind == ECG_KIND_LABS ? &c.labs : &c.finetune;
    const bool tuned = kind == ECG_KIND_DIAGNOSES || kind == ECG_KIND_LABS;
    if (tuned && (x->distill > 0 || x->distill_hidden > 0) &&
        (teacher = need(p, t, kind == ECG_KIND_LABS ? "multi_labs/labs" : "multi/diagnoses", err)) < 0)
        return -1;
    append(p, id, title, kind, from, &c)->teacher = teacher;
    return p->stages - 1;
}

/* The stage and those it begins with; its place, or -1 with err set. A setting that cannot be leaves the stage out and says why. */
static int need(ecg_plan *p, const ecg_study_task *t, const char *id, ecg_err *err)
{
    int at = ecg_plan_find(p, id), k = 0, from = -1;
    char said[128];
    ecg_err why = {0};
    if (at >= 0)
        return at;
    while (strcmp(stages[k].id, id))
        k++;
    const stage_info *s = &stages[k];
    if (s->from && (from = need(p, t, s->from, err)) < 0)
        return -1;
    ecg_config c = *t->config;
    if (s->released && released_recipe(&c, err))
        return -1;
    const bool impossible = s->change && change(&c, said, s->change, &why);
    if (strncmp(id, "shuffled/", 9) == 0) /* a teacher has seen the right pairs */
        c.finetune.distill = c.finetune.distill_hidden = 0;
    if ((at = place(p, t, s->id, s->title, s->kind, from, &c, err)) < 0)
        return -1;
    p->stage[at].probe = s->probe;
    if (impossible)
        leave_out(&p->stage[at], why.msg);
    return at;
}

/* ---- ablations ---------------------------------------------------------------------------------------------------------- */

/* Why a line is not trained: it cannot be, or it is ours itself. NULL: it is. room holds the text. */
static const char *spared(ecg_err *room, ecg_config *c, ecg_plan_ablation *a, int k)
{
    if (!lines[k].change)
        return NULL;
    const ecg_config ours = *c;
    if (change(c, a->change, lines[k].change, room))
        return room->msg;
    const bool frozen = strcmp(lines[k].group, "frozen") == 0;
    const int64_t blocks = c->finetune.frozen_blocks, was = ours.finetune.frozen_blocks;
    if (frozen && blocks > c->encoder.blocks) {
        ecg_fail(room, ECG_EARG, "the encoder has %" PRId64 " blocks", c->encoder.blocks);
        return room->msg;
    }
    if ((memcmp(c, &ours, sizeof ours) == 0 && lines[k].mode != AGAIN_JOINT) || (frozen && blocks == (was < 0 ? c->encoder.blocks / 2 : was)))
        return "these are the settings of ours";
    return NULL;
}

static ecg_status add_line(ecg_plan *p, const ecg_study_task *t, int k, bool asked, ecg_err *err)
{
    ecg_plan_ablation *a = &p->ablation[p->ablations++];
    ecg_config c = *t->config;
    ecg_err room = {0};
    char id[64], title[80];
    *a = (ecg_plan_ablation){.stage = -1, .labs = -1};
    snprintf(a->name, sizeof a->name, "%s", lines[k].name);
    snprintf(a->group, sizeof a->group, "%s", lines[k].group);
    snprintf(a->title, sizeof a->title, "%s", lines[k].title);
    const bool joint = lines[k].mode == AGAIN_JOINT;
    snprintf(a->id, sizeof a->id, "ablation-%s/%s", lines[k].name, joint ? "joint" : "diagnoses");
    const char *why = spared(&room, &c, a, k);
    a->asked = asked;
    if (why) {
        a->state = ECG_STATE_LEFT_OUT;
        snprintf(a->why, sizeof a->why, "%.150s", why);
        return ECG_OK;
    }
    int from = need(p, t, "ours/pretrain", err);
    if (from < 0 || need(p, t, "ours/labs_shared", err) < 0) /* and stage 2 before it */
        return err->status;
    if (lines[k].mode == AGAIN_PRETRAIN) {
        snprintf(id, sizeof id, "ablation-%s/pretrain", lines[k].name);
        snprintf(title, sizeof title, "%.60s: stage 1", lines[k].title);
        from = place(p, t, id, title, ECG_KIND_PRETRAIN, -1, &c, err);
    } else if (lines[k].mode == AGAIN_LABS_FIRST && (from = need(p, t, "ours/labs_branched", err)) < 0) {
        return err->status;
    }
    if ((a->stage = place(p, t, a->id, lines[k].title, joint ? ECG_KIND_JOINT : ECG_KIND_DIAGNOSES, joint ? -1 : from, &c, err)) < 0)
        return err->status;
    p->stage[a->stage].probe = true;
    if (joint)
        return ECG_OK;
    snprintf(id, sizeof id, "ablation-%s/labs", lines[k].name);
    snprintf(title, sizeof title, "%.60s: labs", lines[k].title);
    return (a->labs = place(p, t, id, title, ECG_KIND_LABS, a->stage, &c, err)) < 0 ? err->status : ECG_OK;
}

static ecg_status add_ablations(ecg_plan *p, const ecg_study_task *t, ecg_err *err)
{
    ecg_status st = ECG_OK;
    for (int k = 0; k < LINES && !st; k++)
        st = add_line(p, t, k, named(t->ablate, "all") || named(t->ablate, lines[k].name) || named(t->ablate, lines[k].group), err);
    return st;
}

/* ---- what a cohort cannot give ------------------------------------------------------------------------------------------ */

static bool has_group(const ecg_cohort *c, const char *group)
{
    if (!c->tabular)
        return false;
    for (int j = 0; j < c->contract.columns; j++)
        if (!group || strcmp(c->contract.column[j].group, group) == 0)
            return true;
    return false;
}

/* What the columns named by a setting lack in this cohort; NULL: nothing. */
static const char *missing_columns(const ecg_cohort *c, const ecg_config *config, const char *setting)
{
    char group[64];
    if (!ecg_setting_value(group, config, setting))
        snprintf(group, sizeof group, "%s", strncmp(setting, "pretrain.", 9) ? "none" : "all");
    if (strcmp(group, "none") == 0)
        return NULL;
    if (!has_group(c, NULL))
        return "the cohort has no tabular columns";
    if (strcmp(group, "all") && !has_group(c, group))
        return strcmp(group, "lab") ? "the cohort has no routine columns" : "the cohort has no laboratory columns";
    return NULL;
}

static void find_gaps(ecg_plan *p, const ecg_cohort *c)
{
    const ecg_label_table *labels;
    const bool dx = ecg_cohort_labels(c, p->diagnosis_set, &labels) && labels->n > 0;
    const bool labs = ecg_cohort_labels(c, p->lab_set, &labels) && labels->n > 0;
    for (int i = 0; i < p->stages; i++) {
        ecg_plan_stage *s = &p->stage[i];
        const ecg_plan_stage *from = s->from >= 0 ? &p->stage[s->from] : NULL;
        const char *why = NULL;
        if (s->kind == ECG_KIND_PRETRAIN || s->kind == ECG_KIND_JOINT)
            why = missing_columns(c, &s->config, "pretrain.tabular");
        else if (s->kind == ECG_KIND_DIAGNOSES)
            why = dx ? missing_columns(c, &s->config, "finetune.tabular") : "the cohort has no diagnosis labels";
        else if (s->kind == ECG_KIND_LABS)
            why = labs ? missing_columns(c, &s->config, "labs.tabular") : "the cohort has no laboratory labels";
        const ecg_plan_stage *teacher = s->teacher >= 0 ? &p->stage[s->teacher] : NULL;
        if (s->kind == ECG_KIND_JOINT && !why && !dx)
            why = "the cohort has no diagnosis labels";
        if (!why && from && from->state == ECG_STATE_LEFT_OUT)
            why = from->why;
        if (!why && teacher && teacher->state == ECG_STATE_LEFT_OUT)
            why = teacher->why;
        if (why) /* what the cohort lacks says more than a setting */
            leave_out(s, why);
    }
    for (int i = 0; i < p->ablations; i++) {
        ecg_plan_ablation *a = &p->ablation[i];
        if (a->stage >= 0 && p->stage[a->stage].state == ECG_STATE_LEFT_OUT) {
            a->state = ECG_STATE_LEFT_OUT;
            snprintf(a->why, sizeof a->why, "%.150s", p->stage[a->stage].why);
        }
    }
}

static ecg_status choose_sets(ecg_plan *p, const ecg_study_task *t, const ecg_cohort *c, ecg_err *err)
{
    const ecg_label_table *labels;
    snprintf(p->lab_set, sizeof p->lab_set, "labs");
    snprintf(p->diagnosis_set, sizeof p->diagnosis_set, "%s", t->labels ? t->labels : "diagnoses");
    if (ecg_cohort_labels(c, p->diagnosis_set, &labels))
        return ECG_OK;
    if (t->labels) {
        char sets[160] = "";
        for (int i = 0; i < c->contract.sets && strlen(sets) < sizeof sets - 40; i++)
            snprintf(sets + strlen(sets), sizeof sets - strlen(sets), "%s%s", i ? ", " : "", c->contract.table[i].set);
        return ecg_fail_at(err, ECG_EDATA, c->path, 0, 0, "no label set '%.31s'; the cohort has %s", t->labels, *sets ? sets : "none");
    }
    for (int i = 0; i < c->contract.sets; i++)
        if (strcmp(c->contract.table[i].set, "labs") && strcmp(c->contract.table[i].set, "deterioration")) {
            snprintf(p->diagnosis_set, sizeof p->diagnosis_set, "%s", c->contract.table[i].set);
            break;
        }
    return ECG_OK;
}

static void ask(ecg_plan *p, int at)
{
    if (at < 0 || p->stage[at].asked)
        return;
    p->stage[at].asked = true;
    ask(p, p->stage[at].from);
    ask(p, p->stage[at].teacher);
}

static void mark_asked(ecg_plan *p, bool untrained)
{
    bool any = false;
    for (int i = 0; i < ROWS; i++)
        if (p->wanted[i]) {
            ask(p, ecg_plan_find(p, table[i].stage));
            any = true;
        }
    for (int i = 0; i < p->ablations; i++)
        if (p->ablation[i].asked && p->ablation[i].stage >= 0) {
            ask(p, p->ablation[i].stage);
            ask(p, p->ablation[i].labs);
            ask(p, ecg_plan_find(p, "ours/labs_shared"));
        }
    if (any && untrained)
        ask(p, ecg_plan_find(p, "random/encoder"));
}

ecg_status ecg_plan_make(ecg_plan *out, const ecg_study_task *t, const ecg_cohort *c, ecg_err *err)
{
    ecg_plan p = {0};
    ecg_err local = {0};
    ecg_err *why = err ? err : &local;
    p.stage = calloc(STAGES + 3 * LINES, sizeof *p.stage);
    p.wanted = calloc(ROWS, sizeof *p.wanted);
    p.ablation = calloc(LINES, sizeof *p.ablation);
    ecg_status st = p.stage && p.wanted && p.ablation ? choose_sets(&p, t, c, why) : ecg_fail(why, ECG_ENOMEM, "out of memory");
    if (!st)
        st = choose_rows(&p, t, why);
    for (int k = 0; k < STAGES && !st; k++)
        if (need(&p, t, stages[k].id, why) < 0)
            st = why->status;
    if (!st)
        st = add_ablations(&p, t, why);
    if (!st)
        mark_asked(&p, t->controls && c->tabular);
    if (!st)
        find_gaps(&p, c);
    else
        ecg_plan_clear(&p);
    *out = p;
    return st;
}

void ecg_plan_clear(ecg_plan *p)
{
    free(p->stage);
    free(p->wanted);
    free(p->ablation);
    *p = (ecg_plan){0};
}
