// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * What a program's system calls meet on a governed connection. Every slot is
 * filled by allow-list: what is not here does not exist on such a socket.
 */
#include <asm/ioctls.h>
#include <linux/cred.h>
#include <linux/poll.h>
#include <linux/sockios.h>
#include <linux/uio.h>
#include <net/tcp.h>
#include <net/tls.h>
#include <uapi/linux/tls.h>

#include "flow_ops.h"
#include "mediated.h"
#include "rekey.h"

static int flow_release(struct socket *sock);

struct tl_flow *tl_flow_of(const struct socket *sock)
{
	const struct proto_ops *ops = READ_ONCE(sock->ops);

	return ops && ops->release == flow_release ? container_of(ops, struct tl_flow, ops) : NULL;
}

int tl_flow_await(struct tl_flow *flow, bool nonblock, long timeo)
{
	long left;

	if (tl_phase_of(flow) != TL_FLOW_PENDING)
		return 0;
	if (nonblock || !timeo)
		return -EAGAIN;
	left = wait_event_interruptible_timeout(flow->wait, tl_phase_of(flow) != TL_FLOW_PENDING, timeo);
	if (left == -ERESTARTSYS)
		return sock_intr_errno(timeo);
	return left ? 0 : -EAGAIN;
}

/* ---- sending ------------------------------------------------------------------------------------- */

int tl_flow_send_control(struct tl_flow *flow, u8 type, u8 *bytes, size_t len, int flags)
{
	u8 control[CMSG_SPACE(sizeof(u8))] = {};
	struct kvec vec = { .iov_base = bytes, .iov_len = len };
	struct msghdr msg = {
		.msg_control = control,
		.msg_controllen = sizeof(control),
		.msg_flags = flags,
	};
	struct cmsghdr *cmsg = (struct cmsghdr *)control;

	cmsg->cmsg_level = SOL_TLS;
	cmsg->cmsg_type = TLS_SET_RECORD_TYPE;
	cmsg->cmsg_len = CMSG_LEN(sizeof(u8));
	*(u8 *)CMSG_DATA(cmsg) = type;
	iov_iter_kvec(&msg.msg_iter, WRITE, &vec, 1, len);
	return flow->inner->sendmsg(flow->sock, &msg, len);
}

