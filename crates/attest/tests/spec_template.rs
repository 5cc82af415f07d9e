//! Templates of SPIFFE IDs: what they may look like, what comes of them, and what came of them.

use proptest::prelude::*;
use tidelock_attest::*;

fn refused(text: &str) -> TemplateError {
    Template::parse(text).expect_err(text)
}

#[test]
fn a_template_has_variables_where_segments_have_text() {
    for text in [
        "spiffe://{{trustDomain}}/{{node.name}}/{{unix.user}}",
        "spiffe://example.org/uid-{{unix.uid}}/{{unix.gid}}.group",
        "spiffe://example.org/{{systemd.unit}}/{{exe.name}}",
        "spiffe://example.org/plain",
    ] {
        assert_eq!(Template::parse(text).expect(text).to_string(), text);
    }
    for spaced in ["{{ trustDomain }}", "{{td}}", "{{ td }}"] {
        let spaced = Template::parse(&format!("spiffe://{spaced}/{{{{ unix.uid }}}}")).unwrap();
        assert_eq!(spaced.to_string(), "spiffe://{{trustDomain}}/{{unix.uid}}");
    }
}

#[test]
fn what_is_no_template_is_refused_where_it_is_wrong() {
    let long = format!("spiffe://td/{}", "a".repeat(MAX_TEMPLATE_BYTES));
    for (text, error) in [
        ("http://td/{{unix.uid}}", TemplateError::NotSpiffe),
        ("spiffe://{{trustDomain}}", TemplateError::NoPath),
        (
            "spiffe:///{{unix.uid}}",
            TemplateError::TrustDomain { at: 9 },
        ),
        (
            "spiffe://{{unix.uid}}/a",
            TemplateError::TrustDomain { at: 9 },
        ),
        (
            "spiffe://a.{{trustDomain}}/a",
            TemplateError::TrustDomain { at: 9 },
        ),
        (
            "spiffe://{{trustDomain}}.b/a",
            TemplateError::TrustDomain { at: 9 },
        ),
        (
            "spiffe://TD/{{unix.uid}}",
            TemplateError::TrustDomain { at: 9 },
        ),
        ("spiffe://td/", TemplateError::Segment { at: 12 }),
        (
            "spiffe://td/a//{{unix.uid}}",
            TemplateError::Segment { at: 14 },
        ),
        (
            "spiffe://td/../{{unix.uid}}",
            TemplateError::Segment { at: 12 },
        ),
        ("spiffe://td/a b", TemplateError::BadByte { at: 13 }),
        ("spiffe://td/{unix.uid}", TemplateError::BadByte { at: 12 }),
        (
            "spiffe://td/{{unix.uid}}}",
            TemplateError::BadByte { at: 24 },
        ),
        ("spiffe://td/a{{unix.uid", TemplateError::Open { at: 13 }),
        ("spiffe://td/{{unix.uid}/}", TemplateError::Open { at: 12 }),
        (
            "spiffe://td/{{unix.colour}}",
            TemplateError::UnknownVariable { at: 12 },
        ),
        (
            "spiffe://td/{{}}",
            TemplateError::UnknownVariable { at: 12 },
        ),
        (
            "spiffe://td/a/{{trustDomain}}",
            TemplateError::UnknownVariable { at: 14 },
        ),
        (
            "spiffe://td/{{unix.uid}}-{{unix.gid}}",
            TemplateError::SecondVariable { at: 25 },
        ),
        (&long, TemplateError::TooLong),
    ] {
        assert_eq!(refused(text), error, "{text:.60}");
        assert!(error.at() <= text.len() && !error.to_string().is_empty());
    }
}

#[test]
fn values_that_no_id_can_hold_are_refused_and_never_escaped() {
    let fill = |text: &str, value: &str| {
        let filled = Template::parse(text)?.fill(|_| Some(value.to_owned()));
        Ok::<_, TemplateError>(filled.and_then(|filled| filled.id()))
    };
    let user = |value: &str| fill("spiffe://td/{{unix.user}}", value).unwrap();
    let bad = Err(FillError::Value(Variable::User));
    for value in [
        "",
        "a/b",
        "a b",
        "ä",
        "a%2fb",
        "a@b",
        "{{unix.uid}}",
        "a\n",
        "..\\",
    ] {
        assert_eq!(user(value), bad, "{value}");
    }
    assert_eq!(user(&"a".repeat(MAX_VALUE_BYTES + 1)), bad);
    assert_eq!(user("."), Err(FillError::NoId));
    assert_eq!(user(".."), Err(FillError::NoId));
    assert_eq!(user("..."), Ok("spiffe://td/...".to_owned()));
    let dots = fill("spiffe://td/.{{unix.user}}", ".").unwrap();
    assert_eq!(dots, Err(FillError::NoId));
    for value in ["01", "-1", "4294967295", "x"] {
        let uid = fill("spiffe://td/{{unix.uid}}", value).unwrap();
        assert_eq!(uid, Err(FillError::Value(Variable::Uid)), "{value}");
    }
    for value in ["nginx", "web@1.service", r"a\x2d.service"] {
        let unit = fill("spiffe://td/{{systemd.unit}}", value).unwrap();
        assert_eq!(unit, Err(FillError::Value(Variable::Unit)), "{value}");
    }
    let long = format!("spiffe://td/{}/{{{{unix.user}}}}", "a/".repeat(1000) + "a");
    assert_eq!(fill(&long, &"a".repeat(100)).unwrap(), Err(FillError::NoId));
}

