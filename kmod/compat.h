/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* Everything that differs between the kernels we support, and nothing else. */
#ifndef TIDELOCK_COMPAT_H
#define TIDELOCK_COMPAT_H

#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/mm_types.h>
#include <linux/net.h>
#include <linux/skbuff.h>
#include <linux/timer.h>
#include <linux/version.h>
#include <net/inet_common.h>
#include <net/tcp.h>
#include <net/tls.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
typedef struct sockaddr_unsized tl_sockaddr;
#else
typedef struct sockaddr tl_sockaddr;
#endif

/* accept() carries its flags in a struct from 6.10 on. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
#define TL_ACCEPT_PARAMS struct proto_accept_arg *arg
#define TL_ACCEPT_FLAGS (arg->flags)
#define TL_ACCEPT_ARGS arg
static inline int tl_inet_accept(struct socket *listener, struct socket *newsock, int flags)
{
	struct proto_accept_arg arg = { .flags = flags };

	return inet_accept(listener, newsock, &arg);
}
#else
#define TL_ACCEPT_PARAMS int flags, bool kern
#define TL_ACCEPT_FLAGS flags
#define TL_ACCEPT_ARGS flags, kern
static inline int tl_inet_accept(struct socket *listener, struct socket *newsock, int flags)
{
	return inet_accept(listener, newsock, flags, false);
}
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define timer_delete_sync del_timer_sync
#define timer_delete del_timer
#endif

/*
 * From 6.14 on kTLS takes new keys on a live connection, and takes no record after a KeyUpdate until it has them. The name came with that;
 * where somebody has one without the other, kTLS refuses the keys, and the flow is cut.
 */
#ifdef TLS_HANDSHAKE_KEYUPDATE
#define TL_KTLS_REKEYS true
static inline bool tl_ktls_awaits_key(const struct sock *sk)
{
	return READ_ONCE(tls_sw_ctx_rx(tls_get_ctx(sk))->key_update_pending);
}
#else
#define TL_KTLS_REKEYS false
static inline bool tl_ktls_awaits_key(const struct sock *sk)
{
	return false;
}
#endif

#ifndef CONFIG_DYNAMIC_FTRACE_WITH_ARGS
#error "this kernel's ftrace does not save the arguments of what it traces (CONFIG_DYNAMIC_FTRACE_WITH_ARGS)"
#endif

/*
 * The registers that hold a traced function's arguments: all that ftrace saves, unless asked for more. What may be
 * redirected with no more than that is what live patching relies on.
 */
static inline struct pt_regs *tl_ftrace_args(struct ftrace_regs *fregs)
{
#ifdef arch_ftrace_regs
	return &arch_ftrace_regs(fregs)->regs;
#else
	return &fregs->regs;
#endif
}

static inline void tl_ftrace_redirect(struct ftrace_regs *fregs, unsigned long to)
{
	instruction_pointer_set(tl_ftrace_args(fregs), to);
}

/* tcp_recvmsg is not exported, but tcp_prot is; it lost its address length by 7.3. */
static inline int tl_tcp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
	return tcp_prot.recvmsg(sk, msg, len, flags);
#else
	int addr_len = 0;

	return tcp_prot.recvmsg(sk, msg, len, flags, &addr_len);
#endif
}

/* The file a process runs, with a reference, or NULL. */
static inline struct file *tl_exe_file(struct mm_struct *mm)
{
	struct file *file;

	rcu_read_lock();
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
	file = get_file_rcu(&mm->exe_file);
#else
	file = rcu_dereference(mm->exe_file);
	if (file && !get_file_rcu(file))
		file = NULL;
#endif
	rcu_read_unlock();
	return file;
}

/* Before 6.5 splice has a flag of its own for more to come, which kTLS takes of pages only. */
static inline unsigned int tl_splice_flags(unsigned int flags)
{
#ifdef MSG_SENDPAGE_NOTLAST
	if (flags & MSG_SENDPAGE_NOTLAST)
		flags = (flags & ~MSG_SENDPAGE_NOTLAST) | MSG_MORE;
#endif
	return flags;
}

/* A completion for MSG_ZEROCOPY. Memory of devices came by 6.16; none is sent here. */
static inline struct ubuf_info *tl_zerocopy_new(struct sock *sk, size_t len)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
	return msg_zerocopy_realloc(sk, len, NULL, false);
#else
	return msg_zerocopy_realloc(sk, len, NULL);
#endif
}

/* No flags of a mapping: they were a number before they got a type of their own. */
#ifdef EMPTY_VMA_FLAGS
#define TL_NO_VMA_FLAGS EMPTY_VMA_FLAGS
#else
#define TL_NO_VMA_FLAGS 0
#endif

/* sched_process_exit tells whether the group ended from 6.16 on. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#define TL_EXIT_PARAMS void *data, struct task_struct *task, bool group_dead
#define TL_EXIT_GROUP_DEAD group_dead
#else
#define TL_EXIT_PARAMS void *data, struct task_struct *task
#define TL_EXIT_GROUP_DEAD (atomic_read(&task->signal->live) == 0)
#endif

#endif