static void send_close_notify(struct tl_flow *flow)
{
	struct sock *sk = flow->sk;
	u8 alert[2];
	int sndbuf;

	if (tl_rekey_sending(flow))
		return;
	tl_rs_close_notify(alert);
	sndbuf = READ_ONCE(sk->sk_sndbuf);
	/* It has to fit behind data that fills the buffer, or the peer could not tell the end from a cut. */
	WRITE_ONCE(sk->sk_sndbuf, INT_MAX / 2);
	tl_flow_send_control(flow, TL_RECORD_ALERT, alert, sizeof(alert), MSG_DONTWAIT | MSG_NOSIGNAL);
	WRITE_ONCE(sk->sk_sndbuf, sndbuf);
	tl_rekey_sent(flow);
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

void tl_flow_refused(struct tl_flow *flow, u32 reason)
{
	tl_flow_tell(flow, reason, NULL, 0);
}

int tl_flow_write(struct tl_flow *flow, struct msghdr *msg, size_t len)
{
	int n = tl_rekey_sending(flow);

	if (n)
		return n;
	n = tl_rekey_own(flow, msg->msg_flags);
	if (!n && (u64)atomic64_read(&flow->records) >= flow->records_max)
		n = -EKEYEXPIRED;
	if (!n) {
		n = flow->inner->sendmsg(flow->sock, msg, len);
		if (n > 0)
			atomic64_add(tl_rs_records_of(n), &flow->records);
	}
	tl_rekey_sent(flow);
	return n;
}

static int transmit(struct tl_flow *flow, struct msghdr *msg, size_t len)
{
	u32 reason;
	int n;

	if (flow->mediation)
		return tl_mediated_send(flow, msg, len);
	n = tl_flow_write(flow, msg, len);
	if (n != -EKEYEXPIRED && n != -EKEYREJECTED)
		return n;
	reason = n == -EKEYEXPIRED ? TL_R_KEY_USED_UP : TL_R_KEY_UPDATED;
	tl_flow_refused(flow, reason);
	tl_flow_cut(flow, reason);
	return sk_stream_error(flow->sk, msg->msg_flags, -EPIPE);
}

/*
 * MSG_ZEROCOPY: what is encrypted is copied on the way. A program that waits for
 * word that its pages are free gets it, with the remark that they were copied.
 */
static int send_zerocopy(struct tl_flow *flow, struct msghdr *msg, size_t len)
{
	struct ubuf_info *told = NULL;
	int n;

	/* io_uring keeps its own account. */
	if (len && !msg->msg_ubuf && sock_flag(flow->sk, SOCK_ZEROCOPY)) {
		told = tl_zerocopy_new(flow->sk, len);
		if (!told)
			return -ENOBUFS;
		uarg_to_msgzc(told)->zerocopy = 0;
	}
	msg->msg_ubuf = NULL;
	msg->msg_flags &= ~MSG_ZEROCOPY;
	n = transmit(flow, msg, len);
	if (told && n < 0)
		msg_zerocopy_put_abort(told, true);
	else
		net_zcopy_put(told);
	return n;
}

static int flow_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)
{
	struct tl_flow *flow = tl_flow_of(sock);
	int err = tl_flow_await(flow, msg->msg_flags & MSG_DONTWAIT, sock_sndtimeo(sock->sk, 0));
	u32 flags, reason;

	if (err)
		return err;
	if (tl_flow_plain(flow))
		return flow->inner->sendmsg(sock, msg, len);
	/* kTLS would take what it cannot send any more. */
	if (tl_flow_closed(flow) || READ_ONCE(sock->sk->sk_shutdown) & SEND_SHUTDOWN)
		return sk_stream_error(sock->sk, msg->msg_flags, -EPIPE);
	flags = tl_splice_flags(msg->msg_flags);
	reason = tl_rs_send_flags(&flags);
	if (reason) {
		tl_flow_refused(flow, reason);
		return -EOPNOTSUPP;
	}
	msg->msg_flags = flags;
	if (msg->msg_controllen) {
		if (commands_ktls(msg)) {
			tl_flow_refused(flow, TL_R_SOCKET_OPTION);
			return -EINVAL;
		}
		msg->msg_control = NULL;
		msg->msg_controllen = 0;
	}
	msg->msg_name = NULL;
	msg->msg_namelen = 0;
	return msg->msg_flags & MSG_ZEROCOPY ? send_zerocopy(flow, msg, len) : transmit(flow, msg, len);
}

/* The end of what the program sends; false if not all of it could be given to TCP. */
static bool end_sending(struct tl_flow *flow)
{
	if (flow->mediation && !tl_mediated_flush(flow))
		return false;
	send_close_notify(flow);
	return true;
}

static int flow_shutdown(struct socket *sock, int how)
{
	struct tl_flow *flow = tl_flow_of(sock);

	if (tl_phase_of(flow) == TL_FLOW_PENDING)
		return -ENOTCONN;
	if (tl_flow_plain(flow))
		return flow->inner->shutdown(sock, how);
	if (tl_phase_of(flow) == TL_FLOW_OPEN && (how == SHUT_WR || how == SHUT_RDWR) &&
	    !xchg(&flow->wr_shutdown, true) && !end_sending(flow))
		tl_flow_cut(flow, TL_R_INTERNAL);
	if (how == SHUT_RD || how == SHUT_RDWR)
		WRITE_ONCE(flow->rd_shutdown, true);
	return flow->inner->shutdown(sock, how);
}

static int flow_ioctl(struct socket *sock, unsigned int cmd, unsigned long arg)
{
	struct tl_flow *flow = tl_flow_of(sock);

	if (tl_flow_plain(flow))
		return flow->inner->ioctl(sock, cmd, arg);
	if (cmd == SIOCINQ && tl_phase_of(flow) == TL_FLOW_OPEN)
		return put_user(tl_flow_unread(flow), (int __user *)arg);
	if (cmd == SIOCOUTQ && tl_phase_of(flow) == TL_FLOW_OPEN && flow->mediation)
		return put_user(READ_ONCE(tcp_sk(sock->sk)->write_seq) - READ_ONCE(tcp_sk(sock->sk)->snd_una) +
				tl_mediated_unsent(flow), (int __user *)arg);
	return flow->pristine->ioctl(sock, cmd, arg);
}

