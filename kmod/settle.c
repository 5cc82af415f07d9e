// SPDX-License-Identifier: MIT OR GPL-2.0
/* How a pending flow ends: it opens, or it is refused; and what of the program's own settings waits for that. */
#include <net/tcp.h>

#include "mediated.h"
#include "settle.h"

static atomic64_t in_plain = ATOMIC64_INIT(0);

u64 tl_flows_in_plain(void)
{
	return atomic64_read(&in_plain);
}

void tl_handshake_drop(struct tl_flow *flow)
{
	timer_delete(&flow->deadline);
	tl_flow_admitted_no_more(flow);
	tl_arena_put(flow->arena);
	tl_arena_put(flow->svid);
	tl_arena_put(flow->cfg);
	flow->arena = flow->svid = flow->cfg = NULL;
	memzero_explicit(flow->step, sizeof(*flow->step));
	kfree_sensitive(flow->record);
	flow->record = NULL;
	flow->record_len = flow->record_want = 0;
}

enum tl_outcome tl_settle_refuse(struct tl_flow *flow, u32 reason, int err, const u8 *detail, u32 detail_len)
{
	struct sock *sk = flow->sk;

	/* A refusal is never success to the program, whatever the reason. */
	if (err <= 0)
		err = EACCES;
	tl_flow_tell(flow, reason, detail, detail_len);
	if (reason == TL_R_NO_PERMIT)
		tl_flow_observe(flow, TL_R_WOULD_PERMIT);
	flow->reason = reason;
	flow->err = err;
	tl_handshake_drop(flow);
	if (flow->role == TL_SERVER) {
		WRITE_ONCE(flow->phase, TL_FLOW_FAILED);
		return TL_SETTLED;
	}
	if (flow->ulp) {
		tcp_abort(sk, err);
	} else {
		lock_sock(sk);
		if (sk->sk_state != TCP_CLOSE)
			sk->sk_prot->disconnect(sk, 0);
		flow->sock->state = SS_UNCONNECTED;
		release_sock(sk);
	}
	WRITE_ONCE(sk->sk_err, err);
	smp_store_release(&flow->phase, TL_FLOW_FAILED);
	tl_flow_wake(flow);
	return TL_SETTLED;
}

enum tl_outcome tl_settle_refuse_for(struct tl_flow *flow, u32 reason)
{
	return tl_settle_refuse(flow, reason, tl_rs_errno(reason), NULL, 0);
}

enum tl_outcome tl_settle_refuse_saying(struct tl_flow *flow, u32 reason, const char *what)
{
	return tl_settle_refuse(flow, reason, tl_rs_errno(reason), (const u8 *)what, strlen(what));
}

/*
 * A program may have asked for wake-ups only at so many bytes, which would be
 * counted in records' bytes, or to hold bytes back, which a handshake must not.
 */
void tl_tuning_suspend(struct tl_flow *flow)
{
	struct sock *sk = flow->sk;

	flow->suspended = true;
	/* Set while it was pending, it is ours already. */
	if (!flow->rcvlowat)
		WRITE_ONCE(flow->rcvlowat, sk->sk_rcvlowat);
	WRITE_ONCE(sk->sk_rcvlowat, 1);
	flow->corked = tcp_sk(sk)->nonagle & TCP_NAGLE_CORK;
	if (flow->corked)
		tcp_sock_set_cork(sk, false);
}

static void resume_tuning(struct tl_flow *flow)
{
	if (flow->corked)
		tcp_sock_set_cork(flow->sk, true);
	/* Nobody counts records on it. */
	if (flow->plain && flow->rcvlowat)
		WRITE_ONCE(flow->sk->sk_rcvlowat, flow->rcvlowat);
}

enum tl_outcome tl_settle_decide(struct tl_flow *flow)
{
	const void *cfg = flow->cfg->mem;
	struct tl_str own = tl_str(flow->local_id), nobody = {};
	struct tl_decision d;
	bool allow;

	/* A server's end has looked already. */
	if (flow->role == TL_CLIENT) {
		flow->plain = flow->exception ||
			      tl_rs_wire(cfg, tl_rs_service(cfg, &flow->remote), TL_CLIENT) == TL_WIRE_PLAIN;
		allow = tl_flow_decide(flow, cfg, own, nobody, &d);
	} else {
		allow = tl_flow_decide(flow, cfg, nobody, own, &d);
	}
	kfree(flow->service_name);
	flow->service_name = flow->service < 0 ? NULL :
		tl_strdup(tl_rs_service_name(cfg, flow->service), GFP_KERNEL);
	if (!allow)
		return tl_settle_refuse(flow, d.reason, tl_rs_errno(d.reason), d.detail, d.detail_len);
	return TL_ON;
}

/* What came since it was decided refuses the flow: a configuration, none, or what its process was measured to be. */
static bool overtaken(struct tl_flow *flow, struct tl_decision *d)
{
	struct tl_arena *cfg = tl_config_get();
	bool refused = !(cfg && tl_flow_decide_proven(flow, cfg->mem, d));

	tl_arena_put(cfg);
	return refused;
}

enum tl_outcome tl_settle_open(struct tl_flow *flow)
{
	struct tl_decision d = { .reason = TL_R_NO_POLICY };
	struct sock *sk = flow->sk;

	tl_flow_observe(flow, TL_R_WOULD_DENY);
	resume_tuning(flow);
	flow->suite = flow->step->suite;
	flow->records_max = tl_sabotaged('b') ? U64_MAX : flow->step->records_max;
	tl_handshake_drop(flow);
	flow->since_ns = ktime_get_boottime_ns();
	tl_flow_announce(flow);
	/* Only from here on whoever decides anew finds it among the live flows. */
	if (!tl_sabotaged('b') && overtaken(flow, &d))
		return tl_settle_refuse(flow, d.reason, tl_rs_errno(d.reason), d.detail, d.detail_len);
	if (flow->plain)
		atomic64_inc(&in_plain);
	smp_store_release(&flow->phase, TL_FLOW_OPEN);
	tl_flow_arm(flow, d.again_ms);
	/* What came in behind the handshake is kTLS's to see; owned by us, it looks from its own worker. */
	lock_sock(sk);
	sk->sk_data_ready(sk);
	release_sock(sk);
	if (flow->role == TL_CLIENT)
		tl_flow_wake(flow);
	if (flow->exception)
		tl_flow_tell(flow, flow->exception, NULL, 0);
	return TL_SETTLED;
}
