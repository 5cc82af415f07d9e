// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * What a program's system calls meet on a governed connection. Every slot is
 * filled by allow-list: what is not here does not exist on such a socket.
 */
#include <asm/ioctls.h>
#include <linux/cred.h>
#include <linux/poll.h>
#include <linux/sockios.h>
#include <linux/splice.h>
#include <linux/uio.h>
#include <net/tcp.h>
#include <net/tls.h>
#include <uapi/linux/tls.h>

#include "tidelock.h"

/* As many unread bytes as SIOCINQ looks for: a few records. */
#define PEEK_MAX (64 * 1024)

static int flow_release(struct socket *sock);

struct tl_flow *tl_flow_of(const struct socket *sock)
{
	const struct proto_ops *ops = READ_ONCE(sock->ops);

	return ops && ops->release == flow_release ? container_of(ops, struct tl_flow, ops) : NULL;
}

static enum tl_flow_phase phase_of(struct tl_flow *flow)
{
	return smp_load_acquire(&flow->phase);
}

/* Refused or cut once kTLS was on the socket: kTLS is not asked any more. */
static bool closed(struct tl_flow *flow)
{
	return phase_of(flow) == TL_FLOW_FAILED && flow->ulp;
}

/* Until the flow has settled there is nothing to read from or write to. */
static int await(struct tl_flow *flow, bool nonblock, long timeo)
{
	long left;

	if (phase_of(flow) != TL_FLOW_PENDING)
		return 0;
	if (nonblock || !timeo)
		return -EAGAIN;
	left = wait_event_interruptible_timeout(flow->wait, phase_of(flow) != TL_FLOW_PENDING, timeo);
	if (left == -ERESTARTSYS)
		return sock_intr_errno(timeo);
	return left ? 0 : -EAGAIN;
}

/* ---- sending ------------------------------------------------------------------------------------- */

static int send_close_notify(struct tl_flow *flow)
{
	u8 alert[2], control[CMSG_SPACE(sizeof(u8))] = {};
	struct kvec vec = { .iov_base = alert, .iov_len = sizeof(alert) };
	struct msghdr msg = {
		.msg_control = control,
		.msg_controllen = sizeof(control),
		.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL,
	};
	struct cmsghdr *cmsg = (struct cmsghdr *)control;
	struct sock *sk = flow->sk;
	int sndbuf = READ_ONCE(sk->sk_sndbuf), err;

	tl_rs_close_notify(alert);
	cmsg->cmsg_level = SOL_TLS;
	cmsg->cmsg_type = TLS_SET_RECORD_TYPE;
	cmsg->cmsg_len = CMSG_LEN(sizeof(u8));
	*(u8 *)CMSG_DATA(cmsg) = TL_RECORD_ALERT;
	iov_iter_kvec(&msg.msg_iter, WRITE, &vec, 1, sizeof(alert));
	/* It has to fit behind data that fills the buffer, or the peer could not tell the end from a cut. */
	WRITE_ONCE(sk->sk_sndbuf, INT_MAX / 2);
	err = flow->inner->sendmsg(flow->sock, &msg, sizeof(alert));
	WRITE_ONCE(sk->sk_sndbuf, sndbuf);
	return err < 0 ? err : 0;
}

/* kTLS takes its own commands as control messages: a program may not give them. */
static bool commands_ktls(struct msghdr *msg)
{
	struct cmsghdr *cmsg;

	for_each_cmsghdr(cmsg, msg)
		if (!CMSG_OK(msg, cmsg) || cmsg->cmsg_level == SOL_TLS)
			return true;
	return false;
}

static void option_refused(struct tl_flow *flow, u32 reason)
{
	struct tl_rec rec = {};

	tl_flow_describe(flow, &rec);
	rec.time_ns = 0;
	tl_device_denied(flow->subject, &rec, reason, NULL, 0);
}

static int flow_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)
{
	struct tl_flow *flow = tl_flow_of(sock);
	int err = await(flow, msg->msg_flags & MSG_DONTWAIT, sock_sndtimeo(sock->sk, 0));

	if (err)
		return err;
	/* kTLS would take what it cannot send any more. */
	if (closed(flow) || READ_ONCE(sock->sk->sk_shutdown) & SEND_SHUTDOWN)
		return sk_stream_error(sock->sk, msg->msg_flags, -EPIPE);
	if (msg->msg_flags & (MSG_FASTOPEN | MSG_OOB)) {
		option_refused(flow, TL_R_UNSUPPORTED_SOCKET);
		return -EOPNOTSUPP;
	}
	if (msg->msg_controllen) {
		if (commands_ktls(msg)) {
			option_refused(flow, TL_R_SOCKET_OPTION);
			return -EINVAL;
		}
		msg->msg_control = NULL;
		msg->msg_controllen = 0;
	}
	msg->msg_name = NULL;
	msg->msg_namelen = 0;
	msg->msg_flags = tl_splice_flags(msg->msg_flags);
	/* Hints that change nothing here. */
	msg->msg_flags &= ~(MSG_CONFIRM | MSG_DONTROUTE | MSG_EOR | MSG_BATCH);
	return flow->inner->sendmsg(sock, msg, len);
}

