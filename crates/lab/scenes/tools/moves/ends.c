/* Ends of connections, and what is said of them. */
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

int port;
void *volatile nowhere = (void *)16;
const char *section;

void begin(const char *name)
{
	section = name;
}

long show(const char *what, long result)
{
	if (result < 0)
		printf("%s: %s: %s\n", section, what, strerrorname_np(errno));
	else
		printf("%s: %s: %ld\n", section, what, result);
	return result;
}

socklen_t address(union address *out, enum kind kind)
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

int listening(enum kind kind, int flags)
{
	union address addr;
	socklen_t len = address(&addr, kind);
	int one = 1, fd = socket(addr.any.sa_family, SOCK_STREAM | flags, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &addr.any, len) || listen(fd, 16))
		SHOW(-1);
	return fd;
}

int client_of(enum kind kind, int flags)
{
	union address addr;
	socklen_t len = address(&addr, kind);
	int fd = socket(addr.any.sa_family, SOCK_STREAM | flags, 0);

	if (connect(fd, &addr.any, len) && errno != EINPROGRESS)
		SHOW(-1);
	return fd;
}

struct pair connected(enum kind kind)
{
	int l = listening(kind, 0);
	struct pair p = { .c = client_of(kind, 0) };

	p.s = accept(l, NULL, NULL);
	if (p.s < 0)
		SHOW(-1);
	close(l);
	return p;
}

void done(struct pair p)
{
	close(p.c);
	close(p.s);
}

short ready(int fd, short events, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	return poll(&pfd, 1, ms) < 0 ? -1 : pfd.revents;
}

/* Until there is something to read, or the end: then what poll says does not depend on time any more. */
void arrived(int fd)
{
	ready(fd, POLLIN, 5000);
	usleep(20000);
}

void pattern(char *buf, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (char)((i * 31 + seed) ^ (i >> 8));
}

uint64_t sum(uint64_t hash, const char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)buf[i]) * 0x100000001b3ull;
	return hash;
}

/* Reads to the end. */
void *drain(void *arg)
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

void await_drain(pthread_t thread, struct drain *d)
{
	pthread_join(thread, NULL);
	NOTE("%zu bytes, sum %016llx, then %s", d->len, (unsigned long long)d->sum, d->how ? strerrorname_np(d->how) : "end");
}
