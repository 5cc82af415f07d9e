// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Handing a connection to kTLS. tls.ko rewrites sk_socket->ops as it goes, which
 * would open a moment in which the program talks plain TCP; so while it works
 * the sock points to a stand-in, and the program's socket keeps our table.
 */
#include <linux/net.h>
#include <linux/sockptr.h>
#include <net/tcp.h>
#include <uapi/linux/tls.h>

#include "tidelock.h"

void tl_ktls_point(struct sock *sk, struct socket *sock)
{
	write_lock_bh(&sk->sk_callback_lock);
	sk_set_socket(sk, sock);
	write_unlock_bh(&sk->sk_callback_lock);
}

int tl_ktls_stand_in(struct tl_flow *flow, struct socket **out)
{
	struct socket *stand_in;
	int err = sock_create_lite(flow->ops.family, SOCK_STREAM, IPPROTO_TCP, &stand_in);

	if (err)
		return err;
	stand_in->state = SS_CONNECTED;
	/* tls.ko remembers the first table of each family that it is shown, for all users: the pristine one. */
	stand_in->ops = flow->inner;
	*out = stand_in;
	return 0;
}

void tl_ktls_stand_in_put(struct socket *stand_in)
{
	stand_in->ops = NULL;
	sock_release(stand_in);
}

static int stand_in_begin(struct tl_flow *flow, struct socket **out)
{
	struct socket *stand_in;
	int err = tl_ktls_stand_in(flow, &stand_in);

	if (err)
		return err;
	tl_ktls_point(flow->sk, stand_in);
	*out = stand_in;
	return 0;
}

static void stand_in_end(struct tl_flow *flow, struct socket *stand_in)
{
	flow->inner = stand_in->ops;
	tl_ktls_point(flow->sk, flow->sock);
	tl_ktls_stand_in_put(stand_in);
}

/* Before the first byte of the handshake: tls.ko takes only sockets that are still fully open. */
int tl_ktls_attach(struct tl_flow *flow)
{
	static char name[] = "tls";
	struct socket *stand_in;
	int err = stand_in_begin(flow, &stand_in);

	if (err)
		return err;
	err = flow->sk->sk_prot->setsockopt(flow->sk, SOL_TCP, TCP_ULP, KERNEL_SOCKPTR(name), sizeof(name));
	stand_in_end(flow, stand_in);
	flow->ulp = !err;
	return err;
}

int tl_ktls_start(struct tl_flow *flow, struct tl_lane *lane)
{
	int err, slot = tl_lane_index(lane);
	struct tl_step *step = flow->step;
	struct socket *stand_in;

	err = stand_in_begin(flow, &stand_in);
	if (err)
		return err;
	err = tl_keypage_setsockopt(slot, flow->sk, TLS_TX, step->tx_info, step->tx_info_len);
	if (!err)
		err = tl_keypage_setsockopt(slot, flow->sk, TLS_RX, step->rx_info, step->rx_info_len);
	stand_in_end(flow, stand_in);
	memzero_explicit(step->tx_info, sizeof(step->tx_info));
	memzero_explicit(step->rx_info, sizeof(step->rx_info));
	return err;
}