static int flow_shutdown(struct socket *sock, int how)
{
	struct tl_flow *flow = tl_flow_of(sock);

	if (phase_of(flow) == TL_FLOW_PENDING)
		return -ENOTCONN;
	if (phase_of(flow) == TL_FLOW_OPEN && (how == SHUT_WR || how == SHUT_RDWR) &&
	    !xchg(&flow->wr_shutdown, true))
		send_close_notify(flow);
	if (how == SHUT_RD || how == SHUT_RDWR)
		WRITE_ONCE(flow->rd_shutdown, true);
	return flow->inner->shutdown(sock, how);
}

/* ---- receiving ------------------------------------------------------------------------------------ */

/* Reads back what a control record wrote where data would have gone, and asks what it means. */
static u32 control_record(u64 *state, u8 type, struct iov_iter it, int n)
{
	u32 after = TL_AFTER_SKIP;
	u8 piece[64];

	it.data_source = true;
	while (n > 0) {
		int some = min_t(int, n, sizeof(piece));

		if (copy_from_iter(piece, some, &it) != some)
			return TL_AFTER_CUT;
		after = tl_rs_control_record(state, type, piece, some);
		if (after == TL_AFTER_CUT)
			return after;
		n -= some;
	}
	return after;
}

static int after_control(struct tl_flow *flow, u32 after)
{
	switch (after) {
	case TL_AFTER_SKIP:
	case TL_AFTER_MORE:
		return 0;
	case TL_AFTER_EOF:
		WRITE_ONCE(flow->eof, true);
		return 0;
	}
	tl_flow_cut(flow, TL_R_PROTOCOL);
	return -ECONNRESET;
}

/* One call into kTLS with a control buffer of ours: the program never sees record types. */
static int recv_record(struct tl_flow *flow, struct msghdr *msg, size_t len, int flags, u8 *type)
{
	u8 control[CMSG_SPACE(sizeof(u8))] = {};
	struct cmsghdr *cmsg = (struct cmsghdr *)control;
	void *user_control = msg->msg_control;
	bool is_user = msg->msg_control_is_user;
	size_t room = msg->msg_controllen;
	int n;

	msg->msg_control = control;
	msg->msg_control_is_user = false;
	msg->msg_controllen = sizeof(control);
	n = flow->inner->recvmsg(flow->sock, msg, len, flags);
	*type = TL_RECORD_DATA;
	if (n >= 0 && msg->msg_controllen < sizeof(control) && cmsg->cmsg_level == SOL_TLS)
		*type = *(u8 *)CMSG_DATA(cmsg);
	/* Nothing for the program: as plain TCP without options. */
	msg->msg_control = user_control;
	msg->msg_control_is_user = is_user;
	msg->msg_controllen = room;
	msg->msg_flags &= ~MSG_CTRUNC;
	return n;
}

/* The stream ended. With a close_notify that is its end; without one somebody cut it short. */
static int ended(struct tl_flow *flow, int flags)
{
	struct sock *sk = flow->sk;

	if (READ_ONCE(flow->eof) || READ_ONCE(flow->rd_shutdown))
		return 0;
	if (!(sk->sk_shutdown & RCV_SHUTDOWN) && sk->sk_state != TCP_CLOSE)
		return 0;
	if (!xchg(&flow->truncated, true))
		option_refused(flow, TL_R_TRUNCATED);
	/* Told once, as a reset is; a peek is followed by the read that must not see an end. */
	return (flags & MSG_PEEK ? READ_ONCE(flow->told) : xchg(&flow->told, true)) ? 0 : -ECONNRESET;
}

/* kTLS's own words for a stream that cannot go on: a forged record, one out of place, a key it will not renew. */
static bool broken(int err)
{
	return err == -EBADMSG || err == -EPIPE || err == -EKEYEXPIRED;
}

