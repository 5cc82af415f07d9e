/* SPDX-License-Identifier: MIT OR GPL-2.0 */
/*
 * The contract between the C half and the Rust half of tidelock.ko.
 *
 * kmod/src/ffi.rs mirrors every struct here; both sides assert sizes. Rules:
 *  - fixed-width integers and (pointer, length) pairs; 0 or -errno comes back;
 *  - C owns all memory; Rust borrows it for the length of one call, except that
 *    an arena keeps what Rust built in it until C frees the arena;
 *  - every export states its context:
 *      [lane]  on a lane (private stack, current arena set), process context,
 *              must not sleep, may allocate from the current arena, may panic;
 *      [any]   anywhere but NMI, also with preemption off; never sleeps, never
 *              allocates, never panics.
 *  - Rust never runs under a spinlock.
 */
#ifndef TIDELOCK_SHIM_H
#define TIDELOCK_SHIM_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stdint.h>
typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64;
typedef int32_t s32; typedef int64_t s64;
#endif

struct tl_str { const u8 *ptr; u64 len; };

/* An IP endpoint. IPv4 is held v4-mapped, so that one comparison serves both. */
struct tl_addr {
	u8  ip[16];
	u16 port;		/* host byte order */
	u16 pad;
	u32 netns;		/* 0: the initial network namespace; else its inode number */
};

/* What a process is: gathered in its own context before its first instruction. */
struct tl_evidence {
	u64 subject;		/* never reused while the module is loaded */
	u64 start_ns;		/* CLOCK_BOOTTIME at exec */
	u32 pid;		/* thread group, in the initial pid namespace */
	u32 uid, gid;		/* effective ids, in the initial user namespace */
	u32 flags;		/* TL_EV_* */
	u32 mnt_ns;		/* inode number */
	u32 net_ns;		/* inode number; 0: the initial one; or TL_NET_UNKNOWN */
	u64 exe_dev, exe_ino, exe_size;
	s64 exe_ctime_ns;
	u64 script_dev, script_ino;	/* 0 without a #! script */
	struct tl_str exe;	/* path of the executed file */
	struct tl_str script;	/* path of the #! script, or empty */
	struct tl_str cwd;
	struct tl_str argv;	/* NUL-separated, cut at TL_ARGV_MAX */
	struct tl_str cgroup;	/* path in the hierarchy of version 2, from its root; empty: cannot be told. Not for the agent */
};
#define TL_EV_ADOPTED		(1u << 0)	/* older than the module or the policy */
#define TL_EV_HOST_MNT		(1u << 1)	/* in the initial mount namespace */
#define TL_EV_ARGV_CUT		(1u << 2)
#define TL_EV_EXE_UNHASHABLE	(1u << 3)	/* memfd, deleted, FUSE, network file */
#define TL_EV_CREDS_CHANGED	(1u << 4)	/* re-appraised after setuid and the like */
#define TL_EV_FORKED		(1u << 5)	/* replayed to a new agent session */
/* Whether no hash stands for a file: by its file system's magic number, and whether a path leads to it. [any] */
bool tl_rs_unhashable(u64 magic, bool unlinked);
#define TL_NET_UNKNOWN 1	/* no namespace has such a small number */
#define TL_ARGV_MAX 1024
#define TL_SHA256 32
#define TL_PATH_MAX 1024

enum tl_role { TL_CLIENT = 0, TL_SERVER = 1 };

/* ---- memory that Rust uses ------------------------------------------------- */

/* C → arena. Prepares `size` zeroed bytes as an arena. [any] */
int  tl_rs_arena_init(void *mem, u64 size);
/* High-water mark in bytes. [any] */
u64  tl_rs_arena_used(const void *mem);

/* Rust → C. The arena of the lane that runs us, or NULL off a lane. [any] */
void *tl_c_arena(void);
/* Rust → C. Cryptographic randomness; the pool is known to be ready. [any] */
void tl_c_random(u8 *buf, u64 len);
/* Rust → C. A panic on a lane: ends the worker, fails its job; never returns. */
void tl_c_panic(const u8 *msg, u64 len) __attribute__((noreturn));
/* Rust → C. Inode number of the initial network namespace: what netns 0 stands for. [any] */
u32  tl_c_init_net(void);
/* Rust → C. The release of the running kernel, for good. [any] */
struct tl_str tl_c_release(void);

