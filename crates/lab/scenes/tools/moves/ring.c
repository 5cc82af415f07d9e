/* The rings that a process shares with the kernel. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "uring.h"

enum { ENTRIES = 32, PATIENCE_MS = 5000 };

int ring_open(struct ring *ring, unsigned int flags)
{
	struct io_uring_params params = { .flags = flags, .sq_thread_idle = 1000 };
	char *map;
	size_t size;

	ring->fd = syscall(SYS_io_uring_setup, ENTRIES, &params);
	if (ring->fd < 0)
		return -1;
	size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
	if (size < params.sq_off.array + params.sq_entries * sizeof(unsigned int))
		size = params.sq_off.array + params.sq_entries * sizeof(unsigned int);
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
	ring->sqes = mmap(NULL, params.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
	if (map == MAP_FAILED || ring->sqes == MAP_FAILED)
		return -1;
	ring->sq_tail = (unsigned int *)(map + params.sq_off.tail);
	ring->sq_mask = *(unsigned int *)(map + params.sq_off.ring_mask);
	ring->sq_array = (unsigned int *)(map + params.sq_off.array);
	ring->cq_head = (unsigned int *)(map + params.cq_off.head);
	ring->cq_tail = (unsigned int *)(map + params.cq_off.tail);
	ring->cq_mask = *(unsigned int *)(map + params.cq_off.ring_mask);
	ring->cqes = (struct io_uring_cqe *)(map + params.cq_off.cqes);
	return 0;
}

void ring_close(struct ring *ring)
{
	close(ring->fd);
}

void ring_submit(struct ring *ring, const struct io_uring_sqe *sqe, unsigned int n)
{
	unsigned int tail = *ring->sq_tail;

	for (unsigned int i = 0; i < n; i++, tail++) {
		ring->sqes[tail & ring->sq_mask] = sqe[i];
		ring->sq_array[tail & ring->sq_mask] = tail & ring->sq_mask;
	}
	__atomic_store_n(ring->sq_tail, tail, __ATOMIC_SEQ_CST);
	/* Who polls may have gone to sleep; waking it when it has not does no harm. */
	syscall(SYS_io_uring_enter, ring->fd, n, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0);
}

struct completion ring_wait(struct ring *ring)
{
	struct io_uring_cqe *cqe;
	unsigned int head = *ring->cq_head;
	struct completion done;

	for (int ms = 0; ms < PATIENCE_MS && head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE); ms += 10) {
		struct pollfd pfd = { .fd = ring->fd, .events = POLLIN };

		poll(&pfd, 1, 10);
		/* Completions are work of the task that asked, done when it enters. */
		syscall(SYS_io_uring_enter, ring->fd, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);
	}
	if (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
		return (struct completion){ .res = -ETIME };
	cqe = &ring->cqes[head & ring->cq_mask];
	done = (struct completion){ .user_data = cqe->user_data, .res = cqe->res, .flags = cqe->flags };
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return done;
}

int ring_register(struct ring *ring, unsigned int what, const void *arg, unsigned int n)
{
	return syscall(SYS_io_uring_register, ring->fd, what, arg, n);
}