static int flow_recvmsg(struct socket *sock, struct msghdr *msg, size_t len, int flags)
{
	struct tl_flow *flow = tl_flow_of(sock);
	int err = await(flow, flags & MSG_DONTWAIT, sock_rcvtimeo(sock->sk, 0)), low = READ_ONCE(flow->rcvlowat);

	if (err)
		return err;
	if (closed(flow))
		return sock_error(sock->sk);
	if (phase_of(flow) == TL_FLOW_FAILED || (flags & MSG_ERRQUEUE))
		return flow->inner->recvmsg(sock, msg, len, flags);
	if (flags & MSG_OOB)
		return -EINVAL;
	if (low > 1 && !(flags & (MSG_DONTWAIT | MSG_PEEK | MSG_WAITALL))) {
		flags |= MSG_WAITALL;
		len = min_t(size_t, len, low);
		iov_iter_truncate(&msg->msg_iter, len);
	}
	while (!READ_ONCE(flow->eof)) {
		struct iov_iter before = msg->msg_iter;
		int n;
		u8 type;

		n = recv_record(flow, msg, len, flags, &type);
		if (n == -ECONNRESET && !(flags & MSG_PEEK))
			WRITE_ONCE(flow->told, true);
		if (n < 0)
			return broken(n) ? -ECONNRESET : n;
		if (type == TL_RECORD_DATA)
			return n || !len ? n : ended(flow, flags);
		msg->msg_iter = before;
		if (flags & MSG_PEEK) {
			u64 glance = flow->control;

			if (control_record(&glance, type, before, n) == TL_AFTER_EOF)
				return 0;
			/* Nothing that a program may see: taken off the queue, and on to what lies behind it. */
			n = recv_record(flow, msg, len, (flags & ~MSG_PEEK) | MSG_DONTWAIT, &type);
			msg->msg_iter = before;
			if (n < 0)
				return n;
		}
		err = after_control(flow, control_record(&flow->control, type, before, n));
		if (err)
			return err;
	}
	return 0;
}

/* Takes off what is for us: 1 if there is data to read then, 0 at the end, or an error. */
static int skip_control(struct tl_flow *flow)
{
	u8 byte[2];
	struct kvec vec = { .iov_base = byte, .iov_len = sizeof(byte) };
	struct msghdr msg = {};
	int n;

	iov_iter_kvec(&msg.msg_iter, READ, &vec, 1, sizeof(byte));
	n = flow_recvmsg(flow->sock, &msg, sizeof(byte), MSG_DONTWAIT | MSG_PEEK);
	return min(n, 1);
}

static ssize_t flow_splice_read(struct socket *sock, loff_t *pos, struct pipe_inode_info *pipe, size_t len,
				unsigned int flags)
{
	struct tl_flow *flow = tl_flow_of(sock);
	bool nonblock = flags & SPLICE_F_NONBLOCK;
	ssize_t n;
	int err = await(flow, nonblock, sock_rcvtimeo(sock->sk, 0));

	if (err)
		return err;
	if (closed(flow))
		return sock_error(sock->sk);
	if (READ_ONCE(flow->eof))
		return 0;
	n = flow->inner->splice_read(sock, pos, pipe, len, flags);
	if (n == -EINVAL && phase_of(flow) == TL_FLOW_OPEN) {
		/* kTLS does not splice control records. */
		err = skip_control(flow);
		return err > 0 ? -EAGAIN : err;
	}
	if (n == -ECONNRESET)
		WRITE_ONCE(flow->told, true);
	return n ? n : ended(flow, 0);
}

/*
 * Some kernels' tls.ko reads the connection by this when buffers run short. It
 * takes bytes from under kTLS, so nobody else may: kcm would too.
 */
static int flow_read_sock(struct sock *sk, read_descriptor_t *desc, sk_read_actor_t actor)
{
	struct tls_context *ctx = tls_get_ctx(sk);
	struct tls_sw_context_rx *rx = ctx ? tls_sw_ctx_rx(ctx) : NULL;

	if (!rx || desc->arg.data != &rx->strp)
		return -EOPNOTSUPP;
	return tcp_read_sock(sk, desc, actor);
}

/* How many bytes a read would find, as far as one peek sees. TCP's own count is of records. */
static int unread(struct tl_flow *flow)
{
	struct msghdr msg = {};
	u8 type;
	int n;

	if (READ_ONCE(flow->eof) || READ_ONCE(flow->sk->sk_err) || phase_of(flow) != TL_FLOW_OPEN)
		return 0;
	if (skip_control(flow) <= 0)
		return 0;
	iov_iter_discard(&msg.msg_iter, READ, PEEK_MAX);
	n = recv_record(flow, &msg, PEEK_MAX, MSG_PEEK | MSG_DONTWAIT, &type);
	return n > 0 && type == TL_RECORD_DATA ? n : 0;
}

static int flow_ioctl(struct socket *sock, unsigned int cmd, unsigned long arg)
{
	struct tl_flow *flow = tl_flow_of(sock);

	if (cmd == SIOCINQ && phase_of(flow) == TL_FLOW_OPEN)
		return put_user(unread(flow), (int __user *)arg);
	return flow->pristine->ioctl(sock, cmd, arg);
}

