// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Lanes: worker threads, each with a private stack on which Rust runs. A
 * handshake step needs more stack than the kernel gives a thread, and a panic
 * in one must cost one flow and not the machine.
 */
#include <linux/kthread.h>
#include <linux/random.h>
#include <linux/sched/task.h>
#include <linux/vmalloc.h>

#include "tidelock.h"
#include "arch/x86/lane.h"

#define LANE_STACK (64 * 1024)
/* A dead lane keeps its stack until the thread is gone; more panics than this and the module stops shaking hands. */
#define PANICS_MAX 32

enum { JOB_QUEUED, JOB_AGAIN };

struct tl_lane {
	int index;
	struct task_struct *task;
	void *stack;
	struct tl_arena *arena;		/* current while Rust runs */
	struct tl_job *job;
	bool in_rust;
	struct delayed_work bury;
};

struct lane_call {
	void (*fn)(void *arg);
	void *arg;
};

static struct tl_lane *lanes[TL_LANES_MAX];
static int n_lanes;
static atomic_t panics = ATOMIC_INIT(0);
static atomic64_t high_water = ATOMIC64_INIT(0);
static LIST_HEAD(queue);
static DEFINE_SPINLOCK(queue_lock);
static DECLARE_WAIT_QUEUE_HEAD(queue_wait);
static DEFINE_MUTEX(lanes_lock);
static bool stopping;

static struct tl_lane *lane_current(void)
{
	int i;

	for (i = 0; i < n_lanes; i++) {
		struct tl_lane *lane = READ_ONCE(lanes[i]);

		if (lane && lane->task == current)
			return lane;
	}
	return NULL;
}

/* ---- what Rust calls ------------------------------------------------------------ */

void *tl_c_arena(void)
{
	struct tl_lane *lane = lane_current();

	return lane && lane->in_rust && lane->arena ? lane->arena->mem : NULL;
}

void tl_c_random(u8 *buf, u64 len)
{
	get_random_bytes(buf, len);
}

/* ---- jobs ------------------------------------------------------------------------ */

void tl_job_queue(struct tl_job *job)
{
	unsigned long flags;

	set_bit(JOB_AGAIN, &job->state);
	if (test_and_set_bit(JOB_QUEUED, &job->state))
		return;
	job->get(job);
	spin_lock_irqsave(&queue_lock, flags);
	list_add_tail(&job->node, &queue);
	spin_unlock_irqrestore(&queue_lock, flags);
	wake_up(&queue_wait);
}

static struct tl_job *job_next(void)
{
	struct tl_job *job;

	spin_lock_irq(&queue_lock);
	job = list_first_entry_or_null(&queue, struct tl_job, node);
	if (job)
		list_del_init(&job->node);
	spin_unlock_irq(&queue_lock);
	return job;
}

/* The job may be queued from here on; if it was while it ran, queue it now. */
static void job_done(struct tl_job *job)
{
	clear_bit(JOB_QUEUED, &job->state);
	smp_mb__after_atomic();
	if (test_bit(JOB_AGAIN, &job->state))
		tl_job_queue(job);
	job->put(job);
}

static int lane_main(void *data)
{
	struct tl_lane *lane = data;
	struct tl_job *job;

	while (!kthread_should_stop()) {
		job = NULL;
		wait_event_interruptible(queue_wait, (job = job_next()) || kthread_should_stop());
		if (!job)
			continue;
		lane->job = job;
		clear_bit(JOB_AGAIN, &job->state);
		job->run(lane, job);
		lane->job = NULL;
		job_done(job);
		cond_resched();
	}
	return 0;
}

/* ---- running Rust ------------------------------------------------------------------ */

static void on_lane(struct lane_call *call)
{
	call->fn(call->arg);
}

static void note_high_water(const u8 *stack)
{
	const u8 *lowest = memchr_inv(stack, 0, LANE_STACK);
	s64 used = lowest ? stack + LANE_STACK - lowest : 0;

	if (used > atomic64_read(&high_water))
		atomic64_set(&high_water, used);
}

void tl_lane_call(struct tl_lane *lane, struct tl_arena *arena, void (*fn)(void *arg), void *arg)
{
	struct lane_call call = { fn, arg };

	lane->arena = arena;
	lane->in_rust = true;
	tl_call_on_stack(lane->stack + LANE_STACK, on_lane, &call);
	lane->in_rust = false;
	lane->arena = NULL;
	note_high_water(lane->stack);
	memzero_explicit(lane->stack, LANE_STACK);
}

int tl_lane_index(const struct tl_lane *lane)
{
	return lane->index;
}

u64 tl_lane_stack_high_water(void)
{
	return atomic64_read(&high_water);
}

struct sync_job {
	struct tl_job job;
	struct kref ref;
	struct completion done;
	struct tl_arena *arena;
	void (*fn)(void *arg);
	void *arg;
	int err;
};

static void sync_free(struct kref *ref)
{
	kfree(container_of(ref, struct sync_job, ref));
}

