// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Mediated flows. The program's calls meet queues; between these and the wire,
 * which is kTLS on the same socket, stands a transform. Whoever is there moves
 * the bytes: the program in its own calls, the worker when the wire has news.
 */
#include <linux/mm.h>
#include <linux/uio.h>
#include <net/tcp.h>

#include "flow_ops.h"
#include "mediated.h"

/* ---- queues ------------------------------------------------------------------------------------- */

bool tl_queue_make(struct tl_queue *q)
{
	if (!q->buf)
		q->buf = kvzalloc(TL_QUEUE_BYTES, GFP_KERNEL_ACCOUNT);
	return q->buf;
}

static void queue_refuse(struct tl_queue *q, u32 reason, struct tl_str why)
{
	q->reason = reason;
	q->why = why;
	smp_store_release(&q->refused, true);
}

static void queue_publish(struct tl_queue *q)
{
	WRITE_ONCE(q->available, q->marks.ready - q->marks.head);
	WRITE_ONCE(q->held, q->marks.end - q->marks.head);
	WRITE_ONCE(q->room, tl_rs_queue_room(&q->marks));
}

static void queue_transform(struct tl_flow *flow, struct tl_queue *q)
{
	struct tl_decision *denied = &flow->mediation->denied, *observed = &flow->mediation->observed;
	struct tl_question question;
	struct tl_edit edit;
	u32 progress;

	if (q->refused || q->marks.ready == q->marks.end)
		return;
	edit = (struct tl_edit){
		.state = q->state,
		.buf = q->buf,
		.marks = &q->marks,
		.own_id = tl_str(flow->local_id),
		.peer_id = tl_str(flow->peer_id),
		.peer_hash = flow->mediation->peer_hash,
		.question = &question,
		.denied = denied,
		.observed = observed,
	};
	observed->reason = 0;
	/* Each request is asked of the policies in force when it comes. */
	rcu_read_lock();
	question = tl_flow_question(flow, tl_config_rcu());
	progress = tl_rs_transform(&edit);
	rcu_read_unlock();
	if (observed->reason)
		tl_flow_tell(flow, observed->reason, observed->detail, observed->detail_len);
	if (progress == TL_TRANSFORM_REFUSED)
		queue_refuse(q, TL_R_PROTOCOL, edit.why);
	if (progress == TL_TRANSFORM_DENIED)
		queue_refuse(q, denied->reason, (struct tl_str){ denied->detail, denied->detail_len });
}

/* Lets go of a queue; what its holder kept the worker from is the worker's to do now. */
void tl_queue_unlock(struct tl_flow *flow, struct tl_queue *q)
{
	queue_publish(q);
	mutex_unlock(&q->lock);
	smp_mb();
	if (READ_ONCE(flow->mediation->events) || READ_ONCE(q->refused))
		tl_job_queue(&flow->job);
}

/* ---- the wire -------------------------------------------------------------------------------------- */

/* An error of the connection is the program's to be told, by whatever it asks next. */
static void give_back(struct sock *sk, int err)
{
	if (err != -EPIPE && !READ_ONCE(sk->sk_err))
		WRITE_ONCE(sk->sk_err, -err);
}

/* Wire → queue, as much as there is room for. */
void tl_rx_fill(struct tl_flow *flow)
{
	struct tl_queue *q = &flow->mediation->rx;

	queue_transform(flow, q);
	q->full = false;
	while (!q->ended && !q->refused && !tl_flow_closed(flow)) {
		struct msghdr msg = {};
		struct kvec vec;
		int n;

		if (tl_rs_queue_room(&q->marks) < TL_QUEUE_LOW) {
			q->full = true;
			break;
		}
		n = -ENOMEM;
		if (tl_queue_make(q)) {
			vec.iov_len = tl_rs_queue_behind(&q->marks, q->buf);
			vec.iov_base = q->buf + q->marks.end;
			iov_iter_kvec(&msg.msg_iter, READ, &vec, 1, vec.iov_len);
			n = tl_flow_read(flow, &msg, vec.iov_len, MSG_DONTWAIT);
		}
		if (n == -EAGAIN)
			break;
		if (n == -EPROTO || n == -EKEYREJECTED) {
			queue_refuse(q, n == -EPROTO ? TL_R_PROTOCOL : TL_R_KEY_UPDATED, (struct tl_str){});
			break;
		}
		if (n <= 0) {
			if (n < 0)
				give_back(flow->sk, n);
			WRITE_ONCE(q->ended, true);
			break;
		}
		tl_rs_queue_put(&q->marks, n);
		queue_transform(flow, q);
	}
}