static __poll_t flow_poll(struct file *file, struct socket *sock, struct poll_table_struct *wait)
{
	struct tl_flow *flow = tl_flow_of(sock);
	__poll_t mask;
	int low;

	if (phase_of(flow) == TL_FLOW_PENDING) {
		sock_poll_wait(file, sock, wait);
		/* It may have settled between the look and the wait. */
		if (phase_of(flow) == TL_FLOW_PENDING)
			return 0;
		return flow->inner->poll(file, sock, NULL);
	}
	mask = flow->inner->poll(file, sock, wait);
	if (READ_ONCE(flow->eof))
		return mask | EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	low = min(READ_ONCE(flow->rcvlowat), PEEK_MAX);
	if (low > 1 && !(mask & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) && unread(flow) < low)
		mask &= ~(EPOLLIN | EPOLLRDNORM);
	return mask;
}

/*
 * TCP would count bytes of records, and wake nobody for a few that are left
 * after some were decrypted. So it always wakes, and we count.
 */
static int flow_set_rcvlowat(struct sock *sk, int val)
{
	struct tl_flow *flow = tl_flow_of(sk->sk_socket);
	int err = flow->pristine->set_rcvlowat(sk, val);

	WRITE_ONCE(flow->rcvlowat, sk->sk_rcvlowat);
	WRITE_ONCE(sk->sk_rcvlowat, 1);
	return err;
}

/* ---- options ------------------------------------------------------------------------------------------ */

static int option(struct tl_flow *flow, bool set, int level, int name)
{
	u32 phase = phase_of(flow) == TL_FLOW_OPEN ? TL_PHASE_ESTABLISHED : TL_PHASE_PENDING;
	int err = tl_rs_sockopt(phase, set, level, name);

	if (err)
		option_refused(flow, TL_R_SOCKET_OPTION);
	return -err;
}

static int flow_setsockopt(struct socket *sock, int level, int name, sockptr_t val, unsigned int len)
{
	struct tl_flow *flow = tl_flow_of(sock);
	int err = option(flow, true, level, name);

	return err ? err : flow->inner->setsockopt(sock, level, name, val, len);
}

static int flow_getsockopt(struct socket *sock, int level, int name, char __user *val, int __user *len)
{
	struct tl_flow *flow = tl_flow_of(sock);
	int err = option(flow, false, level, name);

	return err ? err : flow->inner->getsockopt(sock, level, name, val, len);
}

/* ---- the rest --------------------------------------------------------------------------------------------- */

/* Where TCP resets, the peer must not read an end: on request, and when somebody has not read what was sent. */
static bool aborts(struct tl_flow *flow)
{
	struct sock *sk = flow->sk;

	return (sock_flag(sk, SOCK_LINGER) && !sk->sk_lingertime) || unread(flow);
}

/* A connection neither listens nor accepts. */
static int flow_listen(struct socket *sock, int backlog)
{
	return -EINVAL;
}

static int flow_accept(struct socket *sock, struct socket *newsock, TL_ACCEPT_PARAMS)
{
	return -EINVAL;
}

static int flow_release(struct socket *sock)
{
	struct tl_flow *flow = tl_flow_of(sock);
	struct sock *sk = flow->sk;
	int err;

	/* accept() on a connection makes a socket that has this table, is refused, and releases what it made. */
	if (!sock->sk)
		return 0;
	if (phase_of(flow) == TL_FLOW_OPEN && aborts(flow))
		sock_no_linger(sk);
	else if (phase_of(flow) == TL_FLOW_OPEN && !flow->wr_shutdown)
		send_close_notify(flow);
	/* From here on the worker leaves it alone. */
	mutex_lock(&flow->lock);
	flow->sock = NULL;
	tl_handshake_drop(flow);
	mutex_unlock(&flow->lock);
	sock_hold(sk);
	err = flow->inner->release(sock);
	tl_flow_unhook_sk(flow, sk);
	sock_put(sk);
	tl_flow_detach(flow);
	tl_flow_put(flow);
	return err;
}

void tl_flow_ops_init(struct tl_flow *flow)
{
	const struct proto_ops *plain = flow->pristine;

	flow->ops = (struct proto_ops){
		.family = plain->family,
		.owner = THIS_MODULE,
		.release = flow_release,
		.bind = plain->bind,
		.connect = tl_flow_connect,
		.socketpair = sock_no_socketpair,
		.accept = flow_accept,
		.getname = plain->getname,
		.poll = flow_poll,
		.ioctl = flow_ioctl,
#ifdef CONFIG_COMPAT
		.compat_ioctl = plain->compat_ioctl,
#endif
		.gettstamp = plain->gettstamp,
		.listen = flow_listen,
		.shutdown = flow_shutdown,
		.setsockopt = flow_setsockopt,
		.getsockopt = flow_getsockopt,
		.sendmsg = flow_sendmsg,
		.recvmsg = flow_recvmsg,
		.mmap = sock_no_mmap,
		.splice_read = flow_splice_read,
		.read_sock = flow_read_sock,
		.set_rcvlowat = flow_set_rcvlowat,
	};
}
