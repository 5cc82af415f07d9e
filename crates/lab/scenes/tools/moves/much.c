/* More than buffers hold. */
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

char much[MUCH];

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

void both_ways(void)
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

void from_files(void)
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

void full(void)
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

/* One read for more than anything holds, begun when everything is full. */
void in_one_read(void)
{
	static char all[MUCH];
	struct pair p = connected(FOUR);
	pthread_t thread;

	begin("in one read");
	pthread_create(&thread, NULL, write_all, &p.c);
	usleep(500000);
	SHOW(recv(p.s, all, MUCH, MSG_WAITALL));
	NOTE("all of it: %d", sum(SUM_BEGIN, all, MUCH) == sum(SUM_BEGIN, much, MUCH));
	pthread_join(thread, NULL);
	SHOW(recv(p.s, all, MUCH, MSG_WAITALL));
	done(p);
}
