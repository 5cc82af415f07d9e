/*
 * A plain program that talks TCP and says how it went, by the name of the errno. It knows nothing of Tidelock.
 *
 *   speak get IP PORT PATH    one HTTP request
 *   speak slow IP PORT PATH RATE  one HTTP request, read at RATE bytes a second, and after SIGUSR1 as fast as it comes;
 *                             the page goes to standard output
 *   speak lines IP PORT PATH  one HTTP request, over a new connection, for each line of its input
 *   speak ask IP PORT WORD    sends a line, and has to get the same one back
 *   speak hold IP PORT        connects, and reads until the connection ends
 *   speak accept IP PORT      blocks in accept(), answers one line to each line, again and again
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long long began;
static FILE *words;

static long long clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* One line of output: milliseconds since 1970, and the words. */
static void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(words, "%lld ", clock_us(CLOCK_REALTIME) / 1000);
	vfprintf(words, format, args);
	fprintf(words, "\n");
	fflush(words);
	va_end(args);
}

static socklen_t address(struct sockaddr_storage *out, const char *ip, const char *port)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
	struct sockaddr_in *four = (struct sockaddr_in *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET6, ip, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		six->sin6_port = htons(atoi(port));
		return sizeof(*six);
	}
	if (inet_pton(AF_INET, ip, &four->sin_addr) != 1) {
		fprintf(stderr, "speak: `%s` is no address\n", ip);
		exit(2);
	}
	four->sin_family = AF_INET;
	four->sin_port = htons(atoi(port));
	return sizeof(*four);
}

static int connected(const char *ip, const char *port)
{
	struct sockaddr_storage to;
	socklen_t len = address(&to, ip, port);
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	began = clock_us(CLOCK_MONOTONIC);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, len)) {
		say("%s %s", fd < 0 ? "socket" : "connect", strerrorname_np(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	say("connect ok %lld us", clock_us(CLOCK_MONOTONIC) - began);
	return fd;
}

/* Reads to the end; says how many bytes and how it ended. */
static int read_all(int fd, int is_page)
{
	static char buffer[65536];
	long long total = 0;
	int good = !is_page;
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
		if (!total && is_page)
			good = n > 12 && !memcmp(buffer + 8, " 200", 4);
		total += n;
	}
	say("read %lld bytes, then %s", total, n ? strerrorname_np(errno) : "EOF");
	return n || !good;
}

static int get(const char *ip, const char *port, const char *path)
{
	int fd = connected(ip, port), bad;

	if (fd < 0)
		return 1;
	if (dprintf(fd, "GET %s HTTP/1.0\r\n\r\n", path) < 0) {
		say("write %s", strerrorname_np(errno));
		close(fd);
		return 1;
	}
	bad = read_all(fd, 1);
	close(fd);
	say(bad ? "no page" : "page ok");
	return bad;
}

static volatile sig_atomic_t hurried;

static void hurry(int signal)
{
	hurried = signal;
}

static int slow(const char *ip, const char *port, const char *path, long rate)
{
	static char buffer[1 << 20];
	const long pauses = 10;
	long long total = 0;
	char *body = NULL;
	size_t slice = rate / pauses < (long)sizeof(buffer) ? rate / pauses : (long)sizeof(buffer);
	ssize_t n;
	int fd;

	words = stderr;
	signal(SIGUSR1, hurry);
	fd = connected(ip, port);
	if (fd < 0)
		return 1;
	dprintf(fd, "GET %s HTTP/1.0\r\n\r\n", path);
	while ((n = recv(fd, buffer, slice, MSG_WAITALL)) > 0) {
		char *from = buffer;

		if (!body) {
			/* A slice is larger than the head of any answer. */
			body = memmem(buffer, n, "\r\n\r\n", 4);
			if (!body)
				break;
			from = body + 4;
		}
		if (fwrite(from, 1, buffer + n - from, stdout) != (size_t)(buffer + n - from))
			return 2;
		total += buffer + n - from;
		fflush(stdout);
		if (!hurried)
			usleep(1000000 / pauses);
	}
	say("read %lld bytes, then %s", total, n ? strerrorname_np(errno) : "EOF");
	close(fd);
	return n || !body;
}

static int lines(const char *ip, const char *port, const char *path)
{
	char line[256];

	say("ready");
	while (fgets(line, sizeof(line), stdin))
		get(ip, port, path);
	return 0;
}

static int ask(const char *ip, const char *port, const char *word)
{
	int fd = connected(ip, port);
	char got[256] = "";
	size_t have = 0;
	ssize_t n = 1;

	if (fd < 0)
		return 1;
	dprintf(fd, "%s\n", word);
	while (!strchr(got, '\n') && have < sizeof(got) - 1 && (n = read(fd, got + have, sizeof(got) - 1 - have)) > 0)
		have += n;
	if (n <= 0)
		say("read %s", n ? strerrorname_np(errno) : "EOF");
	close(fd);
	got[strcspn(got, "\n")] = 0;
	say(strcmp(got, word) ? "no answer" : "answer ok");
	return strcmp(got, word) != 0;
}

static int hold(const char *ip, const char *port)
{
	int fd = connected(ip, port);

	return fd < 0 ? 1 : read_all(fd, 0);
}

static int answer(const char *ip, const char *port)
{
	struct sockaddr_storage at;
	socklen_t len = address(&at, ip, port);
	int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, peer;
	char line[256];
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, len) || listen(fd, 16)) {
		say("listen %s", strerrorname_np(errno));
		return 1;
	}
	say("listening");
	for (;;) {
		peer = accept(fd, NULL, NULL);
		if (peer < 0) {
			say("accept %s", strerrorname_np(errno));
			return 1;
		}
		say("accept ok");
		while ((n = read(peer, line, sizeof(line))) > 0)
			if (write(peer, line, n) < 0)
				break;
		say("peer %s", n ? strerrorname_np(errno) : "EOF");
		close(peer);
	}
}

int main(int argc, char **argv)
{
	words = stdout;
	if (argc == 6 && !strcmp(argv[1], "slow"))
		return slow(argv[2], argv[3], argv[4], atol(argv[5]));
	if (argc == 5 && !strcmp(argv[1], "get"))
		return get(argv[2], argv[3], argv[4]);
	if (argc == 5 && !strcmp(argv[1], "lines"))
		return lines(argv[2], argv[3], argv[4]);
	if (argc == 5 && !strcmp(argv[1], "ask"))
		return ask(argv[2], argv[3], argv[4]);
	if (argc == 4 && !strcmp(argv[1], "hold"))
		return hold(argv[2], argv[3]);
	if (argc == 4 && !strcmp(argv[1], "accept"))
		return answer(argv[2], argv[3]);
	fprintf(stderr, "speak: get IP PORT PATH | slow IP PORT PATH RATE | lines IP PORT PATH | ask IP PORT WORD | hold IP PORT | accept IP PORT\n");
	return 2;
}
