/* Bytes over one connection, in many ways. */
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

void small_pieces(void)
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

void peeking(void)
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

void readiness(void)
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

void half_close(void)
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

void broken(void)
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
	/* A peek tells of it, and the read after the peek must not see an end: plain TCP has forgotten. */
	begin("reset peeked");
	p = connected(FOUR);
	SHOW(write(p.c, "unread", 6));
	arrived(p.s);
	close(p.s);
	usleep(50000);
	SHOW(recv(p.c, buf, 16, MSG_PEEK));
	SHOW(read(p.c, buf, sizeof(buf)));
	SHOW(read(p.c, buf, 16));
	close(p.c);
}

static void on_alarm(int signal)
{
	(void)signal;
}

void waiting(void)
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

void others(void)
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

void passed_on(void)
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
