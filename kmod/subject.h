/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Between evidence.c, subject.c and sweep.c. */
#ifndef TIDELOCK_SUBJECT_H
#define TIDELOCK_SUBJECT_H

#include "tidelock.h"

/* *out stays NULL when the process is not governed (and `always` is not set). */
int tl_evidence_gather(struct task_struct *task, const char *script, u32 flags, bool always, struct tl_subject **out);
void tl_subject_prepare(struct tl_subject *s);
/* Makes `s` (or nothing, if NULL) what the task's thread group runs, unless exec moved on since `exec_id` was
 * read; tells the agent. Takes the reference. */
int tl_subject_install(struct task_struct *task, struct tl_subject *s, u64 exec_id);
/* Adds a thread group to an image, or takes it off whatever it runs; any context but NMI. */
int tl_subject_track(struct pid *tgid, struct tl_subject *s, gfp_t gfp);
void tl_subject_untrack(struct pid *tgid, u32 reason);
/* Some process could not be appraised. */
void tl_subjects_miss(void);
bool tl_evidence_prefiltered(const struct tl_evidence *ev);
/* Calls fn on every subject; it may sleep. */
void tl_subjects_each(void (*fn)(struct tl_subject *s, void *arg), void *arg);

#endif
