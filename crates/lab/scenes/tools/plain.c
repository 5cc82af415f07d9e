/*
 * Uses sockets in every way that Tidelock could disturb, and prints what came of each call. Run under strace before
 * the module was ever loaded and again beside it, what it prints and what strace sees have to be the same: so it
 * chooses its own ports, never leaves two ends to race each other, and asks for nothing that depends on time.
 *
 *   plain PORT      uses PORT to PORT+9 on loopback
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#define SOL_TLS_ 282
#define TLS_TX_ 1

static int base;

#define SHOW(call) show(#call, (long)(call))

static long show(const char *what, long result)
{
	if (result < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, result);
	return result;
}

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

static socklen_t loopback(union address *out, int family, int port)
{
	memset(out, 0, sizeof(*out));
	if (family == AF_INET6) {
		out->six.sin6_family = AF_INET6;
		out->six.sin6_port = htons(port);
		out->six.sin6_addr = in6addr_loopback;
		return sizeof(out->six);
	}
	out->four.sin_family = AF_INET;
	out->four.sin_port = htons(port);
	out->four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sizeof(out->four);
}

/* A socket bound to a port, that leaves no trace when it is closed. */
static int bound(int family, int flags, int protocol, int port)
{
	struct linger linger = { .l_onoff = 1 };
	union address addr;
	int one = 1, fd = SHOW(socket(family, SOCK_STREAM | flags, protocol));

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	SHOW(bind(fd, &addr.any, loopback(&addr, family, port)));
	return fd;
}

static int listener(int family, int protocol, int port)
{
	int fd = bound(family, 0, protocol, port);

	SHOW(listen(fd, 8));
	return fd;
}

static int to(int fd, int family, int port)
{
	union address addr;
	socklen_t len = loopback(&addr, family, port);

	return SHOW(connect(fd, &addr.any, len));
}

static int error_of(int fd)
{
	socklen_t len = sizeof(int);
	int err = -1;

	SHOW(getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len));
	return err;
}

static void names(int fd)
{
	union address addr;
	socklen_t len = sizeof(addr);

	SHOW(getsockname(fd, &addr.any, &len));
	printf("own port %d\n", ntohs(addr.four.sin_port) - base);
	len = sizeof(addr);
	SHOW(getpeername(fd, &addr.any, &len));
	printf("peer's port %d\n", ntohs(addr.four.sin_port) - base);
}

static void wait_for(int fd, short events)
{
	SHOW(poll(&(struct pollfd){ .fd = fd, .events = events }, 1, 10000));
}

/* Bytes each way by every call that carries them. */
static void exchange(int a, int b)
{
	char buffer[64] = "";
	int file = memfd_create("bytes", MFD_CLOEXEC), pipes[2];

	SHOW(write(a, "write", 5));
	SHOW(recv(b, buffer, sizeof(buffer), MSG_PEEK));
	SHOW(read(b, buffer, sizeof(buffer)));
	SHOW(send(b, "send", 4, MSG_MORE));
	SHOW(send(b, "more", 4, 0));
	SHOW(recv(a, buffer, 8, MSG_WAITALL));
	SHOW(write(file, "sendfile", 8));
	SHOW(lseek(file, 0, SEEK_SET));
	SHOW(sendfile(a, file, NULL, 8));
	SHOW(recv(b, buffer, 8, MSG_WAITALL));
	if (!pipe(pipes)) {
		SHOW(write(pipes[1], "splice", 6));
		SHOW(splice(pipes[0], NULL, a, NULL, 6, 0));
		SHOW(splice(b, NULL, pipes[1], NULL, 6, 0));
		close(pipes[0]);
		close(pipes[1]);
	}
	SHOW(send(a, "!", 1, MSG_OOB));
	SHOW(shutdown(a, SHUT_WR));
	printf("%.64s\n", buffer);
	close(file);
}

static void blocking(int family)
{
	int l = listener(family, 0, base), a = bound(family, 0, 0, base + 1), b;

	to(a, family, base);
	to(a, family, base);
	b = SHOW(accept4(l, NULL, NULL, SOCK_CLOEXEC));
	names(a);
	names(b);
	exchange(a, b);
	SHOW(close(b));
	SHOW(close(a));
	SHOW(close(l));
}

