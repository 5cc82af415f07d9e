// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Connections that go over the wire in plain, because the mode of their Service
 * says so. To the program such a socket is TCP's own, but for options; we know of it,
 * tell of it, and cut it when the mode is another.
 */
#include <net/tcp.h>

#include "settle.h"

/* Looks, and takes nothing: the bytes are the program's, or the handshake's. */
static u32 first_bytes(struct tl_flow *flow)
{
	u8 bytes[TL_FIRST_BYTES];
	struct kvec vec = { .iov_base = bytes, .iov_len = sizeof(bytes) };
	bool waited = READ_ONCE(flow->expired);
	struct msghdr msg = {};
	int came;

	iov_iter_kvec(&msg.msg_iter, READ, &vec, 1, sizeof(bytes));
	came = tl_tcp_recvmsg(flow->sk, &msg, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	return tl_rs_first_bytes(bytes, came, waited);
}

static void wait_ms(struct tl_flow *flow, u32 ms)
{
	WRITE_ONCE(flow->expired, false);
	mod_timer(&flow->deadline, jiffies + msecs_to_jiffies(ms));
}

static enum tl_outcome open_in_plain(struct tl_flow *flow)
{
	enum tl_outcome next;

	flow->plain = true;
	next = tl_settle_decide(flow);
	return next == TL_ON ? tl_settle_open(flow) : next;
}

enum tl_outcome tl_stage_look(struct tl_flow *flow)
{
	bool looked = flow->suspended;
	u32 wire;

	tl_arena_put(flow->cfg);
	flow->cfg = tl_config_get();
	if (!flow->cfg)
		return tl_settle_refuse_for(flow, TL_R_NO_POLICY);
	wire = tl_rs_wire(flow->cfg->mem, tl_rs_service(flow->cfg->mem, &flow->local), TL_SERVER);
	if (wire == TL_WIRE_LOOK) {
		if (!looked) {
			tl_tuning_suspend(flow);
			wait_ms(flow, tl_rs_look_ms());
		}
		wire = first_bytes(flow);
		flow->exception = wire == TL_WIRE_PLAIN ? TL_R_TOOK_IN_PLAIN : 0;
	}
	if (wire == TL_WIRE_PLAIN)
		return open_in_plain(flow);
	if (wire == TL_WIRE_LOOK)
		return TL_WAIT;
	if (flow->suspended)
		wait_ms(flow, tl_config_limits().handshake_ms);
	flow->stage = TL_STAGE_GRANT;
	return TL_ON;
}

enum tl_outcome tl_go_without(struct tl_flow *flow, u32 reason)
{
	enum tl_outcome next;

	tl_arena_put(flow->cfg);
	flow->cfg = tl_config_get();
	if (!flow->cfg || !tl_rs_goes_without(flow->cfg->mem, tl_rs_service(flow->cfg->mem, &flow->remote), flow->role, reason))
		return tl_settle_refuse_for(flow, reason);
	flow->exception = TL_R_WENT_IN_PLAIN;
	kfree(flow->local_id);
	flow->local_id = NULL;
	flow->own.serial_len = 0;
	next = tl_settle_decide(flow);
	if (next == TL_ON)
		flow->stage = TL_STAGE_CONNECT;
	return next;
}
