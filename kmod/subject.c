// SPDX-License-Identifier: MIT OR GPL-2.0
/* Governed program images: born at exec, shared by fork, ended by the last exit. */
#include <linux/binfmts.h>
#include <linux/cred.h>
#include <linux/hashtable.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/task_work.h>
#include <linux/tracepoint.h>
#include <linux/user_namespace.h>

#include "subject.h"

/* How long what an ended subject left open in other hands may live: exit itself closes the rest in order. */
#define REAP_DELAY (HZ / 2)

/* A thread group that runs a governed image. */
struct proc {
	struct hlist_node node;
	struct rcu_head rcu;
	struct pid *tgid;		/* held, so that its address is not reused */
	struct tl_subject *subject;
};

static DEFINE_HASHTABLE(procs, 10);
static DEFINE_SPINLOCK(procs_lock);	/* procs and tl_subjects; irq-safe */
static LIST_HEAD(subjects);
static u64 last_id;
static DEFINE_MUTEX(install_lock);
static atomic_t n_procs = ATOMIC_INIT(0);
static atomic_t missed = ATOMIC_INIT(0);

/* ---- references ------------------------------------------------------------------ */

static void subject_free(struct kref *ref)
{
	kfree_rcu(container_of(ref, struct tl_subject, ref), rcu);
}

void tl_subject_put(struct tl_subject *s)
{
	if (s)
		kref_put(&s->ref, subject_free);
}

/* ---- flows of an ended subject ------------------------------------------------------ */

static struct tl_flow *first_flow(struct tl_subject *s)
{
	struct tl_flow *flow;

	spin_lock_bh(&s->lock);
	flow = list_first_entry_or_null(&s->flows, struct tl_flow, of_subject);
	if (flow) {
		list_del_init(&flow->of_subject);
		kref_get(&flow->ref);
	}
	spin_unlock_bh(&s->lock);
	return flow;
}

static void cut_flows(struct tl_subject *s, u32 reason)
{
	struct tl_flow *flow;

	while ((flow = first_flow(s))) {
		tl_flow_cut(flow, reason);
		tl_flow_put(flow);
	}
}

static void reap(struct work_struct *work)
{
	struct tl_subject *s = container_of(to_delayed_work(work), struct tl_subject, reap);

	cut_flows(s, s->reason);
	tl_subject_put(s);
	tl_leave();
}

void tl_subject_prepare(struct tl_subject *s)
{
	kref_init(&s->ref);
	INIT_LIST_HEAD(&s->node);
	INIT_LIST_HEAD(&s->flows);
	INIT_DELAYED_WORK(&s->reap, reap);
	spin_lock_init(&s->lock);
	atomic_set(&s->procs, 0);
}

/* ---- the table of processes ------------------------------------------------------------ */

static struct proc *find(struct pid *tgid)
{
	struct proc *p;

	hash_for_each_possible_rcu(procs, p, node, (unsigned long)tgid)
		if (p->tgid == tgid)
			return p;
	return NULL;
}

bool tl_subject_tracked(struct task_struct *task)
{
	bool hit;

	if (!atomic_read(&n_procs))
		return false;
	rcu_read_lock();
	hit = find(task_tgid(task)) != NULL;
	rcu_read_unlock();
	return hit;
}

struct tl_subject *tl_subject_of(struct task_struct *task)
{
	struct tl_subject *s = NULL;
	struct proc *p;

	if (!atomic_read(&n_procs))
		return NULL;
	rcu_read_lock();
	p = find(task_tgid(task));
	if (p && kref_get_unless_zero(&p->subject->ref))
		s = p->subject;
	rcu_read_unlock();
	return s;
}

static void proc_free(struct rcu_head *rcu)
{
	struct proc *p = container_of(rcu, struct proc, rcu);

	put_pid(p->tgid);
	tl_subject_put(p->subject);
	kfree(p);
}

static void announce_end(struct tl_subject *s)
{
	struct tl_rec rec = { .kind = TL_REC_EXIT, .subject = s->ev.subject, .pid = s->ev.pid };

	tl_device_send(&rec);
}

/* Nobody runs the image any more: its grant is gone now, what it left open soon. */
static void subject_end(struct tl_subject *s, u32 reason)
{
	unsigned long flags;

	spin_lock_irqsave(&procs_lock, flags);
	list_del_init(&s->node);
	spin_unlock_irqrestore(&procs_lock, flags);
	spin_lock_bh(&s->lock);
	s->grant = TL_ENDED;
	s->reason = reason;
	spin_unlock_bh(&s->lock);
	announce_end(s);
	tl_enter();
	tl_subject_get(s);
	schedule_delayed_work(&s->reap, REAP_DELAY);
}

