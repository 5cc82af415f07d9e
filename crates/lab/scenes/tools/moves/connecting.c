/* Connecting, accepting, and what a connection says of itself. */
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

#include "moves.h"

void names(void)
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

void without_waiting(void)
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

void many(void)
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

void undone(void)
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
