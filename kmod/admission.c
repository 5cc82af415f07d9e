// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * How many handshakes go on at once. Each holds an arena, and whoever can
 * connect can ask for one, so there is a bound. What is beyond it waits its
 * turn. So that peers that stall do not keep honest ones waiting, then whoever
 * has not got on for a while has to go.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <net/sock.h>

#include "tidelock.h"

#define STALLED_AFTER HZ
#define LOOK_AGAIN_AFTER (HZ / 4)

static DEFINE_SPINLOCK(lock);
static u32 pending;
static LIST_HEAD(serving);			/* handshakes with clients, oldest first */
static struct list_head waiting[] = {
	[TL_CLIENT] = LIST_HEAD_INIT(waiting[TL_CLIENT]),
	[TL_SERVER] = LIST_HEAD_INIT(waiting[TL_SERVER]),
};

static void look_again(struct timer_list *timer);
static DEFINE_TIMER(timer, look_again);

u32 tl_flows_pending(void)
{
	return READ_ONCE(pending);
}

bool tl_flow_evict_if_stalled(struct tl_flow *flow)
{
	if (READ_ONCE(flow->evicted) || READ_ONCE(flow->in_line) ||
	    time_before(jiffies, READ_ONCE(flow->got_on) + STALLED_AFTER) ||
	    !skb_queue_empty_lockless(&flow->sk->sk_receive_queue))
		return false;
	WRITE_ONCE(flow->evicted, true);
	tl_job_queue(&flow->job);
	return true;
}

static void evict_one(void)
{
	struct tl_flow *flow;

	list_for_each_entry(flow, &serving, of_admission)
		if (tl_flow_evict_if_stalled(flow))
			return;
}

static void wake_next(void)
{
	int role;

	for (role = 0; role < ARRAY_SIZE(waiting); role++)
		if (!list_empty(&waiting[role]))
			tl_job_queue(&list_first_entry(&waiting[role], struct tl_flow, of_admission)->job);
}

static void look_again(struct timer_list *timer)
{
	spin_lock(&lock);
	wake_next();
	spin_unlock(&lock);
}

bool tl_flow_admit(struct tl_flow *flow)
{
	struct list_head *queue = &waiting[flow->role];
	u64 memory = (u64)totalram_pages() << PAGE_SHIFT;
	u32 max = tl_rs_handshakes(memory, tl_config_limits().max_handshakes, flow->role);

	spin_lock_bh(&lock);
	if (pending < max && (list_empty(queue) || queue->next == &flow->of_admission)) {
		list_del_init(&flow->of_admission);
		if (flow->role == TL_SERVER)
			list_add_tail(&flow->of_admission, &serving);
		WRITE_ONCE(flow->in_line, false);
		flow->counted = true;
		WRITE_ONCE(pending, pending + 1);
	} else {
		if (list_empty(&flow->of_admission))
			list_add_tail(&flow->of_admission, queue);
		WRITE_ONCE(flow->in_line, true);
		evict_one();
		mod_timer(&timer, jiffies + LOOK_AGAIN_AFTER);
	}
	spin_unlock_bh(&lock);
	return flow->counted;
}

void tl_flow_admitted_no_more(struct tl_flow *flow)
{
	spin_lock_bh(&lock);
	list_del_init(&flow->of_admission);
	if (flow->counted) {
		flow->counted = false;
		WRITE_ONCE(pending, pending - 1);
	}
	wake_next();
	spin_unlock_bh(&lock);
}

void tl_admission_exit(void)
{
	timer_delete_sync(&timer);
}
