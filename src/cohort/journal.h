/* SPDX-License-Identifier: MIT
 * journal.h: what became of every recording so far, beside a cohort that is being built (OUTPUT.part.journal). A block is appended after the
 * signals it speaks of are written, and carries their digest: whatever ends the process, what the journal says is in OUTPUT.part. */
#ifndef ECG_COHORT_JOURNAL_H
#define ECG_COHORT_JOURNAL_H

#include "base/file.h"

typedef struct {
    uint8_t fate;
    float quality[8];  /* of one that was kept */
    int64_t line;      /* else why not, and where in the header */
    char reason[240];
} ecg_journal_entry;

typedef struct ecg_journal ecg_journal;

/* key: 64 characters that name the build. Reads what is there for the same key; *other: it was there for another one, or damaged, and is
 * not looked at. fresh: not looked at in any case. */
ecg_status ecg_journal_open(ecg_journal **out, const char *output, const char *key, bool fresh, bool *other, ecg_err *err);

/* What was found, block after block. */
int ecg_journal_blocks(const ecg_journal *j);
const char *ecg_journal_digest(const ecg_journal *j, int block); /* 64 characters: SHA-256 of all signals up to the end of that block */
bool ecg_journal_next(ecg_journal *j, ecg_journal_entry *e, int *block); /* the entries in order; false: no more */
void ecg_journal_rewind(ecg_journal *j);

/* Keeps the first `blocks` of what was found, so that others can follow; to be called once before anything is added. */
ecg_status ecg_journal_go_on(ecg_journal *j, int blocks, ecg_err *err);
ecg_status ecg_journal_add(ecg_journal *j, const ecg_journal_entry *e, ecg_err *err);
ecg_status ecg_journal_end_block(ecg_journal *j, const char *digest, ecg_err *err);

void ecg_journal_close(ecg_journal *j, bool keep); /* NULL is fine; !keep: the file goes */
void ecg_journal_remove(const char *output);       /* the file of a build that needs none */

#endif
