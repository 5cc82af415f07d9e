//! What the guest's kernel decides by.

use super::peer::spiffe_id;

/// The identity of the flow that is revoked, and that of all others.
pub(super) const TARGET: &str = "target";
pub(super) const OTHERS: &str = "others";

/// The guest's program.
const HOLDER: &str = "holder";

/// This machine's loopback, as the guest has it (`cargo lab vm --host`).
const HOST: &str = "10.0.2.2";

/// The guest's program may connect to these ports, where servers are of the two identities. No process is given either: nodes that
/// have no kernel ask for their SVIDs.
pub(super) fn documents(ports: &[u16]) -> String {
    let identity = |name: &str, selectors: &str| {
        let id = spiffe_id(name);
        format!(
            "---\napiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: {name}}}\n\
             spec:\n  spiffeID: {id}\n  selectors: [{selectors}]\n"
        )
    };
    let peer = |name| identity(name, "'unix:path:/usr/bin/peer'");
    let holder = identity(HOLDER, "'unix:path:/usr/local/bin/hold', 'unix:uid:2001'");
    let addresses: Vec<String> = ports.iter().map(|p| format!("'{HOST}:{p}'")).collect();
    let (target, others, client) = (spiffe_id(TARGET), spiffe_id(OTHERS), spiffe_id(HOLDER));
    format!(
        "{}{}{holder}---\napiVersion: tidelock.dev/v1\nkind: Service\nmetadata: {{name: peers}}\nspec:\n  \
         addresses: [{}]\n  servers: ['{target}', '{others}']\n\
         ---\napiVersion: tidelock.dev/v1\nkind: Policy\nmetadata: {{name: peers}}\nspec:\n  cedar: |\n    \
         permit(principal == Workload::\"{client}\", action == Action::\"connect\", resource == Service::\"peers\");\n",
        peer(TARGET),
        peer(OTHERS),
        addresses.join(", "),
    )
}