void tl_subject_untrack(struct pid *tgid, u32 reason)
{
	unsigned long flags;
	struct proc *p;

	spin_lock_irqsave(&procs_lock, flags);
	p = find(tgid);
	if (p)
		hash_del_rcu(&p->node);
	spin_unlock_irqrestore(&procs_lock, flags);
	if (!p)
		return;
	atomic_dec(&n_procs);
	if (atomic_dec_and_test(&p->subject->procs)) {
		if (tl_sabotaged('j'))
			tl_subject_get(p->subject);
		else
			subject_end(p->subject, reason);
	}
	call_rcu(&p->rcu, proc_free);
}

int tl_subject_track(struct pid *tgid, struct tl_subject *s, gfp_t gfp)
{
	struct proc *p = kzalloc(sizeof(*p), gfp);
	unsigned long flags;

	if (!p)
		return -ENOMEM;
	p->tgid = get_pid(tgid);
	p->subject = tl_subject_get(s);
	atomic_inc(&s->procs);
	atomic_inc(&n_procs);
	spin_lock_irqsave(&procs_lock, flags);
	hash_add_rcu(procs, &p->node, (unsigned long)tgid);
	spin_unlock_irqrestore(&procs_lock, flags);
	return 0;
}

static void announce(struct tl_subject *s)
{
	struct tl_rec rec = {
		.kind = TL_REC_EXEC, .subject = s->ev.subject, .pid = s->ev.pid, .evidence = &s->ev,
	};

	tl_device_send(&rec);
}

int tl_subject_install(struct task_struct *task, struct tl_subject *s, u64 exec_id)
{
	struct pid *tgid = get_task_pid(task, PIDTYPE_TGID);
	unsigned long flags;
	int err = 0;

	/* A sweep must not put an old image in place of the one that exec has just brought, nor one that nobody runs. */
	mutex_lock(&install_lock);
	if (!tgid || exec_id != READ_ONCE(task->self_exec_id)) {
		tl_subject_put(s);
		goto out;
	}
	tl_subject_untrack(tgid, TL_R_EXITED);
	if (s) {
		/* On the list before the agent hears of it, so that its answer finds it; ids grow along it. */
		spin_lock_irqsave(&procs_lock, flags);
		s->ev.subject = ++last_id;
		list_add_tail(&s->node, &subjects);
		spin_unlock_irqrestore(&procs_lock, flags);
		err = tl_subject_track(tgid, s, GFP_KERNEL);
		if (err) {
			spin_lock_irqsave(&procs_lock, flags);
			list_del_init(&s->node);
			spin_unlock_irqrestore(&procs_lock, flags);
		} else {
			announce(s);
			/* It may have died meanwhile, before it was in the table. */
			if (!pid_has_task(tgid, PIDTYPE_TGID))
				tl_subject_untrack(tgid, TL_R_EXITED);
		}
		tl_subject_put(s);
	}
out:
	mutex_unlock(&install_lock);
	put_pid(tgid);
	return err;
}

struct tl_subject *tl_subject_current(void)
{
	struct tl_subject *s = tl_subject_of(current), *fresh = NULL;
	char *script;
	u32 flags;

	if (!s)
		return NULL;
	if (s->ev.uid == from_kuid(&init_user_ns, current_euid()) &&
	    s->ev.gid == from_kgid(&init_user_ns, current_egid()))
		return s;
	/* setuid and the like: what was granted to the old credentials is not theirs. */
	script = tl_strdup(s->ev.script, GFP_KERNEL);
	flags = TL_EV_CREDS_CHANGED | (s->ev.flags & TL_EV_ADOPTED);
	tl_subject_put(s);
	if (!script || tl_evidence_gather(current, *script ? script : NULL, flags, true, &fresh) ||
	    !fresh || tl_subject_install(current, fresh, current->self_exec_id))
		atomic_set(&missed, 1);
	kfree(script);
	return tl_subject_of(current);
}

/* ---- what the agent says ------------------------------------------------------------------ */

static struct tl_subject *by_id(u64 id)
{
	struct tl_subject *s, *found = NULL;

	spin_lock_irq(&procs_lock);
	list_for_each_entry(s, &subjects, node) {
		if (s->ev.subject == id && kref_get_unless_zero(&s->ref)) {
			found = s;
			break;
		}
	}
	spin_unlock_irq(&procs_lock);
	return found;
}

static void kick_flows(struct tl_subject *s)
{
	struct tl_flow *flow;

	spin_lock_bh(&s->lock);
	list_for_each_entry(flow, &s->flows, of_subject)
		tl_job_queue(&flow->job);
	spin_unlock_bh(&s->lock);
}

/* Notes what the file was measured to be, with the lock held: 1 if that is news, -EINVAL if it was something else before. */
static int measure(struct tl_subject *s, struct tl_str digest)
{
	if (digest.len != TL_SHA256)
		return 0;
	if (s->measured)
		return memcmp(s->exe_sha256, digest.ptr, TL_SHA256) ? -EINVAL : 0;
	memcpy(s->exe_sha256, digest.ptr, TL_SHA256);
	smp_store_release(&s->measured, true);
	return 1;
}

