/* As much of io_uring as `moves` needs, by its system calls. */
#ifndef URING_H
#define URING_H

#include <linux/io_uring.h>

struct ring {
	int fd;
	unsigned int *sq_tail, sq_mask, *sq_array;
	unsigned int *cq_head, *cq_tail, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

struct completion {
	unsigned long long user_data;
	int res;
	unsigned int flags;
};

/* 0, or -1 with errno. */
int ring_open(struct ring *ring, unsigned int flags);
void ring_close(struct ring *ring);
/* Hands over requests that are linked to one another if their flags say so. */
void ring_submit(struct ring *ring, const struct io_uring_sqe *sqe, unsigned int n);
/* The next completion; one that does not come in time has the result -ETIME. */
struct completion ring_wait(struct ring *ring);
int ring_register(struct ring *ring, unsigned int what, const void *arg, unsigned int n);

#endif
