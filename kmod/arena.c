// SPDX-License-Identifier: MIT OR GPL-2.0
/* Memory that Rust objects of one lifetime live in: reserved whole, wiped whole. */
#include <linux/mm.h>
#include <linux/string.h>

#include "tidelock.h"

static struct workqueue_struct *reclaim_wq;
static atomic_t arenas_live = ATOMIC_INIT(0);

int tl_arenas_live(void)
{
	return atomic_read(&arenas_live);
}

struct tl_arena *tl_arena_new(u64 size)
{
	struct tl_arena *arena = kzalloc(sizeof(*arena), GFP_KERNEL);

	if (!arena)
		return NULL;
	/* Rather no arena than a process killed for it. */
	arena->mem = kvzalloc(size, GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!arena->mem || tl_rs_arena_init(arena->mem, size)) {
		kvfree(arena->mem);
		kfree(arena);
		return NULL;
	}
	arena->size = size;
	kref_init(&arena->ref);
	atomic_inc(&arenas_live);
	return arena;
}

static void reclaim(struct work_struct *work)
{
	struct tl_arena *arena = container_of(to_rcu_work(work), struct tl_arena, reclaim);

	memzero_explicit(arena->mem, arena->size);
	kvfree(arena->mem);
	kfree(arena);
	atomic_dec(&arenas_live);
}

/* Hooks read the configuration under RCU alone, so the wiping waits for them. */
static void release(struct kref *ref)
{
	struct tl_arena *arena = container_of(ref, struct tl_arena, ref);

	INIT_RCU_WORK(&arena->reclaim, reclaim);
	queue_rcu_work(reclaim_wq, &arena->reclaim);
}

void tl_arena_put(struct tl_arena *arena)
{
	if (arena)
		kref_put(&arena->ref, release);
}

int tl_arena_init(void)
{
	reclaim_wq = alloc_workqueue("tidelock_wipe", WQ_UNBOUND, 0);
	return reclaim_wq ? 0 : -ENOMEM;
}

void tl_arena_exit(void)
{
	rcu_barrier();
	destroy_workqueue(reclaim_wq);
}
