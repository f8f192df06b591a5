/* SPDX-License-Identifier: MIT */
#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, BLOCK = 1 << 20 };

typedef struct block {
    struct block *next;
    size_t used, room;
    uint8_t *at; /* follows this header, aligned */
    bool used_before;
} block;

struct ecg_arena {
    block *first; /* the one that is being filled */
    size_t bytes;
    bool rewound;
};

ecg_arena *ecg_arena_new(void)
{
    return calloc(1, sizeof(ecg_arena));
}

static block *add_block(ecg_arena *a, size_t need)
{
    const size_t room = need > BLOCK ? need : BLOCK;
    if (room > SIZE_MAX - sizeof(block) - ALIGN)
        return NULL;
    block *b = calloc(1, sizeof *b + ALIGN + room);
    if (!b)
        return NULL;
    b->at = (uint8_t *)(((uintptr_t)(b + 1) + ALIGN - 1) / ALIGN * ALIGN);
    b->room = room;
    if (need > BLOCK && a->first) { /* a large piece gets its own block behind the one in use */
        b->next = a->first->next;
        a->first->next = b;
    } else {
        b->next = a->first;
        a->first = b;
    }
    return b;
}

static void *take(ecg_arena *a, size_t bytes, bool zeroed)
{
    if (bytes > SIZE_MAX - ALIGN)
        return NULL;
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (!bytes)
        bytes = ALIGN;
    block *b = a->first;
    while (b && b->room - b->used < bytes) /* behind the first one there is room after a rewind only */
        b = a->rewound ? b->next : NULL;
    if (!b)
        b = add_block(a, bytes);
    if (!b)
        return NULL;
    void *piece = b->at + b->used;
    if (zeroed && b->used_before)
        memset(piece, 0, bytes);
    b->used += bytes;
    a->bytes += bytes;
    return piece;
}

void *ecg_arena_take(ecg_arena *a, size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? NULL : take(a, bytes, true);
}

void *ecg_arena_room(ecg_arena *a, size_t bytes) { return take(a, bytes, false); }

char *ecg_arena_text(ecg_arena *a, const char *text, size_t len)
{
    char *copy = ecg_arena_take(a, len + 1, 1);
    if (copy && len)
        memcpy(copy, text, len);
    return copy;
}

size_t ecg_arena_bytes(const ecg_arena *a)
{
    return a->bytes;
}

void ecg_arena_rewind(ecg_arena *a)
{
    for (block *b = a->first; b; b = b->next) {
        b->used = 0;
        b->used_before = true;
    }
    a->bytes = 0;
    a->rewound = true;
}

void ecg_arena_free(ecg_arena *a)
{
    if (!a)
        return;
    for (block *b = a->first, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}
