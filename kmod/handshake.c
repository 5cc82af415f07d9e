// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * The steps of a pending flow, run by a worker whenever something that the flow
 * waits for may have happened: a grant, a TCP event, the deadline. No thread is
 * held between steps.
 */
#include <linux/cred.h>
#include <linux/ktime.h>
#include <net/tcp.h>
#include <uapi/linux/tls.h>

#include "mediated.h"
#include "rekey.h"
#include "settle.h"

/* ---- waiting for a grant ------------------------------------------------------------------------- */

static enum tl_outcome waited_too_long(struct tl_flow *flow, u32 reason)
{
	if (!READ_ONCE(flow->expired))
		return TL_WAIT;
	return tl_go_without(flow, reason);
}

/* Holds both for as long as the handshake reads them. */
static int pin(struct tl_flow *flow, u32 identity, u32 *reason)
{
	tl_arena_put(flow->svid);
	flow->svid = tl_identity_svid(identity, reason, &flow->own);
	if (!flow->svid)
		return -ENOKEY;
	tl_arena_put(flow->cfg);
	flow->cfg = tl_config_get();
	if (!flow->cfg) {
		*reason = TL_R_NO_POLICY;
		return -ENOENT;
	}
	/* As one that has expired: a newer one may come in time. */
	if (tl_rs_revoked(flow->cfg->mem, (struct tl_str){ flow->own.serial, flow->own.serial_len })) {
		*reason = TL_R_SVID_REVOKED;
		return -ENOKEY;
	}
	kfree(flow->local_id);
	flow->local_id = tl_strdup(tl_rs_identity_id(flow->svid->mem), GFP_KERNEL);
	return flow->local_id ? 0 : -ENOMEM;
}

static enum tl_outcome stage_grant(struct tl_flow *flow)
{
	struct tl_subject *s = flow->subject;
	u32 identity, reason;
	enum tl_grant grant;
	enum tl_outcome next;

	if (!s)
		return tl_settle_refuse_for(flow, TL_R_NO_IDENTITY);
	spin_lock_bh(&s->lock);
	grant = s->grant;
	identity = s->identity;
	reason = s->reason;
	spin_unlock_bh(&s->lock);
	if (grant == TL_WAITING)
		return waited_too_long(flow, TL_R_NO_GRANT);
	if (grant != TL_GRANTED)
		return tl_go_without(flow, reason);
	switch (pin(flow, identity, &reason)) {
	case 0:
		break;
	case -ENOKEY:
		return waited_too_long(flow, reason);
	case -ENOENT:
		return tl_settle_refuse_for(flow, reason);
	default:
		return tl_settle_refuse_for(flow, TL_R_RESOURCE_LIMIT);
	}
	next = tl_settle_decide(flow);
	if (next != TL_ON)
		return next;
	flow->stage = flow->role == TL_CLIENT ? TL_STAGE_CONNECT : TL_STAGE_HANDSHAKE;
	return TL_ON;
}

/* ---- TCP -------------------------------------------------------------------------------------------- */

static enum tl_outcome tcp_failed(struct tl_flow *flow, int err)
{
	/* Not ours to explain: the network said no, and the program gets its word for it. */
	return tl_settle_refuse(flow, TL_R_PEER_CLOSED, err ? err : ECONNABORTED, (const u8 *)"tcp connect", 11);
}

static enum tl_outcome stage_connect(struct tl_flow *flow)
{
	struct tl_limits limits = tl_config_limits();
	int err;

	/* From here on it is a handshake that may take its time. */
	WRITE_ONCE(flow->expired, false);
	mod_timer(&flow->deadline, jiffies + msecs_to_jiffies(limits.handshake_ms));
	err = inet_stream_connect(flow->sock, (tl_sockaddr *)&flow->dest, flow->dest_len, O_NONBLOCK);
	if (err && err != -EINPROGRESS)
		return tcp_failed(flow, -err);
	flow->stage = TL_STAGE_CONNECTING;
	return TL_ON;
}

static enum tl_outcome stage_connecting(struct tl_flow *flow)
{
	struct sock *sk = flow->sk;
	enum tl_outcome next;

	switch (READ_ONCE(sk->sk_state)) {
	case TCP_SYN_SENT:
	case TCP_SYN_RECV:
		return READ_ONCE(flow->expired) ? tl_settle_refuse_for(flow, TL_R_HANDSHAKE_DEADLINE) : TL_WAIT;
	case TCP_CLOSE:
		return tcp_failed(flow, xchg(&sk->sk_err, 0));
	}
	/* The address picked a candidate; who is really there is decided again. */
	tl_addr_local(&flow->local, sk);
	tl_addr_peer(&flow->remote, sk);
	next = tl_settle_decide(flow);
	if (next != TL_ON)
		return next;
	if (flow->plain)
		return tl_settle_open(flow);
	flow->stage = TL_STAGE_HANDSHAKE;
	return TL_ON;
}