/* Queue → wire, as much as TCP takes. */
void tl_tx_drain(struct tl_flow *flow)
{
	struct tl_queue *q = &flow->mediation->tx;

	for (;;) {
		struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
		struct kvec vec;
		u32 at = 0;
		int n;

		queue_transform(flow, q);
		vec.iov_len = tl_rs_queue_next(&q->marks, 0, TL_QUEUE_BYTES, &at);
		if (!vec.iov_len || tl_flow_closed(flow))
			break;
		vec.iov_base = q->buf + at;
		iov_iter_kvec(&msg.msg_iter, WRITE, &vec, 1, vec.iov_len);
		n = tl_flow_write(flow, &msg, vec.iov_len);
		if (n == -EAGAIN)
			break;
		if (n == -EKEYEXPIRED || n == -EKEYREJECTED) {
			queue_refuse(q, n == -EKEYEXPIRED ? TL_R_KEY_USED_UP : TL_R_KEY_UPDATED, (struct tl_str){});
			break;
		}
		if (n < 0) {
			give_back(flow->sk, n);
			q->marks = (struct tl_marks){};
			WRITE_ONCE(q->ended, true);
			break;
		}
		tl_rs_queue_took(&q->marks, n);
	}
}

/* ---- the worker --------------------------------------------------------------------------------------- */

void tl_mediated_event(struct tl_flow *flow, int event)
{
	set_bit(event, &flow->mediation->events);
	tl_job_queue(&flow->job);
}

static bool try_queue(struct tl_mediation *m, struct tl_queue *q, int event)
{
	if (!test_bit(event, &m->events))
		return false;
	/* The bit is seen by whoever has the lock: see tl_queue_unlock(). */
	smp_mb__after_atomic();
	if (!mutex_trylock(&q->lock))
		return false;
	clear_bit(event, &m->events);
	return true;
}

static void wake_writers(struct sock *sk)
{
	struct socket_wq *wq;

	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq))
		wake_up_interruptible_poll(&wq->wait, EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND);
	if (wq && wq->fasync_list)
		sock_wake_async(wq, SOCK_WAKE_SPACE, POLL_OUT);
	rcu_read_unlock();
}

bool tl_mediated_run(struct tl_flow *flow)
{
	struct tl_mediation *m = flow->mediation;

	if (try_queue(m, &m->rx, TL_EVENT_RX)) {
		tl_rx_fill(flow);
		queue_publish(&m->rx);
		mutex_unlock(&m->rx.lock);
		/* As TCP does for whatever arrives, whether somebody has taken it already or not. */
		if (READ_ONCE(m->rx.available) || READ_ONCE(m->rx.ended))
			flow->data_ready(flow->sk);
	}
	if (try_queue(m, &m->tx, TL_EVENT_TX)) {
		tl_tx_drain(flow);
		queue_publish(&m->tx);
		mutex_unlock(&m->tx.lock);
		if (READ_ONCE(m->tx.room) >= TL_QUEUE_LOW || READ_ONCE(m->tx.ended))
			wake_writers(flow->sk);
	}
	wake_up_all(&flow->wait);
	return !READ_ONCE(m->rx.refused) && !READ_ONCE(m->tx.refused);
}

void tl_mediated_refuse(struct tl_flow *flow)
{
	struct tl_mediation *m = flow->mediation;
	const struct tl_queue *q = smp_load_acquire(&m->rx.refused) ? &m->rx : &m->tx;

	tl_flow_tell(flow, q->reason, q->why.ptr, q->why.len);
	tl_flow_cut(flow, q->reason);
}

/* ---- birth and end ------------------------------------------------------------------------------------------- */

static void queue_init(struct tl_queue *q)
{
	mutex_init(&q->lock);
	queue_publish(q);
}

int tl_mediate(struct tl_flow *flow, const void *cfg)
{
	struct tl_mediation *m;
	u64 rx[TL_TRANSFORM_WORDS], tx[TL_TRANSFORM_WORDS];

	flow->carried = tl_rs_transforms(cfg, flow->service, flow->role, rx, tx);
	if (flow->carried == TL_DIRECT)
		return 0;
	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (!m)
		return -ENOMEM;
	queue_init(&m->rx);
	queue_init(&m->tx);
	memcpy(m->rx.state, rx, sizeof(rx));
	memcpy(m->tx.state, tx, sizeof(tx));
	memcpy(m->peer_hash, flow->step->peer_hash, sizeof(m->peer_hash));
	flow->mediation = m;
	return 0;
}

static void queue_free(struct tl_queue *q)
{
	if (q->buf)
		memzero_explicit(q->buf, TL_QUEUE_BYTES);
	kvfree(q->buf);
}

void tl_mediation_free(struct tl_mediation *m)
{
	if (!m)
		return;
	queue_free(&m->rx);
	queue_free(&m->tx);
	kfree(m);
}
