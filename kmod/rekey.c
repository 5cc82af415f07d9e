// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Keys that change while a flow lives (KeyUpdate, RFC 8446 section 4.6.3), where kTLS takes new ones. The peer's is followed by whoever
 * reads it, before anybody reads on. Ours is changed by whoever sends data next, if the peer has asked for that or as much was sent as
 * one key may protect.
 */
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/workqueue.h>
#include <net/tcp.h>
#include <net/tls.h>
#include <uapi/linux/tls.h>

#include "flow_ops.h"
#include "rekey.h"

/* ---- keys to kTLS ------------------------------------------------------------------------------------ */

/*
 * kTLS takes keys by user memory that only kernel threads have, and it takes the sock's lock, which a program may hold for as long as a
 * page of its takes to come in. So it is no lane that waits for that, but a thread of its own.
 */
static struct workqueue_struct *threads;

struct handing {
	struct work_struct work;
	struct sock *sk;
	int option;
	struct tl_keys keys;
	int err;
};

static void hand_over(struct work_struct *work)
{
	struct handing *h = container_of(work, struct handing, work);

	h->err = tl_keypage_setsockopt_lent(h->sk, h->option, h->keys.info, h->keys.info_len);
}

/* What it is done by in hardware would be undone; and a cipher at work must not have its key changed. */
static bool takes_keys(const struct sock *sk)
{
	const struct tls_context *ctx = tls_get_ctx(sk);

	return ctx && ctx->tx_conf == TLS_SW && ctx->rx_conf == TLS_SW &&
	       atomic_read(&tls_sw_ctx_tx(ctx)->encrypt_pending) <= 1;
}

static int stand_in(struct tl_flow *flow)
{
	struct tl_rekey *r = flow->rekey;
	int err = r->stand_in ? 0 : tl_ktls_stand_in(flow, &r->stand_in);

	if (err)
		return err;
	SOCK_INODE(r->stand_in)->i_uid = SOCK_INODE(flow->sock)->i_uid;
	lock_sock(flow->sk);
	tl_ktls_point(flow->sk, r->stand_in);
	release_sock(flow->sk);
	return 0;
}

static void stand_back(struct tl_flow *flow)
{
	struct socket *stand_in = flow->rekey->stand_in;
	struct sock *sk = flow->sk;

	lock_sock(sk);
	tl_ktls_point(sk, flow->sock);
	/* What was meant for the program's socket meanwhile. */
	if (test_and_clear_bit(SOCK_NOSPACE, &stand_in->flags))
		set_bit(SOCK_NOSPACE, &flow->sock->flags);
	if (sk->sk_rcvlowat != 1) {
		WRITE_ONCE(flow->rcvlowat, sk->sk_rcvlowat);
		WRITE_ONCE(sk->sk_rcvlowat, 1);
	}
	release_sock(sk);
	tl_flow_catch_up(flow);
}

/* With the lock held. The keys are gone then. */
static int give_keys(struct tl_flow *flow, int option, struct handing *h)
{
	int err = takes_keys(flow->sk) ? stand_in(flow) : -EBUSY;

	if (!err) {
		h->sk = flow->sk;
		h->option = option;
		INIT_WORK_ONSTACK(&h->work, hand_over);
		queue_work(threads, &h->work);
		flush_work(&h->work);
		destroy_work_on_stack(&h->work);
		err = h->err;
		stand_back(flow);
	}
	memzero_explicit(&h->keys, sizeof(h->keys));
	return err ? -EKEYREJECTED : 0;
}

/* ---- the peer's ----------------------------------------------------------------------------------------- */

int tl_rekey_follow(struct tl_flow *flow, bool ours_too)
{
	struct tl_rekey *r = flow->rekey;
	struct handing h;
	int err = -EKEYREJECTED;

	mutex_lock(&r->lock);
	if (!tl_rs_key_received(&r->traffic, ktime_to_ms(ktime_get()), &h.keys))
		err = give_keys(flow, TLS_RX, &h);
	if (!err) {
		if (ours_too)
			WRITE_ONCE(r->due, true);
		WRITE_ONCE(r->followed, r->followed + 1);
	}
	mutex_unlock(&r->lock);
	wake_up_all(&flow->wait);
	return err;
}

