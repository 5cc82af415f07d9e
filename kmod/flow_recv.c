// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * What a program reads of a governed connection: data records, and of control
 * records only what they mean. A stream that somebody cut short is an error.
 */
#include <linux/net.h>
#include <linux/splice.h>
#include <linux/uio.h>
#include <net/tcp.h>
#include <net/tls.h>
#include <uapi/linux/tls.h>

#include "flow_ops.h"
#include "mediated.h"
#include "rekey.h"

/* As often may one call to splice come across records that are for us. */
#define CONTROL_RUN 64

/* Reads back what a control record wrote where data would have gone, and asks what it means. */
static u32 control_record(u64 *state, u8 type, struct iov_iter it, int n, bool ends_record)
{
	u32 after = TL_AFTER_SKIP;
	u8 piece[64];

	it.data_source = true;
	while (n > 0) {
		int some = min_t(int, n, sizeof(piece));

		if (copy_from_iter(piece, some, &it) != some)
			return TL_AFTER_CUT;
		n -= some;
		after = tl_rs_control_record(state, type, piece, some, ends_record && !n, TL_KTLS_REKEYS);
		if (after == TL_AFTER_CUT || after == TL_AFTER_KEY_UPDATE)
			return after;
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
	case TL_AFTER_REKEY:
	case TL_AFTER_REKEY_BOTH:
		return tl_rekey_follow(flow, after == TL_AFTER_REKEY_BOTH);
	case TL_AFTER_KEY_UPDATE:
		return -EKEYREJECTED;
	}
	return -EPROTO;
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
	/* kTLS says by it that a record was read to its end. */
	msg->msg_flags &= ~MSG_EOR;
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
		tl_flow_refused(flow, TL_R_TRUNCATED);
	/* Told once, as a reset is; a peek is followed by the read that must not see an end. */
	return (flags & MSG_PEEK ? READ_ONCE(flow->told) : xchg(&flow->told, true)) ? 0 : -ECONNRESET;
}

/*
 * What a read on a flow that is over comes to. One that was cut is a reset, once, also where the socket's error has yet to be set or
 * another call has taken it: an end of the stream is what nobody may make of it.
 */
int tl_flow_over(struct tl_flow *flow, int flags)
{
	int err = sock_error(flow->sk);
	bool told;

	if (!READ_ONCE(flow->cut) || flags & MSG_ERRQUEUE)
		return err;
	told = flags & MSG_PEEK ? READ_ONCE(flow->told) : xchg(&flow->told, true);
	return err || told ? err : -ECONNRESET;
}

/* kTLS's own words for a stream that cannot go on: a forged record, one out of place, a key it will not renew. */
static bool broken(int err)
{
	return err == -EBADMSG || err == -EPIPE || err == -EKEYEXPIRED;
}

int tl_flow_read(struct tl_flow *flow, struct msghdr *msg, size_t len, int flags)
{
	while (!READ_ONCE(flow->eof)) {
		struct iov_iter before = msg->msg_iter;
		u32 followed = tl_rekey_followed(flow);
		int n, err;
		u8 type;

		n = recv_record(flow, msg, len, flags, &type);
		if (n == -EKEYEXPIRED && flow->rekey) {
			n = tl_rekey_await(flow, followed, flags & MSG_DONTWAIT);
			if (tl_flow_closed(flow))
				return tl_flow_over(flow, flags);
			if (n)
				return n;
			msg->msg_iter = before;
			continue;
		}
		if (n == -ECONNRESET && !(flags & MSG_PEEK))
			WRITE_ONCE(flow->told, true);
		if (n < 0)
			return broken(n) ? -ECONNRESET : n;
		if (type == TL_RECORD_DATA)
			return n || !len ? n : ended(flow, flags);
		msg->msg_iter = before;
		if (flags & MSG_PEEK) {
			u64 glance = flow->control;

			if (control_record(&glance, type, before, n, msg->msg_flags & MSG_EOR) == TL_AFTER_EOF)
				return 0;
			/* Nothing that a program may see: taken off the queue, and on to what lies behind it. */
			n = recv_record(flow, msg, len, (flags & ~MSG_PEEK) | MSG_DONTWAIT, &type);
			msg->msg_iter = before;
			if (n < 0)
				return n;
		}
		err = after_control(flow, control_record(&flow->control, type, before, n, msg->msg_flags & MSG_EOR));
		if (err)
			return err;
	}
	return 0;
}

