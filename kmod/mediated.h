/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Flows whose bytes pass through the engine on their way between program and wire. */
#ifndef TIDELOCK_MEDIATED_H
#define TIDELOCK_MEDIATED_H

#include "tidelock.h"

/*
 * One direction: one buffer that marks divide into two queues. Program and
 * worker fill and drain it under the lock. The program may hold it for as long
 * as a page of its takes to come in, so the worker only tries, and whoever has
 * it queues the worker when it is done.
 */
struct tl_queue {
	struct mutex lock;
	u8 *buf;			/* made when it is first needed */
	struct tl_marks marks;
	u32 available;			/* what may be taken, what is held, what more may come in: as last */
	u32 held;			/* published, read by anyone */
	u32 room;
	bool full;			/* more may wait outside than there was room for */
	bool ended;			/* nothing more comes in */
	bool refused;			/* the transform does not go on, nor does the flow */
	u32 reason;			/* and why */
	struct tl_str why;
	u64 state[TL_TRANSFORM_WORDS];	/* the transform's */
};

/* What a wake-up was about: bits of tl_mediation.events. */
enum { TL_EVENT_RX, TL_EVENT_TX };

struct tl_mediation {
	unsigned long events;
	struct tl_queue rx, tx;		/* wire to program; program to wire */
	u8 peer_hash[32];		/* SHA-256 of the peer's certificate */
	struct tl_decision denied;	/* what policy said of a request; under rx.lock */
	struct tl_decision observed;	/* what policies in mode observe would have said; under rx.lock */
};

/* With the flow's lock held, before it opens: is it mediated, and how? 0 or -ENOMEM. */
int tl_mediate(struct tl_flow *flow, const void *cfg);
void tl_mediation_free(struct tl_mediation *m);
/* From a socket callback: the worker shall look. */
void tl_mediated_event(struct tl_flow *flow, int event);
/* The worker's look, with the flow's lock held: false if a transform refused. */
bool tl_mediated_run(struct tl_flow *flow);
/* Ends a flow whose transform refused; without its lock. */
void tl_mediated_refuse(struct tl_flow *flow);

/* Of a queue, with its lock held. */
bool tl_queue_make(struct tl_queue *q);
void tl_queue_unlock(struct tl_flow *flow, struct tl_queue *q);
void tl_rx_fill(struct tl_flow *flow);		/* wire to queue, as much as there is room for */
void tl_tx_drain(struct tl_flow *flow);		/* queue to wire, as much as TCP takes */

/* What the slots of flow_ops.c do when the flow is mediated. */
int tl_mediated_send(struct tl_flow *flow, struct msghdr *msg, size_t len);
int tl_mediated_recv(struct tl_flow *flow, struct msghdr *msg, size_t len, int flags);
ssize_t tl_mediated_splice_read(struct tl_flow *flow, struct pipe_inode_info *pipe, size_t len, bool nonblock);
__poll_t tl_mediated_poll(struct file *file, struct socket *sock, struct poll_table_struct *wait);
int tl_mediated_unread(struct tl_flow *flow);
int tl_mediated_unsent(struct tl_flow *flow);
/* Gives all that the program has sent to TCP, whatever its buffer's bound: false if some could not be. */
bool tl_mediated_flush(struct tl_flow *flow);

#endif