/* ---- the device session ---------------------------------------------------- */

enum tl_cmd_kind {
	TL_CMD_HELLO = 1, TL_CMD_CONFIG, TL_CMD_IDENTITY, TL_CMD_SVID, TL_CMD_GRANT,
	TL_CMD_REFUSE, TL_CMD_FORGET, TL_CMD_DRAIN,
};

/* A record from the agent, parsed and in order. Strings point into the record. */
struct tl_cmd {
	u32 kind;
	u32 identity;		/* IDENTITY, SVID, GRANT, FORGET */
	u64 seq;
	u64 generation;		/* CONFIG, GRANT, REFUSE */
	u64 subject;		/* GRANT, REFUSE */
	u64 key;		/* SVID */
	u32 reason;		/* REFUSE */
	u32 pad;
	struct tl_str spiffe_id;	/* IDENTITY */
	struct tl_str body;	/* CONFIG, SVID: what tl_rs_config_build / tl_rs_svid_install read */
	struct tl_str exe_sha256;	/* GRANT: TL_SHA256 bytes of what the subject executes, or empty: not measured */
};

#define TL_SESSION_BYTES 64
/* Resets the session state, one per open device. `generation` is that of the configuration in force
 * (0: none), which outlives the session, so that no agent can roll it back. [any] */
void tl_rs_session_init(u8 *session, u64 generation);
/* Parses one record. Changes nothing: call tl_rs_session_accept when it has taken effect.
 * On refusal returns -errno and sets *why (tidelock_kabi::RefusedReason), *at (byte offset) and out->seq. [any] */
int  tl_rs_session_parse(const u8 *session, const u8 *rec, u64 len, struct tl_cmd *out, u32 *why, u32 *at);
void tl_rs_session_accept(u8 *session, const struct tl_cmd *cmd);
/* The RefusedReason for an errno that carrying a record out gave (-ESTALE, -ENOENT, -ENOMEM, -EIO …). [any] */
u32  tl_rs_refused_of(s32 err);

/* Records to the agent. One struct for all kinds; `kind` says which fields count. */
enum tl_rec_kind {
	TL_REC_HELLO = 1, TL_REC_EXEC, TL_REC_EXIT, TL_REC_CSR, TL_REC_INSTALLED, TL_REC_APPLIED,
	TL_REC_FLOW_OPENED, TL_REC_FLOW_CLOSED, TL_REC_DENIED, TL_REC_REFUSED, TL_REC_LOST,
};
struct tl_rec {
	u32 kind;
	u32 reason;		/* DENIED, FLOW_CLOSED, REFUSED, EXIT: tidelock_kabi reasons */
	u64 time_ns;		/* wall clock, nanoseconds since 1970 */
	u64 subject;
	u64 flow;
	u64 generation;
	u64 key;
	u64 seq;		/* REFUSED: the record refused */
	u64 count;		/* LOST: records; APPLIED: flows cut; DENIED: refusals untold */
	u32 at;			/* REFUSED: byte offset */
	u32 identity;
	u32 pid;
	u32 uid;
	u32 role;
	u32 suite;		/* TLS cipher suite number */
	struct tl_addr local, remote;
	struct tl_str service, local_id, peer_id, detail, body;
	u8  serial[20]; u32 serial_len;
	u8  peer_serial[20]; u32 peer_serial_len;
	const struct tl_evidence *evidence;	/* EXEC */
};
/* Encodes into buf; the length, -ENOSPC, or -EINVAL when the fields make no record (a 0 where the
 * agent expects a number, an unknown kind). HELLO takes `generation`, and
 * the module's version from `body`. [any] */
s64  tl_rs_encode(const struct tl_rec *rec, u8 *buf, u64 cap);
/* Writes the sequence number into an encoded record. [any] */
void tl_rs_stamp(u8 *rec, u64 len, u64 seq);

/* ---- configuration: prefilter, services, bundles, policy, limits ----------- */