u32 tl_rekey_followed(struct tl_flow *flow)
{
	return flow->rekey ? READ_ONCE(flow->rekey->followed) : 0;
}

int tl_rekey_await(struct tl_flow *flow, u32 followed, bool nonblock)
{
	long timeo = sock_rcvtimeo(flow->sk, nonblock), left = 1;

	if (tl_rekey_followed(flow) != followed)
		return 0;
	if (!timeo)
		return -EAGAIN;
	left = wait_event_interruptible_timeout(flow->wait, tl_rekey_followed(flow) != followed || tl_flow_closed(flow),
						timeo);
	if (left < 0)
		return sock_intr_errno(timeo);
	return left ? 0 : -EAGAIN;
}

bool tl_rekey_unread(struct tl_flow *flow)
{
	return flow->rekey && tl_phase_of(flow) == TL_FLOW_OPEN && tl_ktls_awaits_key(flow->sk);
}

/* ---- ours ------------------------------------------------------------------------------------------------- */

int tl_rekey_sending(struct tl_flow *flow)
{
	/* As kTLS' own lock, which this one comes before. */
	return flow->rekey ? mutex_lock_interruptible(&flow->rekey->sending) : 0;
}

void tl_rekey_sent(struct tl_flow *flow)
{
	if (flow->rekey)
		mutex_unlock(&flow->rekey->sending);
}

static bool is_due(struct tl_flow *flow)
{
	return READ_ONCE(flow->rekey->due) || (u64)atomic64_read(&flow->records) >= flow->records_max;
}

int tl_rekey_own(struct tl_flow *flow, int flags)
{
	struct tl_rekey *r = flow->rekey;
	u8 message[TL_KEY_UPDATE_BYTES];
	struct handing h;
	int n;

	if (!r || !is_due(flow))
		return 0;
	tl_rs_key_update(message);
	n = tl_flow_send_control(flow, TL_RECORD_HANDSHAKE, message, sizeof(message),
				 flags & (MSG_DONTWAIT | MSG_NOSIGNAL));
	if (n < 0)
		return n;
	/* It is on its way: from here on the flow has the new key, or is over. */
	n = n == sizeof(message) ? 0 : -EKEYREJECTED;
	mutex_lock(&r->lock);
	WRITE_ONCE(r->due, false);
	if (!n && tl_rs_key_sent(&r->traffic, &h.keys))
		n = -EKEYREJECTED;
	if (!n)
		n = give_keys(flow, TLS_TX, &h);
	mutex_unlock(&r->lock);
	if (!n)
		atomic64_set(&flow->records, 0);
	return n;
}

/* ---- birth and end ------------------------------------------------------------------------------------------ */

int tl_rekey_prepare(struct tl_flow *flow)
{
	struct tl_rekey *r;

	if (!TL_KTLS_REKEYS)
		return 0;
	r = kzalloc(sizeof(*r), GFP_KERNEL);
	if (!r)
		return -ENOMEM;
	mutex_init(&r->sending);
	mutex_init(&r->lock);
	r->traffic = flow->step->traffic;
	flow->rekey = r;
	return 0;
}

void tl_rekey_free(struct tl_rekey *rekey)
{
	if (!rekey)
		return;
	if (rekey->stand_in)
		tl_ktls_stand_in_put(rekey->stand_in);
	kfree_sensitive(rekey);
}

int tl_rekey_init(void)
{
	threads = TL_KTLS_REKEYS ? alloc_workqueue("tidelock_keys", WQ_UNBOUND, 0) : NULL;
	return TL_KTLS_REKEYS && !threads ? -ENOMEM : 0;
}

void tl_rekey_exit(void)
{
	if (threads)
		destroy_workqueue(threads);
}
