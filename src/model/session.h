/* SPDX-License-Identifier: MIT
 * session.h: what answering one recording needs, taken before it is asked for: buffers of the encoder and the heads, a resampler, and memory for
 * everything that lives as long as the answer. A model keeps sessions on a shelf; a call takes one, ecg_answer_clear brings it back. */
#ifndef ECG_MODEL_SESSION_H
#define ECG_MODEL_SESSION_H

#include "base/arena.h"
#include "ecg/prepare.h"
#include "model/bundle.h"
#include "net/infer.h"

enum { ECG_SESSION_ROWS = 16 }; /* of a head at once */

typedef struct ecg_session {
    struct ecg_session *next;
    struct ecg_shelf *shelf;
    ecg_infer_work *encoder;  /* of one thread */
    ecg_mlp_work *head[2];    /* (ECG_SESSION_ROWS) */
    float *z;                 /* (ECG_SESSION_ROWS, the most labels of a head) */
    ecg_resampler *resampler;
    ecg_arena *arena;         /* of the answer that is being made or read */
    struct ecg_crew *crew;    /* whose threads work on that answer, NULL: the caller alone */
} ecg_session;

/* Taken from the model's shelf, or made where none is left, and with the crew if nobody has it: NULL out of memory. Threads may call both at any time. */
ecg_session *ecg_session_take(const ecg_model *m);
void ecg_session_return(ecg_session *s); /* NULL is fine; the model may be closed by then */

typedef struct ecg_shelf ecg_shelf;
ecg_shelf *ecg_shelf_new(void);
ecg_status ecg_shelf_fill(ecg_shelf *shelf, const ecg_model *m, int sessions, ecg_err *err); /* until there are so many free ones */
void ecg_shelf_close(ecg_shelf *shelf); /* goes with the last session that is still out; NULL is fine */

/* Threads for one answer at a time, from its recording to its last reason: whoever finds them busy works alone, with the same result. */
typedef struct ecg_crew ecg_crew;
ecg_crew *ecg_crew_new(const ecg_encoder *e, ecg_pool *pool); /* pool is not owned */
void ecg_crew_free(ecg_crew *c);                              /* NULL is fine */

/* Who does the work of an answer. dismiss: it is made, others may have the crew; comes with ecg_session_return too. */
ecg_exec ecg_session_exec(const ecg_session *s, const ecg_model *m);
void ecg_session_dismiss(ecg_session *s);

/* h (crops, width) from x (crops * length, leads) */
void ecg_session_embed(float *h, ecg_session *s, const ecg_model *m, const float *x, int crops);

#endif
