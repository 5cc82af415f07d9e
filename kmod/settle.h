/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Between settle.c and the steps of a pending flow: handshake.c and plain.c. All of it with the flow's lock held. */
#ifndef TIDELOCK_SETTLE_H
#define TIDELOCK_SETTLE_H

#include "tidelock.h"

/* What a stage says: it may wait for an event, go on at once, or has settled the flow. */
enum tl_outcome { TL_WAIT, TL_ON, TL_SETTLED };

enum tl_outcome tl_settle_refuse(struct tl_flow *flow, u32 reason, int err, const u8 *detail, u32 detail_len);
enum tl_outcome tl_settle_refuse_for(struct tl_flow *flow, u32 reason);
enum tl_outcome tl_settle_refuse_saying(struct tl_flow *flow, u32 reason, const char *what);
/* May the flow be, as far as its ends are known? Refuses it if not. By flow->cfg. */
enum tl_outcome tl_settle_decide(struct tl_flow *flow);
/* As policy decided; what came since may refuse it still. */
enum tl_outcome tl_settle_open(struct tl_flow *flow);
void tl_tuning_suspend(struct tl_flow *flow);

/* The first stage of a server's end: do hands have to be shaken? */
enum tl_outcome tl_stage_look(struct tl_flow *flow);
/* A client gets no identity, for this reason: refused, or in plain where its Service says so. */
enum tl_outcome tl_go_without(struct tl_flow *flow, u32 reason);

#endif
