//! Who may depend on whom: the arrows of `ARCHITECTURE.md`.

use crate::metadata::Package;

/// A package of ours and those of ours that it may depend on. Tests may use what they like; `tidelock-` is left out.
const ARROWS: [(&str, &[&str]); 19] = [
    ("spiffe-core", &[]),
    ("policy", &[]),
    ("attest", &["spiffe-core"]),
    ("kabi", &["spiffe-core"]),
    ("datapath", &["spiffe-core"]),
    ("proto", &[]),
    ("ca", &["spiffe-core"]),
    (
        "control",
        &["attest", "ca", "policy", "proto", "spiffe-core"],
    ),
    (
        "agent",
        &["attest", "kabi", "policy", "proto", "spiffe-core"],
    ),
    ("telemetry", &["proto"]),
    ("agent-bin", &["agent", "telemetry"]),
    ("ca-bin", &["control", "spiffe-core", "telemetry"]),
    (
        "cli",
        &["kabi", "policy", "proto", "spiffe-core", "telemetry"],
    ),
    (
        "kmod",
        &["attest", "datapath", "kabi", "policy", "spiffe-core"],
    ),
    ("testkit", &["ca", "datapath", "kabi", "spiffe-core"]),
    ("lab", &[]),
    ("benches", &[]),
    (
        "examples",
        &["agent", "ca", "control", "kabi", "proto", "spiffe-core"],
    ),
    (
        "fuzz",
        &[
            "attest",
            "ca",
            "datapath",
            "kabi",
            "policy",
            "proto",
            "spiffe-core",
            "testkit",
        ],
    ),
];

/// Packages that only tests, and each other, may depend on.
pub(super) const UNPUBLISHED: [&str; 6] = ["testkit", "lab", "benches", "examples", "kmod", "fuzz"];

/// Everything that is linked into a kernel or read by one, and the crates of others that it may ask for. Those of
/// `spiffe-core` come with features for hosts, such as JWT-SVIDs; what is linked into the module is checked by itself.
const LANE: [(&str, &[&str]); 5] = [
    (
        "spiffe-core",
        &[
            "arbitrary",
            "p256",
            "p384",
            "p521",
            "ring",
            "serde",
            "serde_json",
        ],
    ),
    // What reads Cedar, tests of policies and flows that were seen, on the host only.
    (
        "policy",
        &["cedar-policy", "miette", "saphyr-parser", "serde_json"],
    ),
    ("attest", &["serde"]),
    ("kabi", &[]),
    (
        "datapath",
        &[
            "rustls",
            "rustls-webpki",
            "rustls-pki-types",
            "p256",
            "p384",
            "rsa",
            "x25519-dalek",
            "ml-kem",
            "sha2",
            "hmac",
            "aes-gcm",
            "chacha20poly1305",
            "zeroize",
            "once_cell",
        ],
    ),
];

/// Arrows that the map does not have.
pub(crate) fn wrong(packages: &[Package]) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages.iter().filter(|package| package.source.is_none()) {
        let name = short(&package.name);
        let Some((_, may)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("`{}` is not on the map", package.name));
            continue;
        };
        for ask in package.asks.iter().filter(|ask| ask.ours) {
            let to = short(&ask.name);
            let allowed = ask.dev || may.contains(&to);
            let shipped = !UNPUBLISHED.contains(&name) && !ask.dev;
            if !allowed || (shipped && UNPUBLISHED.contains(&to)) {
                wrong.push(format!("`{}` depends on `{}`", package.name, ask.name));
            }
        }
    }
    wrong
}

/// What the crates of the kernel lane ask for and should not.
pub(crate) fn strangers(packages: &[Package]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, may) in LANE {
        let package = packages
            .iter()
            .find(|package| package.source.is_none() && short(&package.name) == name);
        let Some(package) = package else {
            wrong.push(format!("there is no `tidelock-{name}`"));
            continue;
        };
        let asks = package.asks.iter().filter(|ask| !ask.dev && !ask.ours);
        for ask in asks.filter(|ask| !may.contains(&ask.name.as_str())) {
            wrong.push(format!(
                "`{}` asks for `{}`: what a kernel runs is kept minimal",
                package.name, ask.name
            ));
        }
    }
    wrong
}

fn short(name: &str) -> &str {
    name.strip_prefix("tidelock-").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    fn package(name: &str, asks: &[(&str, bool, bool)]) -> Package {
        let asks = asks.iter().map(|&(name, dev, ours)| Dependency {
            name: name.to_owned(),
            dev,
            ours,
        });
        Package {
            name: name.to_owned(),
            asks: asks.collect(),
            ..Package::default()
        }
    }

    #[test]
    fn arrows_point_down() {
        let up = package("tidelock-kabi", &[("tidelock-agent", false, true)]);
        assert_eq!(
            wrong(&[up]),
            ["`tidelock-kabi` depends on `tidelock-agent`"]
        );
        let down = package("tidelock-agent", &[("tidelock-kabi", false, true)]);
        assert!(wrong(&[down]).is_empty());
        let test = package("tidelock-datapath", &[("tidelock-testkit", true, true)]);
        assert!(wrong(&[test]).is_empty());
    }

    #[test]
    fn a_new_package_has_to_be_put_on_the_map() {
        let new = package("tidelock-new", &[]);
        assert_eq!(wrong(&[new]), ["`tidelock-new` is not on the map"]);
    }

    #[test]
    fn nothing_that_ships_depends_on_what_does_not() {
        for (name, may) in ARROWS {
            let shipped = !UNPUBLISHED.contains(&name);
            assert!(
                !shipped || !may.iter().any(|to| UNPUBLISHED.contains(to)),
                "{name}"
            );
        }
    }

    #[test]
    fn a_crate_of_the_kernel_lane_asks_for_little() {
        let packages: Vec<Package> = LANE
            .iter()
            .map(|(name, _)| {
                package(
                    &format!("tidelock-{name}"),
                    &[("libc", *name != "kabi", false)],
                )
            })
            .collect();
        let wrong = strangers(&packages);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].starts_with("`tidelock-kabi` asks for `libc`"));
    }
}