/* That somebody waits for room may have been noted at a stand-in, while keys changed: notes it where it is looked for. */
static __poll_t poll_space(struct socket *sock)
{
	set_bit(SOCK_NOSPACE, &sock->flags);
	smp_mb__after_atomic();
	return sk_stream_is_writeable(sock->sk) ? EPOLLOUT | EPOLLWRNORM : 0;
}

static __poll_t flow_poll(struct file *file, struct socket *sock, struct poll_table_struct *wait)
{
	struct tl_flow *flow = tl_flow_of(sock);
	__poll_t mask;
	int low;

	if (tl_phase_of(flow) == TL_FLOW_PENDING) {
		sock_poll_wait(file, sock, wait);
		/* It may have settled between the look and the wait. */
		if (tl_phase_of(flow) == TL_FLOW_PENDING)
			return 0;
		wait = NULL;
	}
	if (flow->mediation && tl_phase_of(flow) == TL_FLOW_OPEN)
		return tl_mediated_poll(file, sock, wait);
	/* kTLS shows nothing to read behind a KeyUpdate. */
	if (tl_rekey_unread(flow))
		tl_flow_unread(flow);
	mask = flow->inner->poll(file, sock, wait);
	if (tl_flow_plain(flow))
		return mask;
	if (flow->rekey && !(mask & EPOLLOUT))
		mask |= poll_space(sock);
	if (READ_ONCE(flow->eof))
		return mask | EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	low = min(READ_ONCE(flow->rcvlowat), TL_PEEK_MAX);
	if (low > 1 && !(mask & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) && tl_flow_unread(flow) < low)
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
	int err;

	/* While kTLS takes the socket over, the sock points to a stand-in. */
	if (!flow)
		return -EBUSY;
	err = flow->pristine->set_rcvlowat(sk, val);
	if (tl_flow_plain(flow))
		return err;
	WRITE_ONCE(flow->rcvlowat, sk->sk_rcvlowat);
	WRITE_ONCE(sk->sk_rcvlowat, 1);
	return err;
}

/* ---- options ------------------------------------------------------------------------------------------ */

static int option(struct tl_flow *flow, bool set, int level, int name)
{
	u32 phase = tl_phase_of(flow) == TL_FLOW_OPEN ? TL_PHASE_ESTABLISHED : TL_PHASE_PENDING;
	int err = tl_rs_sockopt(phase, set, level, name);

	if (err)
		tl_flow_refused(flow, TL_R_SOCKET_OPTION);
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

	return (sock_flag(sk, SOCK_LINGER) && !sk->sk_lingertime) || tl_flow_unread(flow);
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
	u32 reason;
	int err;

	/* accept() on a connection makes a socket that has this table, is refused, and releases what it made. */
	if (!sock->sk)
		return 0;
	/* Who ended it first: the peer may answer our close_notify with its own before we are done here. */
	reason = READ_ONCE(flow->eof) ? TL_R_PEER_CLOSED : TL_R_LOCAL_CLOSED;
	if (tl_flow_plain(flow))
		reason = READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN ? TL_R_PEER_CLOSED : TL_R_LOCAL_CLOSED;
	else if (tl_phase_of(flow) == TL_FLOW_OPEN && aborts(flow))
		sock_no_linger(sk);
	else if (tl_phase_of(flow) == TL_FLOW_OPEN && !flow->wr_shutdown && !end_sending(flow))
		sock_no_linger(sk);
	/* From here on the worker leaves it alone. */
	mutex_lock(&flow->lock);
	flow->sock = NULL;
	tl_handshake_drop(flow);
	mutex_unlock(&flow->lock);
	sock_hold(sk);
	err = flow->inner->release(sock);
	tl_flow_unhook_sk(flow, sk);
	sock_put(sk);
	tl_flow_detach(flow, reason);
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
		.recvmsg = tl_flow_recvmsg,
		.mmap = sock_no_mmap,
		.splice_read = tl_flow_splice_read,
		.read_sock = tl_flow_read_sock,
		.set_rcvlowat = flow_set_rcvlowat,
	};
}
