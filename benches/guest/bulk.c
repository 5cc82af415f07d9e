/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What moving bytes, connecting and starting programs costs. In a guest where one nanosecond is one instruction
 * (`cargo lab vm --icount`) every figure is a count of instructions, the kernel's and both programs'. Of `connect` and
 * `exec` it is the programs' own time, with the kernel's on their behalf, and starting them is a small part of it.
 *
 *	bulk move UID-SERVER UID-CLIENT PORT WRITE TOTAL [ktls]	instructions per byte
 *	bulk connect UID-SERVER UID-CLIENT PORT ROUNDS		instructions per connect + accept + close
 *	bulk exec ROUNDS					instructions per fork + exec + wait
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tls.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef TCP_ULP
#define TCP_ULP 31
#endif
#ifndef SOL_TLS
#define SOL_TLS 282
#endif

static char buf[1 << 20];

static void die(const char *what)
{
	fprintf(stderr, "bulk: %s: %s\n", what, strerror(errno));
	exit(1);
}

/*
 * Nanoseconds in which somebody was at work. Where nobody is, the clock jumps to the next timer, and that is no
 * instruction; the kernel counts such time in hundredths of a second, so what is measured has to be many of them.
 */
static long long now(void)
{
	long long seconds, hundredths;
	struct timespec t;
	FILE *uptime = fopen("/proc/uptime", "r");

	if (!uptime || fscanf(uptime, "%*s %lld.%lld", &seconds, &hundredths) != 2)
		die("/proc/uptime");
	fclose(uptime);
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec - (seconds * 100 + hundredths) * 10000000LL;
}

/* Nanoseconds that this process and those it has waited for ran: exact, and nobody else's. */
static long long ran(void)
{
	struct rusage own, others;

	getrusage(RUSAGE_SELF, &own);
	getrusage(RUSAGE_CHILDREN, &others);
	return 1000LL * (own.ru_utime.tv_usec + own.ru_stime.tv_usec + others.ru_utime.tv_usec + others.ru_stime.tv_usec) +
	       1000000000LL * (own.ru_utime.tv_sec + own.ru_stime.tv_sec + others.ru_utime.tv_sec + others.ru_stime.tv_sec);
}

/* As an identity selects it: by uid and by what is executed. */
static void become(int uid, char **argv)
{
	if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		die("setuid");
	execv("/proc/self/exe", argv);
	die("exec");
}

static struct sockaddr_in address(int port)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(port) };

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return addr;
}

static int listening(int port)
{
	struct sockaddr_in addr = address(port);
	int one = 1, s = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(s, (struct sockaddr *)&addr, sizeof(addr)) || listen(s, 64))
		die("listen");
	return s;
}

static int connected(int port)
{
	struct sockaddr_in addr = address(port);
	int s = socket(AF_INET, SOCK_STREAM, 0), tries = 0;

	while (connect(s, (struct sockaddr *)&addr, sizeof(addr))) {
		if (errno != ECONNREFUSED || ++tries == 100)
			die("connect");
		close(s);
		usleep(50000);
		s = socket(AF_INET, SOCK_STREAM, 0);
	}
	return s;
}

/* Kernel TLS set up by hand: the suite that Tidelock's ends agree on, with keys that everyone knows. */
static void by_hand(int s, int client)
{
	struct tls12_crypto_info_aes_gcm_128 one = { .info = { TLS_1_3_VERSION, TLS_CIPHER_AES_GCM_128 } }, other = one;

	memset(one.key, 1, sizeof(one.key));
	memset(other.key, 2, sizeof(other.key));
	if (setsockopt(s, IPPROTO_TCP, TCP_ULP, "tls", 4) ||
	    setsockopt(s, SOL_TLS, TLS_TX, client ? &one : &other, sizeof(one)) ||
	    setsockopt(s, SOL_TLS, TLS_RX, client ? &other : &one, sizeof(one)))
		die("kernel TLS");
}

static void take(int s, long total)
{
	while (total > 0) {
		long n = read(s, buf, 65536);

		if (n <= 0)
			die("read");
		total -= n;
	}
}

static void give(int s, long total, long piece)
{
	while (total > 0) {
		long n = write(s, buf, total < piece ? total : piece);

		if (n <= 0)
			die("write");
		total -= n;
	}
}

static void serve(int port, long rounds, long total, int ktls)
{
	int l = listening(port);

	while (rounds--) {
		int s = accept(l, NULL, NULL);

		if (s < 0)
			die("accept");
		if (ktls)
			by_hand(s, 0);
		if (total) {
			/* Once to warm up, once to be counted. */
			take(s, total);
			give(s, 1, 1);
			take(s, total);
			give(s, 1, 1);
		}
		read(s, buf, 1);
		close(s);
	}
	exit(0);
}

static void move(int port, long piece, long total, int ktls)
{
	int s = connected(port);
	long long start;

	if (ktls) {
		usleep(100000);
		by_hand(s, 1);
	}
	give(s, total, piece);
	take(s, 1);
	start = now();
	give(s, total, piece);
	take(s, 1);
	printf("%.2f\n", (double)(now() - start) / total);
	close(s);
	exit(0);
}

static void connecting(int port, long rounds)
{
	while (rounds--)
		close(connected(port));
	exit(0);
}

static void executing(long rounds)
{
	long long start = 0;
	long n;

	for (n = 0; n <= rounds; n++) {
		/* The first warms up. */
		if (n == 1)
			start = ran();
		if (!fork()) {
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		wait(NULL);
	}
	printf("%lld\n", (ran() - start) / rounds);
	exit(0);
}

int main(int argc, char **argv)
{
	int status = 0, failed = 0, ktls = argc > 7;
	long a = argc > 5 ? atol(argv[5]) : 0, b = argc > 6 ? atol(argv[6]) : 0;

	if (argc == 3 && !strcmp(argv[1], "exec"))
		executing(atol(argv[2]));
	if (argc < 6)
		return 2;
	/* Again, as one of the two. */
	if (!strcmp(argv[1], "serve"))
		serve(atoi(argv[4]), b ? 1 : a, b, ktls);
	if (!strcmp(argv[1], "client"))
		b ? move(atoi(argv[4]), a, b, ktls) : connecting(atoi(argv[4]), a);
	argv[1] = "serve";
	if (!fork())
		become(atoi(argv[2]), argv);
	usleep(300000);
	argv[1] = "client";
	if (!fork())
		become(atoi(argv[3]), argv);
	while (wait(&status) > 0)
		failed |= status;
	if (!b)
		printf("%lld\n", ran() / a);
	return failed != 0;
}
