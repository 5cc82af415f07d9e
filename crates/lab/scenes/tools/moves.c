/*
 * Moves bytes between two ends of TCP connections in every way that Linux has, and prints what came of each call. Run
 * ungoverned and governed, what it prints has to be the same, but for what calls-differ.txt lists: to a program a
 * governed connection is a TCP connection.
 *
 *   moves PORT      both ends, on PORT of 127.0.0.1 and ::1
 *
 * What depends on time is not printed: how many calls a transfer took, how many bytes a call took of a buffer that
 * was full.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int port;
static void *volatile nowhere = (void *)16;
static const char *section;

static void begin(const char *name)
{
	section = name;
}

static long show(const char *what, long result)
{
	if (result < 0)
		printf("%s: %s: %s\n", section, what, strerrorname_np(errno));
	else
		printf("%s: %s: %ld\n", section, what, result);
	return result;
}

#define SHOW(call) show(#call, (long)(call))
#define NOTE(...) (printf("%s: ", section), printf(__VA_ARGS__), printf("\n"))

/* ---- ends of connections ------------------------------------------------------------------ */

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

enum kind { FOUR, SIX, MAPPED };

static socklen_t address(union address *out, enum kind kind)
{
	memset(out, 0, sizeof(*out));
	if (kind == FOUR) {
		out->four.sin_family = AF_INET;
		out->four.sin_port = htons(port);
		out->four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(out->four);
	}
	out->six.sin6_family = AF_INET6;
	out->six.sin6_port = htons(port);
	if (kind == SIX)
		out->six.sin6_addr = in6addr_loopback;
	else
		inet_pton(AF_INET6, "::ffff:127.0.0.1", &out->six.sin6_addr);
	return sizeof(out->six);
}

static int listening(enum kind kind, int flags)
{
	union address addr;
	socklen_t len = address(&addr, kind);
	int one = 1, fd = socket(addr.any.sa_family, SOCK_STREAM | flags, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &addr.any, len) || listen(fd, 16))
		SHOW(-1);
	return fd;
}

static int client_of(enum kind kind, int flags)
{
	union address addr;
	socklen_t len = address(&addr, kind);
	int fd = socket(addr.any.sa_family, SOCK_STREAM | flags, 0);

	if (connect(fd, &addr.any, len) && errno != EINPROGRESS)
		SHOW(-1);
	return fd;
}

/* A connection: the client's end and the server's. */
struct pair {
	int c, s;
};

static struct pair connected(enum kind kind)
{
	int l = listening(kind, 0);
	struct pair p = { .c = client_of(kind, 0) };

	p.s = accept(l, NULL, NULL);
	if (p.s < 0)
		SHOW(-1);
	close(l);
	return p;
}

static void done(struct pair p)
{
	close(p.c);
	close(p.s);
}

static short ready(int fd, short events, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, ms) < 0 ? -1 : pfd.revents;
}

/* Until there is something to read, or the end: then what poll says does not depend on time any more. */
static void arrived(int fd)
{
	ready(fd, POLLIN, 5000);
	usleep(20000);
}

static void pattern(char *buf, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (char)((i * 31 + seed) ^ (i >> 8));
}

static uint64_t sum(uint64_t hash, const char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)buf[i]) * 0x100000001b3ull;
	return hash;
}

#define SUM_BEGIN 0xcbf29ce484222325ull

struct drain {
	int fd;
	size_t len;
	uint64_t sum;
	int how;
};

/* Reads to the end. */
static void *drain(void *arg)
{
	struct drain *d = arg;
	static __thread char buf[70000];
	ssize_t n;

	d->sum = SUM_BEGIN;
	while ((n = read(d->fd, buf, sizeof(buf))) > 0) {
		d->len += n;
		d->sum = sum(d->sum, buf, n);
	}
	d->how = n < 0 ? errno : 0;
	return NULL;
}

static void await_drain(pthread_t thread, struct drain *d)
{
	pthread_join(thread, NULL);
	NOTE("%zu bytes, sum %016llx, then %s", d->len, (unsigned long long)d->sum, d->how ? strerrorname_np(d->how) : "end");
}

/* ---- one connection, many ways --------------------------------------------------------------- */

