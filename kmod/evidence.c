// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * What a process is, as the kernel sees it. For a new image this runs in the
 * process's own context before its first instruction, so argv is still what
 * exec was given.
 */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/fs_struct.h>
#include <linux/mm.h>
#include <linux/namei.h>
#include <linux/nsproxy.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/ktime.h>
#include <linux/user_namespace.h>

#include "subject.h"

/* Of an overlay it is the file beneath that counts. */
static bool unhashable(struct file *exe)
{
	struct dentry *entry = exe->f_path.dentry;

	return tl_rs_unhashable(d_real_inode(entry)->i_sb->s_magic, d_unlinked(entry));
}

static void root_of(struct task_struct *task, struct path *root)
{
	memset(root, 0, sizeof(*root));
	task_lock(task);
	if (task->fs)
		get_fs_root(task->fs, root);
	task_unlock(task);
}

/* chroot leaves the mount namespace as it is, and makes any path say anything. */
static bool at_host_root(struct task_struct *task)
{
	struct path own, host;
	bool same;

	root_of(task, &own);
	root_of(init_pid_ns.child_reaper, &host);
	same = own.dentry && path_equal(&own, &host);
	path_put(&own);
	path_put(&host);
	return same;
}

static void namespaces(struct task_struct *task, struct tl_evidence *ev)
{
	bool rooted = at_host_root(task);

	ev->net_ns = TL_NET_UNKNOWN;
	task_lock(task);
	if (task->nsproxy) {
		if (rooted && task->nsproxy->mnt_ns == init_task.nsproxy->mnt_ns)
			ev->flags |= TL_EV_HOST_MNT;
		ev->net_ns = net_eq(task->nsproxy->net_ns, &init_net) ? 0 : task->nsproxy->net_ns->ns.inum;
	}
	task_unlock(task);
}

static void credentials(struct task_struct *task, struct tl_evidence *ev)
{
	const struct cred *cred;

	rcu_read_lock();
	cred = __task_cred(task);
	ev->uid = from_kuid(&init_user_ns, cred->euid);
	ev->gid = from_kgid(&init_user_ns, cred->egid);
	rcu_read_unlock();
}

/* Appends a path to the text; an empty string if it cannot be told. */
static void put_path(struct tl_subject *s, size_t *used, struct tl_str *out, const struct path *path, char *page)
{
	char *name = d_path(path, page, PAGE_SIZE);
	size_t len = IS_ERR(name) ? 0 : strlen(name);

	out->ptr = (u8 *)s->text + *used;
	out->len = len < TL_PATH_MAX ? len : 0;
	memcpy(s->text + *used, name, out->len);
	*used += out->len;
}

static void put_cwd(struct task_struct *task, struct tl_subject *s, size_t *used, char *page)
{
	struct path pwd = {};

	task_lock(task);
	if (task->fs)
		get_fs_pwd(task->fs, &pwd);
	task_unlock(task);
	if (!pwd.dentry)
		return;
	put_path(s, used, &s->ev.cwd, &pwd, page);
	path_put(&pwd);
}

static void put_argv(struct task_struct *task, struct mm_struct *mm, struct tl_subject *s, size_t *used)
{
	unsigned long start = READ_ONCE(mm->arg_start), end = READ_ONCE(mm->arg_end);
	size_t len = end > start ? end - start : 0;
	unsigned int how = FOLL_FORCE;
	int got;

	if (len > TL_ARGV_MAX) {
		len = TL_ARGV_MAX;
		s->ev.flags |= TL_EV_ARGV_CUT;
	}
	/* What another process maps there may never answer. What is not in memory is not told. */
	if (task != current)
		how |= FOLL_NOFAULT;
	got = len ? access_process_vm(task, start, s->text + *used, len, how) : 0;
	if (got < (int)len)
		s->ev.flags |= TL_EV_ARGV_CUT;
	s->ev.argv.ptr = (u8 *)s->text + *used;
	s->ev.argv.len = got > 0 ? got : 0;
	*used += s->ev.argv.len;
}