/* ---- the engine ------------------------------------------------------------------------------------------ */

struct start {
	struct tl_flow_new params;
	struct tl_step *step;
};

static void engine_start(void *arg)
{
	struct start *s = arg;

	tl_rs_flow_start(&s->params, s->step);
}

struct feed {
	void *arena;
	u8 *record;
	u64 len;
	s64 now_ms;
	struct tl_step *step;
};

static void engine_feed(void *arg)
{
	struct feed *f = arg;

	tl_rs_flow_record(f->arena, f->now_ms, f->record, f->len, f->step);
}

static void start_engine(struct tl_flow *flow, struct tl_lane *lane)
{
	struct start s = {
		.params = {
			.cfg = flow->cfg->mem,
			.identity = flow->svid->mem,
			.service = flow->service,
			.role = flow->role,
			.addr = flow->role == TL_CLIENT ? flow->remote : flow->local,
			.client = flow->role == TL_CLIENT ? flow->local : flow->remote,
			.now_ms = tl_now_ms(),
			.process = flow->subject ? &flow->subject->ev : NULL,
			.exe_sha256 = tl_subject_sha256(flow->subject),
			.memo = flow->memo,
		},
		.step = flow->step,
	};

	tl_lane_call(lane, flow->arena, engine_start, &s);
}

static void feed_engine(struct tl_flow *flow, struct tl_lane *lane)
{
	struct feed f = {
		.arena = flow->arena->mem,
		.record = flow->record,
		.len = flow->record_len,
		.now_ms = tl_now_ms(),
		.step = flow->step,
	};

	memset(flow->step, 0, sizeof(*flow->step));
	WRITE_ONCE(flow->got_on, jiffies);
	flow->tx_sent = 0;
	tl_lane_call(lane, flow->arena, engine_feed, &f);
	flow->record_len = flow->record_want = 0;
}

static int learn_peer(struct tl_flow *flow)
{
	struct tl_step *step = flow->step;

	if (!step->peer_id.len || flow->peer_id)
		return 0;
	flow->peer_id = tl_strdup(step->peer_id, GFP_KERNEL);
	memcpy(flow->peer_serial, step->peer_serial, sizeof(flow->peer_serial));
	flow->peer_serial_len = step->peer_serial_len;
	memcpy(flow->peer_authority, step->peer_authority, sizeof(flow->peer_authority));
	return flow->peer_id ? 0 : -ENOMEM;
}

static enum tl_outcome transport_broke(struct tl_flow *flow, int err)
{
	if (err == -EPROTO)
		return tl_settle_refuse_saying(flow, TL_R_PROTOCOL, "not a TLS record");
	if (err == -ENOMEM)
		return tl_settle_refuse_for(flow, TL_R_RESOURCE_LIMIT);
	return tl_settle_refuse_saying(flow, TL_R_PEER_CLOSED, "the peer closed during the handshake");
}

static enum tl_outcome begin_handshake(struct tl_flow *flow, struct tl_lane *lane)
{
	int err;

	if (tl_sabotaged('b'))
		return tl_settle_open(flow);
	if (!tl_flow_admit(flow)) {
		if (!READ_ONCE(flow->expired))
			return TL_WAIT;
		return tl_settle_refuse_saying(flow, TL_R_RESOURCE_LIMIT, "too many handshakes at once");
	}
	flow->arena = tl_arena_new(TL_FLOW_ARENA);
	if (!flow->arena)
		return tl_settle_refuse_saying(flow, TL_R_RESOURCE_LIMIT, "no memory for a handshake");
	err = tl_ktls_attach(flow);
	/* tls.ko takes no socket that is not fully open: the peer was quicker to close it. */
	if (err == -ENOTCONN)
		return transport_broke(flow, err);
	if (err)
		return tl_settle_refuse_saying(flow, TL_R_INTERNAL, "the kernel's tls module does not take the socket");
	start_engine(flow, lane);
	return TL_ON;
}

static enum tl_outcome finish_handshake(struct tl_flow *flow, struct tl_lane *lane)
{
	struct tl_arena *cfg = tl_config_get();
	struct tl_decision d;
	enum tl_outcome next;

