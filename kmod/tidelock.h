/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/* What the C files of the module share. The nouns: arena, lane, subject, identity, config, flow, listener, device. */
#ifndef TIDELOCK_H
#define TIDELOCK_H

#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <net/sock.h>

#include "compat.h"
#include "sabotage.h"
#include "shim.h"

#undef pr_fmt
#define pr_fmt(fmt) "tidelock: " fmt

/* ---- arena.c: memory that Rust objects of one lifetime live in -------------- */

struct tl_arena {
	struct kref ref;
	struct rcu_work reclaim;
	u64 size;
	void *mem;
};

struct tl_arena *tl_arena_new(u64 size);
static inline struct tl_arena *tl_arena_get(struct tl_arena *arena)
{
	kref_get(&arena->ref);
	return arena;
}
/* Drops a reference; the last one wipes and frees after a grace period. */
void tl_arena_put(struct tl_arena *arena);
int tl_arenas_live(void);
int tl_arena_init(void);
void tl_arena_exit(void);

/* ---- lane.c: worker threads, each with a private stack for Rust -------------- */

#define TL_LANES_MAX 64

struct tl_lane;

/* A job runs on one worker at a time; queueing one that is queued or running makes it run again. */
struct tl_job {
	struct list_head node;
	unsigned long state;
	void (*run)(struct tl_lane *lane, struct tl_job *job);
	/* Rust panicked under run(): called once instead of run()'s return, on the dying worker. */
	void (*panicked)(struct tl_job *job);
	/* The queue holds a reference while the job is in it. */
	void (*get)(struct tl_job *job);
	void (*put)(struct tl_job *job);
};

void tl_job_queue(struct tl_job *job);
/* Runs fn(arg) on the lane's stack with `arena` current. fn must not sleep. */
void tl_lane_call(struct tl_lane *lane, struct tl_arena *arena, void (*fn)(void *arg), void *arg);
/* The same from any process context: waits for a worker. 0, -EIO after a panic, -ENOMEM. */
int tl_lane_run(struct tl_arena *arena, void (*fn)(void *arg), void *arg);
/* Its number, below TL_LANES_MAX: no two lanes that live have the same. */
int tl_lane_index(const struct tl_lane *lane);
u64 tl_lane_stack_high_water(void);
int tl_lanes_init(void);
void tl_lanes_exit(void);

/* ---- subject.c: governed program images and the processes that run them ------- */

enum tl_grant { TL_WAITING, TL_GRANTED, TL_REFUSED, TL_ENDED };

/*
 * One program image, from exec to the exit of the last process that runs it:
 * fork shares it, exec leaves it. Its id is never reused, so a late answer
 * about a reused pid finds nothing.
 */
struct tl_subject {
	struct kref ref;
	struct rcu_head rcu;
	struct list_head node;		/* tl_subjects */
	struct delayed_work reap;	/* cuts what an ended subject left open */
	atomic_t procs;
	spinlock_t lock;		/* grant, identity, reason, generation, flows */
	enum tl_grant grant;
	u32 identity;
	u32 reason;
	u64 generation;
	bool measured;			/* set once, after exe_sha256, which then stays */
	u8 exe_sha256[TL_SHA256];
	struct list_head flows;
	struct tl_evidence ev;		/* strings follow in `text` */
	char text[];
};

struct tl_subject *tl_subject_of(struct task_struct *task);	/* with a reference, or NULL; any context */
bool tl_subject_tracked(struct task_struct *task);		/* no reference; any context */
/* Like tl_subject_of(current), re-appraised when credentials changed. Process context. */
struct tl_subject *tl_subject_current(void);
static inline struct tl_subject *tl_subject_get(struct tl_subject *s)
{
	kref_get(&s->ref);
	return s;
}
void tl_subject_put(struct tl_subject *s);
/* What its file was measured to be; NULL if it was not, yet. Stays as long as the subject. */
static inline const u8 *tl_subject_sha256(const struct tl_subject *s)
{
	/* Pairs with measure(): who sees that it is there sees all of it. */
	return s && smp_load_acquire(&s->measured) ? s->exe_sha256 : NULL;
}
int tl_subject_grant(const struct tl_cmd *cmd);
int tl_subject_refuse(u64 id, u64 generation, u32 reason);
/* Something that waiting flows of subjects with this identity may need has arrived. */
void tl_subjects_kick(u32 identity);
/* Tells the agent of the subject with the next greater id; that id, or 0 if there is none. */
u64 tl_subject_announce_next(u64 after);
/* Was a process not appraised when it should have been? The next governed call sweeps. */
bool tl_subjects_missed(void);
void tl_subjects_sweep_if_missed(void);
/* sweep.c: appraises every process and listener anew against the configuration in force. Process context. */
void tl_sweep(void);
/* Ends all subjects: nothing is governed any more. */
void tl_subjects_drop(void);
u32 tl_subjects_count(void);
int tl_subjects_init(void);
void tl_subjects_unhook(void);
void tl_subjects_exit(void);

