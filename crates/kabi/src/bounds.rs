//! Every bound of the contract, with its source. Bytes and items, both inclusive.

/// Longest record: what the device copies in one call (the device's own choice).
pub const MAX_RECORD_BYTES: usize = 1024 * 1024;
/// A buffer of this size holds every record from the kernel: the longest is a denial.
pub const MAX_TO_AGENT_BYTES: usize = 5120;
/// Longest version text in a hello.
pub const MAX_VERSION_BYTES: usize = 64;
/// Longest SPIFFE ID (SPIFFE-ID §2.3).
pub const MAX_SPIFFE_ID_BYTES: usize = 2048;
/// Longest trust domain name (SPIFFE-ID §2.3).
pub const MAX_TRUST_DOMAIN_BYTES: usize = 255;
/// Longest path of an executable, script or working directory (`TL_PATH_MAX` in `kmod/shim.h`).
pub const MAX_PATH_BYTES: usize = 1024;
/// Longest argument list (`TL_ARGV_MAX` in `kmod/shim.h`); longer ones come cut and marked.
pub const MAX_ARGV_BYTES: usize = 1024;
/// Longest Service name: a DNS name (RFC 1035 §2.3.4), as document names are.
pub const MAX_SERVICE_NAME_BYTES: usize = 253;
/// Longest explanation in an event (`tl_step.detail` in `kmod/shim.h`).
pub const MAX_DETAIL_BYTES: usize = 256;
/// Longest certificate serial number (RFC 5280 §4.1.2.2).
pub const MAX_SERIAL_BYTES: usize = 20;
/// Length of a SHA-256 digest (FIPS 180-4).
pub const SHA256_BYTES: usize = 32;
/// Longest certificate signing request: a P-256 key, one URI name, and room.
pub const MAX_CSR_BYTES: usize = 4096;
/// Longest certificate, in a chain or a bundle.
pub const MAX_CERT_BYTES: usize = 8192;
/// Most certificates in a chain, leaf included.
pub const MAX_CHAIN_CERTS: usize = 8;
/// Longest chain, all certificates together: half of `TL_IDENTITY_ARENA` in `kmod/shim.h`.
pub const MAX_CHAIN_BYTES: usize = 32 * 1024;
/// Most prefilter entries in a configuration; each exec walks them.
pub const MAX_PREFILTER: usize = 1024;
/// Most Services in a configuration; each connect walks them.
pub const MAX_SERVICES: usize = 1024;
/// Most SPIFFE IDs that may serve one Service.
pub const MAX_SERVERS_PER_SERVICE: usize = 64;
/// Most bundles in a configuration.
pub const MAX_BUNDLES: usize = 64;
/// Most authorities in one bundle: prepared, active and tainted ones through several rotations.
pub const MAX_AUTHORITIES_PER_BUNDLE: usize = 16;
/// Longest name of a server outside: a DNS name (RFC 1035 §2.3.4).
pub const MAX_SERVER_NAME_BYTES: usize = 253;
/// Most authorities that may vouch for a server outside: more than any list of public ones has.
pub const MAX_ROOTS: usize = 256;
/// Most revoked SVIDs in a configuration: 84 KiB of its record. The control plane refuses to revoke more at once
/// (`MAX_REVOKED` there).
pub const MAX_REVOKED: usize = 4096;
/// Longest name of a node: a DNS name (RFC 1035 §2.3.4).
pub const MAX_NODE_BYTES: usize = 253;
/// Longest policy image, each of the two.
pub const MAX_POLICY_BYTES: usize = 512 * 1024;
/// Longest deadline that a configuration may set: five minutes, in milliseconds.
pub const MAX_DEADLINE_MS: u32 = 300_000;
/// Most handshakes that a configuration may allow at once: 64 Ki arenas are 8 GiB of kernel memory.
pub const MAX_HANDSHAKES: u32 = 65_536;

/// What both crates bound must be bounded alike.
const _: () = assert!(
    MAX_SPIFFE_ID_BYTES == tidelock_spiffe_core::MAX_SPIFFE_ID_BYTES
        && MAX_TRUST_DOMAIN_BYTES == tidelock_spiffe_core::MAX_TRUST_DOMAIN_BYTES
);