/* Builds a configuration in the current arena from tl_cmd.body. [lane] */
int  tl_rs_config_build(const u8 *body, u64 len, u32 *why, u32 *at);
/* The arena size that tl_rs_config_build needs for a body of `len` bytes. [any] */
u64  tl_rs_config_bytes(u64 len);
/* What C must know of a configuration. Durations in milliseconds. [any] */
struct tl_limits { u32 grant_wait_ms, handshake_ms, max_handshakes, max_handshakes_per_listener; u32 n_prefilter, n_services;
	u32 redecide_ms; };	/* how often live flows are to be decided anew because time passes; 0: never */
void tl_rs_config_limits(const void *cfg, struct tl_limits *out);
/* Is a process with this evidence governed? [any] */
bool tl_rs_prefilter(const void *cfg, const struct tl_evidence *ev);
/* The Service that an address belongs to (wildcard local addresses match by port), or -1. [any] */
s32  tl_rs_service(const void *cfg, const struct tl_addr *addr);
struct tl_str tl_rs_service_name(const void *cfg, s32 service);

/* May this flow be? Both ends ask the same question. [any] */
/* What policies have permitted one end of one flow: Rust's to read and write. All zero: nothing yet. */
#define TL_MEMO_WORDS 16
struct tl_memo { u64 words[TL_MEMO_WORDS]; };
struct tl_question {
	const void *cfg;
	s32 service;		/* or -1: no permit can match */
	u32 role;		/* who asks */
	struct tl_str client_id;	/* empty: not known yet */
	struct tl_str server_id;	/* empty: not known yet */
	struct tl_addr addr;	/* the server's end */
	struct tl_addr client;	/* the client's end; all zero: not known yet */
	s64 now_ms;		/* since 1970 */
	const struct tl_evidence *process;	/* whose end asks; or NULL: nothing is told of it */
	const u8 *exe_sha256;	/* TL_SHA256 bytes of what it executes, that stay; or NULL: not measured */
	struct tl_str own_serial;	/* of who asks; empty: not looked at */
	struct tl_str peer_serial;	/* empty: not known yet */
	struct tl_str own_authority;	/* TL_AUTHORITY bytes of tl_svid; empty: not looked at */
	struct tl_str peer_authority;	/* the same of tl_step */
	u32 plain;		/* 1: nothing is proved on the wire */
	u32 refused;		/* why its process was refused an identity, or 0: of who goes in plain without one */
	u32 carried;		/* what its bytes go through: as tl_rs_transforms said, or 0: that is not settled yet */
	u64 age_ms;		/* since the flow opened; 0: it opens */
	struct tl_memo *memo;	/* of the end that asks, touched by nobody else meanwhile; or NULL: policies are asked anew */
};
struct tl_decision {
	u32 allow;		/* 1 or 0 */
	u32 reason;		/* tidelock_kabi::DenyReason when 0 */
	u32 again_ms;		/* of a flow that may be: ask again after so long at the latest; 0: only when something changes */
	u32 detail_len;
	u8  detail[256];	/* determining policies, or `no permit matched` */
};
void tl_rs_decide(const struct tl_question *q, struct tl_decision *out);
/* The reason that a live flow is cut for, when a new configuration refuses it for this one. [any] */
u32  tl_rs_cut_for(u32 reason);
/* Is the SVID of this serial number one of those that the configuration revokes? [any] */
bool tl_rs_revoked(const void *cfg, struct tl_str serial);
/* What policies in mode observe would have said of it: false if the same, or if there are none. Else out->reason is
 * TL_R_WOULD_DENY or TL_R_WOULD_PERMIT. Finds the Service by q->addr. To be told, never to be acted on. [any] */
bool tl_rs_observe(const struct tl_question *q, struct tl_decision *out);

/* ---- modes of Services: what goes over the wire in plain ----------------------- */

enum tl_wire { TL_WIRE_TLS = 0, TL_WIRE_PLAIN, TL_WIRE_LOOK };
/* At this end of a connection to this Service (or -1). TL_WIRE_LOOK: the client's first bytes tell. [any] */
u32  tl_rs_wire(const void *cfg, s32 service, u32 role);
#define TL_FIRST_BYTES 6
/* What a look at up to TL_FIRST_BYTES of them tells, that gave so many, 0 at the end, or -errno: TL_WIRE_LOOK for more, unless
 * they were waited for long enough. [any] */
