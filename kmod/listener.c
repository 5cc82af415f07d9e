// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Governed listening sockets. The worker takes connections off the kernel's
 * queue, shakes hands with many at once, and only those that proved themselves
 * make the socket readable and come out of accept(). A refused peer never
 * reaches the program.
 */
#include <net/inet_common.h>
#include <net/tcp.h>

#include "listener.h"

static LIST_HEAD(listeners);
static DEFINE_MUTEX(listeners_lock);
/* Released listeners: a system call may still be on its way through their table, so they are freed at unload. */
static LIST_HEAD(retired);

static int listener_release(struct socket *sock);

/* A socket that accept() has just made carries its listener's table until it gets its own. */
struct tl_listener *tl_listener_of(const struct socket *sock)
{
	const struct proto_ops *ops = READ_ONCE(sock->ops);

	return ops && ops->release == listener_release ? container_of(ops, struct tl_listener, ops) : NULL;
}

static void listener_free(struct kref *ref)
{
	struct tl_listener *l = container_of(ref, struct tl_listener, ref);

	tl_subject_put(l->owner);
	kfree(l);
}

void tl_listener_put(struct tl_listener *l)
{
	kref_put(&l->ref, listener_free);
}

static void job_get(struct tl_job *job)
{
	kref_get(&container_of(job, struct tl_listener, job)->ref);
}

static void job_put(struct tl_job *job)
{
	tl_listener_put(container_of(job, struct tl_listener, job));
}

void tl_listener_kick(struct tl_listener *l)
{
	tl_job_queue(&l->job);
}

/* Children inherit this callback; nobody waits for them until they are accepted. */
static void on_connection(struct sock *sk)
{
	void (*wake)(struct sock *sk) = NULL;
	struct tl_listener *l;

	if (sk->sk_state != TCP_LISTEN)
		return;
	read_lock_bh(&sk->sk_callback_lock);
	l = sk->sk_socket ? tl_listener_of(sk->sk_socket) : NULL;
	if (l) {
		spin_lock(&l->lock);
		if (!tl_listener_claimed(l))
			wake = l->data_ready;
		spin_unlock(&l->lock);
		tl_listener_kick(l);
	}
	read_unlock_bh(&sk->sk_callback_lock);
	if (wake)
		wake(sk);
}

/* ---- taking connections off the kernel's queue ---------------------------------------------------- */

static void discard(struct tl_flow *flow)
{
	struct socket *sock = flow->sock;

	if (!sock)
		return;
	/* Releases the flow too. */
	sock_release(sock);
}

static struct socket *accept_one(struct tl_listener *l)
{
	struct socket *sock;

	if (sock_create_lite(l->pristine->family, SOCK_STREAM, IPPROTO_TCP, &sock))
		return NULL;
	sock->ops = l->pristine;
	__module_get(sock->ops->owner);
	if (tl_inet_accept(l->sock, sock, O_NONBLOCK)) {
		sock_release(sock);
		return NULL;
	}
	return sock;
}

static int start_flow(struct tl_listener *l, struct socket *sock, struct tl_subject *owner)
{
	struct tl_flow *flow;

	/* Put back what the child inherited from the listener before it gets a table of its own. */
	write_lock_bh(&sock->sk->sk_callback_lock);
	if (sock->sk->sk_data_ready == on_connection)
		sock->sk->sk_data_ready = l->data_ready;
	write_unlock_bh(&sock->sk->sk_callback_lock);
	flow = tl_flow_new(sock, TL_SERVER, owner);
	if (!flow)
		return -ENOMEM;
	flow->pid = owner ? owner->ev.pid : 0;
	flow->uid = owner ? owner->ev.uid : 0;
	kref_get(&l->ref);
	flow->listener = l;
	tl_addr_local(&flow->local, flow->sk);
	tl_addr_peer(&flow->remote, flow->sk);
	tl_flow_hook_sk(flow);
	__module_get(THIS_MODULE);
	module_put(sock->ops->owner);
	sock->ops = &flow->ops;
	spin_lock_bh(&l->lock);
	list_add_tail(&flow->of_listener, &l->pending);
	l->n_pending++;
	spin_unlock_bh(&l->lock);
	tl_flow_begin(flow);
	return 0;
}

