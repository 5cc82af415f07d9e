//! The table of versions in ARCHITECTURE.md, held to the constants.

use tidelock_kabi::ABI_VERSION;
use tidelock_policy::IMAGE_VERSION;
use tidelock_proto::ENTRY_VERSION;

const ARCHITECTURE: &str = include_str!("../../../ARCHITECTURE.md");

/// How the table begins.
const HEAD: &str = "| crates | kernel and agent (`tidelock_kabi::ABI_VERSION`)";

/// The first cell of each row, and the numbers in those after it.
fn rows() -> Vec<(String, Vec<u32>)> {
    let table = ARCHITECTURE
        .lines()
        .skip_while(|line| !line.starts_with(HEAD));
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let version = cells.next().unwrap().to_owned();
        (version, cells.map(|cell| cell.parse().unwrap()).collect())
    })
    .collect()
}

#[test]
fn the_newest_row_says_what_this_version_speaks() {
    let (version, numbers) = rows().remove(0);
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let spoken = [ABI_VERSION.into(), IMAGE_VERSION.into(), ENTRY_VERSION];
    assert_eq!(
        numbers, spoken,
        "ARCHITECTURE.md, the first row of Versions"
    );
}

#[test]
fn no_version_of_the_crates_has_two_rows() {
    let mut versions: Vec<String> = rows().into_iter().map(|(version, _)| version).collect();
    let count = versions.len();
    versions.sort();
    versions.dedup();
    assert_eq!(versions.len(), count);
}
