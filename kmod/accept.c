// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * What a program meets on a governed listening socket: accept(), poll() and
 * options.
 *
 * A listener that nobody governed has accepted from belongs to nobody yet: who
 * made it may pass it on, as systemd does with a socket that activates a service.
 * Its connections stay in the kernel's queue, where poll() sees them, until its
 * owner comes. Once somebody who is not governed calls accept(), they are refused.
 *
 * A listener may go back to plain TCP while a call is on its way here: then
 * there is none to find, and the call is what it would have been a moment later.
 */
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <net/tcp.h>

#include "listener.h"

static struct tl_flow *take_ready(struct tl_listener *l)
{
	struct tl_flow *flow;

	spin_lock_bh(&l->lock);
	flow = list_first_entry_or_null(&l->ready, struct tl_flow, of_listener);
	if (flow) {
		list_del_init(&flow->of_listener);
		l->n_ready--;
	}
	spin_unlock_bh(&l->lock);
	return flow;
}

/* Gives the flow the socket that the program gets; the worker's own goes. */
static void hand_over(struct tl_flow *flow, struct socket *newsock)
{
	struct socket *old = flow->sock;
	struct sock *sk = flow->sk;

	mutex_lock(&flow->lock);
	lock_sock(sk);
	old->sk = NULL;
	sock_graft(sk, newsock);
	newsock->state = SS_CONNECTED;
	set_bit(SOCK_SUPPORT_ZC, &newsock->flags);
	flow->sock = newsock;
	/* What it came with: our table's if the listener was governed when the call began, else TCP's. */
	module_put(newsock->ops->owner);
	WRITE_ONCE(newsock->ops, &flow->ops);
	release_sock(sk);
	old->ops = NULL;
	flow->pid = task_tgid_nr(current);
	mutex_unlock(&flow->lock);
	sock_release(old);
}

/* Who calls accept() is who it belongs to; a stranger only if nobody else lives to whom it does. */
static void own(struct tl_listener *l)
{
	struct tl_subject *s = tl_subject_current(), *old = NULL;
	bool changed;

	spin_lock_bh(&l->lock);
	changed = s ? l->owner != s || l->stranger : !tl_listener_claimed(l);
	if (changed) {
		l->stranger = !s;
		old = l->owner;
		l->owner = s;
		s = NULL;
	}
	spin_unlock_bh(&l->lock);
	tl_subject_put(old);
	tl_subject_put(s);
	if (changed)
		tl_listener_kick(l);
}

static bool worth_waking(struct tl_listener *l)
{
	return l->n_ready || l->closed || READ_ONCE(l->sk->sk_state) != TCP_LISTEN;
}

/* One waiter wakes for one connection, as in the kernel's own accept(). */
static int wait_ready(struct tl_listener *l, long *timeo)
{
	DEFINE_WAIT(wait);

	prepare_to_wait_exclusive(sk_sleep(l->sk), &wait, TASK_INTERRUPTIBLE);
	if (!worth_waking(l) && !signal_pending(current))
		*timeo = schedule_timeout(*timeo);
	finish_wait(sk_sleep(l->sk), &wait);
	if (worth_waking(l))
		return 0;
	if (signal_pending(current))
		return sock_intr_errno(*timeo);
	return *timeo ? 0 : -EAGAIN;
}

/* The listener went back to plain TCP under us: make the system call start over there. */
static int start_over(void)
{
	set_tsk_thread_flag(current, TIF_SIGPENDING);
	return -ERESTARTSYS;
}

static int accept_ready(struct tl_listener *l, struct socket *sock, struct socket *newsock, int flags)
{
	long timeo = sock_rcvtimeo(sock->sk, flags & O_NONBLOCK);
	struct tl_flow *flow;
	int err;

	own(l);
	for (;;) {
		if (READ_ONCE(l->closed))
			return start_over();
		flow = take_ready(l);
		if (flow)
			break;
		if (READ_ONCE(sock->sk->sk_state) != TCP_LISTEN)
			return -EINVAL;
		if (!timeo)
			return -EAGAIN;
		err = wait_ready(l, &timeo);
		if (err)
			return err;
	}
	hand_over(flow, newsock);
	tl_listener_kick(l);
	return 0;
}

int tl_listener_accept(struct socket *sock, struct socket *newsock, TL_ACCEPT_PARAMS)
{
	struct tl_listener *l = tl_listener_of(sock);
	int err;

	if (!l)
		return start_over();
	tl_enter();
	kref_get(&l->ref);
	err = accept_ready(l, sock, newsock, TL_ACCEPT_FLAGS);
	tl_listener_put(l);
	tl_leave();
	return err;
}

__poll_t tl_listener_poll(struct file *file, struct socket *sock, struct poll_table_struct *wait)
{
	struct tl_listener *l = tl_listener_of(sock);
	bool claimed;

	if (!l)
		return READ_ONCE(sock->ops)->poll(file, sock, wait);
	sock_poll_wait(file, sock, wait);
	spin_lock_bh(&l->lock);
	claimed = tl_listener_claimed(l);
	spin_unlock_bh(&l->lock);
	if (!claimed || READ_ONCE(sock->sk->sk_state) != TCP_LISTEN)
		return l->pristine->poll(file, sock, NULL);
	return READ_ONCE(l->n_ready) ? EPOLLIN | EPOLLRDNORM : 0;
}

int tl_listener_setsockopt(struct socket *sock, int level, int name, sockptr_t val, unsigned int len)
{
	struct tl_listener *l = tl_listener_of(sock);
	int err;

	if (!l)
		return READ_ONCE(sock->ops)->setsockopt(sock, level, name, val, len);
	err = tl_rs_sockopt(TL_PHASE_LISTENER, true, level, name);
	return err ? -err : l->pristine->setsockopt(sock, level, name, val, len);
}

int tl_listener_getsockopt(struct socket *sock, int level, int name, char __user *val, int __user *len)
{
	struct tl_listener *l = tl_listener_of(sock);
	int err;

	if (!l)
		return READ_ONCE(sock->ops)->getsockopt(sock, level, name, val, len);
	err = tl_rs_sockopt(TL_PHASE_LISTENER, false, level, name);
	return err ? -err : l->pristine->getsockopt(sock, level, name, val, len);
}
