/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What the slots of a flow's table share. */
#ifndef TIDELOCK_FLOW_OPS_H
#define TIDELOCK_FLOW_OPS_H

#include "tidelock.h"

/* As many unread bytes as are counted: a few records. */
#define TL_PEEK_MAX (64 * 1024)

static inline enum tl_flow_phase tl_phase_of(struct tl_flow *flow)
{
	return smp_load_acquire(&flow->phase);
}

/* Nothing is ours on it but that we know of it. */
static inline bool tl_flow_plain(struct tl_flow *flow)
{
	return tl_phase_of(flow) != TL_FLOW_PENDING && flow->plain;
}

/* Refused or cut once kTLS was on the socket: kTLS is not asked any more. */
static inline bool tl_flow_closed(struct tl_flow *flow)
{
	return tl_phase_of(flow) == TL_FLOW_FAILED && flow->ulp;
}

/* Until the flow has settled there is nothing to read from or write to: waits, 0 once it has. */
int tl_flow_await(struct tl_flow *flow, bool nonblock, long timeo);
/* Tells the agent what the program asked for and did not get, or met. */
void tl_flow_refused(struct tl_flow *flow, u32 reason);

/* Sends one record of another type than data, with nobody else sending: as many bytes as went into it, or an error. */
int tl_flow_send_control(struct tl_flow *flow, u8 type, u8 *bytes, size_t len, int flags);
/*
 * Gives kTLS data to send. -EKEYEXPIRED once its key has protected all that it may (RFC 8446 section 5.5) and cannot be changed: kTLS
 * itself would go on. What is counted are records that are whole, and one more for each call. -EKEYREJECTED: it should have been changed.
 */
int tl_flow_write(struct tl_flow *flow, struct msghdr *msg, size_t len);
/* What kTLS gives: data only; 0 at the peer's end, -EPROTO for a record that has no place, -EKEYREJECTED for a KeyUpdate
 * that cannot be followed, or another error. */
int tl_flow_read(struct tl_flow *flow, struct msghdr *msg, size_t len, int flags);
/* What a read on a flow that is over comes to: an error, or 0 once it was told. */
int tl_flow_over(struct tl_flow *flow, int flags);
int tl_flow_recvmsg(struct socket *sock, struct msghdr *msg, size_t len, int flags);
ssize_t tl_flow_splice_read(struct socket *sock, loff_t *pos, struct pipe_inode_info *pipe, size_t len,
			    unsigned int flags);
int tl_flow_read_sock(struct sock *sk, read_descriptor_t *desc, sk_read_actor_t actor);
/* How many bytes a read would find, as far as one peek sees. TCP's own count is of records. */
int tl_flow_unread(struct tl_flow *flow);

#endif
