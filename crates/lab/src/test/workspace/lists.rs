//! Lists of strings in `deny.toml`, read without a TOML library: the file is ours, and so is its form.

/// The strings of `[section]`'s `key = ["a", …]`; `None` if there is no such list.
pub(crate) fn list(toml: &str, section: &str, key: &str) -> Option<Vec<String>> {
    let text: String = toml
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .skip_while(|line| *line != format!("[{section}]"))
        .skip(1)
        .take_while(|line| !(line.starts_with('[') && line.ends_with(']') && !line.contains('"')))
        .collect::<Vec<_>>()
        .join("\n");
    let start = text
        .lines()
        .position(|line| line.split('=').next().map(str::trim) == Some(key))?;
    let rest = text.lines().skip(start).collect::<Vec<_>>().join(" ");
    let (_, rest) = rest.split_once('[')?;
    let (items, _) = rest.split_once(']')?;
    let strings = items.split('"').skip(1).step_by(2);
    Some(strings.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str =
        "# [a]\n[a]\nmany = [\n  \"x\",  # why\n  \"y z\",\n]\none = [\"only\"]\n\n[b]\none = []\n";

    #[test]
    fn lists_are_found_by_section_and_key() {
        assert_eq!(
            list(TOML, "a", "many"),
            Some(vec!["x".to_owned(), "y z".to_owned()])
        );
        assert_eq!(list(TOML, "a", "one"), Some(vec!["only".to_owned()]));
        assert_eq!(list(TOML, "b", "one"), Some(Vec::new()));
    }

    #[test]
    fn what_is_not_there_is_none() {
        assert_eq!(list(TOML, "b", "many"), None);
        assert_eq!(list(TOML, "c", "one"), None);
    }
}
