/* Listening sockets and connections that several processes have to do with. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moves.h"

enum { CLIENTS = 8 };

/* One question, one answer. The status that a process ends with that has served one. */
static int serve_one(int listener)
{
	char buf[5];
	int fd = accept(listener, NULL, NULL);

	if (fd < 0 || recv(fd, buf, sizeof(buf), MSG_WAITALL) != sizeof(buf) || memcmp(buf, "hello", sizeof(buf)))
		return 1;
	return write(fd, "world", 5) == 5 ? 0 : 2;
}

static void ask_one(int fd)
{
	char buf[6] = "";

	SHOW(write(fd, "hello", 5));
	SHOW(recv(fd, buf, 5, MSG_WAITALL));
	NOTE("it says %s", buf);
	close(fd);
}

static void status_of(pid_t child)
{
	int status = -1;

	waitpid(child, &status, 0);
	NOTE("who served ended with %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static int listening_too(void)
{
	union address addr;
	socklen_t len = address(&addr, FOUR);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (bind(fd, &addr.any, len) || listen(fd, 16))
		SHOW(-1);
	return fd;
}

/* Several listeners on one port, and the kernel spreads connections over them. */
static void shared_port(void)
{
	struct pollfd listeners[2] = { { .fd = listening_too(), .events = POLLIN }, { .fd = listening_too(), .events = POLLIN } };
	int clients[CLIENTS], served = 0;

	begin("shared port");
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = client_of(FOUR, SOCK_NONBLOCK);
	while (served < CLIENTS && poll(listeners, 2, 5000) > 0) {
		for (int i = 0; i < 2; i++) {
			int fd;

			if (!(listeners[i].revents & POLLIN))
				continue;
			fd = accept(listeners[i].fd, NULL, NULL);
			served += fd >= 0 && write(fd, "x", 1) == 1;
			close(fd);
		}
	}
	NOTE("%d served", served);
	served = 0;
	for (int i = 0; i < CLIENTS; i++) {
		char byte = 0;

		ready(clients[i], POLLIN, 5000);
		served += read(clients[i], &byte, 1) == 1 && byte == 'x';
		close(clients[i]);
	}
	NOTE("%d got it", served);
	close(listeners[0].fd);
	close(listeners[1].fd);
}

/* Runs this program again, with a listener as descriptor 3. */
static void become(const char *what, int listener)
{
	char text[12];

	snprintf(text, sizeof(text), "%d", port);
	if (listener >= 0)
		dup2(listener, 3);
	execl("/proc/self/exe", "moves", text, what, NULL);
	_exit(9);
}

static void workers(void)
{
	int l = listening(FOUR, 0);
	pid_t child = fork();

	begin("worker");
	if (!child)
		_exit(serve_one(l));
	ask_one(client_of(FOUR, 0));
	status_of(child);
	begin("worker with an image of its own");
	child = fork();
	if (!child)
		become("serve", l);
	ask_one(client_of(FOUR, 0));
	status_of(child);
	begin("listener given away");
	child = fork();
	if (!child) {
		usleep(100000);
		become("serve", l);
	}
	/* The one who listened does so no more. */
	close(l);
	ask_one(client_of(FOUR, 0));
	status_of(child);
}

/* A descriptor taken out of another process. */
static void taken(void)
{
	struct pair p = connected(SIX);
	int end[2], pidfd, copy;
	char buf[8] = "";
	pid_t child;

	begin("taken");
	if (pipe(end))
		return;
	child = fork();
	if (!child) {
		close(end[1]);
		/* Holds the connection until it is told to go. */
		_exit(read(end[0], buf, 1));
	}
	pidfd = syscall(SYS_pidfd_open, child, 0);
	copy = syscall(SYS_pidfd_getfd, pidfd, p.c, 0);
	NOTE("%s", copy < 0 ? strerrorname_np(errno) : "a descriptor");
	close(p.c);
	close(end[1]);
	close(end[0]);
	status_of(child);
	SHOW(write(copy, "taken", 5));
	SHOW(recv(p.s, buf, 5, MSG_WAITALL));
	close(copy);
	SHOW(recv(p.s, buf, 5, 0));
	close(p.s);
}

void processes(void)
{
	shared_port();
	workers();
	taken();
}

/* As systemd does: listens as root, waits for the first connection, and only then starts who serves it. */
static int activate(int uid)
{
	struct pollfd first = { .events = POLLIN };
	pid_t client, server;

	begin("activated");
	first.fd = listening(FOUR, 0);
	for (int i = 0; i < 2; i++) {
		client = fork();
		if (!client) {
			if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
				_exit(8);
			become("ask", -1);
		}
		SHOW(poll(&first, 1, 5000));
		server = fork();
		if (!server) {
			if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
				_exit(8);
			become("serve", first.fd);
		}
		waitpid(client, NULL, 0);
		status_of(server);
	}
	return 0;
}

/* The server waits in accept() already, on an address of no Service, when there comes to be one. Goes on at a line of input. */
static int late(int uid)
{
	pid_t client, server;
	int listener;
	char line[8];

	begin("late");
	listener = listening(FOUR, 0);
	server = fork();
	if (!server) {
		if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
			_exit(8);
		become("serve", listener);
	}
	if (!fgets(line, sizeof(line), stdin))
		return 6;
	client = fork();
	if (!client) {
		if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
			_exit(8);
		become("ask", -1);
	}
	waitpid(client, NULL, 0);
	status_of(server);
	return 0;
}

int other_main(const char *what, const char *uid)
{
	begin("activated");
	if (!strcmp(what, "serve"))
		return serve_one(3);
	if (!strcmp(what, "ask")) {
		/* Printed at its end, when nobody else prints. */
		setvbuf(stdout, NULL, _IOFBF, BUFSIZ);
		ask_one(client_of(FOUR, 0));
		return 0;
	}
	if (uid && !strcmp(what, "late"))
		return late(atoi(uid));
	return uid ? activate(atoi(uid)) : 7;
}