u32  tl_rs_first_bytes(const u8 *bytes, s32 came, bool waited);
/* How long they are waited for, in milliseconds. [any] */
u32  tl_rs_look_ms(void);
/* May a process that nothing governs connect to it, untouched? [any] */
bool tl_rs_admits_strangers(const void *cfg, s32 service);
/* May this governed end, that gets no identity for this reason, go in plain? [any] */
bool tl_rs_goes_without(const void *cfg, s32 service, u32 role, u32 reason);

/* ---- identities: keys are born here and never leave ------------------------- */

#define TL_IDENTITY_ARENA (64 * 1024)
/* Makes a key pair for spiffe_id in the current arena; writes a PKCS#10 CSR (DER) to csr. [lane] */
int  tl_rs_key_new(struct tl_str spiffe_id, u8 *csr, u64 cap, u64 *csr_len);
/* Gives the key in the current arena its certificate chain; checks that they belong together.
 * The arena is then immutable and may be shared by handshakes. [lane] */
#define TL_AUTHORITY 16		/* bytes by which an authority is known again that signed an SVID */
struct tl_svid { s64 not_before, not_after; u8 serial[20]; u32 serial_len; u8 authority[TL_AUTHORITY]; };
int  tl_rs_svid_install(const u8 *body, u64 len, struct tl_svid *out, u32 *why, u32 *at);
/* The SPIFFE ID of an identity arena. [any] */
struct tl_str tl_rs_identity_id(const void *identity);

/* ---- the handshake of one flow ---------------------------------------------- */

#define TL_FLOW_ARENA (128 * 1024)
#define TL_RECORD_MAX (5 + 16384 + 256)
struct tl_flow_new {
	const void *cfg;	/* both stay alive until the flow's arena is freed */
	const void *identity;
	s32 service;
	u32 role;
	struct tl_addr addr;	/* the server's end */
	struct tl_addr client;	/* as in tl_question */
	s64 now_ms;
	const struct tl_evidence *process;	/* as in tl_question; stays as cfg does */
	const u8 *exe_sha256;	/* the same */
	struct tl_memo memo;
};
/* What later keys of an established flow are made of: Rust's to read and write, C's to keep and wipe. */
#define TL_TRAFFIC_WORDS 14
struct tl_traffic { u64 words[TL_TRAFFIC_WORDS]; };
enum tl_verdict { TL_WANT_RECORD = 1, TL_ESTABLISHED = 2, TL_FAILED = 3 };
struct tl_step {
	u32 verdict;
	u32 reason;		/* TL_FAILED: tidelock_kabi::DenyReason */
	s32 err;		/* TL_FAILED: what the program sees, positive errno */
	u32 suite;		/* TL_ESTABLISHED */
	const u8 *tx; u64 tx_len;	/* send this first, whatever the verdict; lives in the arena until the next step */
	struct tl_str peer_id;	/* when known */
	u8  peer_serial[20]; u32 peer_serial_len;
	u32 detail_len;
	u8  detail[256];	/* why it failed: for people; or determining policies */
	/* TL_ESTABLISHED: struct tls12_crypto_info_* ready for setsockopt(SOL_TLS). Wiped by C after use. */
	u8  tx_info[64]; u32 tx_info_len;
	u8  rx_info[64]; u32 rx_info_len;
	u64 records_max;	/* TL_ESTABLISHED: how many the key may protect that we send with */
	u8  peer_hash[32];	/* SHA-256 of the peer's certificate, when known */
	u8  peer_authority[TL_AUTHORITY];	/* of the peer's SVID, when known */
	struct tl_traffic traffic;	/* TL_ESTABLISHED. Wiped by C after use */
};
/* How many handshakes may go on when one of this role begins, on a machine of so many bytes, if the configuration permits max. [any] */
u32  tl_rs_handshakes(u64 memory, u32 max, u32 role);
/* Starts the engine in the current arena and does its first step (a client has bytes to send). [lane] */
void tl_rs_flow_start(const struct tl_flow_new *p, struct tl_step *out);
/* Feeds one whole record (header and body), decrypted in place. [lane] */
void tl_rs_flow_record(void *arena, s64 now_ms, u8 *rec, u64 len, struct tl_step *out);
/* Drops what the engine shares with other arenas. Call before freeing, unless it panicked. [lane] */
void tl_rs_flow_end(void *arena);
/* Body length that a 5-byte record header announces, or -EPROTO. [any] */
s32  tl_rs_record_len(const u8 *header);

