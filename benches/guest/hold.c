/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Holds connections, and tells when they end. It knows nothing of Tidelock. Over a connection of its own, which it makes before it
 * becomes UID, it is told what to do:
 *
 *	hold IP PORT UID
 *
 *	open N PORT	connects to PORT of the same machine, and reads one byte: `open N`, or `refused N ERRNO`
 *	ping		`pong`
 *
 * and says `ended N ERRNO` as soon as reading from one of them fails, or `ended N EOF`. It ends with that connection.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 64
#define TOLD 9 /* where it is told what to do, once it is who it is to be */

static struct pollfd fds[MOST + 1]; /* the first is who tells what to do */
static FILE *asked;
static char buf[1 << 16];

static void die(const char *what)
{
	fprintf(stderr, "hold: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int dial(const char *ip, int port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || inet_pton(AF_INET, ip, &addr.sin_addr) != 1)
		die(ip);
	if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fd;
	close(fd);
	return -1;
}

static void say(const char *what, int n, const char *how)
{
	int len = snprintf(buf, sizeof(buf), n ? "%s %d%s%s\n" : "%s\n", what, n - 1, *how ? " " : "", how);

	if (send(fds[0].fd, buf, len, MSG_NOSIGNAL) != len)
		exit(0);
}

static void open_flow(const char *ip, int n, int port)
{
	if (fds[n + 1].fd >= 0)
		close(fds[n + 1].fd);
	fds[n + 1].fd = dial(ip, port);
	if (fds[n + 1].fd >= 0 && read(fds[n + 1].fd, buf, 1) == 1) {
		say("open", n + 1, "");
		return;
	}
	say("refused", n + 1, strerrorname_np(errno));
	if (fds[n + 1].fd >= 0)
		close(fds[n + 1].fd);
	fds[n + 1].fd = -1;
}

/* Before anything is done about it, it is told. */
static void read_flow(int n)
{
	ssize_t got = recv(fds[n + 1].fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (got > 0 || (got < 0 && errno == EAGAIN))
		return;
	say("ended", n + 1, got ? strerrorname_np(errno) : "EOF");
	close(fds[n + 1].fd);
	fds[n + 1].fd = -1;
}

/* What an identity selects by uid may connect to Services only. */
static void become(char **argv)
{
	int one = 1, uid = atoi(argv[3]), fd = dial(argv[1], atoi(argv[2]));

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) || dup2(fd, TOLD) != TOLD)
		die("connect");
	if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		die("setuid");
	argv[2] = NULL;
	execv("/proc/self/exe", argv);
	die("exec");
}

int main(int argc, char **argv)
{
	int i, n, port;

	if (argc == 4)
		become(argv);
	for (i = 0; i <= MOST; i++)
		fds[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
	fds[0].fd = TOLD;
	asked = fdopen(TOLD, "r");
	while (poll(fds, MOST + 1, -1) >= 0) {
		for (i = 0; i < MOST; i++)
			if (fds[i + 1].revents)
				read_flow(i);
		if (!fds[0].revents)
			continue;
		/* One line at a time: who asks waits for the answer. */
		if (!fgets(buf, sizeof(buf), asked))
			return 0;
		if (sscanf(buf, "open %d %d", &n, &port) == 2 && n >= 0 && n < MOST)
			open_flow(argv[1], n, port);
		else
			say("pong", 0, "");
	}
	die("poll");
}
