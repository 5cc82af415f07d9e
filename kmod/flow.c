// SPDX-License-Identifier: MIT OR GPL-2.0
/* A governed connection as an object: birth, wake-ups, cutting, description. */
#include <linux/bitops.h>
#include <linux/cred.h>
#include <linux/user_namespace.h>
#include <net/tcp.h>

#include "mediated.h"
#include "rekey.h"

/* By their ids, so that who goes through them can let go of the lock after each and find the next. */
static struct rb_root live = RB_ROOT;
static u64 n_live;
static DEFINE_MUTEX(live_lock);
static atomic64_t last_flow = ATOMIC64_INIT(0);

/* ---- references and queueing --------------------------------------------------------------- */

static void job_get(struct tl_job *job)
{
	kref_get(&container_of(job, struct tl_flow, job)->ref);
}

static void job_put(struct tl_job *job)
{
	tl_flow_put(container_of(job, struct tl_flow, job));
}

static void flow_free(struct kref *ref)
{
	struct tl_flow *flow = container_of(ref, struct tl_flow, ref);

	if (flow->listener)
		tl_listener_put(flow->listener);
	tl_arena_put(flow->cfg);
	tl_arena_put(flow->svid);
	tl_arena_put(flow->arena);
	tl_subject_put(flow->subject);
	kfree_sensitive(flow->step);
	kfree_sensitive(flow->record);
	kfree(flow->peer_id);
	kfree(flow->local_id);
	kfree(flow->service_name);
	tl_mediation_free(flow->mediation);
	tl_rekey_free(flow->rekey);
	kfree(flow);
}

void tl_flow_put(struct tl_flow *flow)
{
	kref_put(&flow->ref, flow_free);
}

static void on_deadline(struct timer_list *timer)
{
	struct tl_flow *flow = container_of(timer, struct tl_flow, deadline);

	WRITE_ONCE(flow->expired, true);
	tl_job_queue(&flow->job);
}

/* With flow->lock: an open flow is to be decided again after so long; 0: not by time. A flow that was let go of has no timer. */
void tl_flow_arm(struct tl_flow *flow, u32 ms)
{
	if (flow->phase != TL_FLOW_OPEN || !flow->sock)
		return;
	WRITE_ONCE(flow->expired, false);
	if (ms)
		mod_timer(&flow->deadline, jiffies + msecs_to_jiffies(ms));
	else
		timer_delete(&flow->deadline);
}

void tl_flow_look_again(struct tl_flow *flow, u32 ms)
{
	if (!ms && !timer_pending(&flow->deadline))
		return;
	mutex_lock(&flow->lock);
	tl_flow_arm(flow, ms);
	mutex_unlock(&flow->lock);
}

/* ---- the socket's callbacks: until a flow settles they wake our worker and nobody else ------- */

/* With sk_callback_lock held for reading. During conversion sk_socket is a stand-in: no flow. */
static struct tl_flow *of_sk(struct sock *sk)
{
	return sk->sk_socket ? tl_flow_of(sk->sk_socket) : NULL;
}

/* TCP has room again, by its own measure; else a full buffer would be filled up byte by byte. */
static void mediated_write_space(struct tl_flow *flow, struct sock *sk)
{
	if (!sk_stream_is_writeable(sk))
		return;
	clear_bit(SOCK_NOSPACE, &sk->sk_socket->flags);
	tl_mediated_event(flow, TL_EVENT_TX);
}

static void mediated_news(struct tl_flow *flow, struct sock *sk)
{
	tl_mediated_event(flow, TL_EVENT_RX);
}

static void mediated_end(struct tl_flow *flow, struct sock *sk)
{
	tl_mediated_event(flow, TL_EVENT_RX);
	tl_mediated_event(flow, TL_EVENT_TX);
}

/* On a mediated flow the worker looks first; `too` says whether waiters are also told at once. */
#define FLOW_CALLBACK(name, mediated, too)					\
static void on_##name(struct sock *sk)						\
{										\
	void (*pass)(struct sock *sk) = NULL;					\
	enum tl_flow_phase phase;						\
	struct tl_flow *flow;							\
										\
	read_lock_bh(&sk->sk_callback_lock);					\
	flow = of_sk(sk);							\
	phase = flow ? smp_load_acquire(&flow->phase) : TL_FLOW_FAILED;		\
	if (flow && phase == TL_FLOW_PENDING)					\
		tl_job_queue(&flow->job);					\
	else if (flow)								\
		pass = flow->name;						\
	if (phase == TL_FLOW_OPEN && flow->mediation) {				\
		mediated(flow, sk);						\
		if (!(too))							\
			pass = NULL;						\
	}									\
	read_unlock_bh(&sk->sk_callback_lock);					\
	if (pass)								\
		pass(sk);							\
}