/* ---- after the handshake ------------------------------------------------------ */

/* TLS record types (RFC 8446 §5.1) that kTLS reports. */
#define TL_RECORD_ALERT 21
#define TL_RECORD_HANDSHAKE 22
#define TL_RECORD_DATA 23

enum tl_after {
	TL_AFTER_DATA = 0, TL_AFTER_SKIP, TL_AFTER_EOF, TL_AFTER_CUT, TL_AFTER_MORE, TL_AFTER_KEY_UPDATE,
	TL_AFTER_REKEY, TL_AFTER_REKEY_BOTH,
};
/* What a piece of a non-data record means to the reader (RFC 8446 §4.6, §6). Records may come in pieces of any
 * length, messages may span records: give every byte once, in order. `state` is 0 at first, one per flow.
 * TL_AFTER_MORE: an alert of which only one byte has come. TL_AFTER_KEY_UPDATE: as CUT, with a reason of its own, as
 * whatever KeyUpdate is where the kernel's TLS takes no new keys. TL_AFTER_REKEY: the peer's next record is by its next
 * key; _BOTH: and ours is to be changed before more data is sent. [any] */
u32  tl_rs_control_record(u64 *state, u8 type, const u8 *piece, u64 len, bool ends_record, bool can_rekey);
/* Leaves in *flags what kTLS is given for a program's MSG_* flags; 0, or the DenyReason that refuses them. [any] */
u32  tl_rs_send_flags(u32 *flags);
/* How many records so many bytes of a program may have become. [any] */
u64  tl_rs_records_of(u64 bytes);
/* The two bytes of a close_notify alert. [any] */
void tl_rs_close_notify(u8 out[2]);
/* The bytes of a KeyUpdate that asks for none. [any] */
#define TL_KEY_UPDATE_BYTES 5
void tl_rs_key_update(u8 out[TL_KEY_UPDATE_BYTES]);
struct tl_keys { u8 info[64]; u32 info_len; };	/* struct tls12_crypto_info_*; wiped by C after use */
/* The peer has changed its key, or we have said that we change ours: 0 and the keys from now on, or the reason to cut
 * the flow for. `now_ms` is of a monotonic clock: a peer may not do it as often as it likes. One call at a time. [any] */
u32  tl_rs_key_received(struct tl_traffic *traffic, u64 now_ms, struct tl_keys *out);
u32  tl_rs_key_sent(struct tl_traffic *traffic, struct tl_keys *out);

/* ---- mediated flows ------------------------------------------------------------ */

#define TL_TRANSFORM_WORDS 2
/* Most bytes that a transform adds before any were taken: so much is kept free. */
#define TL_ADDED_MAX (5 * 1024)
#define TL_DIRECT (~0u)
/* What a flow of this Service goes through, at this end: a number, and the states of both directions at their
 * start, or TL_DIRECT. [any] */
u32  tl_rs_transforms(const void *cfg, s32 service, u32 role, u64 *wire_to_program, u64 *program_to_wire);

/* What a direction holds at most: a head or a few records, and what a transform adds. */
#define TL_QUEUE_BYTES (64 * 1024)
/* Room for so much before a writer that waited is woken, and before more is read from the wire. */
#define TL_QUEUE_LOW (16 * 1024)
/*
 * Where in a buffer of TL_QUEUE_BYTES lies what. All zero at first.
 *
 *	buf[head, ready)	for the other side to take
 *	buf[ready, end)		for the transform to look at
 */
