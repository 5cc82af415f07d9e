//! What is said of authorities, and of what they sign for operators.

use clap::{Subcommand, ValueEnum};
use tidelock_proto::v1;

use crate::span;

#[derive(Debug, Subcommand)]
pub(crate) enum AuthorityCommand {
    /// Those that are remembered, oldest first, of certificates before those of JWT-SVIDs.
    List,
    /// Make an authority and put it into the bundle. It signs nothing yet.
    Prepare {
        /// What it is to sign.
        #[arg(long, value_enum, default_value_t = AuthorityKind::X509)]
        kind: AuthorityKind,
    },
    /// Let a prepared authority sign, once it is known to everyone; the one of its kind that does now retires.
    Activate {
        /// As `list` shows it.
        id: String,
        /// Even if nodes that are connected do not say that they know it.
        #[arg(long)]
        despite_nodes: bool,
    },
    /// Have everything renewed that a retired authority signed.
    Taint {
        /// As `list` shows it.
        id: String,
    },
    /// Take a tainted authority, or a prepared one, out of the bundle for good.
    Revoke {
        /// As `list` shows it.
        id: String,
    },
    /// Write the list of revoked SVIDs (CRL) that an authority of certificates signs now, in DER, for relying parties outside.
    Crl {
        /// As `list` shows it.
        id: String,
    },
}

/// What an authority signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum AuthorityKind {
    /// X509-SVIDs.
    X509,
    /// JWT-SVIDs.
    Jwt,
}

impl From<AuthorityKind> for v1::AuthorityKind {
    fn from(kind: AuthorityKind) -> Self {
        match kind {
            AuthorityKind::X509 => Self::X509,
            AuthorityKind::Jwt => Self::Jwt,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum JwtCommand {
    /// Sign a JWT-SVID and print it. Whoever has it is its owner until it expires: nothing takes it back.
    Mint {
        /// The SPIFFE ID of a workload; there may be no WorkloadIdentity of it.
        #[arg(long, value_name = "SPIFFE-ID")]
        id: String,
        /// Who is to be shown it; may be given more than once.
        #[arg(long, required = true, value_name = "NAME")]
        audience: Vec<String>,
        /// How long it is good for, for example `90s`, `10m`; an hour at most, and no longer than SVIDs of that ID.
        #[arg(long, default_value = "5m", value_parser = span::parse_secs)]
        ttl: u32,
    },
}

/// How the bundle is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum BundleFormat {
    /// A JWK set with certificates and with keys of JWT-SVIDs (SPIFFE Trust Domain and Bundle).
    Spiffe,
    /// The certificates alone, in PEM.
    Pem,
}
