//! The shape of documents as JSON Schema, for editors.

/// The JSON Schema of all documents (draft 2020-12). It knows the shape of documents, not what they mean: what it takes may still be
/// refused.
pub const JSON_SCHEMA: &str = include_str!("../../schema/v1.json");

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tidelock_attest::{MAX_SELECTORS, OPERATORS, SelectorKind, Variable};

    use super::super::{
        API_VERSION, Kind, MAX_GROUPS_PER_IDENTITY, MAX_PREFIXES, OnUnavailable, PolicyMode, Role,
        ServiceMode, Transform, identity, node_group, operator, parse, policy, service,
        trust_domain,
    };
    use super::*;

    fn schema() -> Value {
        serde_json::from_str(JSON_SCHEMA).expect("JSON")
    }

    fn at<'s>(schema: &'s Value, pointer: &str) -> &'s Value {
        schema.pointer(pointer).expect(pointer)
    }

    /// The fields of an object, and that it has no others.
    fn fields<'s>(schema: &'s Value, pointer: &str) -> Vec<&'s str> {
        let of = at(schema, pointer);
        assert_eq!(of["additionalProperties"], false, "{pointer}");
        let properties = of["properties"].as_object().expect(pointer);
        properties.keys().map(String::as_str).collect()
    }

    fn sorted<'s>(fields: &[&'s str]) -> Vec<&'s str> {
        let mut fields = fields.to_vec();
        fields.sort_unstable();
        fields
    }

    #[test]
    fn the_schema_has_the_fields_that_the_parser_knows() {
        let schema = schema();
        for (pointer, known) in [
            ("", parse::FIELDS),
            ("/properties/metadata", parse::METADATA_FIELDS),
            ("/$defs/WorkloadIdentity", identity::FIELDS),
            (
                "/$defs/WorkloadIdentity/properties/svid",
                identity::SVID_FIELDS,
            ),
            ("/$defs/TrustDomain", trust_domain::FIELDS),
            ("/$defs/svidLife", trust_domain::SVID_FIELDS),
            ("/$defs/authorityLife", trust_domain::AUTHORITY_FIELDS),
            ("/$defs/selector/oneOf/1", &OPERATORS),
            ("/$defs/Service", service::FIELDS),
            ("/$defs/Policy", policy::FIELDS),
            ("/$defs/Operator", operator::FIELDS),
            ("/$defs/NodeGroup", node_group::FIELDS),
        ] {
            assert_eq!(
                sorted(&fields(&schema, pointer)),
                sorted(known),
                "{pointer}"
            );
        }
    }

    #[test]
    fn the_schema_has_the_words_that_the_parser_knows() {
        let schema = schema();
        assert_eq!(at(&schema, "/properties/apiVersion/const"), API_VERSION);
        let kinds = Kind::ALL.map(Kind::as_str);
        assert_eq!(
            *at(&schema, "/properties/kind/enum"),
            Value::from(kinds.to_vec())
        );
        let transforms = Transform::ALL.map(Transform::as_str).to_vec();
        let pointer = "/$defs/Service/properties/transform/enum";
        assert_eq!(*at(&schema, pointer), Value::from(transforms));
        let modes = ServiceMode::ALL.map(ServiceMode::as_str).to_vec();
        let pointer = "/$defs/Service/properties/mode/enum";
        assert_eq!(*at(&schema, pointer), Value::from(modes));
        let choices = OnUnavailable::ALL.map(OnUnavailable::as_str).to_vec();
        let pointer = "/$defs/Service/properties/onUnavailable/enum";
        assert_eq!(*at(&schema, pointer), Value::from(choices));
        let modes = PolicyMode::ALL.map(PolicyMode::as_str).to_vec();
        let pointer = "/$defs/Policy/properties/mode/enum";
        assert_eq!(*at(&schema, pointer), Value::from(modes));
        let roles = Role::ALL.map(Role::as_str).to_vec();
        let pointer = "/$defs/Operator/properties/roles/items/enum";
        assert_eq!(*at(&schema, pointer), Value::from(roles));
        let pointer = "/$defs/Operator/properties/prefixes/maxItems";
        assert_eq!(*at(&schema, pointer), MAX_PREFIXES);
        let pointer = "/$defs/WorkloadIdentity/properties/nodeGroups/maxItems";
        assert_eq!(*at(&schema, pointer), MAX_GROUPS_PER_IDENTITY);
        let prefixes = SelectorKind::ALL.map(SelectorKind::prefix).join("|");
        let pattern = at(&schema, "/$defs/selector/oneOf/0/pattern");
        assert_eq!(*pattern, format!("^({prefixes})."));
        assert_eq!(*at(&schema, "/$defs/selectors/maxItems"), MAX_SELECTORS);
        let given = |of: &Variable| *of != Variable::TrustDomain;
        let variables = Variable::ALL.into_iter().filter(given);
        let variables: Vec<_> = variables.map(|of| of.name().replace('.', "\\.")).collect();
        let template = at(&schema, "/$defs/template/pattern").as_str();
        let names = format!("({})", variables.join("|"));
        assert!(template.expect("text").contains(&names), "{names}");
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let schema = schema();
        let references = JSON_SCHEMA.split("\"$ref\": \"#").skip(1);
        for reference in references.map(|rest| rest.split('"').next().expect("a quote")) {
            at(&schema, reference);
        }
    }
}