/* ---- config.c --------------------------------------------------------------------- */

/* The configuration in force, with a reference, or NULL. */
struct tl_arena *tl_config_get(void);
u64 tl_config_generation(void);
/* Under rcu_read_lock: the configuration in force for [any] queries, or NULL. */
const void *tl_config_rcu(void);
struct tl_limits tl_config_limits(void);
s32 tl_config_service(const struct tl_addr *addr);
s32 tl_config_closed_service(const struct tl_addr *addr);
int tl_config_set(const struct tl_cmd *cmd, u32 *why, u32 *at);
void tl_config_drop(void);
/* Anything to govern at all? One load: the hooks ask first. */
bool tl_config_active(void);

/* ---- identity.c ---------------------------------------------------------------------- */

int tl_identity_new(const struct tl_cmd *cmd);
int tl_identity_install(const struct tl_cmd *cmd, u32 *why, u32 *at);
int tl_identity_forget(u32 identity);
/* The SVID now in force, with a reference; NULL and *reason when there is none fit to use. */
struct tl_arena *tl_identity_svid(u32 identity, u32 *reason, struct tl_svid *svid);
void tl_identities_exit(void);

/* ---- flow.c, handshake.c, flow_ops.c, ktls.c --------------------------------------------- */

enum tl_flow_phase { TL_FLOW_PENDING, TL_FLOW_OPEN, TL_FLOW_FAILED };
enum tl_flow_stage { TL_STAGE_LOOK, TL_STAGE_GRANT, TL_STAGE_CONNECT, TL_STAGE_CONNECTING, TL_STAGE_HANDSHAKE };

struct tl_listener;
struct tl_mediation;
struct tl_rekey;

/*
 * One governed connection. Hangs on its socket by the ops table it embeds, so
 * that it can be found without sk_user_data, and lives as long as the socket.
 * Its bytes move by kTLS: directly, or through the queues of mediated.c.
 */
struct tl_flow {
	struct proto_ops ops;			/* what sock->ops points to */
	const struct proto_ops *pristine;	/* the family's own */
	const struct proto_ops *inner;		/* pristine, then kTLS's */
	struct kref ref;
	struct tl_job job;
	struct mutex lock;			/* stage, engine and socket against release */
	wait_queue_head_t wait;			/* blocking connects */
	struct timer_list deadline;
	bool expired, evicted, in_line;
	unsigned long got_on;			/* jiffies: it began, or took a record */
	enum tl_role role;
	enum tl_flow_phase phase;		/* written under lock, read anywhere */
	enum tl_flow_stage stage;
	u64 id;
	u64 opened_ns;
	u64 since_ns;			/* the same on CLOCK_BOOTTIME; 0: not open yet */
	u64 observed;				/* the generation at which it was told of what is only observed */
	struct socket *sock;			/* NULL once released */
	struct sock *sk;
	struct tl_subject *subject;
	struct list_head of_subject;		/* subject->flows */
	struct list_head of_listener;		/* its pending or ready list */
	struct list_head of_admission;		/* who waits for a handshake, or serves one */
	struct rb_node live;			/* once announced */
	struct tl_listener *listener;
	u32 pid, uid;
	int err;				/* TL_FLOW_FAILED: positive errno */
	u32 reason;
	s32 service;
	struct tl_memo memo;			/* under lock */
	struct tl_addr local, remote;
	struct sockaddr_storage dest;
	int dest_len;

	/* The handshake. */
	struct tl_arena *cfg, *svid, *arena;
	struct tl_svid own;
	struct tl_step *step;
	u64 tx_sent;
	u8 *record;
	u32 record_len, record_want;
	bool counted, ulp, suspended, corked;