static void on_retry(struct timer_list *timer)
{
	tl_listener_kick(container_of(timer, struct tl_listener, retry));
}

/* With the listener's lock held: others wait, so whoever stalls goes. */
static void make_room(struct tl_listener *l)
{
	struct tl_flow *flow;

	list_for_each_entry(flow, &l->pending, of_listener)
		if (tl_flow_evict_if_stalled(flow))
			return;
	mod_timer(&l->retry, jiffies + HZ / 4);
}

static bool has_room(struct tl_listener *l, struct tl_subject **owner)
{
	struct tl_limits limits = tl_config_limits();
	bool full, room;

	spin_lock_bh(&l->lock);
	full = l->n_pending + l->n_ready >= limits.max_handshakes_per_listener;
	room = !l->closed && tl_listener_claimed(l) && !full;
	if (full && !l->closed && !reqsk_queue_empty(&inet_csk(l->sk)->icsk_accept_queue))
		make_room(l);
	*owner = room && l->owner ? tl_subject_get(l->owner) : NULL;
	spin_unlock_bh(&l->lock);
	return room;
}

static void listener_run(struct tl_lane *lane, struct tl_job *job)
{
	struct tl_listener *l = container_of(job, struct tl_listener, job);
	struct tl_subject *owner;
	struct socket *sock;

	mutex_lock(&listeners_lock);
	while (has_room(l, &owner) && (sock = accept_one(l))) {
		if (start_flow(l, sock, owner))
			sock_release(sock);
		tl_subject_put(owner);
		owner = NULL;
	}
	tl_subject_put(owner);
	mutex_unlock(&listeners_lock);
}

void tl_listener_settled(struct tl_flow *flow)
{
	struct tl_listener *l = flow->listener;
	bool ready = flow->phase == TL_FLOW_OPEN, wake = false, mine;

	spin_lock_bh(&l->lock);
	mine = !list_empty(&flow->of_listener);
	if (mine) {
		list_del_init(&flow->of_listener);
		l->n_pending--;
	}
	if (mine && ready && !l->closed) {
		list_add_tail(&flow->of_listener, &l->ready);
		l->n_ready++;
		wake = true;
	}
	spin_unlock_bh(&l->lock);
	if (mine && !wake)
		discard(flow);
	if (wake) {
		read_lock_bh(&l->sk->sk_callback_lock);
		if (l->sk->sk_socket)
			l->data_ready(l->sk);
		read_unlock_bh(&l->sk->sk_callback_lock);
	}
	tl_listener_kick(l);
}

/* ---- becoming governed, and ceasing to be ------------------------------------------------------------------- */

static struct tl_listener *listener_new(struct socket *sock, struct tl_subject *owner)
{
	struct tl_listener *l = kzalloc(sizeof(*l), GFP_KERNEL);

	if (!l)
		return NULL;
	kref_init(&l->ref);
	spin_lock_init(&l->lock);
	INIT_LIST_HEAD(&l->pending);
	INIT_LIST_HEAD(&l->ready);
	timer_setup(&l->retry, on_retry, 0);
	l->job.run = listener_run;
	l->job.get = job_get;
	l->job.put = job_put;
	l->sock = sock;
	l->sk = sock->sk;
	l->owner = owner ? tl_subject_get(owner) : NULL;
	l->pristine = sock->ops;
	l->ops = *l->pristine;
	l->ops.owner = THIS_MODULE;
	l->ops.release = listener_release;
	l->ops.accept = tl_listener_accept;
	l->ops.poll = tl_listener_poll;
	l->ops.setsockopt = tl_listener_setsockopt;
	l->ops.getsockopt = tl_listener_getsockopt;
	return l;
}

