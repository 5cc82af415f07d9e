/*
 * Moves bytes between two ends of TCP connections in every way that Linux has, and prints what came of each call. Run
 * ungoverned and governed, what it prints has to be the same, but for what calls-differ-*.txt list: to a program a
 * governed connection is a TCP connection.
 *
 *   moves PORT                  both ends, on PORT of 127.0.0.1 and ::1
 *   moves PORT activate UID     as root: listens, and starts a server under UID when somebody connects
 *   moves PORT late UID         as root: listens, and starts a server under UID at once; a client at a line of input
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

#include "moves.h"

static void zero_copy(void)
{
	struct pair p = connected(FOUR);
	char buf[16] = "", control[256];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct sock_extended_err *word = NULL;
	struct cmsghdr *cmsg;
	int one = 1;

	begin("zero copy");
	SHOW(setsockopt(p.c, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)));
	if (SHOW(send(p.c, "zero copies", 11, MSG_ZEROCOPY)) > 0) {
		SHOW(recv(p.s, buf, 11, MSG_WAITALL));
		NOTE("%.11s", buf);
		NOTE("completion %x", ready(p.c, 0, 1000));
		SHOW(recvmsg(p.c, &msg, MSG_ERRQUEUE | MSG_DONTWAIT));
		if ((cmsg = CMSG_FIRSTHDR(&msg)))
			word = (struct sock_extended_err *)CMSG_DATA(cmsg);
		if (word)
			NOTE("origin %d, code %d, from %u to %u", word->ee_origin, word->ee_code, word->ee_info, word->ee_data);
		SHOW(recvmsg(p.c, &msg, MSG_ERRQUEUE | MSG_DONTWAIT));
	}
	done(p);
}

/* In pieces, with time between them, from a process of its own. */
static void write_slowly(int fd, const size_t *pieces)
{
	if (fork())
		return;
	for (; *pieces; pieces++) {
		usleep(50000);
		if (write(fd, much, *pieces) < 0)
			_exit(1);
	}
	_exit(0);
}

static void low_water(void)
{
	struct pair p = connected(FOUR);
	int low = 100, little = 50, listener;
	socklen_t len = sizeof(low);
	char buf[512] = "";

	begin("low water");
	SHOW(setsockopt(p.s, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)));
	SHOW(getsockopt(p.s, SOL_SOCKET, SO_RCVLOWAT, &little, &len));
	NOTE("it is %d", little);
	SHOW(write(p.c, much, 99));
	usleep(50000);
	NOTE("too little %x", ready(p.s, POLLIN, 50));
	SHOW(write(p.c, much, 1));
	NOTE("enough %x", ready(p.s, POLLIN, 5000));
	SHOW(recv(p.s, buf, 60, 0));
	NOTE("too little is left %x", ready(p.s, POLLIN, 50));
	write_slowly(p.c, (size_t[]){ 30, 20, 10, 0 });
	NOTE("enough in pieces %x", ready(p.s, POLLIN, 5000));
	SHOW(recv(p.s, buf, sizeof(buf), 0));
	wait(NULL);
	write_slowly(p.c, (size_t[]){ 60, 20, 20, 0 });
	SHOW(recv(p.s, buf, sizeof(buf), 0));
	wait(NULL);
	SHOW(write(p.c, much, 10));
	arrived(p.s);
	SHOW(recv(p.s, buf, sizeof(buf), MSG_DONTWAIT));
	SHOW(write(p.c, much, 10));
	SHOW(shutdown(p.c, SHUT_WR));
	NOTE("the end %x", ready(p.s, POLLIN, 5000));
	SHOW(recv(p.s, buf, sizeof(buf), 0));
	SHOW(recv(p.s, buf, sizeof(buf), 0));
	done(p);
	/* Asked for before there is a connection. */
	listener = listening(FOUR, 0);
	SHOW(setsockopt(listener, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)));
	p.c = client_of(FOUR, 0);
	p.s = accept(listener, NULL, NULL);
	SHOW(write(p.c, much, 99));
	NOTE("too little %x", ready(p.s, POLLIN, 100));
	SHOW(write(p.c, much, 1));
	NOTE("enough %x", ready(p.s, POLLIN, 5000));
	close(listener);
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
	SHOW(sendto(p.c, "named", 5, 0, NULL, 0));
	arrived(p.s);
	SHOW(recvfrom(p.s, buf, 5, MSG_DONTWAIT, NULL, NULL));
	one = 1;
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
	/* A kernel that looks for mistakes takes its time. */
	const char *slower = getenv("LAB_SLOWER");

	port = argc > 1 ? atoi(argv[1]) : 7600;
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	alarm(120 * (slower ? atoi(slower) : 1));
	if (argc > 2)
		return other_main(argv[2], argv[3]);
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
	in_one_read();
	without_waiting();
	many();
	undone();
	zero_copy();
	low_water();
	by_ring();
	processes();
	odd();
	urgent();
	begin("end");
	NOTE("of it");
	return 0;
}