	/* After it. */
	int rcvlowat;				/* the program's; on the socket it is 1 */
	char *peer_id, *local_id, *service_name;
	u8 peer_serial[20], peer_authority[TL_AUTHORITY];
	u32 peer_serial_len, suite;
	atomic64_t records;			/* sent, at least */
	u64 records_max;			/* that its key may protect */
	bool eof, wr_shutdown, rd_shutdown, announced;
	bool truncated, told;			/* it ended without close_notify; the program was told */
	bool cut;				/* while it was open */
	bool plain;				/* nothing is proved on the wire; stays once it is open */
	u32 exception;				/* why it is plain, if not by the mode alone: a reason to tell */
	u64 control;				/* Rust's state of half-read control records */
	struct tl_rekey *rekey;			/* NULL: its keys stay; settled before it opens */
	struct tl_mediation *mediation;		/* NULL: the flow is direct; settled before it opens */
	u32 carried;				/* as in tl_question */

	/* The socket's own callbacks, to be put back. */
	void (*state_change)(struct sock *sk);
	void (*data_ready)(struct sock *sk);
	void (*write_space)(struct sock *sk);
	void (*error_report)(struct sock *sk);
};

struct tl_flow *tl_flow_of(const struct socket *sock);	/* NULL if not a governed flow */
struct tl_flow *tl_flow_new(struct socket *sock, enum tl_role role, struct tl_subject *subject);
void tl_flow_put(struct tl_flow *flow);
void tl_flow_begin(struct tl_flow *flow);		/* arms the deadline, queues the first step */
void tl_flow_cut(struct tl_flow *flow, u32 reason);
void tl_flow_announce(struct tl_flow *flow);
void tl_flow_detach(struct tl_flow *flow, u32 reason);	/* after release: nothing refers to the socket any more */
void tl_flow_describe(struct tl_flow *flow, struct tl_rec *rec);
/* Tells the agent of a flow as of one that is refused, for this reason: also what is no refusal, where it has to hear of that. */
void tl_flow_tell(struct tl_flow *flow, u32 reason, const u8 *detail, u32 detail_len);
void tl_flow_hook_sk(struct tl_flow *flow);
void tl_flow_unhook_sk(struct tl_flow *flow, struct sock *sk);
void tl_flow_wake(struct tl_flow *flow);
/* While the sock pointed to a stand-in, its callbacks found no flow: whoever waits shall look again. */
void tl_flow_catch_up(struct tl_flow *flow);
/* Decides all live flows anew, or those of one subject; the number cut. `timed`: nothing has changed but the time. */
void tl_flow_arm(struct tl_flow *flow, u32 ms);
void tl_flow_look_again(struct tl_flow *flow, u32 ms);	/* the same without flow->lock */
void tl_flow_redecide(struct tl_flow *flow);
u64 tl_flows_redecide(const struct tl_subject *of, bool timed);
void tl_flows_cut_all(u32 reason);
/* How many live. */
u64 tl_flows_live(void);
/* How many have opened in plain since the module was loaded. */
u64 tl_flows_in_plain(void);
/* Calls fn on every live flow; process context. */
void tl_flows_each(void (*fn)(struct tl_flow *flow, void *arg), void *arg);
/* Tells the agent of the live flow with the next greater id; that id, or 0 if there is none. */
u64 tl_flow_announce_next(u64 after);
void tl_flow_ops_init(struct tl_flow *flow);
void tl_handshake_drop(struct tl_flow *flow);	/* with lock held: nothing of the handshake stays */
/* Sends what the last step left: 0 when all is out, -EAGAIN, or an error. */
int tl_wire_send(struct tl_flow *flow);
/* Reads exactly one record, so that kTLS starts at a record's edge: 0 when it is whole, -EAGAIN, or an error. */
int tl_wire_receive(struct tl_flow *flow);
void tl_flow_run(struct tl_lane *lane, struct tl_job *job);
void tl_flow_panicked(struct tl_job *job);
int tl_ktls_attach(struct tl_flow *flow);
int tl_ktls_start(struct tl_flow *flow, struct tl_lane *lane);
/* A socket for the sock to point to while tls.ko works on it. */
int tl_ktls_stand_in(struct tl_flow *flow, struct socket **out);
void tl_ktls_stand_in_put(struct socket *stand_in);
void tl_ktls_point(struct sock *sk, struct socket *sock);
int tl_flow_connect(struct socket *sock, tl_sockaddr *addr, int len, int flags);
int tl_refuse_fastopen(struct socket *sock, tl_sockaddr *addr, int len, int flags, int is_sendmsg);
struct tl_question tl_flow_question(struct tl_flow *flow, const void *cfg);
void tl_flow_observe(struct tl_flow *flow, u32 would);
bool tl_flow_decide_proven(struct tl_flow *flow, const void *cfg, struct tl_decision *d);
bool tl_flow_decide(struct tl_flow *flow, const void *cfg, struct tl_str client, struct tl_str server,
		    struct tl_decision *d);

