/* SPDX-License-Identifier: MIT
 * work.c: see work.h. The table of parameters says all: a weight is one product forwards, one for its gradient unless it is frozen, and one
 * for the gradient of its input where something below it is trained. */
#include "study/work.h"

#include <string.h>

enum { FORWARDS = 2 }; /* operations of a multiply-add */

double ecg_work_encoder(const ecg_encoder_config *c)
{
    const double L = c->length, H = c->width;
    return FORWARDS * L * (H * c->leads + c->blocks * 2 * H * H);
}

static bool is_product(const ecg_param *p)
{
    const char *dot = strrchr(p->name, '.');
    return p->rank == 2 && dot && strcmp(dot, ".weight") == 0 && !strstr(p->name, "embeddings.");
}

static bool in_encoder(const ecg_param *p) { return strncmp(p->name, "ecg.", 4) == 0; }

double ecg_work_forward(const ecg_model *m, const char *prefix)
{
    double sum = 0;
    for (int i = 0; i < m->table.n; i++) {
        const ecg_param *p = &m->table.row[i];
        if (is_product(p) && !in_encoder(p) && (!prefix || strncmp(p->name, prefix, strlen(prefix)) == 0))
            sum += FORWARDS * (double)p->count;
    }
    return sum;
}

double ecg_work_step(const ecg_model *m)
{
    double sum = 0;
    bool below = false; /* something that comes before in the encoder is trained */
    for (int i = 0; i < m->table.n; i++) {
        const ecg_param *p = &m->table.row[i];
        const bool trained = !(p->flags & (ECG_P_FROZEN | ECG_P_BUFFER)), encoder = in_encoder(p);
        if (is_product(p)) {
            const double once = FORWARDS * (double)p->count * (encoder ? m->shape.length : 1);
            sum += once * (1 + trained + (encoder ? below : trained));
        }
        below |= encoder && trained;
    }
    return sum;
}