	/* Policy may have moved while hands were shaken: the one in force now decides. */
	if (!cfg)
		return tl_settle_refuse_for(flow, TL_R_NO_POLICY);
	if (!tl_flow_decide_proven(flow, cfg->mem, &d))
		next = tl_settle_refuse(flow, d.reason, tl_rs_errno(d.reason), d.detail, d.detail_len);
	else if (tl_mediate(flow, cfg->mem) || tl_rekey_prepare(flow))
		next = tl_settle_refuse_for(flow, TL_R_RESOURCE_LIMIT);
	else if (tl_ktls_start(flow, lane))
		next = tl_settle_refuse_saying(flow, TL_R_INTERNAL, "the kernel's tls module does not take the keys");
	else
		next = tl_settle_open(flow);
	tl_arena_put(cfg);
	return next;
}

/* A peer that has said nothing yet, and may never. */
static bool silent(struct tl_flow *flow)
{
	struct sock *sk = flow->sk;

	return !flow->record && READ_ONCE(sk->sk_state) == TCP_ESTABLISHED &&
	       skb_queue_empty_lockless(&sk->sk_receive_queue);
}

static enum tl_outcome stage_handshake(struct tl_flow *flow, struct tl_lane *lane)
{
	struct tl_step *step = flow->step;
	int err;

	if (!flow->suspended)
		tl_tuning_suspend(flow);
	if (!flow->arena) {
		/* Until a peer has said something whole it costs a buffer at most, and no work. */
		if (flow->role == TL_SERVER && !tl_sabotaged('b')) {
			err = silent(flow) ? -EAGAIN : tl_wire_receive(flow);
			if (err == -EAGAIN)
				goto wait;
			if (err)
				return transport_broke(flow, err);
		}
		return begin_handshake(flow, lane);
	}
	err = tl_wire_send(flow);
	if (learn_peer(flow))
		return tl_settle_refuse_for(flow, TL_R_RESOURCE_LIMIT);
	if (step->verdict == TL_FAILED)
		return tl_settle_refuse(flow, step->reason, step->err, step->detail, step->detail_len);
	if (err == -EAGAIN)
		goto wait;
	/* A peer that refused us has said why before it closed: read on. */
	if (err && step->verdict == TL_ESTABLISHED)
		return transport_broke(flow, err);
	if (step->verdict == TL_ESTABLISHED)
		return finish_handshake(flow, lane);
	err = tl_wire_receive(flow);
	if (!err) {
		feed_engine(flow, lane);
		return TL_ON;
	}
	if (err != -EAGAIN)
		return transport_broke(flow, err);
wait:
	return READ_ONCE(flow->expired) ? tl_settle_refuse_for(flow, TL_R_HANDSHAKE_DEADLINE) : TL_WAIT;
}

/* ---- the job ----------------------------------------------------------------------------------------------- */

static enum tl_outcome step(struct tl_flow *flow, struct tl_lane *lane)
{
	if (flow->reason)
		return tl_settle_refuse(flow, flow->reason, tl_rs_errno(flow->reason), NULL, 0);
	if (READ_ONCE(flow->evicted))
		return tl_settle_refuse_saying(flow, TL_R_RESOURCE_LIMIT, "it kept too many others waiting");
	switch (flow->stage) {
	case TL_STAGE_LOOK:
		return tl_stage_look(flow);
	case TL_STAGE_GRANT:
		return stage_grant(flow);
	case TL_STAGE_CONNECT:
		return stage_connect(flow);
	case TL_STAGE_CONNECTING:
		return stage_connecting(flow);
	case TL_STAGE_HANDSHAKE:
		return stage_handshake(flow, lane);
	}
	return tl_settle_refuse_for(flow, TL_R_INTERNAL);
}

void tl_flow_run(struct tl_lane *lane, struct tl_job *job)
{
	struct tl_flow *flow = container_of(job, struct tl_flow, job);
	enum tl_outcome next = TL_WAIT;
	bool goes_on = true, aged = false;

	mutex_lock(&flow->lock);
	if (flow->phase == TL_FLOW_PENDING && flow->sock) {
		next = step(flow, lane);
	} else if (flow->phase == TL_FLOW_OPEN && flow->sock) {
		aged = xchg(&flow->expired, false);
		goes_on = !flow->mediation || tl_mediated_run(flow);
	}
	mutex_unlock(&flow->lock);
	if (aged)
		tl_flow_redecide(flow);
	if (!goes_on)
		tl_mediated_refuse(flow);
	/* One step at a time, so that a busy peer does not keep others waiting. */
	if (next == TL_ON)
		tl_job_queue(job);
	if (next == TL_SETTLED && flow->listener)
		tl_listener_settled(flow);
}

void tl_flow_panicked(struct tl_job *job)
{
	struct tl_flow *flow = container_of(job, struct tl_flow, job);

	tl_settle_refuse_saying(flow, TL_R_INTERNAL, "a fault in the handshake engine");
	mutex_unlock(&flow->lock);
	if (flow->listener)
		tl_listener_settled(flow);
}
