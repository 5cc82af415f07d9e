//! Templates of SPIFFE IDs, and IDs that may have come of them.
#![cfg_attr(fuzzing, no_main)]

use tidelock_attest::{Template, Variable};

tidelock_fuzz::target!(|input: (&str, &str, &str)| {
    let (text, id, value) = input;
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => return assert!(error.at() <= text.len()),
    };
    assert_eq!(
        Template::parse(&template.to_string()).as_ref(),
        Ok(&template)
    );
    let filled = template.fill(|variable| match variable {
        Variable::TrustDomain => Some("td".to_owned()),
        _ => Some(value.to_owned()),
    });
    if let Ok(filled) = filled.and_then(|filled| filled.id()) {
        assert!(template.admits(&filled));
        let filled = Template::parse(&filled);
        assert!(
            filled.is_ok_and(|filled| template.overlaps(&filled) && filled.overlaps(&template))
        );
    }
    if template.admits(id) {
        let (_, path) = id.split_at("spiffe://".len());
        assert!(
            path.split('/')
                .all(|segment| !matches!(segment, "" | "." | ".."))
        );
    }
});
