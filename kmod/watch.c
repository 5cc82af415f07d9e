// SPDX-License-Identifier: MIT OR GPL-2.0
/* What the kernel tells of processes: exec, fork, exit. */
#include <linux/binfmts.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/task_work.h>
#include <linux/tracepoint.h>

#include "subject.h"

struct exec_work {
	struct callback_head head;
	char *script;
};

/* Runs in the process itself, before its first instruction. */
static void appraise_exec(struct callback_head *head)
{
	struct exec_work *work = container_of(head, struct exec_work, head);
	struct tl_subject *s = NULL;

	if (tl_evidence_gather(current, work->script, 0, false, &s) || tl_subject_install(current, s, current->self_exec_id))
		tl_subjects_miss();
	kfree(work->script);
	kfree(work);
	tl_leave();
}

static void on_exec(void *data, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	struct exec_work *work;

	if (!tl_config_active() && !tl_subject_tracked(task))
		return;
	work = kzalloc(sizeof(*work), GFP_ATOMIC | __GFP_NOWARN);
	/* Not appraised: the next governed call looks at every process anew. */
	if (!work) {
		tl_subjects_miss();
		return;
	}
	if (bprm->interp != bprm->filename)
		work->script = kstrdup(bprm->filename, GFP_ATOMIC | __GFP_NOWARN);
	init_task_work(&work->head, appraise_exec);
	tl_enter();
	if (task_work_add(task, &work->head, TWA_RESUME)) {
		kfree(work->script);
		kfree(work);
		tl_leave();
	}
}

static void on_fork(void *data, struct task_struct *parent, struct task_struct *child)
{
	struct tl_subject *s;

	if (!thread_group_leader(child))
		return;
	s = tl_subject_of(parent);
	if (!s)
		return;
	/* A child that cannot be tracked would be ungoverned: it does not get to run. */
	if (tl_subject_track(task_tgid(child), s, GFP_ATOMIC)) {
		pr_warn_ratelimited("no memory to govern a child of %d: killed\n", task_tgid_nr(parent));
		send_sig(SIGKILL, child, 1);
	}
	tl_subject_put(s);
}

static void on_exit(TL_EXIT_PARAMS)
{
	if (TL_EXIT_GROUP_DEAD && tl_subject_tracked(task))
		tl_subject_untrack(task_tgid(task), TL_R_EXITED);
}

static struct {
	const char *name;
	void *probe;
	struct tracepoint *tp;
	bool on;
} probes[] = {
	{ "sched_process_exec", on_exec },
	{ "sched_process_fork", on_fork },
	{ "sched_process_exit", on_exit },
};

static void look(struct tracepoint *tp, void *priv)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++)
		if (!strcmp(tp->name, probes[i].name))
			probes[i].tp = tp;
}

int tl_subjects_init(void)
{
	int i, err = 0;

	for_each_kernel_tracepoint(look, NULL);
	for (i = 0; !err && i < ARRAY_SIZE(probes); i++) {
		err = probes[i].tp ? tracepoint_probe_register(probes[i].tp, probes[i].probe, NULL) : -ENOENT;
		probes[i].on = !err;
	}
	if (err) {
		pr_err("cannot watch %s: %d\n", probes[i - 1].name, err);
		tl_subjects_unhook();
	}
	return err;
}

void tl_subjects_unhook(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		if (probes[i].on)
			tracepoint_probe_unregister(probes[i].tp, probes[i].probe, NULL);
		probes[i].on = false;
	}
	tracepoint_synchronize_unregister();
}
