// SPDX-License-Identifier: MIT OR GPL-2.0
/* What a program's calls meet on a mediated flow: the queues of mediated.c, with the words and errors of plain TCP. */
#include <linux/poll.h>
#include <linux/pipe_fs_i.h>
#include <linux/sched/signal.h>
#include <linux/splice.h>
#include <linux/uio.h>
#include <net/tcp.h>
#include <net/tls.h>
#include <uapi/linux/tls.h>

#include "flow_ops.h"
#include "mediated.h"

static bool send_is_over(struct tl_flow *flow)
{
	struct sock *sk = flow->sk;

	return tl_flow_closed(flow) || READ_ONCE(sk->sk_err) || READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN ||
	       READ_ONCE(flow->wr_shutdown) || READ_ONCE(flow->mediation->tx.ended);
}

/* Waits for `cond` with the queue let go. 0, -EAGAIN when there is no time to wait, or what a signal makes of it. */
#define queue_wait(flow, q, timeo, cond)							\
({												\
	int waited = 0;										\
												\
	if (!*(timeo)) {									\
		waited = -EAGAIN;								\
	} else {										\
		long left;									\
												\
		tl_queue_unlock(flow, q);								\
		left = wait_event_interruptible_timeout((flow)->wait, cond, *(timeo));		\
		if (left < 0)									\
			waited = sock_intr_errno(*(timeo));					\
		else										\
			*(timeo) = left;							\
		mutex_lock(&(q)->lock);								\
	}											\
	waited;											\
})

int tl_mediated_send(struct tl_flow *flow, struct msghdr *msg, size_t len)
{
	struct tl_queue *q = &flow->mediation->tx;
	long timeo = sock_sndtimeo(flow->sk, msg->msg_flags & MSG_DONTWAIT);
	int err = 0;
	size_t done = 0;

	mutex_lock(&q->lock);
	while (done < len) {
		u32 n;

		if (send_is_over(flow)) {
			err = -EPIPE;
			break;
		}
		if (!tl_queue_make(q)) {
			err = -ENOMEM;
			break;
		}
		tl_tx_drain(flow);
		n = tl_rs_queue_piece(tl_rs_queue_behind(&q->marks, q->buf), len - done);
		if (!n) {
			err = queue_wait(flow, q, &timeo,
					 send_is_over(flow) || READ_ONCE(q->room) >= TL_QUEUE_LOW);
			if (err)
				break;
			continue;
		}
		n = copy_from_iter(q->buf + q->marks.end, n, &msg->msg_iter);
		if (!n) {
			err = -EFAULT;
			break;
		}
		tl_rs_queue_put(&q->marks, n);
		done += n;
	}
	tl_tx_drain(flow);
	tl_queue_unlock(flow, q);
	if (done)
		return done;
	return err == -EPIPE ? sk_stream_error(flow->sk, msg->msg_flags, err) : err;
}

static bool recv_is_over(struct tl_flow *flow)
{
	return tl_flow_closed(flow) || READ_ONCE(flow->mediation->rx.ended) || READ_ONCE(flow->rd_shutdown) ||
	       READ_ONCE(flow->sk->sk_err);
}

int tl_mediated_recv(struct tl_flow *flow, struct msghdr *msg, size_t len, int flags)
{
	struct tl_queue *q = &flow->mediation->rx;
	long timeo = sock_rcvtimeo(flow->sk, flags & MSG_DONTWAIT);
	size_t low = min_t(size_t, max(READ_ONCE(flow->rcvlowat), 1), TL_QUEUE_LOW), done = 0;
	size_t target = flags & MSG_WAITALL ? len : min(low, len);
	int err = 0;

	mutex_lock(&q->lock);
	for (;;) {
		/* A peek takes nothing off. */
		size_t skip = flags & MSG_PEEK ? done : 0;
		u32 from = 0, n;

		if (tl_flow_closed(flow)) {
			err = done ? 0 : tl_flow_over(flow, flags);
			break;
		}
		if (!tl_rs_queue_next(&q->marks, skip, 1, &from))
			tl_rx_fill(flow);
		n = tl_rs_queue_next(&q->marks, skip, len - done, &from);
		if (n && !(flags & MSG_TRUNC) && copy_to_iter(q->buf + from, n, &msg->msg_iter) != n) {
			err = -EFAULT;
			break;
		}
		done += n;
		if (!(flags & MSG_PEEK))
			tl_rs_queue_took(&q->marks, n);
		if (done >= target && (done || q->marks.ready != q->marks.head))
			break;
		/* A full queue that was emptied has no wake-up of its own: see what else there is. */
		if (n)
			continue;
		if (flags & MSG_PEEK && q->full)
			break;
		if (recv_is_over(flow)) {
			err = done ? 0 : tl_flow_over(flow, flags);
			break;
		}
		err = queue_wait(flow, q, &timeo,
				 recv_is_over(flow) || READ_ONCE(q->available) > (flags & MSG_PEEK ? done : 0));
		if (err)
			break;
	}
	/* What did not fit before, and now may, has no wake-up of its own. */
	if (q->full || q->marks.ready != q->marks.end)
		tl_rx_fill(flow);
	tl_queue_unlock(flow, q);
	msg->msg_namelen = 0;
	return done ? done : err;
}

