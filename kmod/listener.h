/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Between listener.c and accept.c. */
#ifndef TIDELOCK_LISTENER_H
#define TIDELOCK_LISTENER_H

#include "tidelock.h"

/* Has it shown who accepts here, a governed process that lives or a stranger? With the listener's lock held. */
static inline bool tl_listener_claimed(const struct tl_listener *l)
{
	return l->stranger || (l->owner && l->owner->grant != TL_ENDED);
}

int tl_listener_accept(struct socket *sock, struct socket *newsock, TL_ACCEPT_PARAMS);
__poll_t tl_listener_poll(struct file *file, struct socket *sock, struct poll_table_struct *wait);
int tl_listener_setsockopt(struct socket *sock, int level, int name, sockptr_t val, unsigned int len);
int tl_listener_getsockopt(struct socket *sock, int level, int name, char __user *val, int __user *len);

#endif
