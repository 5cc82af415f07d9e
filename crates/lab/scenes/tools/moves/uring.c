/* Calls that are handed to the kernel by io_uring. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "moves.h"
#include "uring.h"

enum { GROUP = 7, BUFFERS = 4, BUFFER = 256 };

static const char *named(int res)
{
	static char text[16];

	if (res < 0)
		return strerrorname_np(-res);
	snprintf(text, sizeof(text), "%d", res);
	return text;
}

/* Prints what came of a request: descriptors have no number that matters. */
static int completed(struct ring *ring, const char *what, bool descriptor)
{
	struct completion cqe = ring_wait(ring);

	NOTE("%s: %s%s%s", what, descriptor && cqe.res >= 0 ? "a descriptor" : named(cqe.res),
	     cqe.flags & IORING_CQE_F_MORE ? " and more" : "", cqe.flags & IORING_CQE_F_NOTIF ? " (word)" : "");
	return cqe.res;
}

static int ask(struct ring *ring, const char *what, struct io_uring_sqe sqe)
{
	ring_submit(ring, &sqe, 1);
	return completed(ring, what, false);
}

static struct io_uring_sqe connecting(int fd, const union address *addr, socklen_t len)
{
	return (struct io_uring_sqe){ .opcode = IORING_OP_CONNECT, .fd = fd, .addr = (uintptr_t)addr, .off = len };
}

static struct io_uring_sqe moving(int opcode, int fd, const void *buf, unsigned int len)
{
	return (struct io_uring_sqe){ .opcode = opcode, .fd = fd, .addr = (uintptr_t)buf, .len = len };
}

/* Both ends by io_uring: accept waits before connect is asked for. */
static struct pair connected_by(struct ring *ring, enum kind kind)
{
	int l = listening(kind, 0);
	struct io_uring_sqe accepting = { .opcode = IORING_OP_ACCEPT, .fd = l, .user_data = 1 };
	union address addr;
	socklen_t len = address(&addr, kind);
	struct pair p = { .c = socket(addr.any.sa_family, SOCK_STREAM, 0), .s = -1 };
	struct io_uring_sqe connect = connecting(p.c, &addr, len);

	ring_submit(ring, &accepting, 1);
	ring_submit(ring, &connect, 1);
	for (int i = 0; i < 2; i++) {
		struct completion cqe = ring_wait(ring);

		if (cqe.user_data)
			p.s = cqe.res;
		else
			NOTE("connected: %s", named(cqe.res));
	}
	NOTE("accepted: %s", p.s >= 0 ? "a descriptor" : named(p.s));
	close(l);
	return p;
}

static void exchange(struct ring *ring, struct pair p, unsigned char flags)
{
	char buf[64] = "";
	struct io_uring_sqe receive = moving(IORING_OP_RECV, p.s, buf, sizeof(buf));
	struct io_uring_sqe send = moving(IORING_OP_SEND, p.c, "by the ring", 11);

	receive.flags = send.flags = flags;
	ring_submit(ring, &receive, 1);
	usleep(20000);
	send.user_data = 1;
	ring_submit(ring, &send, 1);
	for (int i = 0; i < 2; i++) {
		struct completion cqe = ring_wait(ring);

		/* Which comes first is left open. */
		if (cqe.res != 11)
			NOTE("%s: %s", cqe.user_data ? "sent" : "received", named(cqe.res));
	}
	NOTE("it says %s", buf);
}

static void registered(struct ring *ring, struct pair p)
{
	int both[] = { p.c, p.s };
	static char area[4096];
	struct iovec iov = { area, sizeof(area) };
	struct io_uring_sqe fixed = moving(IORING_OP_WRITE_FIXED, p.c, area, 5);

	SHOW(ring_register(ring, IORING_REGISTER_FILES, both, 2));
	exchange(ring, (struct pair){ .c = 0, .s = 1 }, IOSQE_FIXED_FILE);
	SHOW(ring_register(ring, IORING_REGISTER_BUFFERS, &iov, 1));
	memcpy(area, "fixed", 5);
	ask(ring, "written", fixed);
	ask(ring, "read", moving(IORING_OP_READ_FIXED, p.s, area + 100, 16));
	NOTE("it says %.5s", area + 100);
	SHOW(ring_register(ring, IORING_UNREGISTER_BUFFERS, NULL, 0));
	SHOW(ring_register(ring, IORING_UNREGISTER_FILES, NULL, 0));
}

static void messages(struct ring *ring, struct pair p)
{
	char a[8] = "", b[8] = "";
	struct iovec out[] = { { "scat", 4 }, { "tered", 5 } }, in[] = { { a, 3 }, { b, 7 } };
	struct msghdr sent = { .msg_iov = out, .msg_iovlen = 2 }, got = { .msg_iov = in, .msg_iovlen = 2 };
	struct io_uring_sqe looking = { .opcode = IORING_OP_POLL_ADD, .fd = p.s, .poll32_events = POLLIN };

	ring_submit(ring, &looking, 1);
	ask(ring, "sendmsg", moving(IORING_OP_SENDMSG, p.c, &sent, 1));
	completed(ring, "poll", false);
	ask(ring, "recvmsg", moving(IORING_OP_RECVMSG, p.s, &got, 1));
	NOTE("it says %s %s", a, b);
	ask(ring, "writev", moving(IORING_OP_WRITEV, p.c, out, 2));
	memset(b, 0, sizeof(b));
	ask(ring, "readv", moving(IORING_OP_READV, p.s, in, 2));
	NOTE("it says %s %s", a, b);
}

