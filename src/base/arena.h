/* SPDX-License-Identifier: MIT
 * arena.h: memory that is taken piece by piece and given back all at once. Pieces are zeroed and aligned to 64 bytes. */
#ifndef ECG_BASE_ARENA_H
#define ECG_BASE_ARENA_H

#include <stddef.h>

typedef struct ecg_arena ecg_arena;

ecg_arena *ecg_arena_new(void);                               /* NULL: out of memory */
void *ecg_arena_take(ecg_arena *a, size_t count, size_t size); /* count * size bytes; NULL on overflow or out of memory */
void *ecg_arena_room(ecg_arena *a, size_t bytes);              /* the same, not zeroed */
char *ecg_arena_text(ecg_arena *a, const char *text, size_t len); /* a copy with a final 0 */
size_t ecg_arena_bytes(const ecg_arena *a);                   /* taken so far */
void ecg_arena_rewind(ecg_arena *a);                          /* every piece is given back; the memory stays, for the next ones */
void ecg_arena_free(ecg_arena *a);                            /* NULL is fine */

#endif
