// SPDX-License-Identifier: MIT OR GPL-2.0
/* Loading and unloading, and the few small things that every file uses. */
#include <linux/delay.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/utsname.h>
#include <net/inet_sock.h>
#include <net/ipv6.h>

#include "rekey.h"

static_assert(sizeof(struct tl_addr) == 24);
static_assert(sizeof(struct tl_str) == 16);

/* ---- small shared things ------------------------------------------------------------------ */

char *tl_strdup(struct tl_str s, gfp_t gfp)
{
	return kmemdup_nul((const char *)s.ptr, s.len, gfp);
}

u32 tl_c_init_net(void)
{
	return init_net.ns.inum;
}

struct tl_str tl_c_release(void)
{
	return tl_str(init_uts_ns.name.release);
}

static u32 netns_of(const struct net *net)
{
	return net_eq(net, &init_net) ? 0 : net->ns.inum;
}

static void put_v4(struct tl_addr *out, __be32 ip)
{
	struct in6_addr mapped;

	ipv6_addr_set_v4mapped(ip, &mapped);
	memcpy(out->ip, &mapped, sizeof(out->ip));
}

void tl_addr_of(struct tl_addr *out, const struct sockaddr *addr, const struct net *net)
{
	memset(out, 0, sizeof(*out));
	out->netns = netns_of(net);
	if (addr->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)addr;

		put_v4(out, in->sin_addr.s_addr);
		out->port = ntohs(in->sin_port);
	} else if (addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;

		memcpy(out->ip, &in6->sin6_addr, sizeof(out->ip));
		out->port = ntohs(in6->sin6_port);
	}
}

void tl_addr_local(struct tl_addr *out, const struct sock *sk)
{
	memset(out, 0, sizeof(*out));
	out->netns = netns_of(sock_net(sk));
	out->port = READ_ONCE(sk->sk_num);
	if (sk->sk_family == AF_INET6)
		memcpy(out->ip, &sk->sk_v6_rcv_saddr, sizeof(out->ip));
	else if (sk->sk_rcv_saddr)
		put_v4(out, sk->sk_rcv_saddr);
}

void tl_addr_peer(struct tl_addr *out, const struct sock *sk)
{
	memset(out, 0, sizeof(*out));
	out->netns = netns_of(sock_net(sk));
	out->port = ntohs(sk->sk_dport);
	if (sk->sk_family == AF_INET6)
		memcpy(out->ip, &sk->sk_v6_daddr, sizeof(out->ip));
	else
		put_v4(out, sk->sk_daddr);
}

/* ---- who is inside --------------------------------------------------------------------------- */

static atomic_t inside = ATOMIC_INIT(0);

void tl_enter(void)
{
	atomic_inc(&inside);
}

void tl_leave(void)
{
	atomic_dec(&inside);
}

static void wait_until_empty(void)
{
	while (atomic_read(&inside))
		msleep(20);
	/* And off the last instructions behind tl_leave(). */
	synchronize_rcu_tasks();
}

#ifdef TIDELOCK_SABOTAGE
char tl_sabotage[2] = "-";
module_param_string(sabotage, tl_sabotage, sizeof(tl_sabotage), 0600);
#endif

/* ---- the ladder --------------------------------------------------------------------------------- */

static int __init tidelock_init(void)
{
	int err = wait_for_random_bytes();

	if (tl_sabotaged('i'))
		pr_warn("sabotaged\n");
	if (err)
		return err;
	err = tl_arena_init();
	if (err)
		return err;
	err = tl_keypage_init();
	if (err)
		goto arenas;
	err = tl_rekey_init();
	if (err)
		goto keypage;
	err = tl_lanes_init();
	if (err)
		goto rekey;
	err = tl_proc_init();
	if (err)
		goto lanes;
	err = tl_subjects_init();
	if (err)
		goto proc;
	err = tl_hooks_init();
	if (err)
		goto subjects;
	err = tl_device_init();
	if (err)
		goto hooks;
	return 0;
hooks:
	tl_hooks_exit();
subjects:
	tl_subjects_unhook();
	wait_until_empty();
	tl_subjects_exit();
proc:
	tl_proc_exit();
lanes:
	tl_lanes_exit();
rekey:
	tl_rekey_exit();
keypage:
	tl_keypage_exit();
arenas:
	tl_arena_exit();
	return err;
}

/* Runs only when no governed socket and no open device is left: they hold references. */
static void __exit tidelock_exit(void)
{
	tl_device_exit();
	tl_config_drop();
	tl_hooks_exit();
	tl_subjects_unhook();
	tl_subjects_drop();
	tl_listeners_release(NULL);
	wait_until_empty();
	tl_admission_exit();
	tl_lanes_exit();
	tl_subjects_exit();
	tl_listeners_exit();
	tl_identities_exit();
	tl_proc_exit();
	tl_rekey_exit();
	tl_keypage_exit();
	tl_arena_exit();
}

module_init(tidelock_init);
module_exit(tidelock_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_AUTHOR("The Tidelock authors");
MODULE_DESCRIPTION("Workload identity and mutual TLS for unmodified processes");
MODULE_VERSION("0.1.0");
MODULE_SOFTDEP("pre: tls");
