//! Who calls, and what that gives.

use std::fmt;
use std::net::SocketAddr;

use tidelock_proto::ErrorCode;
use tidelock_spiffe_core::SpiffeIdBuf;

use crate::audit::Actor;
use crate::clock;
use crate::core::Core;
use crate::document::{Document, Kind, Operator, PathPrefix, Role, WorkloadIdentity};
use crate::name::Name;
use crate::world::World;

use super::need::Need;

/// Who calls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Who {
    /// A user of the control plane's machine, at the administrators' socket: always an admin.
    Local { uid: u32 },
    /// Whoever holds the key of an operator's SVID.
    Operator {
        name: Name,
        serial: Vec<u8>,
        not_after: i64,
        remote: SocketAddr,
    },
}

/// What a call may do. There is none without a caller that was looked up in the documents in force.
#[derive(Clone, Debug)]
pub(crate) struct Permit {
    who: Who,
    call: &'static str,
    need: Need,
    /// The role that the call rests on.
    role: Role,
    /// What it may see and change; an admin's holds everything.
    prefixes: Vec<PathPrefix>,
}

/// Why a call is not let through.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// It is not proven that an operator calls who is believed.
    Unknown(String),
    /// An operator calls, who may not.
    NotPermitted { operator: Name, why: String },
    /// The table does not have the call, so that not even the administrators' socket gives it.
    NoSuchCall,
}

impl Permit {
    /// Holds a caller to what the documents say now.
    pub(super) fn new(
        who: Who,
        (call, need): (&'static str, Need),
        world: &World,
        now: i64,
    ) -> Result<Self, Refusal> {
        let (role, prefixes) = match &who {
            Who::Local { .. } => (Role::Admin, vec![PathPrefix::everything()]),
            Who::Operator {
                name,
                serial,
                not_after,
                ..
            } => {
                let operator = believed(world, name, serial, *not_after, now)?;
                let role = resting_on(operator, need).ok_or_else(|| Refusal::NotPermitted {
                    operator: name.clone(),
                    why: format!("{call} needs {}; {}", need.told(), has(operator)),
                })?;
                let prefixes = match operator.is_admin() {
                    true => vec![PathPrefix::everything()],
                    false => operator.prefixes.clone(),
                };
                (role, prefixes)
            }
        };
        Ok(Self {
            who,
            call,
            need,
            role,
            prefixes,
        })
    }

    /// Holds the caller to what the documents say by now.
    pub(crate) fn again(&self, world: &World) -> Result<Self, Refusal> {
        let asked = (self.call, self.need);
        Self::new(self.who.clone(), asked, world, clock::unix_secs())
    }

    /// For the audit log.
    pub(crate) fn actor(&self) -> Actor {
        match &self.who {
            Who::Local { uid } => Actor::User(*uid),
            Who::Operator { name, .. } => Actor::Operator(name.clone(), Some(self.role)),
        }
    }

    /// The operator, if it is not somebody at the socket.
    pub(crate) fn operator(&self) -> Option<&Name> {
        match &self.who {
            Who::Local { .. } => None,
            Who::Operator { name, .. } => Some(name),
        }
    }

    /// Where the call comes from, if not from the socket.
    pub(crate) fn remote(&self) -> String {
        match &self.who {
            Who::Local { .. } => String::new(),
            Who::Operator { remote, .. } => remote.to_string(),
        }
    }

    /// Which call it is for.
    pub(crate) fn call(&self) -> &'static str {
        self.call
    }

    /// May the caller do everything?
    pub(crate) fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// Is what belongs to no one path the caller's too?
    pub(crate) fn is_everywhere(&self) -> bool {
        self.prefixes.iter().any(PathPrefix::is_everything)
    }

