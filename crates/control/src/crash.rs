//! Places between two effects, at which a test has the control plane die as by `kill -9`. They are there with the feature
//! `crash-points` alone, which no program that is shipped asks for; without it, nothing of them is compiled.

/// A place at which the control plane may die: the name of a [`CrashPoint`], where need be under a condition.
#[cfg(feature = "crash-points")]
macro_rules! crash_point {
    ($point:ident) => {
        $crate::crash::at($crate::CrashPoint::$point)
    };
    (if $this:expr, $point:ident, else $other:ident) => {
        if $this {
            crash_point!($point);
        } else {
            crash_point!($other);
        }
    };
    (if $this:expr, $point:ident) => {
        if $this {
            crash_point!($point);
        }
    };
}

#[cfg(not(feature = "crash-points"))]
macro_rules! crash_point {
    ($($any:tt)*) => {};
}

/// Name of the environment variable with the path of a file. While that file holds a point's name, who reaches the point dies.
/// A file, so that a process that runs already can be made to.
#[cfg(feature = "crash-points")]
pub const CRASH_FILE_VARIABLE: &str = "TIDELOCK_CRASH_FILE";

#[cfg(feature = "crash-points")]
macro_rules! points {
    ($($point:ident $name:literal $what:literal)*) => {
        /// Every place at which the control plane can be made to die.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum CrashPoint {
            $(#[doc = $what] $point,)*
        }

        impl CrashPoint {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$point),*];

            /// What the file says to have the control plane die there.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)*
                }
            }
        }
    };
}

#[cfg(feature = "crash-points")]
points! {
    MigrationTaken "migration/taken" "A step to the next schema is taken and not committed."
    MigrationCommitted "migration/committed" "A step to the next schema is committed; there may be more."
    StoreBegun "store/begun" "A transaction that the audit log tells of (not one of events) has begun; nothing is written."
    StoreChanged "store/changed" "The change is written, its audit entries are not."
    StoreAudited "store/audited" "The audit entries are written too; nothing is committed."
    StoreCommitted "store/committed" "It is on disk, and nobody knows."
    KeyCreated "key/created" "The file beside a secret's is there, and empty."
    KeyWritten "key/written" "The file beside a secret's is written, perhaps not to the disk."
    KeySynced "key/synced" "The file beside a secret's is on disk."
    KeyRenamed "key/renamed" "It has taken the secret's place, perhaps not on the disk."
    KeyUnlinked "key/unlinked" "A key is removed, perhaps not on the disk."
    BundleCreated "bundle/created" "As `KeyCreated`, for `bundle.pem`."
    BundleWritten "bundle/written" "As `KeyWritten`, for `bundle.pem`."
    BundleSynced "bundle/synced" "As `KeySynced`, for `bundle.pem`."
    BundleRenamed "bundle/renamed" "As `KeyRenamed`, for `bundle.pem`."
    SetUpDrafted "set-up/drafted" "The first authority has its key on disk; the store is empty."
    SetUpStored "set-up/stored" "The store has the first authority; there is no bundle yet."
    ApplyPlanned "apply/planned" "A change of documents is checked; nothing is stored."
    ApplyStored "apply/stored" "A change of documents is stored, and not in force."
    ApplyInForce "apply/in-force" "A change of documents is in force; the caller does not know."
    TokenStored "token/stored" "A join token is stored; the caller does not know."
    AttestSigned "attest/signed" "A node's SVID is signed; its token is not used up."
    AttestStored "attest/stored" "The token is used up and the node is stored, and not in force."
    AttestInForce "attest/in-force" "The node is in force, and has no SVID yet."
    IssueSigned "issue/signed" "A workload's SVID is signed, and not written down."
    IssueWritten "issue/written" "Everything of a batch is in the audit log; who waits for it does not know."
    IssueTold "issue/told" "An SVID is written down, and not handed over."
    RenewSigned "renew/signed" "A node's next SVID is signed, and not stored."
    RenewStored "renew/stored" "A node's next SVID is stored, and not in force."
    RenewInForce "renew/in-force" "A node's next SVID is in force, and not handed over."
    RotateDrafted "rotate/drafted" "A change of the authorities is drafted, a new key on disk; nothing is stored."
    RotateStored "rotate/stored" "A change of the authorities is stored; keys that are over are still there."
    RotateInForce "rotate/in-force" "It is what the authority signs by; TLS and nodes do not know."
    RotateBelieved "rotate/believed" "TLS and `bundle.pem` know too; nodes do not."
    RotateTold "rotate/told" "Nodes are told; the caller does not know."
    RevokeJudged "revoke/judged" "What is to be revoked is found; nothing is stored."
    RevokeStored "revoke/stored" "What is revoked is stored, and not in force."
    RevokeInForce "revoke/in-force" "What is revoked is in force; the caller does not know."
}

/// Dies if the file names this point.
#[cfg(feature = "crash-points")]
pub(crate) fn at(point: CrashPoint) {
    let Some(file) = std::env::var_os(CRASH_FILE_VARIABLE) else {
        return;
    };
    // Not a panic: nothing is rolled back, flushed or dropped on the way out.
    if std::fs::read_to_string(file).is_ok_and(|named| named == point.name()) {
        std::process::abort();
    }
}
