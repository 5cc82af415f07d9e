// SPDX-License-Identifier: MIT OR GPL-2.0
/* What policy says of a flow: asked while it opens, and of those that live again when something has changed. */
#include "tidelock.h"

static u32 refused(struct tl_subject *s)
{
	u32 reason;

	if (!s)
		return 0;
	spin_lock_bh(&s->lock);
	reason = s->grant == TL_REFUSED ? s->reason : 0;
	spin_unlock_bh(&s->lock);
	return reason;
}

static struct tl_question question(struct tl_flow *flow, const void *cfg, struct tl_str client, struct tl_str server)
{
	return (struct tl_question){
		.cfg = cfg,
		.role = flow->role,
		.now_ms = tl_now_ms(),
		.addr = flow->role == TL_CLIENT ? flow->remote : flow->local,
		.client = flow->role == TL_CLIENT ? flow->local : flow->remote,
		.client_id = client,
		.server_id = server,
		.process = flow->subject ? &flow->subject->ev : NULL,
		.exe_sha256 = tl_subject_sha256(flow->subject),
		.own_serial = { flow->own.serial, flow->own.serial_len },
		.peer_serial = { flow->peer_serial, flow->peer_serial_len },
		/* Who has proved itself by an SVID has both. */
		.own_authority = { flow->own.authority, flow->own.serial_len ? TL_AUTHORITY : 0 },
		.peer_authority = { flow->peer_authority, flow->peer_serial_len ? TL_AUTHORITY : 0 },
		.plain = flow->plain,
		.refused = flow->plain ? refused(flow->subject) : 0,
		.carried = flow->carried,
		.age_ms = flow->since_ns ? div_u64(ktime_get_boottime_ns() - flow->since_ns, NSEC_PER_MSEC) : 0,
	};
}

/* With both ends known. */
struct tl_question tl_flow_question(struct tl_flow *flow, const void *cfg)
{
	struct tl_str own = tl_str(flow->local_id), peer = tl_str(flow->peer_id);

	return flow->role == TL_CLIENT ? question(flow, cfg, own, peer) : question(flow, cfg, peer, own);
}

static bool decide(struct tl_flow *flow, struct tl_question *q, struct tl_decision *d)
{
	memset(d, 0, sizeof(*d));
	q->service = tl_rs_service(q->cfg, &q->addr);
	flow->service = q->service;
	tl_rs_decide(q, d);
	return d->allow || tl_sabotaged('c');
}

bool tl_flow_decide(struct tl_flow *flow, const void *cfg, struct tl_str client, struct tl_str server,
		    struct tl_decision *d)
{
	struct tl_question q = question(flow, cfg, client, server);

	q.memo = &flow->memo;
	return decide(flow, &q, d);
}

bool tl_flow_decide_proven(struct tl_flow *flow, const void *cfg, struct tl_decision *d)
{
	struct tl_question q = tl_flow_question(flow, cfg);

	q.memo = &flow->memo;
	return decide(flow, &q, d);
}

void tl_flow_tell(struct tl_flow *flow, u32 reason, const u8 *detail, u32 detail_len)
{
	struct tl_rec rec = {};

	tl_flow_describe(flow, &rec);
	rec.time_ns = 0;
	tl_device_denied(flow->subject, &rec, reason, detail, detail_len);
}

/* The decision has been made, and stays: this tells what policies in mode observe would have made of it. */
void tl_flow_observe(struct tl_flow *flow, u32 would)
{
	struct tl_arena *cfg = tl_config_get();
	struct tl_question q;
	struct tl_decision d;

	if (!cfg)
		return;
	q = tl_flow_question(flow, cfg->mem);
	/* The configuration may be a newer one than decided, and then it speaks of something else. */
	if (tl_rs_observe(&q, &d) && d.reason == would) {
		flow->observed = tl_config_generation();
		tl_flow_tell(flow, d.reason, d.detail, d.detail_len);
	}
	tl_arena_put(cfg);
}

struct again {
	const struct tl_subject *of;	/* or NULL: every one's */
	u64 cut;
	bool timed;
};

static void redecide(struct tl_flow *flow, void *arg)
{
	struct again *again = arg;
	struct tl_question q;
	struct tl_decision d = {};
	bool allow = false;
	const void *cfg;
	u32 why;

	if (again->of && flow->subject != again->of)
		return;
	rcu_read_lock();
	cfg = tl_config_rcu();
	if (cfg) {
		/* Without its memo: its lock may be held by who waits for this. */
		q = tl_flow_question(flow, cfg);
		allow = decide(flow, &q, &d);
	}
	rcu_read_unlock();
	if (allow) {
		tl_flow_look_again(flow, d.again_ms);
		/* While only time passes, once is enough. */
		if (!again->timed || flow->observed != tl_config_generation())
			tl_flow_observe(flow, TL_R_WOULD_DENY);
		return;
	}
	again->cut++;
	why = tl_rs_cut_for(d.reason);
	tl_flow_tell(flow, why, d.detail, d.detail_len);
	tl_flow_observe(flow, TL_R_WOULD_PERMIT);
	tl_flow_cut(flow, why);
}

void tl_flow_redecide(struct tl_flow *flow)
{
	struct again again = {};

	redecide(flow, &again);
}

u64 tl_flows_redecide(const struct tl_subject *of, bool timed)
{
	struct again again = { .of = of, .timed = timed };

	if (tl_sabotaged('d'))
		return 0;
	tl_flows_each(redecide, &again);
	return again.cut;
}