ssize_t tl_mediated_splice_read(struct tl_flow *flow, struct pipe_inode_info *pipe, size_t len, bool nonblock)
{
	size_t done = 0;

	while (done < len && !pipe_full(pipe->head, pipe->tail, pipe->max_usage)) {
		struct pipe_buffer buf = { .ops = &nosteal_pipe_buf_ops };
		struct msghdr msg = {};
		struct kvec vec;
		ssize_t n;

		/* Nothing is read for a pipe that nobody reads. */
		if (!pipe->readers) {
			send_sig(SIGPIPE, current, 0);
			return done ? done : -EPIPE;
		}
		buf.page = alloc_page(GFP_USER);
		if (!buf.page)
			return done ? done : -ENOMEM;
		vec = (struct kvec){ .iov_base = page_address(buf.page), .iov_len = min_t(size_t, len - done, PAGE_SIZE) };
		iov_iter_kvec(&msg.msg_iter, READ, &vec, 1, vec.iov_len);
		n = tl_mediated_recv(flow, &msg, vec.iov_len, nonblock || done ? MSG_DONTWAIT : 0);
		if (n <= 0) {
			put_page(buf.page);
			return done ? done : n;
		}
		buf.len = n;
		n = add_to_pipe(pipe, &buf);
		if (n < 0)
			return done ? done : n;
		done += n;
	}
	return done;
}

int tl_mediated_unread(struct tl_flow *flow)
{
	struct tl_queue *q = &flow->mediation->rx;
	int n;

	mutex_lock(&q->lock);
	tl_rx_fill(flow);
	n = q->marks.ready - q->marks.head;
	tl_queue_unlock(flow, q);
	return n;
}

int tl_mediated_unsent(struct tl_flow *flow)
{
	struct tl_queue *q = &flow->mediation->tx;

	return READ_ONCE(q->held);
}

bool tl_mediated_flush(struct tl_flow *flow)
{
	struct tl_queue *q = &flow->mediation->tx;
	struct sock *sk = flow->sk;
	bool all;
	int sndbuf;

	mutex_lock(&q->lock);
	sndbuf = READ_ONCE(sk->sk_sndbuf);
	WRITE_ONCE(sk->sk_sndbuf, INT_MAX / 2);
	tl_tx_drain(flow);
	WRITE_ONCE(sk->sk_sndbuf, sndbuf);
	all = q->marks.head == q->marks.end;
	tl_queue_unlock(flow, q);
	return all;
}

__poll_t tl_mediated_poll(struct file *file, struct socket *sock, struct poll_table_struct *wait)
{
	struct tl_flow *flow = tl_flow_of(sock);
	struct tl_mediation *m = flow->mediation;
	struct sock *sk = sock->sk;
	u32 low = min_t(u32, max(READ_ONCE(flow->rcvlowat), 1), TL_QUEUE_LOW);
	__poll_t mask = 0;
	u8 shutdown;

	sock_poll_wait(file, sock, wait);
	shutdown = READ_ONCE(sk->sk_shutdown);
	if (shutdown == SHUTDOWN_MASK || READ_ONCE(sk->sk_state) == TCP_CLOSE)
		mask |= EPOLLHUP;
	if (shutdown & RCV_SHUTDOWN || READ_ONCE(m->rx.ended) || READ_ONCE(flow->rd_shutdown))
		mask |= EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	if (READ_ONCE(m->rx.available) >= low)
		mask |= EPOLLIN | EPOLLRDNORM;
	if (send_is_over(flow) || READ_ONCE(m->tx.room) >= TL_QUEUE_LOW)
		mask |= EPOLLOUT | EPOLLWRNORM;
	/* Pairs with the barrier of whoever sets it. */
	smp_rmb();
	if (READ_ONCE(sk->sk_err) || !skb_queue_empty_lockless(&sk->sk_error_queue))
		mask |= EPOLLERR;
	return mask;
}
