//! What an operator is told: one line each.

use std::fmt;

use crate::core;

/// Something an operator wants to know.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// This node has an SVID.
    Attested {
        /// Its SPIFFE ID.
        id: String,
        /// Joined just now; otherwise kept from before.
        now: bool,
    },
    /// The control plane is there.
    Connected {
        /// Where.
        server: String,
    },
    /// The control plane is away; the node goes on with what it has.
    Away {
        /// Why.
        why: String,
    },
    /// What the core has to say.
    Core(core::Notice),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attested { id, now: true } => write!(f, "attested: this node is {id}"),
            Self::Attested { id, now: false } => {
                write!(f, "attested: this node is {id}, as it was before")
            }
            Self::Connected { server } => write!(f, "connected to the control plane at {server}"),
            Self::Away { why } => write!(f, "the control plane is away: {why}"),
            Self::Core(notice) => notice.fmt(f),
        }
    }
}

impl fmt::Display for core::Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InForce {
                generation,
                identities,
                services,
                flows_cut,
            } => {
                let (some, ranges) = (
                    plural(*identities, "identity", "identities"),
                    plural(*services, "service address", "service addresses"),
                );
                write!(f, "in force: generation {generation}, {some}, {ranges}")?;
                match flows_cut {
                    None | Some(0) => Ok(()),
                    Some(cut) => write!(f, ", {cut} flows cut"),
                }
            }
            Self::ConfigRefused { generation, why } => {
                write!(
                    f,
                    "generation {generation} is NOT in force: the kernel refused it: {why}"
                )
            }
            Self::WouldRollBack { offered, in_force } => write!(
                f,
                "generation {offered} is NOT in force: it is older than {in_force}, which the kernel \
                 holds; if the control plane was rebuilt, drain and reload the module"
            ),
            Self::EntrySkipped { entry, why } => {
                write!(f, "identity {entry} is NOT served by this agent: {why}")
            }
        }
    }
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_force_is_one_line() {
        let mut notice = core::Notice::InForce {
            generation: 7,
            identities: 1,
            services: 2,
            flows_cut: Some(0),
        };
        let line = "in force: generation 7, 1 identity, 2 service addresses";
        assert_eq!(notice.to_string(), line);
        if let core::Notice::InForce { flows_cut, .. } = &mut notice {
            *flows_cut = Some(3);
        }
        assert_eq!(notice.to_string(), format!("{line}, 3 flows cut"));
    }
}
