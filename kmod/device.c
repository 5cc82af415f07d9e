// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * /dev/tidelock: one write is one record from the agent, one read is one record
 * to it. What a record means is decided in Rust; here it is carried out.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/ktime.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include "tidelock.h"

/* One record from the agent (tidelock_kabi::MAX_RECORD_BYTES). */
#define RECORD_IN_MAX (1u << 20)
/* One record to the agent: the longest is an Exec with its four strings. */
#define RECORD_OUT_MAX 8192
/* Records that wait for the agent; past it they are counted as lost and the agent starts over. */
#define QUEUE_MAX 8192
/* Of them, refusals: any local user can bring them about, and they must not push out what the agent has to know. */
#define DENIALS_MAX 1024
/* Of these, what policies in mode observe would have said: it must not push out refusals. */
#define OBSERVED_MAX (DENIALS_MAX / 2)

enum replay { REPLAY_DONE, REPLAY_SUBJECTS, REPLAY_FLOWS };

struct out {
	struct list_head node;
	bool denial;
	u64 len;
	u8 bytes[];
};

static struct {
	spinlock_t lock;		/* queue, queued, denials, lost, open, greeted */
	struct list_head queue;
	u32 queued, denials;
	u64 lost;
	atomic64_t untold;		/* refusals since the last one that was told */
	enum replay replay;		/* what a new session has still to learn; under reading, once it has begun */
	u64 replayed;
	bool open;
	bool greeted;			/* a session has begun: see may_tell() */
	wait_queue_head_t wait;
	struct mutex writing, reading;
	u64 out_seq;			/* under reading */
	u8 session[TL_SESSION_BYTES];	/* under writing */
} dev = {
	.lock = __SPIN_LOCK_UNLOCKED(dev.lock),
	.queue = LIST_HEAD_INIT(dev.queue),
	.wait = __WAIT_QUEUE_HEAD_INITIALIZER(dev.wait),
	.writing = __MUTEX_INITIALIZER(dev.writing),
	.reading = __MUTEX_INITIALIZER(dev.reading),
};

/* ---- to the agent ---------------------------------------------------------------------- */

static struct out *encode(struct tl_rec *rec)
{
	u8 *room = kmalloc(RECORD_OUT_MAX, GFP_ATOMIC | __GFP_NOWARN);
	struct out *out = NULL;
	s64 len;

	if (!room)
		return NULL;
	if (!rec->time_ns)
		rec->time_ns = ktime_get_real_ns();
	len = tl_rs_encode(rec, room, RECORD_OUT_MAX);
	if (len > 0)
		out = kmalloc(struct_size(out, bytes, len), GFP_ATOMIC | __GFP_NOWARN);
	if (out) {
		out->denial = rec->kind == TL_REC_DENIED;
		out->len = len;
		memcpy(out->bytes, room, len);
	}
	kfree(room);
	return out;
}

/* What happens before the greeting is not told, since a session begins with it; all that lives is told after it. */
static bool may_tell(u32 kind)
{
	return dev.open &&
	       (dev.greeted || kind == TL_REC_HELLO || kind == TL_REC_REFUSED || kind == TL_REC_LOST);
}

static u32 denials_max(u32 reason)
{
	return tl_rs_is_refusal(reason) ? DENIALS_MAX : OBSERVED_MAX;
}

static bool enqueue(const struct tl_rec *rec)
{
	struct tl_rec stamped = *rec;
	struct out *out = encode(&stamped);
	unsigned long flags;
	bool queued = false;

	spin_lock_irqsave(&dev.lock, flags);
	if (may_tell(rec->kind) && out && dev.queued < QUEUE_MAX && !dev.lost &&
	    (!out->denial || dev.denials < denials_max(rec->reason))) {
		list_add_tail(&out->node, &dev.queue);
		dev.queued++;
		dev.denials += out->denial;
		queued = true;
	}
	spin_unlock_irqrestore(&dev.lock, flags);
	if (!queued)
		kfree(out);
	wake_up_interruptible(&dev.wait);
	return queued;
}

void tl_device_send(const struct tl_rec *rec)
{
	unsigned long flags;

	if (!READ_ONCE(dev.open) || enqueue(rec))
		return;
	spin_lock_irqsave(&dev.lock, flags);
	dev.lost += may_tell(rec->kind);
	spin_unlock_irqrestore(&dev.lock, flags);
	wake_up_interruptible(&dev.wait);
}

