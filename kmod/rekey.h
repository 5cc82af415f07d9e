/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Keys that change while a flow lives. */
#ifndef TIDELOCK_REKEY_H
#define TIDELOCK_REKEY_H

#include "tidelock.h"

/* Of a flow whose keys may change. */
struct tl_rekey {
	struct mutex sending;		/* between our KeyUpdate and the key that it announces nothing is sent; before `lock` */
	struct mutex lock;		/* one direction at a time */
	struct tl_traffic traffic;	/* under lock */
	struct socket *stand_in;	/* under lock; stays, since who looks through sk_socket holds no reference */
	u32 followed;			/* how many of the peer's have been: changes before its next record can be read */
	bool due;			/* the peer has asked for ours */
};

/* When hands are shaken: what the flow needs to follow, where the kernel can. 0 or -ENOMEM. */
int tl_rekey_prepare(struct tl_flow *flow);
void tl_rekey_free(struct tl_rekey *rekey);

/* The peer's KeyUpdate has been read: 0, or -EKEYREJECTED if it cannot be followed. Sleeps. */
int tl_rekey_follow(struct tl_flow *flow, bool ours_too);
u32 tl_rekey_followed(struct tl_flow *flow);
/* Another reader has the KeyUpdate: waits until it has followed it more than `followed` times. 0, -EAGAIN, or what a signal makes of it. */
int tl_rekey_await(struct tl_flow *flow, u32 followed, bool nonblock);
/* Has kTLS come across a KeyUpdate that nobody has read yet? Until then it shows nothing to read. */
bool tl_rekey_unread(struct tl_flow *flow);

/* Around whatever is sent: 0, and nobody else sends; or an error. */
int tl_rekey_sending(struct tl_flow *flow);
void tl_rekey_sent(struct tl_flow *flow);
/* In between, before data: changes our key if that is due. 0, -EKEYREJECTED if the flow is over, or why nothing can be sent. */
int tl_rekey_own(struct tl_flow *flow, int flags);

int tl_rekey_init(void);
void tl_rekey_exit(void);

#endif
