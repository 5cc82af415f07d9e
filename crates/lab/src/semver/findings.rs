//! What cargo-semver-checks says in a few lines, of what it says in many.

/// How a section begins that tells of a break.
const SECTION: &str = "--- failure ";

/// What the items that it is about come after.
const ITEMS: &str = "Failed in:";

/// Each item that is not what it was, after what is wrong with it; once, by however many paths it can be reached.
pub(super) fn read(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rule = "";
    let mut listed = false;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix(SECTION) {
            rule = title.trim_end_matches([' ', '-']);
            listed = false;
        } else if line == ITEMS {
            listed = true;
        } else if listed && line.starts_with("  ") && !is_progress(line) {
            let finding = format!("{rule}: {}", line.trim());
            if found.last() != Some(&finding) {
                found.push(finding);
            }
        } else {
            listed = false;
        }
    }
    found
}

/// `     Summary …`: its own progress is aligned to the right, further in than items are.
fn is_progress(line: &str) -> bool {
    line.starts_with("     ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
    Checking tidelock-x v0.1.0 -> v0.1.0 (assume minor change)
     Checked [   0.047s] 223 checks: 221 pass, 2 fail, 0 warn, 0 skip

--- failure enum_variant_missing: pub enum variant removed or renamed ---

Description:
A publicly-visible enum has at least one variant that is no longer available under its prior name.
        ref: https://example.org

Failed in:
  variant Kind::A, previously in file /then/src/lib.rs:9
  variant Kind::B, previously in file /then/src/lib.rs:10

--- failure function_missing: pub fn removed or renamed ---

Description:
A publicly-visible function cannot be imported by its prior path.

Failed in:
  function tidelock_x::f, previously in file /then/src/lib.rs:1
  function tidelock_x::f, previously in file /then/src/lib.rs:1

     Summary semver requires new major version: 2 major and 0 minor checks failed
    Finished [   0.082s] tidelock-x
";

    #[test]
    fn every_item_is_named_with_the_rule_that_it_breaks() {
        let found = read(SAID);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[1].starts_with(
            "enum_variant_missing: pub enum variant removed or renamed: variant Kind::B"
        ));
        assert!(
            found[2].ends_with("function tidelock_x::f, previously in file /then/src/lib.rs:1")
        );
    }

    #[test]
    fn nothing_is_found_where_nothing_is_wrong() {
        let said = "    Checking tidelock-x v0.1.0\n     Checked 223 checks: 223 pass\n     Summary no semver update required\n";
        assert!(read(said).is_empty());
        assert!(read("").is_empty());
    }
}
