//! Cedar's trees of parsed policies.

use cedar_policy::Policy;
use cedar_policy::pst::{self, PstConstructionError};

use super::{Body, Compilation, Parsed};

impl Compilation<'_> {
    /// The tree of a policy as Cedar evaluates it. It means what was written; `a != b` has become `!(a == b)`, and the like.
    pub(super) fn evaluated(&self, parsed: &Parsed<'_>) -> Option<pst::Template> {
        match &parsed.body {
            Body::Policy(policy) => of_policy(policy),
            Body::Template(_) => None,
            Body::Link(template, _) => converted(self.template(*template)?),
        }
    }

    /// The tree of a policy as it was written. `None` if it is a template, or a link of none.
    pub(super) fn written(
        &self,
        parsed: &Parsed<'_>,
    ) -> Option<Result<pst::Template, PstConstructionError>> {
        match &parsed.body {
            Body::Policy(policy) => Some(policy.to_pst().map(|policy| policy.body().clone())),
            Body::Template(_) => None,
            Body::Link(template, _) => Some(self.template(*template)?.to_pst()),
        }
    }
}

/// The tree of a policy as Cedar evaluates it.
pub(super) fn of_policy(policy: &Policy) -> Option<pst::Template> {
    let policy: pst::Policy = converted(policy)?;
    Some(policy.body().clone())
}

/// Converts what Cedar parsed, which takes a hundredth of what `to_pst` takes: that parses the text once more. `A` is the
/// only thing that a `Policy` or a `Template` lends; its own name is not public.
fn converted<P: AsRef<A>, A: Clone, T: TryFrom<A>>(parsed: &P) -> Option<T> {
    T::try_from(parsed.as_ref().clone()).ok()
}