bool tl_device_attended(void)
{
	return READ_ONCE(dev.open);
}

void tl_device_denied(struct tl_subject *subject, struct tl_rec *rec, u32 reason, const u8 *detail, u32 detail_len)
{
	rec->kind = TL_REC_DENIED;
	rec->reason = reason;
	rec->subject = subject ? subject->ev.subject : 0;
	rec->detail = (struct tl_str){ detail, detail_len };
	if (!READ_ONCE(dev.open))
		return;
	if (READ_ONCE(dev.denials) >= denials_max(reason)) {
		atomic64_inc(&dev.untold);
		return;
	}
	rec->count = atomic64_xchg(&dev.untold, 0);
	if (!enqueue(rec))
		atomic64_add(rec->count + 1, &dev.untold);
}

static void clear_queue(void)
{
	struct out *out, *next;
	LIST_HEAD(drop);

	spin_lock_irq(&dev.lock);
	list_splice_init(&dev.queue, &drop);
	dev.queued = 0;
	dev.denials = 0;
	dev.lost = 0;
	spin_unlock_irq(&dev.lock);
	list_for_each_entry_safe(out, next, &drop, node)
		kfree(out);
}

/* The oldest record that fits, still owned by the queue's lock until taken. */
static struct out *take(size_t space, int *err)
{
	struct out *out;

	spin_lock_irq(&dev.lock);
	out = list_first_entry_or_null(&dev.queue, struct out, node);
	if (out && out->len > space) {
		*err = -EMSGSIZE;
		out = NULL;
	} else if (out) {
		list_del(&out->node);
		dev.queued--;
		dev.denials -= out->denial;
	}
	spin_unlock_irq(&dev.lock);
	return out;
}

/* Once what was queued has been read, the agent hears how much was not. */
static void queue_lost(void)
{
	struct tl_rec rec = { .kind = TL_REC_LOST };

	spin_lock_irq(&dev.lock);
	if (list_empty(&dev.queue)) {
		rec.count = dev.lost;
		dev.lost = 0;
	}
	spin_unlock_irq(&dev.lock);
	if (rec.count)
		tl_device_send(&rec);
}

/* A new session learns what lives, one record for every one that it reads: so the queue holds, however many there are. */
static void replay_next(void)
{
	switch (READ_ONCE(dev.replay)) {
	case REPLAY_DONE:
		return;
	case REPLAY_SUBJECTS:
		dev.replayed = tl_subject_announce_next(dev.replayed);
		if (!dev.replayed)
			WRITE_ONCE(dev.replay, REPLAY_FLOWS);
		return;
	case REPLAY_FLOWS:
		dev.replayed = tl_flow_announce_next(dev.replayed);
		if (!dev.replayed)
			WRITE_ONCE(dev.replay, REPLAY_DONE);
		return;
	}
}

static bool readable(void)
{
	return !list_empty_careful(&dev.queue) || READ_ONCE(dev.lost) || READ_ONCE(dev.replay);
}

/* Opener and caller both: a descriptor handed to a container does not carry the right along. */
static bool may_use(struct file *file)
{
	return file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN) && ns_capable(&init_user_ns, CAP_SYS_ADMIN);
}

static ssize_t device_read(struct file *file, char __user *buf, size_t space, loff_t *pos)
{
	struct out *out = NULL;
	ssize_t ret = 0;
	int err = 0;

	if (!may_use(file))
		return -EPERM;
	if (mutex_lock_interruptible(&dev.reading))
		return -ERESTARTSYS;
	while (!out && !err) {
		queue_lost();
		replay_next();
		out = take(space, &err);
		if (out || err)
			break;
		if (READ_ONCE(dev.replay))
			continue;
		if (file->f_flags & O_NONBLOCK)
			err = -EAGAIN;
		else if (wait_event_interruptible(dev.wait, readable()))
			err = -ERESTARTSYS;
	}
	if (out) {
		tl_rs_stamp(out->bytes, out->len, ++dev.out_seq);
		ret = copy_to_user(buf, out->bytes, out->len) ? -EFAULT : out->len;
		kfree(out);
	}
	mutex_unlock(&dev.reading);
	return err ? err : ret;
}

static __poll_t device_poll(struct file *file, struct poll_table_struct *wait)
{
	poll_wait(file, &dev.wait, wait);
	return EPOLLOUT | EPOLLWRNORM | (readable() ? EPOLLIN | EPOLLRDNORM : 0);
}

