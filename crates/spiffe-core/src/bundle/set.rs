//! Bundles of many trust domains, which are never merged.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use core::fmt;

use super::Bundle;
use crate::TrustDomain;

/// Most trust domains in a set. Ours: one more than anybody federates with.
pub const MAX_BUNDLES: usize = 4096;

/// Bundles by trust domain: our own and those of the domains that we federate with.
///
/// An SVID is verified against the bundle of its own trust domain and no other, so what one domain publishes can never
/// vouch for a name of another.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BundleSet(BTreeMap<String, Bundle>);

/// A set that already has [`MAX_BUNDLES`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooManyBundles;

/// What became of a bundle that was fetched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refreshed {
    /// There was none of its trust domain.
    Added,
    /// It took the place of the one that was there.
    Replaced,
    /// It says what the one that was there says.
    Same,
    /// It has a lower sequence number than the one that was there, which stays.
    Stale,
}

impl BundleSet {
    /// Starts an empty set: no SVID of any trust domain is valid.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a bundle in the place of its trust domain's and gives back what was there.
    ///
    /// # Errors
    /// `TooManyBundles`; the set is then as it was.
    pub fn insert(&mut self, bundle: Bundle) -> Result<Option<Bundle>, TooManyBundles> {
        let known = self.get(bundle.trust_domain()).is_some();
        if !known && self.0.len() >= MAX_BUNDLES {
            return Err(TooManyBundles);
        }
        let name = bundle.trust_domain().to_string();
        Ok(self.0.insert(name, bundle))
    }

    /// As [`BundleSet::insert`], for a bundle that was fetched: one with a lower `spiffe_sequence` than the one that is
    /// there is not taken, so that a server that lags behind others cannot bring back a withdrawn authority (SPIFFE
    /// Trust Domain and Bundle §4.1.1). A bundle without a sequence number is always taken.
    ///
    /// # Errors
    /// `TooManyBundles`; the set is then as it was.
    pub fn refresh(&mut self, bundle: Bundle) -> Result<Refreshed, TooManyBundles> {
        let became = match self.get(bundle.trust_domain()) {
            None => Refreshed::Added,
            Some(old) if *old == bundle => return Ok(Refreshed::Same),
            Some(old) => match (old.sequence, bundle.sequence) {
                (Some(old), Some(new)) if new < old => return Ok(Refreshed::Stale),
                _ => Refreshed::Replaced,
            },
        };
        self.insert(bundle)?;
        Ok(became)
    }

    /// The bundle of a trust domain.
    pub fn get(&self, trust_domain: TrustDomain<'_>) -> Option<&Bundle> {
        self.0.get(trust_domain.as_str())
    }

    /// Takes out the bundle of a trust domain: from now on no SVID of it is valid.
    pub fn remove(&mut self, trust_domain: TrustDomain<'_>) -> Option<Bundle> {
        self.0.remove(trust_domain.as_str())
    }

    /// Every bundle, by trust domain in alphabetical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Bundle> {
        self.0.values()
    }

    /// How many trust domains there are; at most [`MAX_BUNDLES`].
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there is no trust domain at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Bundle> for BundleSet {
    /// A set of one trust domain.
    fn from(bundle: Bundle) -> Self {
        let name = bundle.trust_domain().to_string();
        Self(BTreeMap::from([(name, bundle)]))
    }
}

impl fmt::Display for TooManyBundles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {MAX_BUNDLES} trust domains")
    }
}

impl core::error::Error for TooManyBundles {}