#[test]
fn what_is_not_known_stays_and_is_no_id() {
    let template = Template::parse("spiffe://td/{{node.name}}/{{unix.uid}}").unwrap();
    let node = |of| (of == Variable::NodeName).then(|| "n1".to_owned());
    let filled = template.fill(node).unwrap();
    assert_eq!(filled.to_string(), "spiffe://td/n1/{{unix.uid}}");
    assert_eq!(filled.id(), Err(FillError::Unknown(Variable::Uid)));
}

#[test]
fn an_id_is_told_to_come_of_a_template_or_not() {
    let template =
        Template::parse("spiffe://td/n1/u-{{unix.user}}.x/{{unix.uid}}/{{unix.user}}").unwrap();
    assert!(template.admits("spiffe://td/n1/u-ada.x/7/ada"));
    for id in [
        "",
        "spiffe://td",
        "spiffe://td/",
        "spiffe://TD/n1/u-ada.x/7/ada",
        "spiffe://other/n1/u-ada.x/7/ada",
        "spiffe://td/n2/u-ada.x/7/ada",
        "spiffe://td/n1/u-ada.x/7/bob",
        "spiffe://td/n1/u-ada.x/07/ada",
        "spiffe://td/n1/u-ada.x/x/ada",
        "spiffe://td/n1/u-ada.x/7/ada/",
        "spiffe://td/n1/u-ada.x/7",
        "spiffe://td/n1/u-ada.x/7/ada/more",
        "spiffe://td/n1/u-.x/7/",
        "spiffe://td/n1/ada.x/7/ada",
        "spiffe://td/n1/u-ada/7/ada",
        "spiffe://td/n1/u-a%2fb.x/7/a%2fb",
    ] {
        assert!(!template.admits(id), "{id}");
    }
    // What stands before and what stands behind a variable are not the same bytes.
    let template = Template::parse("spiffe://td/aa{{unix.user}}aa").unwrap();
    assert!(!template.admits("spiffe://td/aaa") && template.admits("spiffe://td/aabaa"));
    let dots = Template::parse("spiffe://td/{{unix.user}}").unwrap();
    assert!(!dots.admits("spiffe://td/..") && dots.admits("spiffe://td/..."));
}

#[test]
fn templates_overlap_where_one_id_could_come_of_both() {
    let overlap = |one: &str, other: &str| {
        let parse = |path: &str| Template::parse(&format!("spiffe://td/{path}")).expect(path);
        let (one, other) = (parse(one), parse(other));
        assert_eq!(one.overlaps(&other), other.overlaps(&one));
        one.overlaps(&other)
    };
    for (one, other) in [
        ("user/{{unix.uid}}", "user/7"),
        ("{{node.name}}/{{unix.uid}}", "n1/7"),
        ("{{node.name}}/{{unix.uid}}", "{{exe.name}}/{{unix.gid}}"),
        ("u-{{exe.name}}", "{{exe.name}}-x"),
        ("{{unix.uid}}xx", "1x{{node.name}}"),
        ("a", "a"),
    ] {
        assert!(overlap(one, other), "{one} {other}");
    }
    for (one, other) in [
        ("user/{{unix.uid}}", "user/ada"),
        ("user/{{unix.uid}}", "user/07"),
        ("user/{{unix.uid}}", "user/7/x"),
        ("user/{{unix.uid}}", "group/{{unix.gid}}"),
        ("u{{unix.uid}}", "g{{unix.gid}}"),
        ("{{unix.uid}}.u", "{{unix.gid}}.g"),
        ("{{systemd.unit}}", "nginx"),
        ("a", "b"),
    ] {
        assert!(!overlap(one, other), "{one} {other}");
    }
}

#[test]
fn what_only_a_node_knows_is_said_to_be_of_a_process() {
    let of_process = Variable::ALL.into_iter().filter(|of| of.is_of_process());
    let names: Vec<_> = of_process.map(Variable::name).collect();
    let known = [
        "unix.user",
        "unix.uid",
        "unix.gid",
        "systemd.unit",
        "exe.name",
    ];
    assert_eq!(names, known);
}

