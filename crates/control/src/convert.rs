//! From documents to messages.

use tidelock_attest::Expression;
use tidelock_proto::v1;
use tidelock_proto::v1::selector_expression::Is;

use crate::document::{
    Kind, Lives, Netns, OnUnavailable, Policy, PolicyMode, Service, ServiceMode, Transform,
    WorkloadIdentity,
};
use crate::store::JoinedBy;

/// What a node attested with.
pub(crate) fn joined_by(by: JoinedBy) -> v1::JoinedBy {
    match by {
        JoinedBy::Token => v1::JoinedBy::Token,
        JoinedBy::Certificate => v1::JoinedBy::X509pop,
    }
}

/// A Policy document.
pub(crate) fn policy(policy: &Policy) -> v1::Policy {
    let mode = match policy.mode {
        PolicyMode::Enforce => v1::PolicyMode::Enforce,
        PolicyMode::Observe => v1::PolicyMode::Observe,
    };
    v1::Policy {
        name: policy.name.to_string(),
        cedar: policy.cedar.clone(),
        mode: mode.into(),
    }
}

/// An entry as it was written: what differs from node to node is not filled in.
pub(crate) fn entry(identity: &WorkloadIdentity, lives: &Lives) -> v1::Entry {
    let version = match identity.spiffe_id.is_of_process() {
        true => PROCESS_TEMPLATES,
        false => 0,
    };
    let entry = v1::Entry {
        version,
        id: identity.name.to_string(),
        spiffe_id: identity.spiffe_id.to_string(),
        x509_ttl_secs: lives.x509_secs(identity),
        ..v1::Entry::default()
    };
    match identity.selectors.as_list() {
        Some(list) => v1::Entry {
            selectors: list.iter().map(ToString::to_string).collect(),
            ..entry
        },
        // Nothing in `selectors`: an agent that knows of nothing else refuses the entry.
        None => v1::Entry {
            expression: Some(is(Is::AllOf(each(identity.selectors.expressions())))),
            version: version.max(EXPRESSIONS),
            ..entry
        },
    }
}

/// The version of entries that has expressions.
const EXPRESSIONS: u32 = 1;

/// The version of entries whose SPIFFE ID may be a template that agents fill in.
const PROCESS_TEMPLATES: u32 = 2;

fn is(is: Is) -> v1::SelectorExpression {
    v1::SelectorExpression { is: Some(is) }
}

fn each(items: &[Expression]) -> v1::SelectorExpressions {
    v1::SelectorExpressions {
        of: items.iter().map(expression).collect(),
    }
}

/// Recursion is bounded: what is deeper than `MAX_EXPRESSION_DEPTH` is no set of selectors.
fn expression(of: &Expression) -> v1::SelectorExpression {
    is(match of {
        Expression::Selector(selector) => Is::Selector(selector.to_string()),
        Expression::AllOf(items) => Is::AllOf(each(items)),
        Expression::AnyOf(items) => Is::AnyOf(each(items)),
        Expression::Not(of) => Is::Not(Box::new(expression(of))),
    })
}

pub(crate) fn service(service: &Service) -> v1::Service {
    let address = |address: &crate::document::Address| v1::ServiceAddress {
        ip: address.octets().to_vec(),
        prefix_len: address.prefix_len().into(),
        port: address.port().into(),
    };
    v1::Service {
        name: service.name.to_string(),
        addresses: service.addresses.iter().map(address).collect(),
        servers: service
            .servers
            .iter()
            .map(|id| id.as_str().to_owned())
            .collect(),
        netns: netns(service.netns).into(),
        transform: transform(service.transform).into(),
        mode: service_mode(service.mode).into(),
        on_unavailable: on_unavailable(service.on_unavailable).into(),
        max_flow_age_secs: service.max_flow_age_secs.unwrap_or(0),
        tls: service.tls.as_ref().map(|tls| v1::ServiceTls {
            server_name: tls.server_name.clone(),
            roots: tls.roots.clone(),
        }),
    }
}