static void non_blocking(int family)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
	int l = listener(family, 0, base + 2), e = SHOW(epoll_create1(0));
	int a = bound(family, SOCK_NONBLOCK, 0, base + 3), b;

	SHOW(fcntl(l, F_SETFL, O_NONBLOCK));
	SHOW(epoll_ctl(e, EPOLL_CTL_ADD, a, &event));
	to(a, family, base + 2);
	SHOW(epoll_wait(e, &event, 1, 10000));
	printf("events %x, error %d\n", event.events, error_of(a));
	to(a, family, base + 2);
	wait_for(l, POLLIN);
	b = SHOW(accept4(l, NULL, NULL, SOCK_NONBLOCK));
	SHOW(read(b, &event, 1));
	SHOW(write(a, "x", 1));
	wait_for(b, POLLIN);
	SHOW(read(b, &event, 1));
	SHOW(accept4(l, NULL, NULL, SOCK_NONBLOCK));
	close(b);
	close(a);
	close(l);
	/* Nobody listens there any more. */
	a = bound(family, SOCK_NONBLOCK, 0, base + 3);
	to(a, family, base + 2);
	wait_for(a, POLLOUT);
	printf("error %d\n", error_of(a));
	close(a);
	close(e);
}

static void mistakes(int family)
{
	union address addr;
	int l = listener(family, 0, base + 4), a;

	to(l, family, base);
	SHOW(listen(l, 4));
	a = bound(family, 0, 0, base + 4);
	close(a);
	a = bound(family, 0, 0, base + 5);
	SHOW(accept(a, NULL, NULL));
	to(a, family, base + 6);
	to(a, family, base + 4);
	addr.any.sa_family = AF_UNSPEC;
	SHOW(connect(a, &addr.any, sizeof(addr)));
	SHOW(connect(a, &addr.any, 1));
	close(a);
	close(l);
}

/* What governed sockets may not have, others still have. */
static void features(void)
{
	unsigned char info[40] = { 3, 3, 51 };
	int l = listener(AF_INET, 0, base + 7), a = bound(AF_INET, 0, 0, base + 8), b, on = 1;
	char ulp[16] = "";
	socklen_t len = sizeof(ulp);
	union address addr;

	to(a, AF_INET, base + 7);
	b = SHOW(accept(l, NULL, NULL));
	SHOW(setsockopt(a, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	SHOW(setsockopt(a, IPPROTO_TCP, TCP_ULP, "tls", 3));
	SHOW(getsockopt(a, IPPROTO_TCP, TCP_ULP, ulp, &len));
	SHOW(setsockopt(a, SOL_TLS_, TLS_TX_, info, sizeof(info)));
	SHOW(write(a, "tls", 3));
	SHOW(read(b, ulp, 5));
	close(a);
	close(b);
	close(l);
	l = listener(AF_INET, IPPROTO_MPTCP, base + 7);
	a = bound(AF_INET, 0, IPPROTO_MPTCP, base + 8);
	to(a, AF_INET, base + 7);
	b = SHOW(accept(l, NULL, NULL));
	SHOW(write(a, "mptcp", 5));
	SHOW(read(b, ulp, 5));
	close(a);
	close(b);
	close(l);
	a = SHOW(socket(AF_INET, SOCK_DGRAM, 0));
	SHOW(bind(a, &addr.any, loopback(&addr, AF_INET, base)));
	SHOW(sendto(a, "udp", 3, 0, &addr.any, sizeof(addr.four)));
	SHOW(read(a, ulp, sizeof(ulp)));
	close(a);
	close(SHOW(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)));
	close(SHOW(socket(AF_PACKET, SOCK_DGRAM, 0)));
	close(SHOW(socket(AF_UNIX, SOCK_STREAM, 0)));
}

/* A child connects while its parent is blocked in accept(). */
static void two_processes(void)
{
	int l = listener(AF_INET, 0, base + 9), fd, status = 0;
	char byte = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (!child) {
		fd = bound(AF_INET, 0, 0, base);
		usleep(300000);
		to(fd, AF_INET, base + 9);
		SHOW(write(fd, "c", 1));
		SHOW(read(fd, &byte, 1));
		fflush(stdout);
		_exit(byte);
	}
	fd = SHOW(accept(l, NULL, NULL));
	SHOW(read(fd, &byte, 1));
	SHOW(write(fd, "p", 1));
	waitpid(child, &status, 0);
	printf("child %d, byte %c\n", WEXITSTATUS(status), byte);
	close(fd);
	close(l);
}

int main(int argc, char **argv)
{
	const int families[] = { AF_INET, AF_INET6 };
	unsigned int i;

	/* Nothing here waits for long, unless somebody keeps it from what it waits for. */
	alarm(90);
	base = argc > 1 ? atoi(argv[1]) : 7000;
	for (i = 0; i < 2; i++) {
		blocking(families[i]);
		non_blocking(families[i]);
		mistakes(families[i]);
	}
	features();
	two_processes();
	return 0;
}