int tl_listener_govern(struct socket *sock, struct tl_subject *owner)
{
	struct sock *sk = sock->sk;
	struct tl_listener *l;
	int err = 0;

	mutex_lock(&listeners_lock);
	lock_sock(sk);
	l = tl_listener_of(sock);
	if (l || tl_flow_of(sock)) {
		err = l ? 0 : -EINVAL;
		l = NULL;
		goto out;
	}
	l = listener_new(sock, owner);
	if (!l) {
		err = -ENOMEM;
		goto out;
	}
	write_lock_bh(&sk->sk_callback_lock);
	l->data_ready = sk->sk_data_ready;
	sk->sk_data_ready = on_connection;
	write_unlock_bh(&sk->sk_callback_lock);
	__module_get(THIS_MODULE);
	module_put(sock->ops->owner);
	WRITE_ONCE(sock->ops, &l->ops);
	list_add_tail(&l->all, &listeners);
out:
	release_sock(sk);
	mutex_unlock(&listeners_lock);
	if (l)
		tl_listener_kick(l);
	return err;
}

static void throw_away(struct tl_listener *l)
{
	struct tl_flow *flow;

	for (;;) {
		spin_lock_bh(&l->lock);
		flow = list_first_entry_or_null(&l->ready, struct tl_flow, of_listener);
		if (flow)
			l->n_ready--;
		else if ((flow = list_first_entry_or_null(&l->pending, struct tl_flow, of_listener)))
			l->n_pending--;
		if (flow)
			list_del_init(&flow->of_listener);
		spin_unlock_bh(&l->lock);
		if (!flow)
			return;
		discard(flow);
	}
}

static void unhook(struct tl_listener *l)
{
	write_lock_bh(&l->sk->sk_callback_lock);
	if (l->sk->sk_data_ready == on_connection)
		l->sk->sk_data_ready = l->data_ready;
	write_unlock_bh(&l->sk->sk_callback_lock);
}

static void close_listener(struct tl_listener *l)
{
	spin_lock_bh(&l->lock);
	l->closed = true;
	spin_unlock_bh(&l->lock);
	timer_delete_sync(&l->retry);
	list_del_init(&l->all);
}

/* It went back to plain TCP while its release was on the way here; the caller still gives back what it held of us. */
static int release_plain(struct socket *sock)
{
	const struct proto_ops *plain = sock->ops;
	int err;

	__module_get(THIS_MODULE);
	err = plain->release(sock);
	/* Not before: its code may be in a module of its own. */
	module_put(plain->owner);
	return err;
}

static int release_governed(struct socket *sock)
{
	struct tl_listener *l;
	int err;

	mutex_lock(&listeners_lock);
	l = tl_listener_of(sock);
	if (l) {
		close_listener(l);
		unhook(l);
	}
	mutex_unlock(&listeners_lock);
	if (!l)
		return release_plain(sock);
	throw_away(l);
	err = l->pristine->release(sock);
	tl_listener_put(l);
	return err;
}

static int listener_release(struct socket *sock)
{
	int err;

	/* accept() failed before its new socket became anything. */
	if (!sock->sk)
		return 0;
	tl_enter();
	err = release_governed(sock);
	tl_leave();
	return err;
}

/* With listeners_lock held. Children that carry our callback still sit in the kernel's queue: they go. */
static void back_to_plain(struct tl_listener *l)
{
	struct socket *sock;

	close_listener(l);
	unhook(l);
	synchronize_net();
	while ((sock = accept_one(l)))
		sock_release(sock);
	throw_away(l);
	__module_get(l->pristine->owner);
	WRITE_ONCE(l->sock->ops, l->pristine);
	wake_up_interruptible_all(sk_sleep(l->sk));
	list_add(&l->all, &retired);
	module_put(THIS_MODULE);
}

void tl_listeners_release(bool (*keep)(struct tl_listener *l))
{
	struct tl_listener *l, *next;

	mutex_lock(&listeners_lock);
	list_for_each_entry_safe(l, next, &listeners, all)
		if (!keep || !keep(l))
			back_to_plain(l);
	mutex_unlock(&listeners_lock);
}

void tl_listeners_exit(void)
{
	struct tl_listener *l, *next;

	list_for_each_entry_safe(l, next, &retired, all)
		tl_listener_put(l);
}
