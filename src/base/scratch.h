/* SPDX-License-Identifier: MIT
 * scratch.h: big arrays that live as long as a command. From 16 MiB on they lie in a file without a name in the folder of the result, mapped, so that
 * the system may write them out where memory is short; smaller ones, and those for which that folder has no room, in memory. */
#ifndef ECG_BASE_SCRATCH_H
#define ECG_BASE_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

/* bytes, aligned to 16, not set to anything; beside: path of a file in that folder, NULL: memory. NULL: there is no room in either. */
void *ecg_scratch_take(size_t bytes, const char *beside);
/* As realloc, NULL: nothing has changed. array NULL: a new one. */
void *ecg_scratch_grow(void *array, size_t bytes, const char *beside);
void ecg_scratch_free(void *array);            /* NULL is fine */
bool ecg_scratch_is_mapped(const void *array); /* in a file; false for NULL */

#endif