static void sync_get(struct tl_job *job)
{
	kref_get(&container_of(job, struct sync_job, job)->ref);
}

static void sync_put(struct tl_job *job)
{
	kref_put(&container_of(job, struct sync_job, job)->ref, sync_free);
}

static void sync_run(struct tl_lane *lane, struct tl_job *job)
{
	struct sync_job *sync = container_of(job, struct sync_job, job);

	tl_lane_call(lane, sync->arena, sync->fn, sync->arg);
	complete(&sync->done);
}

static void sync_panicked(struct tl_job *job)
{
	struct sync_job *sync = container_of(job, struct sync_job, job);

	sync->err = -EIO;
	complete(&sync->done);
}

int tl_lane_run(struct tl_arena *arena, void (*fn)(void *arg), void *arg)
{
	struct sync_job *sync = kzalloc(sizeof(*sync), GFP_KERNEL);
	int err;

	if (!sync)
		return -ENOMEM;
	kref_init(&sync->ref);
	init_completion(&sync->done);
	sync->job.run = sync_run;
	sync->job.panicked = sync_panicked;
	sync->job.get = sync_get;
	sync->job.put = sync_put;
	sync->arena = arena;
	sync->fn = fn;
	sync->arg = arg;
	tl_job_queue(&sync->job);
	wait_for_completion(&sync->done);
	err = sync->err;
	sync_put(&sync->job);
	return err;
}

/* ---- lanes --------------------------------------------------------------------------- */

static void lane_free(struct tl_lane *lane)
{
	if (lane->stack) {
		memzero_explicit(lane->stack, LANE_STACK);
		vfree(lane->stack);
	}
	kfree(lane);
}

/* Frees a dead lane once its thread no longer runs on the private stack. */
static void lane_bury(struct work_struct *work)
{
	struct tl_lane *lane = container_of(to_delayed_work(work), struct tl_lane, bury);

	if (!READ_ONCE(lane->task->exit_state) || READ_ONCE(lane->task->on_cpu)) {
		schedule_delayed_work(&lane->bury, HZ);
		return;
	}
	put_task_struct(lane->task);
	lane_free(lane);
	tl_leave();
}

static struct tl_lane *lane_new(int i)
{
	struct tl_lane *lane = kzalloc(sizeof(*lane), GFP_KERNEL);

	if (!lane)
		return NULL;
	lane->index = i;
	lane->stack = vzalloc(LANE_STACK);
	if (!lane->stack)
		goto fail;
	lane->task = kthread_create(lane_main, lane, "tidelock/%d", i);
	if (IS_ERR(lane->task))
		goto fail;
	get_task_struct(lane->task);
	INIT_DELAYED_WORK(&lane->bury, lane_bury);
	return lane;
fail:
	lane_free(lane);
	return NULL;
}

static void lane_start(int i)
{
	struct tl_lane *lane = lane_new(i);

	WRITE_ONCE(lanes[i], lane);
	if (lane)
		wake_up_process(lane->task);
}

/* A worker died by panic: put another in its place. */
static void lanes_refill(struct work_struct *work)
{
	int i;

	mutex_lock(&lanes_lock);
	for (i = 0; !stopping && i < n_lanes; i++)
		if (!READ_ONCE(lanes[i]))
			lane_start(i);
	mutex_unlock(&lanes_lock);
}
static DECLARE_WORK(refill_work, lanes_refill);

void tl_c_panic(const u8 *msg, u64 len)
{
	struct tl_lane *lane = lane_current();
	struct tl_job *job;
	int i;

	pr_err("panic: %.*s\n", (int)min_t(u64, len, 256), msg);
	/* Off a lane there is nothing to give up but the task. */
	BUG_ON(!lane || !lane->in_rust);
	job = lane->job;
	lane->in_rust = false;
	lane->arena = NULL;
	for (i = 0; i < n_lanes; i++)
		if (lanes[i] == lane)
			WRITE_ONCE(lanes[i], NULL);
	job->panicked(job);
	job_done(job);
	tl_enter();
	schedule_delayed_work(&lane->bury, HZ);
	if (atomic_inc_return(&panics) <= PANICS_MAX)
		schedule_work(&refill_work);
	kthread_complete_and_exit(NULL, 0);
}

int tl_lanes_init(void)
{
	int i;

	n_lanes = min_t(int, num_online_cpus(), TL_LANES_MAX);
	for (i = 0; i < n_lanes; i++) {
		lane_start(i);
		if (!lanes[i]) {
			tl_lanes_exit();
			return -ENOMEM;
		}
	}
	return 0;
}

void tl_lanes_exit(void)
{
	int i;

	mutex_lock(&lanes_lock);
	stopping = true;
	mutex_unlock(&lanes_lock);
	cancel_work_sync(&refill_work);
	for (i = 0; i < n_lanes; i++) {
		struct tl_lane *lane = lanes[i];

		if (!lane)
			continue;
		kthread_stop(lane->task);
		put_task_struct(lane->task);
		lane_free(lane);
	}
}