pub(crate) fn service_mode(mode: ServiceMode) -> v1::ServiceMode {
    match mode {
        ServiceMode::Strict => v1::ServiceMode::Strict,
        ServiceMode::Permissive => v1::ServiceMode::Permissive,
        ServiceMode::Plain => v1::ServiceMode::Plain,
        ServiceMode::Deny => v1::ServiceMode::Deny,
        ServiceMode::Originate => v1::ServiceMode::Originate,
    }
}

pub(crate) fn on_unavailable(on_unavailable: OnUnavailable) -> v1::OnUnavailable {
    match on_unavailable {
        OnUnavailable::Deny => v1::OnUnavailable::Deny,
        OnUnavailable::Allow => v1::OnUnavailable::Allow,
    }
}

pub(crate) fn netns(netns: Netns) -> v1::Netns {
    match netns {
        Netns::Host => v1::Netns::Host,
    }
}

pub(crate) fn transform(transform: Option<Transform>) -> v1::Transform {
    match transform {
        None => v1::Transform::Unspecified,
        Some(Transform::Identity) => v1::Transform::Identity,
        Some(Transform::ForwardClientCert) => v1::Transform::ForwardClientCert,
        Some(Transform::AuthorizeRequests) => v1::Transform::AuthorizeRequests,
    }
}

pub(crate) fn kind(kind: Kind) -> v1::DocumentKind {
    match kind {
        Kind::WorkloadIdentity => v1::DocumentKind::WorkloadIdentity,
        Kind::Service => v1::DocumentKind::Service,
        Kind::Policy => v1::DocumentKind::Policy,
        Kind::Operator => v1::DocumentKind::Operator,
        Kind::NodeGroup => v1::DocumentKind::NodeGroup,
        Kind::TrustDomain => v1::DocumentKind::TrustDomain,
    }
}

/// The other way round; `None` for what no document is.
pub(crate) fn kind_of(message: v1::DocumentKind) -> Option<Kind> {
    Kind::ALL.into_iter().find(|&k| kind(k) == message)
}

#[cfg(test)]
mod tests {
    use tidelock_spiffe_core::TrustDomain;

    use super::*;
    use crate::document::{Document, Format, SourceFile, parse_files};

    fn converted(selectors: &str) -> v1::Entry {
        let text = format!(
            "apiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: a}}\n\
             spec: {{spiffeID: 'spiffe://td/a', selectors: [{selectors}]}}\n"
        );
        let file = SourceFile {
            name: "f".into(),
            text,
            format: Format::Yaml,
        };
        let ours = TrustDomain::parse("td").expect("trust domain");
        let documents = parse_files(&[file], ours).expect("documents");
        let Some(Document::WorkloadIdentity(identity)) = documents.first() else {
            panic!("{documents:?}");
        };
        entry(identity, &Lives::default())
    }

    #[test]
    fn a_list_goes_to_agents_of_every_version() {
        let entry = converted("'unix:path:/a', 'unix:uid:1'");
        assert_eq!(entry.selectors, ["unix:path:/a", "unix:uid:1"]);
        assert_eq!((entry.expression, entry.version), (None, 0));
    }

    #[test]
    fn what_old_agents_cannot_read_leaves_them_nothing_that_could_match() {
        let entry = converted("'unix:path:/a', not: 'unix:uid:1'");
        assert_eq!(entry.selectors, [""; 0]);
        assert_eq!(entry.version, EXPRESSIONS);
        let selector = |text: &str| is(Is::Selector(text.into()));
        let not = is(Is::Not(Box::new(selector("unix:uid:1"))));
        let of = vec![selector("unix:path:/a"), not];
        let all = is(Is::AllOf(v1::SelectorExpressions { of }));
        assert_eq!(entry.expression, Some(all));
    }
}
