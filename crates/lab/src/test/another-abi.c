// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * For LD_PRELOAD: the agent as it would be with another version of the contract, ABI_SHIFT higher than the module's.
 * What it writes to the module carries that version; what the module answers is as far from it as it would be.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* tidelock_kabi::MAGIC, and where the version follows it. */
static const char magic[] = "TIDK";
#define MAGIC_LEN 4
#define VERSION_AT 4

static void shift(uint8_t *record, size_t len, int by)
{
	uint16_t version;

	if (len < VERSION_AT + sizeof(version) || memcmp(record, magic, MAGIC_LEN))
		return;
	memcpy(&version, record + VERSION_AT, sizeof(version));
	version += by;
	memcpy(record + VERSION_AT, &version, sizeof(version));
}

static int by(void)
{
	const char *text = getenv("ABI_SHIFT");

	return text ? atoi(text) : 0;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	ssize_t (*next)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
	uint8_t copy[4096];

	if (len > sizeof(copy))
		return next(fd, bytes, len);
	memcpy(copy, bytes, len);
	shift(copy, len, by());
	return next(fd, copy, len);
}

ssize_t read(int fd, void *bytes, size_t len)
{
	ssize_t (*next)(int, void *, size_t) = dlsym(RTLD_NEXT, "read");
	ssize_t got = next(fd, bytes, len);

	if (got > 0)
		shift(bytes, got, -by());
	return got;
}
