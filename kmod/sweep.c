// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * A sweep brings what is older than the module, or than the configuration,
 * under it: every process is appraised again and every listening socket that is
 * now governed is taken over. Runs when a configuration comes into force; its
 * cost is a walk over all processes and their descriptors.
 */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <net/tcp.h>

#include "subject.h"

/* Children of a process that is adopted in one pass are met in the next. */
#define PASSES_MAX 8

struct found {
	struct list_head node;
	struct file *file;
};

struct search {
	struct list_head found;
	bool incomplete;
};

/* ---- processes ---------------------------------------------------------------------------------- */

static bool still_wanted(struct task_struct *task)
{
	struct tl_subject *s = tl_subject_of(task);
	bool wanted = s && tl_evidence_prefiltered(&s->ev);

	tl_subject_put(s);
	return wanted;
}

static bool appraise(struct task_struct *task)
{
	u64 exec_id = READ_ONCE(task->self_exec_id);
	struct tl_subject *s = NULL;
	bool tracked = tl_subject_tracked(task);

	if (tracked && still_wanted(task))
		return false;
	if (tl_evidence_gather(task, NULL, TL_EV_ADOPTED, false, &s))
		return false;
	if (!s && !tracked)
		return false;
	return !tl_subject_install(task, s, exec_id) && s;
}

/* ---- their listening sockets ----------------------------------------------------------------------- */

static bool listening(struct file *file)
{
	struct socket *sock = sock_from_file(file);

	return sock && tl_is_tcp(sock) && READ_ONCE(sock->sk->sk_state) == TCP_LISTEN;
}

static int look(const void *arg, struct file *file, unsigned int fd)
{
	struct search *search = (struct search *)arg;
	struct found *found;

	if (!listening(file))
		return 0;
	found = kmalloc(sizeof(*found), GFP_ATOMIC | __GFP_NOWARN);
	if (!found) {
		search->incomplete = true;
		return 0;
	}
	found->file = get_file(file);
	list_add_tail(&found->node, &search->found);
	return 0;
}

static bool wanted(struct socket *sock, struct tl_subject *owner)
{
	struct tl_addr local;
	const void *cfg;
	bool hit;

	tl_addr_local(&local, sock->sk);
	rcu_read_lock();
	cfg = tl_config_rcu();
	hit = cfg && (owner || tl_rs_service(cfg, &local) >= 0);
	rcu_read_unlock();
	return hit;
}

/* Asks tasks that sleep in the kernel's own accept() to come back through ours. */
static void restart_accepts(struct sock *sk)
{
	struct wait_queue_entry *entry;
	struct wait_queue_head *head;
	unsigned long flags;

	rcu_read_lock();
	head = sk_sleep(sk);
	spin_lock_irqsave(&head->lock, flags);
	list_for_each_entry(entry, &head->head, entry) {
		struct task_struct *task = entry->private;

		/* Pollers have wake functions of their own, and poll again by themselves. */
		if (entry->func != autoremove_wake_function)
			continue;
		set_tsk_thread_flag(task, TIF_SIGPENDING);
		wake_up_process(task);
	}
	spin_unlock_irqrestore(&head->lock, flags);
	rcu_read_unlock();
}

static void take_over(struct socket *sock, struct tl_subject *owner)
{
	if (tl_listener_of(sock) || !wanted(sock, owner))
		return;
	if (tl_listener_govern(sock, owner))
		pr_warn_ratelimited("cannot govern a listening socket\n");
	restart_accepts(sock->sk);
}

static void listeners_of(struct task_struct *task)
{
	struct search search = { .found = LIST_HEAD_INIT(search.found) };
	struct tl_subject *owner = tl_subject_of(task);
	struct found *found, *next;

	do {
		search.incomplete = false;
		task_lock(task);
		if (task->files)
			iterate_fd(task->files, 0, look, &search);
		task_unlock(task);
		list_for_each_entry_safe(found, next, &search.found, node) {
			take_over(sock_from_file(found->file), owner);
			fput(found->file);
			list_del(&found->node);
			kfree(found);
		}
		if (search.incomplete)
			schedule_timeout_uninterruptible(1);
	} while (search.incomplete);
	tl_subject_put(owner);
}

/* ---- the walk ------------------------------------------------------------------------------------------ */

struct snapshot {
	struct task_struct **tasks;
	int n;
};

static int count_tasks(void)
{
	struct task_struct *task;
	int n = 0;

	rcu_read_lock();
	for_each_process(task)
		n++;
	rcu_read_unlock();
	return n;
}

static int take_snapshot(struct snapshot *all)
{
	int room = count_tasks() + 64;
	struct task_struct *task;

	all->n = 0;
	all->tasks = kvmalloc_array(room, sizeof(*all->tasks), GFP_KERNEL);
	if (!all->tasks)
		return -ENOMEM;
	rcu_read_lock();
	for_each_process(task) {
		if (all->n == room)
			break;
		if (!(task->flags & PF_KTHREAD))
			all->tasks[all->n++] = get_task_struct(task);
	}
	rcu_read_unlock();
	return 0;
}

static bool pass(bool (*visit)(struct task_struct *task))
{
	struct snapshot all;
	bool any = false;
	int i;

	while (take_snapshot(&all))
		schedule_timeout_uninterruptible(HZ / 10);
	for (i = 0; i < all.n; i++) {
		any |= visit(all.tasks[i]);
		put_task_struct(all.tasks[i]);
		cond_resched();
	}
	kvfree(all.tasks);
	return any;
}

static bool visit_listeners(struct task_struct *task)
{
	listeners_of(task);
	return false;
}

static bool still_governed(struct tl_listener *l)
{
	struct tl_addr local;
	const void *cfg;
	s32 service = -1;
	bool owned;

	spin_lock_bh(&l->lock);
	owned = l->owner && l->owner->grant != TL_ENDED;
	spin_unlock_bh(&l->lock);
	tl_addr_local(&local, l->sk);
	rcu_read_lock();
	cfg = tl_config_rcu();
	if (cfg)
		service = tl_rs_service(cfg, &local);
	rcu_read_unlock();
	return owned || service >= 0;
}

void tl_sweep(void)
{
	int i;

	for (i = 0; i < PASSES_MAX && pass(appraise); i++)
		;
	pass(visit_listeners);
	tl_listeners_release(still_governed);
}