    /// Does this SPIFFE ID, of our trust domain, lie under the caller's prefixes? What is no SPIFFE ID lies nowhere.
    pub(crate) fn covers(&self, spiffe_id: &str) -> bool {
        if self.is_everywhere() {
            return true;
        }
        let under = |path: &str| self.prefixes.iter().any(|prefix| prefix.contains(path));
        SpiffeIdBuf::parse(spiffe_id).is_ok_and(|id| under(id.path()))
    }

    /// Does every SPIFFE ID of this identity lie there?
    pub(crate) fn covers_identity(&self, identity: &WorkloadIdentity) -> bool {
        let mut prefixes = self.prefixes.iter();
        prefixes.any(|prefix| identity.spiffe_id.is_under(prefix))
    }

    /// The prefixes, for people.
    pub(crate) fn prefixes_told(&self) -> String {
        told(&self.prefixes)
    }

    /// That this is not the caller's to do.
    pub(crate) fn refuse(&self, why: String) -> Refusal {
        match &self.who {
            Who::Operator { name, .. } => Refusal::NotPermitted {
                operator: name.clone(),
                why,
            },
            // Does not come up: there is nothing that an admin may not.
            Who::Local { .. } => Refusal::Unknown(why),
        }
    }
}

/// The document of an operator who shows this SVID, if both are to be believed.
fn believed<'w>(
    world: &'w World,
    name: &Name,
    serial: &[u8],
    not_after: i64,
    now: i64,
) -> Result<&'w Operator, Refusal> {
    let unknown = |why: String| Err(Refusal::Unknown(why));
    if not_after <= now {
        return unknown("the operator's SVID has expired; have an admin issue another".into());
    }
    if world.revoked.find(serial).is_some() {
        return unknown("the operator's SVID is revoked".into());
    }
    match world.documents.get(&(Kind::Operator, name.clone())) {
        Some(Document::Operator(operator)) => Ok(operator),
        _ => unknown(format!(
            "there is no Operator `{name}`; an admin applies a document of that kind and name"
        )),
    }
}

/// The role of an operator that such a call rests on: that which gives least.
fn resting_on(operator: &Operator, need: Need) -> Option<Role> {
    let admin = operator.is_admin().then_some(Role::Admin);
    let everywhere = operator.prefixes.iter().any(PathPrefix::is_everything);
    let has = |role| operator.roles.contains(&role).then_some(role);
    let found = match need {
        Need::Read => operator.roles.first().copied(),
        Need::ReadEverything => operator.roles.first().copied().filter(|_| everywhere),
        Need::Role(role) => has(role),
        Need::RoleEverywhere(role) => has(role).filter(|_| everywhere),
    };
    // Whoever may do everything does it as that: what the call itself judges depends on it.
    admin.or(found)
}

fn has(operator: &Operator) -> String {
    let roles: Vec<_> = operator.roles.iter().map(|role| role.as_str()).collect();
    format!(
        "operator `{}` is {} under {}",
        operator.name,
        roles.join(" and "),
        told(&operator.prefixes)
    )
}

fn told(prefixes: &[PathPrefix]) -> String {
    let quoted: Vec<_> = prefixes
        .iter()
        .map(|prefix| format!("`{prefix}`"))
        .collect();
    quoted.join(", ")
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) | Self::NotPermitted { why, .. } => f.write_str(why),
            Self::NoSuchCall => f.write_str("this control plane has no such call"),
        }
    }
}

impl From<Refusal> for tonic::Status {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchCall => ErrorCode::CallUnknown.status(refusal.to_string()),
            Refusal::Unknown(why) => ErrorCode::CallerUnknown.status(why),
            Refusal::NotPermitted { why, .. } => ErrorCode::NotPermitted.status(why),
        }
    }
}

impl Core {
    /// Holds a caller of this call to what the documents say now.
    pub(super) fn permit(&self, who: Who, asked: (&'static str, Need)) -> Result<Permit, Refusal> {
        Permit::new(who, asked, &self.world(), clock::unix_secs())
    }
}

#[cfg(test)]
mod tests;