static void zero_copies(struct ring *ring, struct pair p)
{
	struct io_uring_sqe sqe = moving(IORING_OP_SEND_ZC, p.c, much, 3000);
	static char buf[3000];

	ask(ring, "zero-copy send", sqe);
	completed(ring, "its pages are free", false);
	SHOW(recv(p.s, buf, sizeof(buf), MSG_WAITALL));
	NOTE("it is %s", memcmp(buf, much, sizeof(buf)) ? "something else" : "the same");
}

static void given_up(struct ring *ring, struct pair p)
{
	char buf[16] = "";
	struct __kernel_timespec soon = { .tv_nsec = 50000000 };
	struct io_uring_sqe linked[] = {
		moving(IORING_OP_RECV, p.s, buf, sizeof(buf)),
		{ .opcode = IORING_OP_LINK_TIMEOUT, .addr = (uintptr_t)&soon, .len = 1, .user_data = 1 },
	};
	struct io_uring_sqe receive = moving(IORING_OP_RECV, p.s, buf, sizeof(buf));

	linked[0].flags = IOSQE_IO_LINK;
	ring_submit(ring, linked, 2);
	for (int i = 0; i < 2; i++) {
		struct completion cqe = ring_wait(ring);

		if (!cqe.user_data)
			NOTE("after a time-out: %s", named(cqe.res));
	}
	receive.user_data = 9;
	ring_submit(ring, &receive, 1);
	ring_submit(ring, &(struct io_uring_sqe){ .opcode = IORING_OP_ASYNC_CANCEL, .addr = 9 }, 1);
	for (int i = 0; i < 2; i++) {
		struct completion cqe = ring_wait(ring);

		NOTE("%s: %s", cqe.user_data ? "what was cancelled" : "cancelling", named(cqe.res));
	}
	ask(ring, "sent", moving(IORING_OP_SEND, p.c, "later", 5));
	ask(ring, "received", moving(IORING_OP_RECV, p.s, buf, sizeof(buf)));
	NOTE("it says %s", buf);
}

/* One request that completes for each connection, and one for each piece. */
static void many_shots(struct ring *ring)
{
	static char area[BUFFERS * BUFFER];
	int l = listening(FOUR, 0), fds[3];
	struct io_uring_sqe accepting = {
		.opcode = IORING_OP_ACCEPT, .fd = l, .ioprio = IORING_ACCEPT_MULTISHOT, .user_data = 1,
	};
	struct io_uring_sqe provide = {
		.opcode = IORING_OP_PROVIDE_BUFFERS, .fd = BUFFERS, .addr = (uintptr_t)area, .len = BUFFER,
		.buf_group = GROUP,
	};
	struct io_uring_sqe receive = {
		.opcode = IORING_OP_RECV, .ioprio = IORING_RECV_MULTISHOT, .flags = IOSQE_BUFFER_SELECT,
		.buf_group = GROUP,
	};
	int clients[3];

	ring_submit(ring, &accepting, 1);
	for (int i = 0; i < 3; i++) {
		clients[i] = client_of(FOUR, 0);
		fds[i] = completed(ring, "accepted", true);
	}
	close(clients[1]);
	close(fds[1]);
	ask(ring, "buffers", provide);
	receive.fd = fds[0];
	ring_submit(ring, &receive, 1);
	for (int i = 0; i < 3; i++) {
		SHOW(write(clients[0], "piece", 5));
		completed(ring, "received", false);
	}
	close(clients[0]);
	completed(ring, "the end", false);
	close(fds[0]);
	close(clients[2]);
	close(fds[2]);
	/* Its request holds the listener. */
	ring_submit(ring, &(struct io_uring_sqe){ .opcode = IORING_OP_ASYNC_CANCEL, .addr = 1 }, 1);
	for (int i = 0; i < 2; i++) {
		struct completion cqe = ring_wait(ring);

		NOTE("%s: %s", cqe.user_data ? "accepting" : "cancelling", named(cqe.res));
	}
	close(l);
}

static void refused(struct ring *ring)
{
	union address addr;
	socklen_t len = address(&addr, SIX);
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	ask(ring, "nobody listens", connecting(fd, &addr, len));
	ask(ring, "closed", (struct io_uring_sqe){ .opcode = IORING_OP_CLOSE, .fd = fd });
}

void by_ring(void)
{
	struct ring ring;
	struct pair p;

	begin("io_uring");
	if (SHOW(ring_open(&ring, 0)))
		return;
	p = connected_by(&ring, FOUR);
	exchange(&ring, p, 0);
	exchange(&ring, p, IOSQE_ASYNC);
	registered(&ring, p);
	messages(&ring, p);
	zero_copies(&ring, p);
	zero_copies(&ring, (struct pair){ .c = p.s, .s = p.c });
	given_up(&ring, p);
	ask(&ring, "shut down", (struct io_uring_sqe){ .opcode = IORING_OP_SHUTDOWN, .fd = p.c, .len = SHUT_WR });
	ask(&ring, "the end", moving(IORING_OP_RECV, p.s, &(char){ 0 }, 1));
	done(p);
	refused(&ring);
	many_shots(&ring);
	ring_close(&ring);
	begin("io_uring polled");
	if (SHOW(ring_open(&ring, IORING_SETUP_SQPOLL)))
		return;
	p = connected_by(&ring, SIX);
	exchange(&ring, p, 0);
	messages(&ring, p);
	done(p);
	ring_close(&ring);
}