FLOW_CALLBACK(state_change, mediated_end, true)
FLOW_CALLBACK(data_ready, mediated_news, false)
FLOW_CALLBACK(write_space, mediated_write_space, false)
FLOW_CALLBACK(error_report, mediated_end, true)

void tl_flow_hook_sk(struct tl_flow *flow)
{
	struct sock *sk = flow->sk;

	write_lock_bh(&sk->sk_callback_lock);
	flow->state_change = sk->sk_state_change;
	flow->data_ready = sk->sk_data_ready;
	flow->write_space = sk->sk_write_space;
	flow->error_report = sk->sk_error_report;
	sk->sk_state_change = on_state_change;
	sk->sk_data_ready = on_data_ready;
	sk->sk_write_space = on_write_space;
	sk->sk_error_report = on_error_report;
	write_unlock_bh(&sk->sk_callback_lock);
}

void tl_flow_unhook_sk(struct tl_flow *flow, struct sock *sk)
{
	write_lock_bh(&sk->sk_callback_lock);
	if (sk->sk_state_change == on_state_change)
		sk->sk_state_change = flow->state_change;
	if (sk->sk_data_ready == on_data_ready)
		sk->sk_data_ready = flow->data_ready;
	if (sk->sk_write_space == on_write_space)
		sk->sk_write_space = flow->write_space;
	if (sk->sk_error_report == on_error_report)
		sk->sk_error_report = flow->error_report;
	write_unlock_bh(&sk->sk_callback_lock);
}

/* Tells everyone who waits for the socket: the flow has settled. */
void tl_flow_wake(struct tl_flow *flow)
{
	struct sock *sk = flow->sk;

	wake_up_all(&flow->wait);
	flow->state_change(sk);
	if (sk->sk_err)
		flow->error_report(sk);
}

void tl_flow_catch_up(struct tl_flow *flow)
{
	struct sock *sk = flow->sk;

	on_state_change(sk);
	on_data_ready(sk);
	if (READ_ONCE(sk->sk_err))
		on_error_report(sk);
	lock_sock(sk);
	/* kTLS' own comes first: it may have records that wait for room. */
	sk->sk_write_space(sk);
	release_sock(sk);
}

/* ---- birth -------------------------------------------------------------------------------------- */

struct tl_flow *tl_flow_new(struct socket *sock, enum tl_role role, struct tl_subject *subject)
{
	struct tl_flow *flow = kzalloc(sizeof(*flow), GFP_KERNEL);

	if (!flow)
		return NULL;
	flow->step = kzalloc(sizeof(*flow->step), GFP_KERNEL);
	if (!flow->step) {
		kfree(flow);
		return NULL;
	}
	kref_init(&flow->ref);
	mutex_init(&flow->lock);
	init_waitqueue_head(&flow->wait);
	timer_setup(&flow->deadline, on_deadline, 0);
	INIT_LIST_HEAD(&flow->of_subject);
	INIT_LIST_HEAD(&flow->of_listener);
	INIT_LIST_HEAD(&flow->of_admission);
	flow->job.run = tl_flow_run;
	flow->job.panicked = tl_flow_panicked;
	flow->job.get = job_get;
	flow->job.put = job_put;
	flow->role = role;
	flow->stage = role == TL_CLIENT ? TL_STAGE_GRANT : TL_STAGE_LOOK;
	flow->phase = TL_FLOW_PENDING;
	flow->id = atomic64_inc_return(&last_flow);
	flow->sock = sock;
	flow->sk = sock->sk;
	flow->service = -1;
	flow->subject = subject ? tl_subject_get(subject) : NULL;
	flow->pid = task_tgid_nr(current);
	flow->uid = from_kuid(&init_user_ns, current_euid());
	flow->pristine = sock->ops;
	flow->inner = sock->ops;
	tl_flow_ops_init(flow);
	return flow;
}

static void join_subject(struct tl_flow *flow)
{
	if (!flow->subject)
		return;
	spin_lock_bh(&flow->subject->lock);
	if (list_empty(&flow->of_subject))
		list_add_tail(&flow->of_subject, &flow->subject->flows);
	spin_unlock_bh(&flow->subject->lock);
}

static void leave_subject(struct tl_flow *flow)
{
	if (!flow->subject)
		return;
	spin_lock_bh(&flow->subject->lock);
	list_del_init(&flow->of_subject);
	spin_unlock_bh(&flow->subject->lock);
}

void tl_flow_begin(struct tl_flow *flow)
{
	struct tl_limits limits = tl_config_limits();
	u32 ms = flow->role == TL_CLIENT ? limits.grant_wait_ms : limits.handshake_ms;

	WRITE_ONCE(flow->got_on, jiffies);
	join_subject(flow);
	mod_timer(&flow->deadline, jiffies + msecs_to_jiffies(ms));
	tl_job_queue(&flow->job);
}

/* ---- live flows ------------------------------------------------------------------------------------ */

