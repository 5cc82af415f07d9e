// SPDX-License-Identifier: MIT OR GPL-2.0
/* connect() of a governed process, or to a governed Service. */
#include <linux/cred.h>
#include <linux/tcp.h>
#include <linux/user_namespace.h>
#include <net/inet_common.h>
#include <net/tcp.h>

#include "tidelock.h"

static int plain(struct socket *sock, tl_sockaddr *addr, int len, int flags)
{
	return inet_stream_connect(sock, addr, len, flags);
}

static int deny(struct tl_subject *s, const struct tl_addr *remote, u32 reason, const struct tl_decision *d,
		struct tl_str service, struct tl_str own)
{
	struct tl_rec rec = {
		.role = TL_CLIENT, .remote = *remote, .service = service, .local_id = own,
		.pid = task_tgid_nr(current), .uid = from_kuid(&init_user_ns, current_euid()),
	};

	tl_device_denied(s, &rec, reason, d ? d->detail : NULL, d ? d->detail_len : 0);
	return -tl_rs_errno(reason);
}

/* What can be told at once. 0: go on; it may still be refused later. Policies that were asked are not asked again. */
static int verdict_now(struct tl_subject *s, const struct tl_addr *remote, struct tl_memo *memo)
{
	struct tl_question q = {
		.role = TL_CLIENT, .addr = *remote, .now_ms = tl_now_ms(), .process = &s->ev, .memo = memo,
	};
	struct tl_arena *cfg, *svid = NULL;
	struct tl_decision d = {};
	enum tl_grant grant;
	u32 identity, reason;
	struct tl_svid meta;
	int err = 0;

	spin_lock_bh(&s->lock);
	grant = s->grant;
	identity = s->identity;
	reason = s->reason;
	spin_unlock_bh(&s->lock);
	if (grant == TL_WAITING)
		return 0;
	cfg = tl_config_get();
	if (!cfg)
		return deny(s, remote, TL_R_NO_POLICY, NULL, (struct tl_str){}, (struct tl_str){});
	q.cfg = cfg->mem;
	q.service = tl_rs_service(q.cfg, remote);
	q.exe_sha256 = tl_subject_sha256(s);
	if (grant != TL_GRANTED) {
		if (tl_rs_goes_without(q.cfg, q.service, TL_CLIENT, reason))
			goto out;
		err = deny(s, remote, reason, NULL, tl_rs_service_name(q.cfg, q.service), (struct tl_str){});
		goto out;
	}
	svid = tl_identity_svid(identity, &reason, &meta);
	if (!svid)
		goto out;
	q.client_id = tl_rs_identity_id(svid->mem);
	tl_rs_decide(&q, &d);
	if (!d.allow && !tl_sabotaged('c'))
		err = deny(s, remote, d.reason, &d, tl_rs_service_name(q.cfg, q.service), q.client_id);
	/* Told as a refusal is, though it changes none. */
	if (err && tl_rs_observe(&q, &d))
		deny(s, remote, d.reason, &d, tl_rs_service_name(q.cfg, q.service), q.client_id);
out:
	tl_arena_put(svid);
	tl_arena_put(cfg);
	return err;
}

/* A stranger at a Service's door. */
static int deny_stranger(const struct tl_addr *remote, s32 index)
{
	struct tl_arena *cfg = tl_config_get();
	struct tl_str service = {}, nobody = {};
	int err;

	if (cfg)
		service = tl_rs_service_name(cfg->mem, index);
	err = deny(NULL, remote, TL_R_NO_IDENTITY, NULL, service, nobody);
	tl_arena_put(cfg);
	return err;
}

static int finish(struct tl_flow *flow, struct socket *sock, tl_sockaddr *addr, int len, int flags)
{
	if (smp_load_acquire(&flow->phase) == TL_FLOW_OPEN)
		/* The connection is there: this only brings the socket's own state up to date. */
		return plain(sock, addr, len, flags);
	WRITE_ONCE(sock->sk->sk_err, 0);
	return -flow->err;
}

static int wait_for(struct tl_flow *flow, struct socket *sock, tl_sockaddr *addr, int len, int flags)
{
	long left, timeo = sock_sndtimeo(sock->sk, flags & O_NONBLOCK);

	if (!timeo)
		return -EINPROGRESS;
	left = wait_event_interruptible_timeout(flow->wait, READ_ONCE(flow->phase) != TL_FLOW_PENDING, timeo);
	if (left == -ERESTARTSYS)
		return sock_intr_errno(timeo);
	return left ? finish(flow, sock, addr, len, flags) : -EINPROGRESS;
}

static void aim(struct tl_flow *flow, tl_sockaddr *addr, int len)
{
	memcpy(&flow->dest, addr, len);
	flow->dest_len = len;
	tl_addr_of(&flow->remote, (struct sockaddr *)addr, sock_net(flow->sk));
}