fn template() -> impl Strategy<Value = String> {
    let variable = prop_oneof![
        Just(""),
        Just("{{node.name}}"),
        Just("{{unix.user}}"),
        Just("{{unix.uid}}"),
        Just("{{exe.name}}"),
    ];
    let segment =
        ("[a-z.]{0,2}", variable, "[a-z.]{0,2}").prop_map(|(a, v, b)| format!("{a}{v}{b}"));
    let domain = prop_oneof![Just("td"), Just("{{trustDomain}}")];
    (domain, prop::collection::vec(segment, 1..4))
        .prop_map(|(domain, path)| format!("spiffe://{domain}/{}", path.join("/")))
}

proptest! {
    #[test]
    fn a_template_prints_what_it_parsed(text in template()) {
        if let Ok(template) = Template::parse(&text) {
            prop_assert_eq!(template.to_string(), text);
        }
    }

    #[test]
    fn what_comes_of_a_template_is_admitted_by_it(
        text in template(), user in "[a-z./-]{0,3}", uid in 0_u32..3, node in "[a-z]{1,2}",
    ) {
        let Ok(template) = Template::parse(&text) else { return Ok(()) };
        let filled = template.fill(|variable| Some(match variable {
            Variable::TrustDomain => "td".to_owned(),
            Variable::NodeName => node.clone(),
            Variable::Uid => uid.to_string(),
            _ => user.clone(),
        }));
        if let Ok(filled) = filled {
            let id = filled.id().unwrap();
            prop_assert!(template.admits(&id), "{} {}", template, id);
            prop_assert!(id[12..].split('/').all(|segment| !matches!(segment, "" | "." | "..")));
        }
    }

    #[test]
    fn no_id_is_admitted_whose_literals_were_changed(
        uid in 0_u32..u32::MAX, at in 0_usize..64, by in "[a-z0-9/.]",
    ) {
        let template = Template::parse("spiffe://td/n1/user/{{unix.uid}}/end").unwrap();
        let value = uid.to_string();
        let id = template.fill(|_| Some(value.clone())).and_then(|filled| filled.id()).unwrap();
        prop_assert!(template.admits(&id));
        let variable = 20..20 + value.len();
        let at = at % id.len();
        if !variable.contains(&at) && id[at..=at] != by {
            let mut changed = id.clone();
            changed.replace_range(at..=at, &by);
            prop_assert!(!template.admits(&changed), "{}", changed);
            // Before a literal's byte, and behind the last one; beside the value a digit would be of the value.
            let mut longer = id.clone();
            longer.insert_str(at, &by);
            let beside = at == variable.start || at == variable.end;
            prop_assert!(beside || !template.admits(&longer), "{}", longer);
            let mut shorter = id;
            shorter.remove(at);
            prop_assert!(!template.admits(&shorter), "{}", shorter);
        }
    }

    #[test]
    fn templates_of_one_id_overlap(
        one in template(), other in template(), user in "[a-z.]{1,3}", uid in 0_u32..3,
    ) {
        let (Ok(one), Ok(other)) = (Template::parse(&one), Template::parse(&other)) else {
            return Ok(());
        };
        let filled = one.fill(|variable| Some(match variable {
            Variable::TrustDomain => "td".to_owned(),
            Variable::Uid => uid.to_string(),
            _ => user.clone(),
        }));
        if let Ok(id) = filled.and_then(|filled| filled.id()) && other.admits(&id) {
            prop_assert!(one.overlaps(&other) && other.overlaps(&one), "{} {}", one, other);
        }
    }

    #[test]
    fn what_a_template_admits_comes_of_it(text in template(), path in "(/[a-z0-9.]{0,3}){1,3}") {
        let Ok(template) = Template::parse(&text) else { return Ok(()) };
        let id = format!("spiffe://td{path}");
        if template.admits(&id) {
            // All values of up to three bytes are few enough to be tried where there is one variable.
            let variables: Vec<_> = template.variables().collect();
            let of_path: Vec<_> = variables.iter().filter(|of| **of != Variable::TrustDomain).collect();
            if let [_] = of_path[..] {
                let comes = |value: &str| template.fill(|of| Some(match of {
                    Variable::TrustDomain => "td".to_owned(),
                    _ => value.to_owned(),
                })).and_then(|filled| filled.id()) == Ok(id.clone());
                let found = (0..id.len()).any(|at| (at..=id.len()).any(|end| comes(&id[at..end])));
                prop_assert!(found, "{} {}", template, id);
            }
        }
    }

    #[test]
    fn any_text_is_a_template_or_refused(text in prop_oneof!["\\PC{0,30}", "spiffe://[{}/a-z.]{0,30}"]) {
        match Template::parse(&text) {
            Ok(template) => {
                prop_assert_eq!(Template::parse(&template.to_string()), Ok(template));
            }
            Err(error) => prop_assert!(error.at() <= text.len() && !error.to_string().is_empty()),
        }
        let _ = Template::parse("spiffe://td/{{unix.uid}}").unwrap().admits(&text);
    }
}