void tl_flow_describe(struct tl_flow *flow, struct tl_rec *rec)
{
	rec->flow = flow->id;
	rec->subject = flow->subject ? flow->subject->ev.subject : 0;
	rec->pid = flow->pid;
	rec->uid = flow->uid;
	rec->role = flow->role;
	rec->suite = flow->suite;
	rec->time_ns = flow->opened_ns;
	rec->local = flow->local;
	rec->remote = flow->remote;
	rec->service = tl_str(flow->service_name);
	rec->local_id = tl_str(flow->local_id);
	rec->peer_id = tl_str(flow->peer_id);
	memcpy(rec->serial, flow->own.serial, sizeof(rec->serial));
	rec->serial_len = flow->own.serial_len;
	memcpy(rec->peer_serial, flow->peer_serial, sizeof(rec->peer_serial));
	rec->peer_serial_len = flow->peer_serial_len;
}

static void tell_opened(struct tl_flow *flow)
{
	struct tl_rec rec = {};

	tl_flow_describe(flow, &rec);
	rec.kind = TL_REC_FLOW_OPENED;
	tl_device_send(&rec);
}

static bool id_less(struct rb_node *a, const struct rb_node *b)
{
	return rb_entry(a, struct tl_flow, live)->id < rb_entry(b, struct tl_flow, live)->id;
}

void tl_flow_announce(struct tl_flow *flow)
{
	flow->opened_ns = ktime_get_real_ns();
	mutex_lock(&live_lock);
	flow->announced = true;
	rb_add(&flow->live, &live, id_less);
	n_live++;
	mutex_unlock(&live_lock);
	tell_opened(flow);
}

static void retire(struct tl_flow *flow, u32 reason)
{
	struct tl_rec rec = { .kind = TL_REC_FLOW_CLOSED, .reason = reason };
	bool announced;

	mutex_lock(&live_lock);
	announced = flow->announced;
	if (announced) {
		rb_erase(&flow->live, &live);
		n_live--;
	}
	flow->announced = false;
	mutex_unlock(&live_lock);
	if (!announced)
		return;
	tl_flow_describe(flow, &rec);
	rec.time_ns = 0;
	tl_device_send(&rec);
}

static struct tl_flow *next_live(u64 after)
{
	struct tl_flow *found = NULL;
	struct rb_node *node;

	mutex_lock(&live_lock);
	node = live.rb_node;
	while (node) {
		struct tl_flow *flow = rb_entry(node, struct tl_flow, live);

		if (flow->id > after)
			found = flow;
		node = flow->id > after ? node->rb_left : node->rb_right;
	}
	if (found)
		kref_get(&found->ref);
	mutex_unlock(&live_lock);
	return found;
}

u64 tl_flows_live(void)
{
	return READ_ONCE(n_live);
}

void tl_flows_each(void (*fn)(struct tl_flow *flow, void *arg), void *arg)
{
	struct tl_flow *flow;
	u64 after = 0;

	while ((flow = next_live(after))) {
		after = flow->id;
		fn(flow, arg);
		tl_flow_put(flow);
		cond_resched();
	}
}

u64 tl_flow_announce_next(u64 after)
{
	struct tl_flow *flow = next_live(after);
	u64 id = 0;

	if (flow) {
		id = flow->id;
		tell_opened(flow);
		tl_flow_put(flow);
	}
	return id;
}

/* ---- the end ------------------------------------------------------------------------------------------ */

/* Ends a flow at once: the peer gets a reset, the program ECONNRESET also before data it has not read yet. */
void tl_flow_cut(struct tl_flow *flow, u32 reason)
{
	struct sock *sk = NULL;

	mutex_lock(&flow->lock);
	if (flow->phase != TL_FLOW_FAILED && flow->sock) {
		flow->reason = reason;
		flow->err = ECONNRESET;
		sk = flow->sk;
		sock_hold(sk);
		if (flow->phase == TL_FLOW_PENDING) {
			/* Its worker sees the reason and refuses. */
			tl_job_queue(&flow->job);
		} else {
			flow->cut = true;
			smp_store_release(&flow->phase, TL_FLOW_FAILED);
			/* What was received stays in kTLS's hands until the socket goes, but nobody gets to read it. */
			tcp_abort(sk, ECONNRESET);
			tl_flow_wake(flow);
		}
	}
	mutex_unlock(&flow->lock);
	if (!sk)
		return;
	sock_put(sk);
	retire(flow, reason);
}

static void cut_one(struct tl_flow *flow, void *arg)
{
	tl_flow_cut(flow, *(u32 *)arg);
}

void tl_flows_cut_all(u32 reason)
{
	tl_flows_each(cut_one, &reason);
}

void tl_flow_detach(struct tl_flow *flow, u32 reason)
{
	timer_delete_sync(&flow->deadline);
	leave_subject(flow);
	retire(flow, flow->reason ? flow->reason : reason);
}
