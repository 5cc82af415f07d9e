// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * tls.ko takes keys by a pointer, and expects a program's. Of a kernel pointer
 * it warns where gcc and FORTIFY_SOURCE see the copy, and a machine that panics
 * on warnings is down. So keys go by a page of user memory that no program has:
 * it is mapped into the address space of whoever loads the module, and the
 * module keeps that address space when its owner has exited.
 */
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>

#include "tidelock.h"

/* Room for the keys of one direction; a lane has its own. */
#define SLOT_BYTES 64
static_assert(SLOT_BYTES * TL_LANES_MAX <= PAGE_SIZE);
static_assert(SLOT_BYTES >= sizeof_field(struct tl_step, tx_info));

static struct {
	struct mm_struct *mm;
	struct page *page;
	unsigned long addr;
	atomic_t emptied;
} keypage;

/* What its owner left behind once it has exited; best effort, some mappings are sealed. */
static void empty_rest(void)
{
	unsigned long end = keypage.addr + PAGE_SIZE;

	if (atomic_read(&keypage.mm->mm_users) > 1 || atomic_xchg(&keypage.emptied, 1))
		return;
	vm_munmap(0, keypage.addr);
	vm_munmap(end, TASK_SIZE - end);
}

int tl_keypage_setsockopt(int slot, struct sock *sk, int option, const u8 *info, u32 len)
{
	u8 *to = page_address(keypage.page) + slot * SLOT_BYTES;
	int err;

	if (len > SLOT_BYTES)
		return -EINVAL;
	memcpy(to, info, len);
	kthread_use_mm(keypage.mm);
	err = sk->sk_prot->setsockopt(sk, SOL_TLS, option,
				      USER_SOCKPTR((void __user *)keypage.addr + slot * SLOT_BYTES), len);
	empty_rest();
	kthread_unuse_mm(keypage.mm);
	memzero_explicit(to, SLOT_BYTES);
	return err;
}

int tl_keypage_init(void)
{
	struct file *file = shmem_file_setup("tidelock-keys", PAGE_SIZE, TL_NO_VMA_FLAGS);
	int err;

	if (IS_ERR(file))
		return PTR_ERR(file);
	/* The reference keeps the page where it is: neither swapped nor moved. */
	mapping_set_unevictable(file->f_mapping);
	keypage.page = shmem_read_mapping_page(file->f_mapping, 0);
	if (IS_ERR(keypage.page)) {
		err = PTR_ERR(keypage.page);
		goto out;
	}
	keypage.addr = vm_mmap(file, 0, PAGE_SIZE, PROT_READ, MAP_SHARED, 0);
	err = IS_ERR_VALUE(keypage.addr) ? (int)keypage.addr : 0;
	if (!err)
		keypage.mm = get_task_mm(current);
	else
		put_page(keypage.page);
out:
	/* The mapping has its own reference. */
	fput(file);
	return err;
}

void tl_keypage_exit(void)
{
	put_page(keypage.page);
	mmput(keypage.mm);
}
