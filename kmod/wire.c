// SPDX-License-Identifier: MIT OR GPL-2.0
/* The bytes of a handshake: sent and received on the bare TCP connection, never waiting. */
#include <net/tcp.h>

#include "tidelock.h"

int tl_wire_send(struct tl_flow *flow)
{
	struct tl_step *step = flow->step;

	while (flow->tx_sent < step->tx_len) {
		struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
		struct kvec vec = {
			.iov_base = (void *)step->tx + flow->tx_sent,
			.iov_len = step->tx_len - flow->tx_sent,
		};
		int n;

		iov_iter_kvec(&msg.msg_iter, WRITE, &vec, 1, vec.iov_len);
		n = tcp_sendmsg(flow->sk, &msg, vec.iov_len);
		if (n == -EAGAIN)
			set_bit(SOCK_NOSPACE, &flow->sock->flags);
		if (n < 0)
			return n;
		flow->tx_sent += n;
	}
	return 0;
}

static int receive_some(struct tl_flow *flow)
{
	struct msghdr msg = {};
	struct kvec vec = {
		.iov_base = flow->record + flow->record_len,
		.iov_len = flow->record_want - flow->record_len,
	};
	int n;

	iov_iter_kvec(&msg.msg_iter, READ, &vec, 1, vec.iov_len);
	n = tl_tcp_recvmsg(flow->sk, &msg, vec.iov_len, MSG_DONTWAIT);
	if (n > 0)
		flow->record_len += n;
	return n ? n : -ENODATA;
}

int tl_wire_receive(struct tl_flow *flow)
{
	const u32 header = 5;
	int n;

	if (!flow->record) {
		flow->record = kvmalloc(TL_RECORD_MAX, GFP_KERNEL);
		if (!flow->record)
			return -ENOMEM;
	}
	if (!flow->record_want)
		flow->record_want = header;
	for (;;) {
		while (flow->record_len < flow->record_want) {
			n = receive_some(flow);
			if (n < 0)
				return n;
		}
		if (flow->record_want > header)
			return 0;
		n = tl_rs_record_len(flow->record);
		if (n <= 0)
			return -EPROTO;
		flow->record_want = header + n;
	}
}