/* connect() on a socket that has a flow already. */
static int again(struct tl_flow *flow, struct socket *sock, tl_sockaddr *addr, int len, int flags)
{
	struct sock *sk = sock->sk;
	struct tl_memo memo = {};
	int err;

	switch (smp_load_acquire(&flow->phase)) {
	case TL_FLOW_PENDING:
		if (addr->sa_family == AF_UNSPEC) {
			tl_flow_cut(flow, TL_R_LOCAL_CLOSED);
			return 0;
		}
		return flags & O_NONBLOCK ? -EALREADY : wait_for(flow, sock, addr, len, flags);
	case TL_FLOW_OPEN:
		/* kTLS cannot be taken off a socket, so it cannot be reused. */
		return addr->sa_family == AF_UNSPEC ? -EOPNOTSUPP : plain(sock, addr, len, flags);
	case TL_FLOW_FAILED:
		break;
	}
	err = xchg(&sk->sk_err, 0);
	if (err)
		return -err;
	if (addr->sa_family == AF_UNSPEC)
		return 0;
	if (flow->ulp)
		return -ECONNABORTED;
	err = verdict_now(flow->subject, &flow->remote, &memo);
	if (err)
		return err;
	mutex_lock(&flow->lock);
	flow->reason = 0;
	flow->err = 0;
	flow->expired = false;
	flow->since_ns = 0;
	flow->plain = false;
	flow->exception = 0;
	flow->memo = memo;
	flow->stage = TL_STAGE_GRANT;
	aim(flow, addr, len);
	WRITE_ONCE(flow->phase, TL_FLOW_PENDING);
	mutex_unlock(&flow->lock);
	tl_flow_begin(flow);
	return wait_for(flow, sock, addr, len, flags);
}

static int first(struct tl_subject *s, const struct tl_memo *memo, struct socket *sock, tl_sockaddr *addr, int len,
		 int flags)
{
	struct sock *sk = sock->sk;
	struct tl_flow *flow;

	lock_sock(sk);
	flow = tl_flow_of(sock);
	if (flow || sock->state != SS_UNCONNECTED) {
		/* Another thread was quicker. */
		release_sock(sk);
		return flow ? again(flow, sock, addr, len, flags) : plain(sock, addr, len, flags);
	}
	flow = tl_flow_new(sock, TL_CLIENT, s);
	if (!flow) {
		release_sock(sk);
		return -ENOMEM;
	}
	flow->memo = *memo;
	aim(flow, addr, len);
	tl_flow_hook_sk(flow);
	__module_get(THIS_MODULE);
	module_put(sock->ops->owner);
	WRITE_ONCE(sock->ops, &flow->ops);
	release_sock(sk);
	tl_flow_begin(flow);
	return wait_for(flow, sock, addr, len, flags);
}

static int governed_connect(struct socket *sock, tl_sockaddr *addr, int len, int flags)
{
	struct tl_flow *flow = tl_flow_of(sock);
	struct tl_str none = {};
	struct tl_memo memo = {};
	struct tl_addr remote;
	struct tl_subject *s;
	s32 closed;
	int err;

	if (len < (int)sizeof(addr->sa_family) || len > (int)sizeof(struct sockaddr_storage))
		return -EINVAL;
	if (flow)
		return again(flow, sock, addr, len, flags);
	if (addr->sa_family == AF_UNSPEC || sock->state != SS_UNCONNECTED)
		return plain(sock, addr, len, flags);
	if (len < (addr->sa_family == AF_INET6 ? SIN6_LEN_RFC2133 : (int)sizeof(struct sockaddr_in)))
		return -EINVAL;
	tl_subjects_sweep_if_missed();
	s = tl_subject_current();
	tl_addr_of(&remote, (struct sockaddr *)addr, sock_net(sock->sk));
	closed = tl_config_closed_service(&remote);
	if (!s && closed < 0)
		return tl_sabotaged('h') ? -EACCES : plain(sock, addr, len, flags);
	if (!s && tl_sabotaged('c'))
		return plain(sock, addr, len, flags);
	if (s && tl_sabotaged('g') && s->grant == TL_WAITING && !tl_device_attended()) {
		tl_subject_put(s);
		return plain(sock, addr, len, flags);
	}
	if (!s)
		return deny_stranger(&remote, closed);
	if (tcp_sk(sock->sk)->fastopen_connect)
		err = deny(s, &remote, TL_R_UNSUPPORTED_SOCKET, NULL, none, none);
	else
		err = verdict_now(s, &remote, &memo);
	if (!err)
		err = first(s, &memo, sock, addr, len, flags);
	tl_subject_put(s);
	return err;
}

int tl_flow_connect(struct socket *sock, tl_sockaddr *addr, int len, int flags)
{
	int err;

	tl_enter();
	err = governed_connect(sock, addr, len, flags);
	tl_leave();
	return err;
}

/* sendto(MSG_FASTOPEN): bytes would leave with the SYN, before anybody proved anything. */
int tl_refuse_fastopen(struct socket *sock, tl_sockaddr *addr, int len, int flags, int is_sendmsg)
{
	struct tl_str none = {};
	struct tl_addr remote = {};
	struct tl_subject *s;

	tl_enter();
	s = tl_subject_of(current);
	tl_addr_of(&remote, (struct sockaddr *)addr, sock_net(sock->sk));
	deny(s, &remote, TL_R_UNSUPPORTED_SOCKET, NULL, none, none);
	tl_subject_put(s);
	tl_leave();
	return -EOPNOTSUPP;
}