static void names(void)
{
	const struct { int level, name; const char *what; } options[] = {
		{ SOL_SOCKET, SO_TYPE, "SO_TYPE" }, { SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL" },
		{ SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN" }, { SOL_SOCKET, SO_ERROR, "SO_ERROR" },
		{ SOL_SOCKET, SO_ACCEPTCONN, "SO_ACCEPTCONN" }, { SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE" },
		{ SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR" }, { SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT" },
		{ IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY" }, { IPPROTO_TCP, TCP_CORK, "TCP_CORK" },
		{ IPPROTO_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE" }, { IPPROTO_TCP, TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT" },
		{ IPPROTO_TCP, TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT" },
		{ IPPROTO_IP, IP_TOS, "IP_TOS" }, { IPPROTO_IP, IP_TTL, "IP_TTL" },
	};
	const enum kind kinds[] = { FOUR, SIX, MAPPED };

	for (int k = 0; k < 3; k++) {
		struct pair p;
		union address addr;
		socklen_t len = sizeof(addr);
		char text[INET6_ADDRSTRLEN];

		begin((const char *[]){ "names v4", "names v6", "names mapped" }[k]);
		p = connected(kinds[k]);
		SHOW(getpeername(p.c, &addr.any, &len));
		NOTE("family %d port %d", addr.any.sa_family, ntohs(addr.four.sin_port) - port);
		if (addr.any.sa_family == AF_INET6)
			NOTE("%s", inet_ntop(AF_INET6, &addr.six.sin6_addr, text, sizeof(text)));
		len = sizeof(addr);
		SHOW(getsockname(p.s, &addr.any, &len));
		for (unsigned int i = 0; i < sizeof(options) / sizeof(*options); i++) {
			int value = -1;

			len = sizeof(value);
			show(options[i].what, getsockopt(p.c, options[i].level, options[i].name, &value, &len));
			NOTE("%s = %d", options[i].what, value);
		}
		SHOW(fcntl(p.s, F_GETFL) & O_NONBLOCK);
		SHOW(connect(p.c, &addr.any, address(&addr, kinds[k])));
		SHOW(listen(p.c, 1));
		SHOW(accept(p.c, NULL, NULL));
		SHOW(bind(p.c, &addr.any, len));
		done(p);
	}
}

static void small_pieces(void)
{
	struct pair p = connected(FOUR);
	char buf[64] = "", a[3], b[5];
	struct iovec out[] = { { "one", 3 }, { "", 0 }, { "twothree", 8 } }, in[] = { { a, 3 }, { NULL, 0 }, { b, 5 } };
	struct msghdr msg = { .msg_iov = in, .msg_iovlen = 3 };
	struct mmsghdr two[2] = { { .msg_hdr = { .msg_iov = out, .msg_iovlen = 1 } }, { .msg_hdr = { .msg_iov = out + 2, .msg_iovlen = 1 } } };
	int waiting = -1;

	begin("small pieces");
	SHOW(write(p.c, "hello", 5));
	SHOW(read(p.s, buf, 2));
	SHOW(read(p.s, buf + 2, 60));
	NOTE("%s", buf);
	SHOW(write(p.c, "", 0));
	SHOW(recv(p.s, buf, sizeof(buf), MSG_DONTWAIT));
	SHOW(writev(p.c, out, 3));
	arrived(p.s);
	SHOW(recvmsg(p.s, &msg, 0));
	NOTE("%.3s %.5s flags %x", a, b, msg.msg_flags);
	SHOW(ioctl(p.s, FIONREAD, &waiting));
	NOTE("waiting %d", waiting);
	SHOW(recv(p.s, buf, 64, MSG_DONTWAIT));
	SHOW(sendmmsg(p.s, two, 2, 0));
	arrived(p.c);
	SHOW(recv(p.c, buf, 11, MSG_WAITALL));
	NOTE("%.11s", buf);
	SHOW(send(p.c, "x", 1, MSG_MORE));
	SHOW(send(p.c, "y", 1, 0));
	SHOW(recv(p.s, buf, 2, MSG_WAITALL));
	NOTE("%.2s", buf);
	SHOW(read(p.s, buf, 0));
	SHOW(recv(p.s, NULL, 0, MSG_DONTWAIT));
	SHOW(write(p.c, nowhere, 10));
	SHOW(write(p.c, "z", 1));
	arrived(p.s);
	SHOW(read(p.s, nowhere, 10));
	SHOW(recv(p.s, buf, 64, MSG_DONTWAIT));
	done(p);
}

static void peeking(void)
{
	struct pair p = connected(SIX);
	char buf[64] = "";
	int one = 1;

	begin("peeking");
	SHOW(write(p.s, "abcdef", 6));
	arrived(p.c);
	SHOW(recv(p.c, buf, 3, MSG_PEEK));
	SHOW(recv(p.c, buf, 64, MSG_PEEK));
	NOTE("%s", buf);
	SHOW(recv(p.c, buf, 2, MSG_TRUNC));
	memset(buf, 0, sizeof(buf));
	SHOW(recv(p.c, buf, 64, MSG_DONTWAIT));
	NOTE("%s", buf);
	SHOW(recv(p.c, buf, 64, MSG_PEEK | MSG_DONTWAIT));
	SHOW(write(p.s, "gh", 2));
	arrived(p.c);
	SHOW(write(p.s, "ij", 2));
	usleep(50000);
	memset(buf, 0, sizeof(buf));
	SHOW(recv(p.c, buf, 4, MSG_PEEK | MSG_WAITALL));
	NOTE("%s", buf);
	SHOW(recv(p.c, buf, 4, MSG_WAITALL));
	SHOW(setsockopt(p.c, SOL_SOCKET, SO_PEEK_OFF, &one, sizeof(one)));
	done(p);
}

static void readiness(void)
{
	struct pair p = connected(FOUR);
	struct epoll_event level = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP }, edge = { .events = EPOLLIN | EPOLLET | EPOLLRDHUP }, got;
	int le = epoll_create1(0), ee = epoll_create1(0);
	struct timeval soon = { .tv_usec = 50000 };
	char buf[8];
	fd_set set;

	begin("readiness");
	NOTE("idle %x", ready(p.s, POLLIN | POLLOUT | POLLRDHUP, 0));
	SHOW(epoll_ctl(le, EPOLL_CTL_ADD, p.s, &level));
	SHOW(epoll_ctl(ee, EPOLL_CTL_ADD, p.s, &edge));
	SHOW(epoll_wait(le, &got, 1, 0));
	NOTE("level %x", got.events);
	SHOW(epoll_wait(ee, &got, 1, 50));
	SHOW(write(p.c, "12", 2));
	SHOW(epoll_wait(ee, &got, 1, 5000));
	NOTE("edge %x", got.events);
	arrived(p.s);
	SHOW(epoll_wait(ee, &got, 1, 50));
	SHOW(read(p.s, buf, 1));
	SHOW(epoll_wait(ee, &got, 1, 50));
	SHOW(epoll_wait(le, &got, 1, 50));
	NOTE("level %x", got.events);
	SHOW(write(p.c, "3", 1));
	SHOW(epoll_wait(ee, &got, 1, 5000));
	FD_ZERO(&set);
	FD_SET(p.s, &set);
	SHOW(select(p.s + 1, &set, NULL, NULL, &soon));
	usleep(50000);
	SHOW(read(p.s, buf, 8));
	NOTE("read out %x", ready(p.s, POLLIN | POLLOUT | POLLRDHUP, 0));
	FD_ZERO(&set);
	FD_SET(p.s, &set);
	SHOW(select(p.s + 1, &set, NULL, NULL, &soon));
	SHOW(shutdown(p.c, SHUT_WR));
	SHOW(epoll_wait(ee, &got, 1, 5000));
	usleep(50000);
	NOTE("half closed %x", ready(p.s, POLLIN | POLLOUT | POLLRDHUP, 0));
	SHOW(read(p.s, buf, 8));
	SHOW(read(p.s, buf, 8));
	NOTE("after the end %x", ready(p.s, POLLIN | POLLOUT | POLLRDHUP, 0));
	close(p.s);
	usleep(50000);
	NOTE("both closed %x", ready(p.c, POLLIN | POLLOUT | POLLRDHUP, 0));
	close(p.c);
	close(le);
	close(ee);
}

static void half_close(void)
{
	struct pair p = connected(MAPPED);
	char buf[16] = "";

	begin("half close");
	SHOW(shutdown(p.c, SHUT_WR));
	SHOW(write(p.c, "x", 1));
	SHOW(read(p.s, buf, 16));
	SHOW(write(p.s, "back", 4));
	SHOW(read(p.c, buf, 16));
	NOTE("%s", buf);
	SHOW(shutdown(p.c, SHUT_WR));
	SHOW(shutdown(p.c, 7));
	SHOW(shutdown(p.s, SHUT_RD));
	SHOW(read(p.s, buf, 16));
	SHOW(write(p.s, "more", 4));
	SHOW(read(p.c, buf, 16));
	SHOW(shutdown(p.s, SHUT_RDWR));
	SHOW(write(p.s, "x", 1));
	SHOW(read(p.c, buf, 16));
	done(p);
	p = connected(FOUR);
	SHOW(write(p.c, "unread", 6));
	arrived(p.s);
	SHOW(shutdown(p.s, SHUT_RD));
	SHOW(read(p.s, buf, 16));
	SHOW(read(p.s, buf, 16));
	done(p);
}

static void broken(void)
{
	struct linger linger = { .l_onoff = 1 };
	struct pair p = connected(FOUR);
	char buf[16];

	begin("broken");
	setsockopt(p.s, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	SHOW(write(p.s, "lost?", 5));
	arrived(p.c);
	SHOW(read(p.c, buf, 16));
	close(p.s);
	usleep(50000);
	NOTE("reset %x", ready(p.c, POLLIN | POLLOUT | POLLRDHUP, 1000));
	SHOW(read(p.c, buf, 16));
	SHOW(read(p.c, buf, 16));
	SHOW(write(p.c, "x", 1));
	SHOW(send(p.c, "x", 1, MSG_NOSIGNAL));
	close(p.c);
	/* What is written to one who has gone: first taken, then refused. */
	p = connected(FOUR);
	close(p.s);
	usleep(50000);
	NOTE("gone %x", ready(p.c, POLLIN | POLLRDHUP, 1000));
	SHOW(write(p.c, "x", 1));
	usleep(50000);
	SHOW(write(p.c, "x", 1));
	SHOW(read(p.c, buf, 16));
	close(p.c);
	/* Closed with data unread: a reset. */
	p = connected(SIX);
	SHOW(write(p.c, "unread", 6));
	arrived(p.s);
	close(p.s);
	usleep(50000);
	SHOW(read(p.c, buf, 16));
	close(p.c);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void waiting(void)
{
	struct sigaction interrupting = { .sa_handler = on_alarm };
	struct timeval soon = { .tv_usec = 60000 }, none = { 0 };
	struct pair p = connected(FOUR);
	char buf[16];

	begin("waiting");
	setsockopt(p.c, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	SHOW(read(p.c, buf, 16));
	setsockopt(p.c, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
	sigaction(SIGUSR1, &interrupting, NULL);
	if (!fork()) {
		usleep(200000);
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	SHOW(read(p.c, buf, 16));
	wait(NULL);
	SHOW(write(p.s, "still there", 11));
	SHOW(recv(p.c, buf, 11, MSG_WAITALL));
	done(p);
}

static void *shut(void *arg)
{
	usleep(100000);
	shutdown(*(int *)arg, SHUT_RDWR);
	return NULL;
}

static void others(void)
{
	struct pair p = connected(FOUR);
	char buf[16] = "";
	pthread_t thread;
	int status, copy;

	begin("other threads and processes");
	pthread_create(&thread, NULL, shut, &p.c);
	SHOW(read(p.c, buf, 16));
	pthread_join(thread, NULL);
	SHOW(read(p.s, buf, 16));
	done(p);
	p = connected(FOUR);
	if (!fork()) {
		status = write(p.c, "child", 5) == 5 && read(p.c, buf, 2) == 2;
		close(p.c);
		_exit(status);
	}
	SHOW(recv(p.s, buf, 5, MSG_WAITALL));
	SHOW(write(p.s, "ok", 2));
	wait(&status);
	NOTE("child %d", WEXITSTATUS(status));
	copy = dup(p.c);
	close(p.c);
	SHOW(write(copy, "dup", 3));
	SHOW(recv(p.s, buf, 3, MSG_WAITALL));
	NOTE("%.5s", buf);
	close(copy);
	SHOW(read(p.s, buf, 16));
	close(p.s);
}

static void passed_on(void)
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	struct pair p = connected(FOUR);
	char buf[16] = "";
	int ends[2], got;

	begin("passed on");
	SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &p.c, sizeof(int));
	SHOW(sendmsg(ends[0], &msg, 0));
	SHOW(recvmsg(ends[1], &msg, 0));
	memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	close(p.c);
	SHOW(write(got, "passed", 6));
	SHOW(recv(p.s, buf, 6, MSG_WAITALL));
	NOTE("%s", buf);
	close(got);
	close(p.s);
	close(ends[0]);
	close(ends[1]);
}

/* ---- much --------------------------------------------------------------------------------------- */

enum { MUCH = 1 << 20 };

static char much[MUCH];

static void *write_all(void *arg)
{
	int fd = *(int *)arg;
	size_t at = 0, step = 1;

	while (at < MUCH) {
		size_t left = MUCH - at;
		ssize_t n = write(fd, much + at, step < left ? step : left);

		if (n <= 0)
			break;
		at += n;
		step = step * 3 + 7;
		if (step > 200000)
			step = 1;
	}
	shutdown(fd, SHUT_WR);
	return NULL;
}

static void both_ways(void)
{
	struct pair p = connected(FOUR);
	struct drain at_c = { .fd = p.c }, at_s = { .fd = p.s };
	pthread_t threads[4];

	begin("both ways at once");
	pthread_create(&threads[0], NULL, drain, &at_c);
	pthread_create(&threads[1], NULL, drain, &at_s);
	pthread_create(&threads[2], NULL, write_all, &p.c);
	pthread_create(&threads[3], NULL, write_all, &p.s);
	pthread_join(threads[2], NULL);
	pthread_join(threads[3], NULL);
	await_drain(threads[0], &at_c);
	await_drain(threads[1], &at_s);
	done(p);
}

static void from_files(void)
{
	struct pair p = connected(FOUR);
	struct drain d = { .fd = p.s };
	int file = memfd_create("moves", 0), pipes[2], teed[2];
	pthread_t thread;
	loff_t at = 0;
	long n, sent = 0;

	begin("from files");
	SHOW(write(file, much, MUCH));
	pthread_create(&thread, NULL, drain, &d);
	while (at < MUCH && (n = sendfile(p.c, file, &at, MUCH)) > 0)
		sent += n;
	NOTE("sendfile %ld", sent);
	SHOW(pipe(pipes));
	SHOW(pipe(teed));
	at = 5;
	SHOW(splice(file, &at, pipes[1], NULL, 10000, 0));
	SHOW(tee(pipes[0], teed[1], 10000, 0));
	SHOW(splice(pipes[0], NULL, p.c, NULL, 10000, SPLICE_F_MORE));
	SHOW(splice(teed[0], NULL, p.c, NULL, 10000, 0));
	SHOW(vmsplice(pipes[1], &(struct iovec){ much, 4096 }, 1, 0));
	SHOW(splice(pipes[0], NULL, p.c, NULL, 4096, 0));
	shutdown(p.c, SHUT_WR);
	await_drain(thread, &d);
	/* And back: from the socket into a pipe. */
	SHOW(write(p.s, much, 5000));
	arrived(p.c);
	for (sent = 0; sent < 5000 && (n = splice(p.c, NULL, pipes[1], NULL, 5000 - sent, 0)) > 0;)
		sent += n;
	NOTE("splice %ld", sent);
	fcntl(p.c, F_SETFL, O_NONBLOCK);
	SHOW(splice(p.c, NULL, pipes[1], NULL, 5000, SPLICE_F_NONBLOCK));
	fcntl(p.c, F_SETFL, 0);
	for (sent = 0; sent < 5000 && (n = read(pipes[0], much + sent, 5000 - sent)) > 0;)
		sent += n;
	NOTE("sum %016llx", (unsigned long long)sum(SUM_BEGIN, much, 5000));
	close(p.s);
	SHOW(splice(p.c, NULL, pipes[1], NULL, 5000, 0));
	close(p.c);
	close(file);
	for (int i = 0; i < 2; i++) {
		close(pipes[i]);
		close(teed[i]);
	}
}

static void full(void)
{
	struct pair p = connected(FOUR);
	struct drain d = { .fd = p.s };
	struct timeval soon = { .tv_usec = 60000 };
	struct epoll_event edge = { .events = EPOLLOUT | EPOLLET }, got;
	int ep = epoll_create1(0), err;
	uint64_t hash = SUM_BEGIN;
	pthread_t thread;
	size_t sent = 0;
	ssize_t n;

	begin("full");
	fcntl(p.c, F_SETFL, O_NONBLOCK);
	while ((n = write(p.c, much, 30000)) > 0) {
		sent += n;
		hash = sum(hash, much, n);
	}
	err = errno;
	NOTE("then %s", strerrorname_np(err));
	/* The last of it may still be on its way from one queue to the other. */
	usleep(200000);
	while ((n = write(p.c, much, 30000)) > 0) {
		sent += n;
		hash = sum(hash, much, n);
	}
	NOTE("full %x", ready(p.c, POLLIN | POLLOUT, 0));
	epoll_ctl(ep, EPOLL_CTL_ADD, p.c, &edge);
	SHOW(epoll_wait(ep, &got, 1, 50));
	fcntl(p.c, F_SETFL, 0);
	setsockopt(p.c, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
	n = write(p.c, much, 60000);
	NOTE("not all of it: %d", n < 60000);
	if (n > 0) {
		sent += n;
		hash = sum(hash, much, n);
	}
	pthread_create(&thread, NULL, drain, &d);
	SHOW(epoll_wait(ep, &got, 1, 5000));
	NOTE("room %x", got.events);
	shutdown(p.c, SHUT_WR);
	pthread_join(thread, NULL);
	NOTE("all of it: %d", d.len == sent && d.sum == hash);
	done(p);
	close(ep);
}

/* ---- connecting and accepting ---------------------------------------------------------------------- */

static void without_waiting(void)
{
	int l = listening(FOUR, SOCK_NONBLOCK), c, s, err = -1;
	socklen_t len = sizeof(err);
	union address addr;
	char buf[16] = "";

	begin("without waiting");
	SHOW(accept4(l, NULL, NULL, SOCK_NONBLOCK));
	NOTE("nobody %x", ready(l, POLLIN | POLLOUT, 0));
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	NOTE("fresh %x", ready(c, POLLIN | POLLOUT, 0));
	errno = 0;
	if (connect(c, &addr.any, address(&addr, FOUR)))
		NOTE("connect: %s", errno == EINPROGRESS ? "in progress" : strerrorname_np(errno));
	NOTE("connected %x", ready(c, POLLOUT, 5000));
	SHOW(getsockopt(c, SOL_SOCKET, SO_ERROR, &err, &len));
	NOTE("error %d", err);
	SHOW(connect(c, &addr.any, address(&addr, FOUR)));
	NOTE("someone %x", ready(l, POLLIN, 5000));
	s = SHOW(accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0 ? -1 : 0;
	if (s == 0) {
		/* accept4 gave the lowest free descriptor. */
		for (s = 3; s < 64; s++)
			if (s != l && s != c && fcntl(s, F_GETFD) >= 0)
				break;
		SHOW(fcntl(s, F_GETFL) & O_NONBLOCK);
		SHOW(fcntl(s, F_GETFD));
		SHOW(read(s, buf, 16));
		SHOW(write(c, "now", 3));
		arrived(s);
		SHOW(read(s, buf, 16));
	}
	close(s);
	close(c);
	SHOW(accept(l, NULL, NULL));
	close(l);
	/* Nobody listens any more. */
	c = socket(AF_INET, SOCK_STREAM, 0);
	SHOW(connect(c, &addr.any, address(&addr, FOUR)));
	SHOW(connect(c, &addr.any, address(&addr, FOUR)));
	close(c);
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (connect(c, &addr.any, address(&addr, FOUR)) && errno != EINPROGRESS)
		NOTE("connect: %s", strerrorname_np(errno));
	NOTE("refused %x", ready(c, POLLOUT, 5000));
	len = sizeof(err);
	SHOW(getsockopt(c, SOL_SOCKET, SO_ERROR, &err, &len));
	NOTE("error %s", strerrorname_np(err));
	close(c);
}

static void many(void)
{
	int l = listening(SIX, 0), c[40], served = 0;
	char byte;

	begin("many at once");
	for (int i = 0; i < 12; i++)
		c[i] = client_of(SIX, SOCK_NONBLOCK);
	for (int i = 0; i < 12; i++) {
		int s = accept(l, NULL, NULL);

		if (s < 0)
			break;
		if (write(s, "b", 1) == 1)
			served++;
		close(s);
	}
	NOTE("accepted %d", served);
	served = 0;
	for (int i = 0; i < 12; i++) {
		fcntl(c[i], F_SETFL, 0);
		served += read(c[i], &byte, 1) == 1;
		served += read(c[i], &byte, 1) == 0;
		close(c[i]);
	}
	NOTE("read %d", served);
	close(l);
}

static void undone(void)
{
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	struct pair p = connected(FOUR);
	union address addr;
	char buf[16];
	int l;

	begin("undone");
	if (SHOW(connect(p.c, &nobody, sizeof(nobody)))) {
		done(p);
		return;
	}
	usleep(50000);
	SHOW(read(p.s, buf, 16));
	SHOW(write(p.c, "x", 1));
	close(p.s);
	l = listening(FOUR, 0);
	SHOW(connect(p.c, &addr.any, address(&addr, FOUR)));
	p.s = accept(l, NULL, NULL);
	SHOW(write(p.c, "again", 5));
	SHOW(recv(p.s, buf, 5, MSG_WAITALL));
	NOTE("%.5s", buf);
	done(p);
	close(l);
}

static void zero_copy(void)
{
	struct pair p = connected(FOUR);
	char buf[16] = "", control[256];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	int one = 1;

	begin("zero copy");
	SHOW(setsockopt(p.c, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)));
	if (SHOW(send(p.c, "zero copies", 11, MSG_ZEROCOPY)) > 0) {
		SHOW(recv(p.s, buf, 11, MSG_WAITALL));
		NOTE("%.11s", buf);
		NOTE("completion %x", ready(p.c, 0, 1000));
		SHOW(recvmsg(p.c, &msg, MSG_ERRQUEUE | MSG_DONTWAIT));
	}
	done(p);
}

static void odd(void)
{
	struct pair p = connected(FOUR);
	char buf[256] = "";
	int one = 1;

	begin("odd");
	SHOW(setsockopt(p.s, SOL_SOCKET, SO_TIMESTAMP, &one, sizeof(one)));
	SHOW(setsockopt(p.s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	SHOW(setsockopt(p.s, IPPROTO_TCP, TCP_CORK, &one, sizeof(one)));
	one = 0;
	SHOW(write(p.s, "corked", 6));
	SHOW(setsockopt(p.s, IPPROTO_TCP, TCP_CORK, &one, sizeof(one)));
	SHOW(recv(p.c, buf, 6, MSG_WAITALL));
	one = 100;
	SHOW(setsockopt(p.s, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one)));
	SHOW(write(p.c, much, 50));
	usleep(50000);
	NOTE("too little %x", ready(p.s, POLLIN, 50));
	SHOW(write(p.c, much, 50));
	NOTE("enough %x", ready(p.s, POLLIN, 5000));
	SHOW(recv(p.s, buf, 100, 0));
	SHOW(sendto(p.c, "named", 5, 0, NULL, 0));
	SHOW(recvfrom(p.s, buf, 5, MSG_DONTWAIT, NULL, NULL));
	SHOW(ioctl(p.s, 0x5421 /* FIONBIO */, &one));
	SHOW(read(p.s, buf, 16));
	SHOW(mmap(NULL, 4096, PROT_READ, MAP_SHARED, p.c, 0) == MAP_FAILED ? -1 : 0);
	SHOW(lseek(p.c, 0, SEEK_SET));
	SHOW(pread(p.c, buf, 1, 0));
	done(p);
}

static void urgent(void)
{
	struct pair p = connected(FOUR);

	begin("urgent");
	SHOW(send(p.c, "!", 1, MSG_OOB));
	done(p);
}

int main(int argc, char **argv)
{
	port = argc > 1 ? atoi(argv[1]) : 7600;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	alarm(120);
	pattern(much, MUCH, 7);
	names();
	small_pieces();
	peeking();
	readiness();
	half_close();
	broken();
	waiting();
	others();
	passed_on();
	both_ways();
	from_files();
	pattern(much, MUCH, 7);
	full();
	without_waiting();
	many();
	undone();
	zero_copy();
	odd();
	urgent();
	begin("end");
	NOTE("of it");
	return 0;
}