int tl_flow_recvmsg(struct socket *sock, struct msghdr *msg, size_t len, int flags)
{
	struct tl_flow *flow = tl_flow_of(sock);
	int n = tl_flow_await(flow, flags & MSG_DONTWAIT, sock_rcvtimeo(sock->sk, 0)), low = READ_ONCE(flow->rcvlowat);

	if (n)
		return n;
	if (tl_flow_closed(flow))
		return tl_flow_over(flow, flags);
	if (tl_flow_plain(flow) || tl_phase_of(flow) == TL_FLOW_FAILED || (flags & MSG_ERRQUEUE))
		return flow->inner->recvmsg(sock, msg, len, flags);
	if (flags & MSG_OOB)
		return -EINVAL;
	if (flow->mediation)
		return tl_mediated_recv(flow, msg, len, flags);
	if (low > 1 && !(flags & (MSG_DONTWAIT | MSG_PEEK | MSG_WAITALL))) {
		flags |= MSG_WAITALL;
		len = min_t(size_t, len, low);
		iov_iter_truncate(&msg->msg_iter, len);
	}
	n = tl_flow_read(flow, msg, len, flags);
	if (n == -EPROTO || n == -EKEYREJECTED) {
		tl_flow_cut(flow, n == -EPROTO ? TL_R_PROTOCOL : TL_R_KEY_UPDATED);
		return -ECONNRESET;
	}
	return n;
}

/* Takes off what is for us: 1 if there is data to read then, 0 at the end, or an error. */
static int skip_control(struct tl_flow *flow)
{
	u8 byte[2];
	struct kvec vec = { .iov_base = byte, .iov_len = sizeof(byte) };
	struct msghdr msg = {};
	int n;

	iov_iter_kvec(&msg.msg_iter, READ, &vec, 1, sizeof(byte));
	n = tl_flow_recvmsg(flow->sock, &msg, sizeof(byte), MSG_DONTWAIT | MSG_PEEK);
	return min(n, 1);
}

ssize_t tl_flow_splice_read(struct socket *sock, loff_t *pos, struct pipe_inode_info *pipe, size_t len,
			    unsigned int flags)
{
	struct tl_flow *flow = tl_flow_of(sock);
	bool nonblock = flags & SPLICE_F_NONBLOCK;
	unsigned int run;
	ssize_t n;
	int err = tl_flow_await(flow, nonblock, sock_rcvtimeo(sock->sk, 0));

	if (err)
		return err;
	if (tl_flow_closed(flow))
		return tl_flow_over(flow, 0);
	if (tl_flow_plain(flow))
		return flow->inner->splice_read(sock, pos, pipe, len, flags);
	if (tl_phase_of(flow) == TL_FLOW_OPEN && flow->mediation)
		return tl_mediated_splice_read(flow, pipe, len, nonblock);
	if (READ_ONCE(flow->eof))
		return 0;
	for (run = 0;; run++) {
		u32 followed = tl_rekey_followed(flow);

		n = flow->inner->splice_read(sock, pos, pipe, len, flags);
		/* kTLS does not splice control records, nor what comes behind a KeyUpdate. */
		if ((n != -EINVAL && n != -EKEYEXPIRED) || tl_phase_of(flow) != TL_FLOW_OPEN)
			break;
		err = n == -EINVAL ? skip_control(flow) : tl_rekey_await(flow, followed, nonblock);
		if (n == -EINVAL ? !err : tl_flow_closed(flow))
			return n == -EINVAL ? 0 : tl_flow_over(flow, 0);
		if (err < 0 && (n == -EKEYEXPIRED || err != -EAGAIN))
			return err;
		if (nonblock || run == CONTROL_RUN)
			return -EAGAIN;
	}
	if (n == -ECONNRESET)
		WRITE_ONCE(flow->told, true);
	return n ? n : ended(flow, 0);
}

/*
 * Some kernels' tls.ko reads the connection by this when buffers run short. It
 * takes bytes from under kTLS, so nobody else may: kcm would too.
 */
int tl_flow_read_sock(struct sock *sk, read_descriptor_t *desc, sk_read_actor_t actor)
{
	struct tls_context *ctx = tls_get_ctx(sk);
	struct tls_sw_context_rx *rx = ctx ? tls_sw_ctx_rx(ctx) : NULL;

	if (!rx || desc->arg.data != &rx->strp)
		return -EOPNOTSUPP;
	return tcp_read_sock(sk, desc, actor);
}

int tl_flow_unread(struct tl_flow *flow)
{
	struct msghdr msg = {};
	u8 type;
	int n;

	if (tl_phase_of(flow) == TL_FLOW_OPEN && flow->mediation)
		return tl_mediated_unread(flow);
	if (READ_ONCE(flow->eof) || READ_ONCE(flow->sk->sk_err) || tl_phase_of(flow) != TL_FLOW_OPEN)
		return 0;
	if (skip_control(flow) <= 0)
		return 0;
	iov_iter_discard(&msg.msg_iter, READ, TL_PEEK_MAX);
	n = recv_record(flow, &msg, TL_PEEK_MAX, MSG_PEEK | MSG_DONTWAIT, &type);
	return n > 0 && type == TL_RECORD_DATA ? n : 0;
}
