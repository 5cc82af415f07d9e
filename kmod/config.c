// SPDX-License-Identifier: MIT OR GPL-2.0
/* The configuration in force: built aside, swapped in one store, then applied to what already lives. */
#include "tidelock.h"

static struct tl_arena __rcu *config;
static u64 generation;
static struct tl_limits limits;
static DEFINE_MUTEX(config_lock);

const void *tl_config_rcu(void)
{
	struct tl_arena *arena = rcu_dereference(config);

	return arena ? arena->mem : NULL;
}

bool tl_config_active(void)
{
	return rcu_access_pointer(config) != NULL;
}

struct tl_arena *tl_config_get(void)
{
	struct tl_arena *arena;

	rcu_read_lock();
	arena = rcu_dereference(config);
	if (arena && !kref_get_unless_zero(&arena->ref))
		arena = NULL;
	rcu_read_unlock();
	return arena;
}

u64 tl_config_generation(void)
{
	return READ_ONCE(generation);
}

struct tl_limits tl_config_limits(void)
{
	struct tl_limits copy;

	mutex_lock(&config_lock);
	copy = limits;
	mutex_unlock(&config_lock);
	return copy;
}

/* The number of the Service that an address belongs to, or -1. */
s32 tl_config_service(const struct tl_addr *addr)
{
	s32 service = -1;
	const void *cfg;

	rcu_read_lock();
	cfg = tl_config_rcu();
	if (cfg)
		service = tl_rs_service(cfg, addr);
	rcu_read_unlock();
	return service;
}

/* The same, if it is one that takes nobody who is not governed. */
s32 tl_config_closed_service(const struct tl_addr *addr)
{
	s32 service = -1;
	const void *cfg;

	rcu_read_lock();
	cfg = tl_config_rcu();
	if (cfg) {
		service = tl_rs_service(cfg, addr);
		if (tl_rs_admits_strangers(cfg, service))
			service = -1;
	}
	rcu_read_unlock();
	return service;
}

struct build {
	struct tl_str body;
	u32 why, at;
	int err;
};

static void build(void *arg)
{
	struct build *b = arg;

	b->err = tl_rs_config_build(b->body.ptr, b->body.len, &b->why, &b->at);
}

/* ---- time passes: what policy says of it, it has to be asked ------------------------------------- */

static void time_passed(struct work_struct *work);
static DECLARE_DELAYED_WORK(again, time_passed);

static void wait_for_time(void)
{
	u32 ms = tl_config_limits().redecide_ms;

	if (ms)
		schedule_delayed_work(&again, msecs_to_jiffies(ms));
}

static void time_passed(struct work_struct *work)
{
	tl_flows_redecide(NULL, true);
	wait_for_time();
}

static void swap_in(struct tl_arena *arena, u64 gen)
{
	struct tl_arena *old;

	mutex_lock(&config_lock);
	old = rcu_replace_pointer(config, arena, lockdep_is_held(&config_lock));
	WRITE_ONCE(generation, gen);
	if (arena)
		tl_rs_config_limits(arena->mem, &limits);
	else
		limits.n_prefilter = limits.n_services = limits.redecide_ms = 0;
	mutex_unlock(&config_lock);
	tl_arena_put(old);
}

int tl_config_set(const struct tl_cmd *cmd, u32 *why, u32 *at)
{
	struct build b = { .body = cmd->body };
	struct tl_rec rec = { .kind = TL_REC_APPLIED, .generation = cmd->generation };
	struct tl_arena *arena;
	int err;

	/* Never back, also not for an agent that starts over. */
	if (cmd->generation < tl_config_generation())
		return -ESTALE;
	arena = tl_arena_new(tl_rs_config_bytes(cmd->body.len));
	if (!arena)
		return -ENOMEM;
	err = tl_lane_run(arena, build, &b);
	if (err || b.err) {
		*why = b.why;
		*at = b.at;
		tl_arena_put(arena);
		return err ? err : b.err;
	}
	swap_in(arena, cmd->generation);
	rec.count = tl_flows_redecide(NULL, false);
	wait_for_time();
	tl_sweep();
	tl_device_send(&rec);
	return 0;
}

void tl_config_drop(void)
{
	swap_in(NULL, 0);
	cancel_delayed_work_sync(&again);
}