/* ---- admission.c ----------------------------------------------------------------------------- */

/* May its handshake begin? If not, its job is queued when to ask again. */
bool tl_flow_admit(struct tl_flow *flow);
/* It has ended, or does not want to begin any more. */
void tl_flow_admitted_no_more(struct tl_flow *flow);
/* If the peer has kept it waiting for long, its worker refuses it. Any context; the flow is alive. */
bool tl_flow_evict_if_stalled(struct tl_flow *flow);
u32 tl_flows_pending(void);
void tl_admission_exit(void);

/* ---- listener.c ------------------------------------------------------------------------------ */

/*
 * A listening socket whose connections are governed. Its worker accepts, shakes
 * hands with many at once and hands the proven ones to accept().
 */
struct tl_listener {
	struct proto_ops ops;
	const struct proto_ops *pristine;
	struct kref ref;
	struct tl_job job;
	struct socket *sock;
	struct sock *sk;
	struct list_head all;			/* tl_listeners */
	spinlock_t lock;			/* owner, pending, ready */
	struct tl_subject *owner;
	struct list_head pending, ready;
	u32 n_pending, n_ready;
	bool closed, stranger;			/* stranger: someone ungoverned called accept() */
	struct timer_list retry;		/* it is full of peers that may stall */
	void (*data_ready)(struct sock *sk);
};

struct tl_listener *tl_listener_of(const struct socket *sock);
/* Makes a listening (or about to listen) socket governed. 0 also when it is already. */
int tl_listener_govern(struct socket *sock, struct tl_subject *owner);
void tl_listener_put(struct tl_listener *listener);
/* A flow of the listener has settled: ready if it is open, else thrown away. */
void tl_listener_settled(struct tl_flow *flow);
void tl_listener_kick(struct tl_listener *listener);
/* Restores governed listeners to plain TCP: all, or those that `keep` does not want kept. */
void tl_listeners_release(bool (*keep)(struct tl_listener *l));
void tl_listeners_exit(void);

/* ---- keypage.c: keys for tls.ko, by a pointer that it takes --------------------------------- */

/* A SOL_TLS option of a socket; the slot is the calling lane's own. Sleeps; kernel threads only. */
int tl_keypage_setsockopt(int slot, struct sock *sk, int option, const u8 *info, u32 len);
/* The same for any kernel thread; -EBUSY when too many do it at once. */
int tl_keypage_setsockopt_lent(struct sock *sk, int option, const u8 *info, u32 len);
/* In the context of the process that loads the module. */
int tl_keypage_init(void);
void tl_keypage_exit(void);

/* ---- device.c ------------------------------------------------------------------------------------ */

/* Encodes and queues a record for the agent; drops and counts it if nobody reads. Any context but NMI. */
void tl_device_send(const struct tl_rec *rec);
/* Is an agent connected? */
bool tl_device_attended(void);
void tl_device_denied(struct tl_subject *subject, struct tl_rec *rec, u32 reason, const u8 *detail, u32 detail_len);
int tl_device_init(void);
void tl_device_exit(void);

/* ---- hook.c, proc.c ------------------------------------------------------------------------------- */

int tl_hooks_init(void);
void tl_hooks_exit(void);
int tl_proc_init(void);
void tl_proc_exit(void);

/* Tasks inside redirected calls and queued task work: unload waits for them. */
void tl_enter(void);
void tl_leave(void);

/* ---- small shared things --------------------------------------------------------------------------------- */

static inline struct tl_str tl_str(const char *s)
{
	return (struct tl_str){ .ptr = (const u8 *)s, .len = s ? strlen(s) : 0 };
}
/* Wall clock, milliseconds since 1970. */
static inline s64 tl_now_ms(void)
{
	return ktime_to_ms(ktime_get_real());
}
char *tl_strdup(struct tl_str s, gfp_t gfp);
void tl_addr_of(struct tl_addr *out, const struct sockaddr *addr, const struct net *net);
void tl_addr_local(struct tl_addr *out, const struct sock *sk);
void tl_addr_peer(struct tl_addr *out, const struct sock *sk);
/* IPv4 or IPv6 TCP stream, not the kernel's own. */
bool tl_is_tcp(const struct socket *sock);

#endif