static int settle(u64 id, u64 generation, enum tl_grant grant, u32 identity, u32 reason, struct tl_str digest)
{
	struct tl_subject *s;
	bool lost, again;
	int news;

	if (generation != tl_config_generation())
		return -ESTALE;
	s = by_id(id);
	if (!s)
		return -ENOENT;
	spin_lock_bh(&s->lock);
	news = measure(s, digest);
	lost = news >= 0 && s->grant == TL_GRANTED && (grant != TL_GRANTED || s->identity != identity);
	again = (news > 0 || grant == TL_REFUSED) && !list_empty(&s->flows);
	if (news >= 0 && s->grant != TL_ENDED) {
		s->grant = grant;
		s->identity = identity;
		s->reason = reason;
		s->generation = generation;
	}
	spin_unlock_bh(&s->lock);
	if (lost)
		cut_flows(s, TL_R_GRANT_WITHDRAWN);
	/* What it has open was decided without. */
	if (again)
		tl_flows_redecide(s, false);
	kick_flows(s);
	tl_subject_put(s);
	return min(news, 0);
}

/* With a reference, or NULL. Ids grow along the list, so that a walk can let go of the lock. */
static struct tl_subject *next_subject(u64 after)
{
	struct tl_subject *s, *next = NULL;

	spin_lock_irq(&procs_lock);
	list_for_each_entry(s, &subjects, node) {
		if (s->ev.subject > after && kref_get_unless_zero(&s->ref)) {
			next = s;
			break;
		}
	}
	spin_unlock_irq(&procs_lock);
	return next;
}

void tl_subjects_each(void (*fn)(struct tl_subject *s, void *arg), void *arg)
{
	struct tl_subject *s;
	u64 after = 0;

	while ((s = next_subject(after))) {
		after = s->ev.subject;
		fn(s, arg);
		tl_subject_put(s);
		cond_resched();
	}
}

#ifdef TIDELOCK_SABOTAGE
struct path_search {
	struct tl_str exe;
	u64 id;
	u32 identity;
};

static void same_path(struct tl_subject *s, void *arg)
{
	struct path_search *search = arg;

	if (s->ev.subject != search->id && s->ev.exe.len == search->exe.len &&
	    !memcmp(s->ev.exe.ptr, search->exe.ptr, s->ev.exe.len) && s->identity)
		search->identity = s->identity;
}

/* What another process of the same path was granted: the cache that Camblet had. */
static u32 granted_to_path(u64 id)
{
	struct tl_subject *s = by_id(id);
	struct path_search search = { .id = id };

	if (!s)
		return 0;
	search.exe = s->ev.exe;
	tl_subjects_each(same_path, &search);
	tl_subject_put(s);
	return search.identity;
}
#else
static inline u32 granted_to_path(u64 id)
{
	return 0;
}
#endif

int tl_subject_grant(const struct tl_cmd *cmd)
{
	if (tl_sabotaged('a'))
		return 0;
	return settle(cmd->subject, cmd->generation, TL_GRANTED, cmd->identity, 0, cmd->exe_sha256);
}

int tl_subject_refuse(u64 id, u64 generation, u32 reason)
{
	if (tl_sabotaged('f'))
		return settle(id, generation, TL_GRANTED, granted_to_path(id), 0, (struct tl_str){});
	return settle(id, generation, TL_REFUSED, 0, reason, (struct tl_str){});
}

static void count(struct tl_subject *s, void *arg)
{
	++*(u32 *)arg;
}

u32 tl_subjects_count(void)
{
	u32 n = 0;

	tl_subjects_each(count, &n);
	return n;
}

static void kick_identity(struct tl_subject *s, void *arg)
{
	if (s->identity == *(u32 *)arg)
		kick_flows(s);
}

void tl_subjects_kick(u32 identity)
{
	tl_subjects_each(kick_identity, &identity);
}

u64 tl_subject_announce_next(u64 after)
{
	struct tl_subject *s = next_subject(after);
	u64 id = 0;

	if (s) {
		id = s->ev.subject;
		announce(s);
		tl_subject_put(s);
	}
	return id;
}

void tl_subjects_miss(void)
{
	atomic_set(&missed, 1);
}

bool tl_subjects_missed(void)
{
	return atomic_read(&missed);
}

void tl_subjects_sweep_if_missed(void)
{
	if (atomic_xchg(&missed, 0))
		tl_sweep();
}

void tl_subjects_drop(void)
{
	for (;;) {
		struct pid *tgid = NULL;
		struct proc *p;
		int i;

		rcu_read_lock();
		hash_for_each_rcu(procs, i, p, node) {
			tgid = get_pid(p->tgid);
			break;
		}
		rcu_read_unlock();
		if (!tgid)
			return;
		tl_subject_untrack(tgid, TL_R_DRAINED);
		put_pid(tgid);
	}
}

void tl_subjects_exit(void)
{
	tl_subjects_drop();
	rcu_barrier();
}