static void put_script(struct tl_subject *s, size_t *used, const char *script, char *page)
{
	struct kstat stat;
	struct path path;

	if (!script || kern_path(script, LOOKUP_FOLLOW, &path))
		return;
	put_path(s, used, &s->ev.script, &path, page);
	if (!vfs_getattr(&path, &stat, STATX_BASIC_STATS, AT_STATX_DONT_SYNC)) {
		s->ev.script_dev = new_encode_dev(stat.dev);
		s->ev.script_ino = stat.ino;
	}
	path_put(&path);
}

/* In the hierarchy of version 2, from its root, whatever cgroup namespace the process sees: empty if it cannot be told. */
static void put_cgroup(struct task_struct *task, struct tl_subject *s, size_t *used)
{
#ifdef CONFIG_CGROUPS
	char *path = s->text + *used;
	int len;

	/* Its node in kernfs goes with the cgroup, by RCU. A cgroup that is being removed has nobody in it who begins. */
	rcu_read_lock();
	len = kernfs_path_from_node(task_dfl_cgroup(task)->kn, NULL, path, TL_PATH_MAX);
	rcu_read_unlock();
	/* What does not fit is an error to some kernels, and to others the length that it has. */
	if (len <= 0 || len >= TL_PATH_MAX)
		return;
	s->ev.cgroup.ptr = (u8 *)path;
	s->ev.cgroup.len = len;
	*used += len;
#endif
}

/* As the file system knows it: one that asks somebody else, who may be the user's own, is flagged by unhashable(). */
static int put_exe_stat(struct file *exe, struct tl_evidence *ev)
{
	struct kstat stat;
	int err = vfs_getattr(&exe->f_path, &stat, STATX_BASIC_STATS, AT_STATX_DONT_SYNC);

	if (err)
		return err;
	ev->exe_dev = new_encode_dev(stat.dev);
	ev->exe_ino = stat.ino;
	ev->exe_size = stat.size;
	ev->exe_ctime_ns = timespec64_to_ns(&stat.ctime);
	return 0;
}

bool tl_evidence_prefiltered(const struct tl_evidence *ev)
{
	const void *cfg;
	bool hit;

	rcu_read_lock();
	cfg = tl_config_rcu();
	hit = cfg && tl_rs_prefilter(cfg, ev);
	rcu_read_unlock();
	return hit;
}

static int gather(struct task_struct *task, struct mm_struct *mm, struct file *exe, const char *script, u32 flags,
		  bool always, struct tl_subject **out)
{
	const size_t text = 4 * TL_PATH_MAX + TL_ARGV_MAX;
	struct tl_subject *s = kzalloc(sizeof(*s) + text, GFP_KERNEL);
	char *page = (char *)__get_free_page(GFP_KERNEL);
	size_t used = 0;
	int err = -ENOMEM;

	if (!s || !page)
		goto fail;
	s->ev.flags = flags;
	credentials(task, &s->ev);
	namespaces(task, &s->ev);
	put_path(s, &used, &s->ev.exe, &exe->f_path, page);
	/* Most processes end here: nothing more is gathered about them. */
	err = 0;
	if (!always && !tl_evidence_prefiltered(&s->ev))
		goto fail;
	err = put_exe_stat(exe, &s->ev);
	if (err)
		goto fail;
	if (unhashable(exe))
		s->ev.flags |= TL_EV_EXE_UNHASHABLE;
	put_script(s, &used, script, page);
	put_cwd(task, s, &used, page);
	put_cgroup(task, s, &used);
	put_argv(task, mm, s, &used);
	s->ev.start_ns = ktime_get_boottime_ns();
	s->ev.pid = task_tgid_nr(task);
	free_page((unsigned long)page);
	tl_subject_prepare(s);
	*out = s;
	return 0;
fail:
	free_page((unsigned long)page);
	kfree(s);
	return err;
}

int tl_evidence_gather(struct task_struct *task, const char *script, u32 flags, bool always, struct tl_subject **out)
{
	struct mm_struct *mm = get_task_mm(task);
	struct file *exe = mm ? tl_exe_file(mm) : NULL;
	int err = 0;

	*out = NULL;
	if (exe)
		err = gather(task, mm, exe, script, flags, always, out);
	if (exe)
		fput(exe);
	if (mm)
		mmput(mm);
	return err;
}