/* ---- from the agent -------------------------------------------------------------------------- */

/* What lives is told as the session reads: it may be the first, or the agent was restarted. */
static int hello(void)
{
	struct tl_rec rec = { .kind = TL_REC_HELLO, .generation = tl_config_generation() };

	rec.body = tl_str(THIS_MODULE->version ? THIS_MODULE->version : "");
	tl_device_send(&rec);
	spin_lock_irq(&dev.lock);
	dev.greeted = true;
	spin_unlock_irq(&dev.lock);
	WRITE_ONCE(dev.replay, REPLAY_SUBJECTS);
	wake_up_interruptible(&dev.wait);
	return 0;
}

/* Nothing is governed any more, so that the module can be unloaded. */
static int drain(void)
{
	tl_config_drop();
	tl_flows_cut_all(TL_R_DRAINED);
	tl_listeners_release(NULL);
	tl_subjects_drop();
	return 0;
}

static int carry_out(const struct tl_cmd *cmd, u32 *why, u32 *at)
{
	switch (cmd->kind) {
	case TL_CMD_HELLO:
		return hello();
	case TL_CMD_CONFIG:
		return tl_config_set(cmd, why, at);
	case TL_CMD_IDENTITY:
		return tl_identity_new(cmd);
	case TL_CMD_SVID:
		return tl_identity_install(cmd, why, at);
	case TL_CMD_GRANT:
		return tl_subject_grant(cmd);
	case TL_CMD_REFUSE:
		return tl_subject_refuse(cmd->subject, cmd->generation, cmd->reason);
	case TL_CMD_FORGET:
		return tl_identity_forget(cmd->identity);
	case TL_CMD_DRAIN:
		return drain();
	}
	return -EINVAL;
}

static int take_record(const u8 *bytes, size_t len)
{
	struct tl_rec refused = { .kind = TL_REC_REFUSED };
	struct tl_cmd cmd = {};
	int err = tl_rs_session_parse(dev.session, bytes, len, &cmd, &refused.reason, &refused.at);

	if (!err) {
		err = carry_out(&cmd, &refused.reason, &refused.at);
		if (!err) {
			tl_rs_session_accept(dev.session, &cmd);
			return 0;
		}
		if (!refused.reason)
			refused.reason = tl_rs_refused_of(err);
	}
	refused.seq = cmd.seq;
	tl_device_send(&refused);
	return err;
}

static ssize_t device_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	u8 *bytes;
	int err;

	if (!may_use(file))
		return -EPERM;
	if (!len)
		return -EINVAL;
	if (len > RECORD_IN_MAX)
		return -E2BIG;
	bytes = kvmalloc(len, GFP_KERNEL);
	if (!bytes)
		return -ENOMEM;
	err = -EFAULT;
	if (copy_from_user(bytes, buf, len))
		goto out;
	err = -ERESTARTSYS;
	if (mutex_lock_interruptible(&dev.writing))
		goto out;
	err = take_record(bytes, len);
	mutex_unlock(&dev.writing);
out:
	kvfree(bytes);
	return err ? err : len;
}

/* ---- the file --------------------------------------------------------------------------------- */

static int device_open(struct inode *inode, struct file *file)
{
	bool taken;

	if (!ns_capable(&init_user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	spin_lock_irq(&dev.lock);
	taken = dev.open;
	dev.open = true;
	spin_unlock_irq(&dev.lock);
	if (taken)
		return -EBUSY;
	clear_queue();
	atomic64_set(&dev.untold, 0);
	dev.replay = REPLAY_DONE;
	dev.replayed = 0;
	dev.out_seq = 0;
	tl_rs_session_init(dev.session, tl_config_generation());
	return nonseekable_open(inode, file);
}

static int device_release(struct inode *inode, struct file *file)
{
	spin_lock_irq(&dev.lock);
	dev.open = false;
	dev.greeted = false;
	spin_unlock_irq(&dev.lock);
	clear_queue();
	return 0;
}

static const struct file_operations fops = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.read = device_read,
	.write = device_write,
	.poll = device_poll,
};

static struct miscdevice misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "tidelock",
	.fops = &fops,
	.mode = 0600,
};

int tl_device_init(void)
{
	return misc_register(&misc);
}

void tl_device_exit(void)
{
	misc_deregister(&misc);
	clear_queue();
}
