/* What the parts of `moves` share. */
#ifndef MOVES_H
#define MOVES_H

#include <arpa/inet.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

extern int port;
extern const char *section;
/* An address that is not mapped, which the compiler does not know. */
extern void *volatile nowhere;

void begin(const char *name);
long show(const char *what, long result);

#define SHOW(call) show(#call, (long)(call))
#define NOTE(...) (printf("%s: ", section), printf(__VA_ARGS__), printf("\n"))

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

enum kind { FOUR, SIX, MAPPED };

socklen_t address(union address *out, enum kind kind);
int listening(enum kind kind, int flags);
int client_of(enum kind kind, int flags);

/* A connection: the client's end and the server's. */
struct pair {
	int c, s;
};

struct pair connected(enum kind kind);
void done(struct pair p);
short ready(int fd, short events, int ms);
/* Waits until there is something to read, or the end: then what poll says does not depend on time any more. */
void arrived(int fd);

enum { MUCH = 1 << 20 };
extern char much[MUCH];

void pattern(char *buf, size_t len, unsigned int seed);
uint64_t sum(uint64_t hash, const char *buf, size_t len);

#define SUM_BEGIN 0xcbf29ce484222325ull

struct drain {
	int fd;
	size_t len;
	uint64_t sum;
	int how;
};

/* A thread that reads to the end; and what came of it. */
void *drain(void *arg);
void await_drain(pthread_t thread, struct drain *d);

void names(void);
void without_waiting(void);
void many(void);
void undone(void);
void small_pieces(void);
void peeking(void);
void readiness(void);
void half_close(void);
void broken(void);
void waiting(void);
void others(void);
void passed_on(void);
void both_ways(void);
void from_files(void);
void full(void);
void in_one_read(void);
void by_ring(void);
void processes(void);
/* What this program is besides: `serve`, `ask`, or `activate` with a uid. */
int other_main(const char *what, const char *uid);

#endif
