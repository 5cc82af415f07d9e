// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * tls.ko takes keys by a pointer, and expects a program's. Of a kernel pointer
 * it warns where gcc and FORTIFY_SOURCE see the copy, and a machine that panics
 * on warnings is down. So keys go by pages of user memory that no program has:
 * they are mapped into the address space of whoever loads the module, and the
 * module keeps that address space when its owner has exited.
 */
#include <linux/bitops.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>

#include "tidelock.h"

/* Room for the keys of one direction. A lane has its own, in the first page; the second page's are for whoever takes one. */
#define SLOT_BYTES 64
#define PAGES 2
#define LENT_SLOTS ((int)(PAGE_SIZE / SLOT_BYTES))
static_assert(SLOT_BYTES * TL_LANES_MAX <= PAGE_SIZE);
static_assert(SLOT_BYTES >= sizeof_field(struct tl_step, tx_info));
static_assert(SLOT_BYTES >= sizeof_field(struct tl_keys, info));

static struct {
	struct mm_struct *mm;
	struct page *pages[PAGES];
	unsigned long addr;
	atomic_t emptied;
	DECLARE_BITMAP(lent, PAGE_SIZE / SLOT_BYTES);
} keypage;

/* What its owner left behind once it has exited; best effort, some mappings are sealed. */
static void empty_rest(void)
{
	unsigned long end = keypage.addr + PAGES * PAGE_SIZE;

	if (atomic_read(&keypage.mm->mm_users) > 1 || atomic_xchg(&keypage.emptied, 1))
		return;
	vm_munmap(0, keypage.addr);
	vm_munmap(end, TASK_SIZE - end);
}

static int set_keys(struct sock *sk, int option, unsigned int page, unsigned int offset, const u8 *info, u32 len)
{
	u8 *to = page_address(keypage.pages[page]) + offset;
	unsigned long at = keypage.addr + page * PAGE_SIZE + offset;
	int err;

	if (len > SLOT_BYTES)
		return -EINVAL;
	memcpy(to, info, len);
	kthread_use_mm(keypage.mm);
	err = sk->sk_prot->setsockopt(sk, SOL_TLS, option, USER_SOCKPTR((void __user *)at), len);
	empty_rest();
	kthread_unuse_mm(keypage.mm);
	memzero_explicit(to, SLOT_BYTES);
	return err;
}

int tl_keypage_setsockopt(int slot, struct sock *sk, int option, const u8 *info, u32 len)
{
	return set_keys(sk, option, 0, slot * SLOT_BYTES, info, len);
}

int tl_keypage_setsockopt_lent(struct sock *sk, int option, const u8 *info, u32 len)
{
	int slot, err;

	for (slot = 0; slot < LENT_SLOTS; slot++)
		if (!test_and_set_bit_lock(slot, keypage.lent))
			break;
	if (slot == LENT_SLOTS)
		return -EBUSY;
	err = set_keys(sk, option, 1, slot * SLOT_BYTES, info, len);
	clear_bit_unlock(slot, keypage.lent);
	return err;
}

static void put_pages(void)
{
	int i;

	for (i = 0; i < PAGES; i++)
		if (keypage.pages[i])
			put_page(keypage.pages[i]);
}

int tl_keypage_init(void)
{
	struct file *file = shmem_file_setup("tidelock-keys", PAGES * PAGE_SIZE, TL_NO_VMA_FLAGS);
	int i, err = 0;

	if (IS_ERR(file))
		return PTR_ERR(file);
	/* The references keep the pages where they are: neither swapped nor moved. */
	mapping_set_unevictable(file->f_mapping);
	for (i = 0; i < PAGES && !err; i++) {
		struct page *page = shmem_read_mapping_page(file->f_mapping, i);

		err = PTR_ERR_OR_ZERO(page);
		keypage.pages[i] = err ? NULL : page;
	}
	if (!err) {
		keypage.addr = vm_mmap(file, 0, PAGES * PAGE_SIZE, PROT_READ, MAP_SHARED, 0);
		err = IS_ERR_VALUE(keypage.addr) ? (int)keypage.addr : 0;
	}
	if (err)
		put_pages();
	else
		keypage.mm = get_task_mm(current);
	/* The mapping has its own reference. */
	fput(file);
	return err;
}

void tl_keypage_exit(void)
{
	put_pages();
	mmput(keypage.mm);
}
