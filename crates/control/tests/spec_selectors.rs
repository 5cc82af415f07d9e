//! Selectors in documents: what is refused, at which line, and why.

use tidelock_control::document::{Document, Format, SourceFile, WorkloadIdentity, parse_files};
use tidelock_spiffe_core::TrustDomain;

const HEAD: &str = "apiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {name: a}\nspec:\n  \
                    spiffeID: spiffe://example.org/a\n  selectors:\n";

fn parse(selectors: &str) -> Result<WorkloadIdentity, Vec<String>> {
    let file = SourceFile {
        name: "f.yaml".into(),
        text: format!("{HEAD}{selectors}"),
        format: Format::Yaml,
    };
    let ours = TrustDomain::parse("example.org").expect("a trust domain");
    match parse_files(&[file], ours) {
        Ok(documents) => match documents.into_iter().next() {
            Some(Document::WorkloadIdentity(identity)) => Ok(identity),
            other => panic!("{other:?}"),
        },
        Err(errors) => Err(errors.iter().map(ToString::to_string).collect()),
    }
}

fn refused(selectors: &str, expected: &[&str]) {
    let errors = parse(selectors).expect_err(selectors);
    assert_eq!(errors, expected, "{selectors}");
}

#[test]
fn operators_are_read_where_a_selector_can_stand() {
    let text = "  - unix:path:/usr/bin/python3.11
  - anyOf:
    - unix:uid:1000
    - allOf: [unix:uid:1001, unix:supplementary_gid:998]
  - not: systemd:unit:cron.service
  - not:
      anyOf: [unix:gid:0, unix:gid:1]
";
    let identity = parse(text).expect("good");
    assert_eq!(
        identity.selectors.to_string(),
        "unix:path:/usr/bin/python3.11, anyOf(unix:uid:1000, allOf(unix:uid:1001, unix:supplementary_gid:998)), \
         not(systemd:unit:cron.service), not(anyOf(unix:gid:0, unix:gid:1))"
    );
    assert_eq!(identity.selectors.branches().len(), 2);
}

#[test]
fn a_contradiction_names_both_sides() {
    refused(
        "  - unix:path:/usr/bin/a\n  - unix:uid:1000\n  - not: unix:uid:1000\n",
        &[
            "f.yaml:9:10: spec.selectors[2].not: no process can fit `unix:uid:1000` as it is asked for here \
           and `unix:uid:1000` as at line 8",
        ],
    );
    refused(
        "  - unix:path:/a\n  - anyOf:\n    - unix:path:/b\n    - unix:uid:1\n",
        &[
            "f.yaml:9:7: spec.selectors[1].anyOf[0]: no process can fit `unix:path:/b` as it is asked for here \
           and `unix:path:/a` as at line 7",
        ],
    );
    refused(
        "  - unix:path:/a\n  - unix:uid:1\n  - unix:path:/b\n",
        &["f.yaml:9:5: spec.selectors[2]: `unix:path:` is given twice"],
    );
}

#[test]
fn every_way_to_fit_has_to_say_what_the_process_is() {
    refused(
        "  - not: unix:uid:0\n",
        &[
            "f.yaml:7:5: spec.selectors: the selectors would match every process but a few: say what the process is, \
           by `unix:path:` or `unix:sha256:`",
        ],
    );
    refused(
        "  - unix:uid:1\n  - anyOf:\n    - unix:path:/a\n    - unix:gid:1\n",
        &[
            "f.yaml:10:7: spec.selectors[1].anyOf[1]: this way to fit, with what is beside it, names no executable: \
           add `unix:path:` or `unix:sha256:`",
        ],
    );
    refused(
        "  - anyOf:\n    - unix:path:/a\n    - not: unix:path:/b\n",
        &[
            "f.yaml:9:7: spec.selectors[0].anyOf[1]: this way to fit, with what is beside it, would match every \
           process but a few: say what the process is, by `unix:path:` or `unix:sha256:`",
        ],
    );
    let sha256 = format!("unix:sha256:{}", "0".repeat(64));
    refused(
        &format!("  - anyOf:\n    - unix:path:/a\n    - {sha256}\n"),
        &[
            "f.yaml:9:7: spec.selectors[0].anyOf[1]: this way to fit, with what is beside it, would govern every \
           process: add `unix:path:` or `unix:uid:`",
        ],
    );
}

#[test]
fn what_is_no_expression_is_refused_where_it_stands() {
    for (selectors, expected) in [
        (
            "  - unix:path:/a\n  - anyOf: []\n",
            "f.yaml:8:5: spec.selectors[1]: there is nothing in it",
        ),
        (
            "  - unix:path:/a\n  - {}\n",
            "f.yaml:8:5: spec.selectors[1]: has to have just one of `allOf`, `anyOf` and `not`",
        ),
        (
            "  - unix:path:/a\n  - anyOf: [unix:uid:1]\n    not: unix:gid:1\n",
            "f.yaml:8:5: spec.selectors[1]: has to have just one of `allOf`, `anyOf` and `not`",
        ),
        (
            "  - unix:path:/a\n  - not: [unix:uid:1]\n",
            "f.yaml:8:10: spec.selectors[1].not: has to be a selector, or a mapping with `allOf`, `anyOf` or `not`, \
             but is a list",
        ),
        (
            "  - unix:path:/a\n  - anyOf: unix:uid:1\n",
            "f.yaml:8:12: spec.selectors[1].anyOf: has to be a list, but is a string",
        ),
        (
            "  - unix:path:/a\n  - anyOf: [unix:uid:1, {anyOf: [{anyOf: [{anyOf: [{anyOf: [unix:uid:2]}]}]}]}]\n",
            "f.yaml:8:52: spec.selectors[1].anyOf[1].anyOf[0].anyOf[0].anyOf[0]: is nested deeper than 4 operators",
        ),
    ] {
        refused(selectors, &[expected]);
    }
    refused(
        "  - unix:path:/a\n  - noneOf: [unix:uid:1]\n",
        &[
            "f.yaml:8:5: spec.selectors[1].noneOf: is not a known field; known are `allOf`, `anyOf`, `not`",
            "f.yaml:8:5: spec.selectors[1]: has to have just one of `allOf`, `anyOf` and `not`",
        ],
    );
}

#[test]
fn every_selector_that_is_wrong_is_told_however_deep() {
    refused(
        "  - unix:path:a\n  - anyOf:\n    - unix:uid:x\n    - allOf:\n      - unix:gid:1\n      - not: nginx.service\n",
        &[
            "f.yaml:7:5: spec.selectors[0]: `unix:path:a`: the path does not begin with `/` (at byte 10)",
            "f.yaml:9:7: spec.selectors[1].anyOf[0]: `unix:uid:x`: not a decimal number: names of users and groups \
             are not resolved (at byte 9)",
            "f.yaml:12:14: spec.selectors[1].anyOf[1].allOf[1].not: `nginx.service`: unknown selector: expected one of \
             `unix:uid:` `unix:gid:` `unix:path:` `unix:sha256:` `unix:script:` `unix:supplementary_gid:` \
             `systemd:unit:` `container:id:` (at byte 0)",
        ],
    );
}

#[test]
fn the_example_of_the_readme_is_good() {
    let readme = include_str!("../../../README.md");
    let start = readme
        .find("  selectors:\n  - unix:path")
        .expect("an example");
    let end = readme[start..].find("```").expect("its end");
    let example = &readme[start..start + end];
    let selectors = example.strip_prefix("  selectors:\n").expect("a list");
    assert!(
        parse(selectors)
            .expect("good")
            .selectors
            .as_list()
            .is_none()
    );
}