struct tl_marks { u32 head, ready, end; };
/* How much more may come in: a transform finds its room behind it. [any] */
u32  tl_rs_queue_room(const struct tl_marks *m);
/* How much of that lies in one piece at buf[end]; where it is little, what is held is moved to the front first. [any] */
u32  tl_rs_queue_behind(struct tl_marks *m, u8 *buf);
/* How many of `left` bytes go into so much room: whole records, if there is that much. [any] */
u32  tl_rs_queue_piece(u32 room, u64 left);
/* So many bytes were put at buf[end]. [any] */
void tl_rs_queue_put(struct tl_marks *m, u32 n);
/* How many of `left` bytes may be taken, if the first `skip` are left where they are, and where they begin. [any] */
u32  tl_rs_queue_next(const struct tl_marks *m, u64 skip, u64 left, u32 *at);
/* So many bytes were taken from buf[head]. [any] */
void tl_rs_queue_took(struct tl_marks *m, u32 n);

enum tl_progress { TL_NEEDS_BYTES = 0, TL_NEEDS_ROOM, TL_TRANSFORM_REFUSED, TL_TRANSFORM_DENIED };
struct tl_edit {
	u64 *state;		/* TL_TRANSFORM_WORDS */
	u8  *buf;		/* TL_QUEUE_BYTES */
	struct tl_marks *marks;	/* in, out */
	struct tl_str own_id, peer_id;
	const u8 *peer_hash;	/* 32 bytes */
	struct tl_str why;	/* out: TL_TRANSFORM_REFUSED, for people; for good */
	const struct tl_question *question;	/* what each request is asked about; or NULL: none is permitted */
	struct tl_decision *denied;	/* out: TL_TRANSFORM_DENIED */
	struct tl_decision *observed;	/* out: as of tl_rs_observe, of the first request it differs about; or reason 0 */
};
/* Edits in place and moves `ready` as far as it can. [any] */
u32  tl_rs_transform(struct tl_edit *edit);

/* ---- what a program may ask of a governed socket ------------------------------ */

enum tl_phase { TL_PHASE_PENDING = 0, TL_PHASE_ESTABLISHED = 1, TL_PHASE_LISTENER = 2 };
/* 0, or the errno (positive) that setsockopt/getsockopt answers. [any] */
s32  tl_rs_sockopt(u32 phase, u32 set, s32 level, s32 name);
/* May a governed process make this socket? 0 or positive errno. [any] */
s32  tl_rs_socket(s32 family, s32 type, s32 protocol);
/* The reasons C itself comes across: tidelock_kabi::DenyReason numbers. [any] */
enum tl_reason {
	TL_R_NO_GRANT = 1, TL_R_NOT_GRANTED, TL_R_NO_IDENTITY, TL_R_NO_SVID, TL_R_NO_PERMIT, TL_R_FORBIDDEN,
	TL_R_NOT_A_SERVER, TL_R_PEER_UNAUTHENTICATED, TL_R_PEER_REFUSED, TL_R_HANDSHAKE_DEADLINE, TL_R_PROTOCOL,
	TL_R_RESOURCE_LIMIT, TL_R_UNSUPPORTED_SOCKET, TL_R_CREDENTIALS_CHANGED, TL_R_SVID_EXPIRED, TL_R_NO_POLICY,
	TL_R_DRAINED, TL_R_GRANT_WITHDRAWN, TL_R_POLICY_CHANGED, TL_R_EXITED, TL_R_PEER_CLOSED, TL_R_LOCAL_CLOSED,
	TL_R_TRUNCATED, TL_R_INTERNAL, TL_R_AGENT_GONE, TL_R_SOCKET_OPTION,
	TL_R_WOULD_DENY, TL_R_WOULD_PERMIT, TL_R_PEER_REVOKED, TL_R_SVID_REVOKED, TL_R_KEY_USED_UP,
	TL_R_SERVICE_DENIED, TL_R_NOT_IN_PLAIN, TL_R_TOOK_IN_PLAIN, TL_R_WENT_IN_PLAIN, TL_R_KEY_UPDATED, TL_R_FLOW_TOO_OLD,
};
/* Is it one? Others tell of what happened all the same. [any] */
bool tl_rs_is_refusal(u32 reason);
/* The errno (positive) a program sees for a reason. [any] */
s32  tl_rs_errno(u32 reason);
/* One line of /proc/tidelock/flows for a FLOW_OPENED record; the length, or 0 when it does not fit. [any] */
#define TL_FLOW_LINE_MAX 5120
u64  tl_rs_flow_line(const struct tl_rec *rec, u8 *buf, u64 cap);

#endif
