//! `--filter`: which tiers, and which scenes of them.

/// A part of a name, or nothing: then everything is taken.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Filter(pub Option<String>);

impl Filter {
    /// Whether a scene of a tier is wanted: by its own name, or with its tier.
    pub(crate) fn takes(&self, tier: &str, scene: &str) -> bool {
        self.0
            .as_ref()
            .is_none_or(|part| tier.contains(part) || format!("{tier}/{scene}").contains(part))
    }

    /// Whether a tier is wanted: by its name, or for one of its scenes.
    pub(crate) fn takes_some(&self, tier: &str, scenes: &[String]) -> bool {
        self.takes(tier, "") || scenes.iter().any(|scene| self.takes(tier, scene))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_brings_its_scenes_and_a_scene_its_tier() {
        let filter = Filter(Some("e2e-6.12".to_owned()));
        assert!(filter.takes("e2e-6.12", "b-mtls") && !filter.takes("e2e-6.1", "b-mtls"));
        let filter = Filter(Some("mtls".to_owned()));
        assert!(filter.takes("e2e-6.1", "b-mtls") && !filter.takes("e2e-6.1", "c-denied"));
        assert!(filter.takes_some("e2e-6.1", &["b-mtls".to_owned()]));
        assert!(!filter.takes_some("fmt", &[]));
        let filter = Filter(Some("6.1/b".to_owned()));
        assert!(filter.takes("pair-6.12-6.1", "b-mtls") && !filter.takes("pair-6.12-6.1", "e-x"));
    }

    #[test]
    fn no_filter_takes_everything() {
        assert!(Filter::default().takes("fmt", "") && Filter::default().takes_some("fmt", &[]));
    }
}
