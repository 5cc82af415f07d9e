// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * ftrace redirects. The callback decides whether a call is governed at all, so
 * an ungoverned one runs the kernel's own function and never our text.
 */
#include <linux/ftrace.h>
#include <linux/sched.h>
#include <net/inet_common.h>
#include <net/tcp_states.h>

#include "tidelock.h"

struct hook {
	const char *name;
	void *redirect;
	bool (*wanted)(struct pt_regs *regs);
	struct ftrace_ops ops;
	bool on;
};

bool tl_is_tcp(const struct socket *sock)
{
	const struct sock *sk = sock->sk;

	return sock->type == SOCK_STREAM && sk && sk->sk_protocol == IPPROTO_TCP &&
	       (sk->sk_family == AF_INET || sk->sk_family == AF_INET6);
}

/* Tasks that the kernel runs for itself are never governed. */
static bool idle(struct socket *sock)
{
	return (current->flags & PF_KTHREAD) || !tl_config_active() || !tl_is_tcp(sock);
}

static bool governed_task(void)
{
	return tl_subjects_missed() || tl_subject_tracked(current);
}

static bool connect_wanted(struct pt_regs *regs)
{
	struct socket *sock = (struct socket *)regs_get_kernel_argument(regs, 0);
	struct sockaddr *addr = (struct sockaddr *)regs_get_kernel_argument(regs, 1);
	int len = regs_get_kernel_argument(regs, 2);
	struct tl_addr remote;

	if (idle(sock) || tl_flow_of(sock))
		return false;
	if (governed_task() || tl_sabotaged('h'))
		return true;
	if (len < (int)sizeof(struct sockaddr_in) || (addr->sa_family != AF_INET && addr->sa_family != AF_INET6) ||
	    (addr->sa_family == AF_INET6 && len < SIN6_LEN_RFC2133))
		return false;
	tl_addr_of(&remote, addr, sock_net(sock->sk));
	return tl_config_closed_service(&remote) >= 0;
}

static bool fastopen_wanted(struct pt_regs *regs)
{
	return regs_get_kernel_argument(regs, 4) && connect_wanted(regs);
}

static bool listener_wanted(struct pt_regs *regs)
{
	struct socket *sock = (struct socket *)regs_get_kernel_argument(regs, 0);
	struct tl_addr local;

	if (idle(sock) || tl_listener_of(sock) || tl_flow_of(sock))
		return false;
	if (governed_task())
		return true;
	tl_addr_local(&local, sock->sk);
	return tl_config_service(&local) >= 0;
}

static bool socket_wanted(struct pt_regs *regs)
{
	/* __sock_create(net, family, type, protocol, res, kern) */
	return !regs_get_kernel_argument(regs, 5) && !(current->flags & PF_KTHREAD) && tl_config_active() &&
	       tl_subject_tracked(current);
}

static int governed_socket(struct net *net, int family, int type, int protocol, struct socket **res, int kern)
{
	int err = tl_rs_socket(family, type & SOCK_TYPE_MASK, protocol);

	if (!err)
		return __sock_create(net, family, type, protocol, res, kern);
	if (err) {
		struct tl_subject *s = tl_subject_of(current);
		struct tl_rec rec = { .pid = task_tgid_nr(current) };
		char what[64];
		int n = scnprintf(what, sizeof(what), "socket(family %d, type %d, protocol %d)", family, type, protocol);

		tl_device_denied(s, &rec, TL_R_UNSUPPORTED_SOCKET, (u8 *)what, n);
		tl_subject_put(s);
	}
	return -err;
}

static int tl_governed_socket(struct net *net, int family, int type, int protocol, struct socket **res, int kern)
{
	int err;

	tl_enter();
	err = governed_socket(net, family, type, protocol, res, kern);
	tl_leave();
	return err;
}

static int tl_governed_listen(struct socket *sock, int backlog)
{
	struct tl_subject *s;
	int err = 0;

	tl_enter();
	tl_subjects_sweep_if_missed();
	s = tl_subject_current();
	if (!tl_listener_of(sock))
		err = tl_listener_govern(sock, s);
	tl_subject_put(s);
	if (!err)
		err = inet_listen(sock, backlog);
	tl_leave();
	return err;
}

static int tl_governed_accept(struct socket *sock, struct socket *newsock, TL_ACCEPT_PARAMS)
{
	struct tl_subject *s;
	int err;

	tl_enter();
	tl_subjects_sweep_if_missed();
	s = tl_subject_current();
	err = READ_ONCE(sock->sk->sk_state) == TCP_LISTEN ? tl_listener_govern(sock, s) : -EINVAL;
	tl_subject_put(s);
	if (!err)
		err = sock->ops->accept(sock, newsock, TL_ACCEPT_ARGS);
	tl_leave();
	return err;
}

static struct hook hooks[] = {
	{ .name = "inet_stream_connect", .redirect = tl_flow_connect, .wanted = connect_wanted },
	{ .name = "__inet_stream_connect", .redirect = tl_refuse_fastopen, .wanted = fastopen_wanted },
	{ .name = "inet_listen", .redirect = tl_governed_listen, .wanted = listener_wanted },
	{ .name = "inet_accept", .redirect = tl_governed_accept, .wanted = listener_wanted },
	{ .name = "__sock_create", .redirect = tl_governed_socket, .wanted = socket_wanted },
};

/* Its arguments are all that is read, and saved: every call of every program comes by here. */
static void notrace callback(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops,
			     struct ftrace_regs *fregs)
{
	struct hook *hook = container_of(ops, struct hook, ops);

	/* Our own call of the function is seldom, and dear to recognise. */
	if (hook->wanted(tl_ftrace_args(fregs)) && !within_module(parent_ip, THIS_MODULE))
		tl_ftrace_redirect(fregs, (unsigned long)hook->redirect);
}

static int hook_one(struct hook *hook)
{
	int err;

	hook->ops.func = callback;
	/*
	 * PERMANENT: nobody switches us off through kernel.ftrace_enabled. IPMODIFY is exclusive: -EBUSY if taken.
	 * Not RECURSION, which asks ftrace to guard us against ourselves: a callback calls nothing that is hooked.
	 */
	hook->ops.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT;
	err = ftrace_set_filter(&hook->ops, (unsigned char *)hook->name, strlen(hook->name), 1);
	if (!err)
		err = register_ftrace_function(&hook->ops);
	if (err)
		pr_err("cannot hook %s: %d%s\n", hook->name, err,
		       err == -EBUSY ? " (another tool redirects it: unload that first)" : "");
	hook->on = !err;
	return err;
}

int tl_hooks_init(void)
{
	int i, err = 0;

	for (i = 0; !err && i < ARRAY_SIZE(hooks); i++)
		err = hook_one(&hooks[i]);
	if (err)
		tl_hooks_exit();
	return err;
}

void tl_hooks_exit(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		if (hooks[i].on)
			unregister_ftrace_function(&hooks[i].ops);
		hooks[i].on = false;
	}
}
