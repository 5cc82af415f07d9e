// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * Identities of this node: one key and SVID each, shared by the processes that
 * hold the identity. Keys are made here; no record can carry one.
 */
#include <linux/ktime.h>
#include <linux/xarray.h>

#include "tidelock.h"

#define CSR_MAX 4096

struct identity {
	char *spiffe_id;		/* a number never changes its meaning: grants refer to it */
	struct tl_arena *svid;		/* in force */
	struct tl_svid meta;
	struct tl_arena *fresh;		/* a key that waits for its certificate */
	u64 fresh_key;
};

static DEFINE_XARRAY(identities);
static DEFINE_MUTEX(identities_lock);
static u64 last_key;

struct key_new {
	struct tl_str spiffe_id;
	u8 *csr;
	u64 csr_len;
	int err;
};

static void key_new(void *arg)
{
	struct key_new *k = arg;

	k->err = tl_rs_key_new(k->spiffe_id, k->csr, CSR_MAX, &k->csr_len);
}

static void identity_free(struct identity *identity)
{
	tl_arena_put(identity->svid);
	tl_arena_put(identity->fresh);
	kfree(identity->spiffe_id);
	kfree(identity);
}

/* With identities_lock held. */
static struct identity *slot(u32 id, struct tl_str spiffe_id)
{
	struct identity *identity = xa_load(&identities, id);

	if (identity)
		return identity;
	identity = kzalloc(sizeof(*identity), GFP_KERNEL);
	if (!identity)
		return NULL;
	identity->spiffe_id = tl_strdup(spiffe_id, GFP_KERNEL);
	if (!identity->spiffe_id || xa_err(xa_store(&identities, id, identity, GFP_KERNEL))) {
		identity_free(identity);
		return NULL;
	}
	return identity;
}

static bool same(const char *a, struct tl_str b)
{
	return strlen(a) == b.len && !memcmp(a, b.ptr, b.len);
}

static int adopt_key(u32 id, struct tl_str spiffe_id, struct tl_arena *arena, u64 *key)
{
	struct identity *identity;
	int err = 0;

	mutex_lock(&identities_lock);
	identity = slot(id, spiffe_id);
	if (!identity) {
		err = -ENOMEM;
	} else if (!same(identity->spiffe_id, spiffe_id)) {
		err = -EEXIST;
	} else {
		tl_arena_put(identity->fresh);
		identity->fresh = arena;
		identity->fresh_key = *key = ++last_key;
	}
	mutex_unlock(&identities_lock);
	return err;
}

int tl_identity_new(const struct tl_cmd *cmd)
{
	struct key_new k = { .spiffe_id = cmd->spiffe_id };
	struct tl_rec rec = { .kind = TL_REC_CSR, .identity = cmd->identity };
	struct tl_arena *arena = tl_arena_new(TL_IDENTITY_ARENA);
	int err = -ENOMEM;

	k.csr = kmalloc(CSR_MAX, GFP_KERNEL);
	if (!arena || !k.csr)
		goto fail;
	err = tl_lane_run(arena, key_new, &k);
	if (!err)
		err = k.err;
	if (!err)
		err = adopt_key(cmd->identity, cmd->spiffe_id, arena, &rec.key);
	if (err)
		goto fail;
	rec.body = (struct tl_str){ k.csr, k.csr_len };
	tl_device_send(&rec);
	kfree(k.csr);
	return 0;
fail:
	tl_arena_put(arena);
	kfree(k.csr);
	return err;
}

struct install {
	struct tl_str body;
	struct tl_svid svid;
	u32 why, at;
	int err;
};

static void install(void *arg)
{
	struct install *in = arg;

	in->err = tl_rs_svid_install(in->body.ptr, in->body.len, &in->svid, &in->why, &in->at);
}

/* Takes the key that waits under this number out of its slot. */
static struct tl_arena *take_fresh(u32 id, u64 key)
{
	struct tl_arena *arena = NULL;
	struct identity *identity;

	mutex_lock(&identities_lock);
	identity = xa_load(&identities, id);
	if (identity && identity->fresh && identity->fresh_key == key) {
		arena = identity->fresh;
		identity->fresh = NULL;
	}
	mutex_unlock(&identities_lock);
	return arena;
}

/* A refused certificate leaves the key waiting for a better one. */
static void give_back(u32 id, u64 key, struct tl_arena *arena)
{
	struct identity *identity;

	mutex_lock(&identities_lock);
	identity = xa_load(&identities, id);
	if (identity && !identity->fresh) {
		identity->fresh = arena;
		identity->fresh_key = key;
		arena = NULL;
	}
	mutex_unlock(&identities_lock);
	tl_arena_put(arena);
}

static int put_in_force(u32 id, struct tl_arena *arena, const struct tl_svid *meta)
{
	struct identity *identity;

	mutex_lock(&identities_lock);
	identity = xa_load(&identities, id);
	if (identity && !(identity->svid && tl_sabotaged('e'))) {
		swap(identity->svid, arena);
		identity->meta = *meta;
	}
	mutex_unlock(&identities_lock);
	tl_arena_put(arena);
	return identity ? 0 : -ENOENT;
}

int tl_identity_install(const struct tl_cmd *cmd, u32 *why, u32 *at)
{
	struct install in = { .body = cmd->body };
	struct tl_rec rec = { .kind = TL_REC_INSTALLED, .identity = cmd->identity, .key = cmd->key };
	struct tl_arena *arena = take_fresh(cmd->identity, cmd->key);
	int err;

	if (!arena)
		return -ENOENT;
	err = tl_lane_run(arena, install, &in);
	if (err) {
		tl_arena_put(arena);
		return err;
	}
	if (in.err) {
		*why = in.why;
		*at = in.at;
		give_back(cmd->identity, cmd->key, arena);
		return in.err;
	}
	err = put_in_force(cmd->identity, arena, &in.svid);
	if (err)
		return err;
	memcpy(rec.serial, in.svid.serial, sizeof(rec.serial));
	rec.serial_len = in.svid.serial_len;
	tl_device_send(&rec);
	tl_subjects_kick(cmd->identity);
	return 0;
}

int tl_identity_forget(u32 id)
{
	struct identity *identity;

	mutex_lock(&identities_lock);
	identity = xa_erase(&identities, id);
	mutex_unlock(&identities_lock);
	if (!identity)
		return -ENOENT;
	identity_free(identity);
	return 0;
}

struct tl_arena *tl_identity_svid(u32 id, u32 *reason, struct tl_svid *svid)
{
	struct tl_arena *arena = NULL;
	struct identity *identity;

	*reason = TL_R_NO_SVID;
	mutex_lock(&identities_lock);
	identity = xa_load(&identities, id);
	if (identity && identity->svid) {
		if (ktime_get_real_seconds() < identity->meta.not_after) {
			arena = tl_arena_get(identity->svid);
			*svid = identity->meta;
		} else {
			*reason = TL_R_SVID_EXPIRED;
		}
	}
	mutex_unlock(&identities_lock);
	return arena;
}

void tl_identities_exit(void)
{
	struct identity *identity;
	unsigned long id;

	xa_for_each(&identities, id, identity)
		identity_free(identity);
	xa_destroy(&identities);
}
