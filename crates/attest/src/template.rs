//! SPIFFE IDs with variables in them, which every process fills with what it is.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::template_error::{FillError, TemplateError};
use crate::variable::{CLOSE, OPEN, Variable, is_plain};

/// Longest template, and longest ID that comes of one, in bytes (SPIFFE-ID §2.3).
pub const MAX_TEMPLATE_BYTES: usize = 2048;

/// What every SPIFFE ID begins with (SPIFFE-ID §2).
pub(crate) const SCHEME: &str = "spiffe://";

/// A SPIFFE ID with variables, at most one in each segment of its path: so it can be told what each of them is in an ID.
///
/// ```
/// use tidelock_attest::{Template, Variable};
///
/// let template = Template::parse("spiffe://{{trustDomain}}/{{node.name}}/user-{{unix.user}}")?;
/// let fixed = template.fill(|variable| match variable {
///     Variable::TrustDomain => Some("example.org".into()),
///     Variable::NodeName => Some("web-1".into()),
///     _ => None,
/// });
/// assert_eq!(fixed.as_ref().map(ToString::to_string), Ok("spiffe://example.org/web-1/user-{{unix.user}}".into()));
/// let fixed = fixed.unwrap();
/// assert!(fixed.admits("spiffe://example.org/web-1/user-ada"));
/// assert!(!fixed.admits("spiffe://example.org/web-2/user-ada"));
/// assert!(!fixed.admits("spiffe://example.org/web-1/user-ada/admin"));
/// # Ok::<(), tidelock_attest::TemplateError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub struct Template {
    /// `None`: [`Variable::TrustDomain`].
    trust_domain: Option<Box<str>>,
    segments: Vec<Segment>,
}

/// What stands between two slashes.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
struct Segment {
    before: Box<str>,
    /// And what stands behind it.
    variable: Option<(Variable, Box<str>)>,
}

impl Template {
    /// Is this meant as a template, and not as a SPIFFE ID? No ID has a brace.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.contains(OPEN)
    }

    /// Parses a template.
    ///
    /// # Errors
    /// Names the first rule broken, reading left to right; the length is checked before any byte is read.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(TemplateError::TooLong);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(TemplateError::NotSpiffe)?;
        let (domain, path) = rest.split_once('/').ok_or(TemplateError::NoPath)?;
        let mut at = SCHEME.len();
        let trust_domain = match variable(domain) {
            Some((Variable::TrustDomain, "")) => None,
            None if !domain.is_empty() && domain.bytes().all(is_of_domain) => Some(domain.into()),
            _ => return Err(TemplateError::TrustDomain { at }),
        };
        at = at.saturating_add(domain.len()).saturating_add(1);
        let mut segments = Vec::new();
        for text in path.split('/') {
            segments.push(Segment::parse(text, at)?);
            at = at.saturating_add(text.len()).saturating_add(1);
        }
        Ok(Self {
            trust_domain,
            segments,
        })
    }

    /// The trust domain; `None`: it is a variable.
    #[must_use]
    pub fn trust_domain(&self) -> Option<&str> {
        self.trust_domain.as_deref()
    }

    /// The variables, in the order they stand.
    pub fn variables(&self) -> impl Iterator<Item = Variable> {
        let domain = self.trust_domain.is_none().then_some(Variable::TrustDomain);
        let segments = self.segments.iter();
        let path = segments.filter_map(|segment| segment.variable.as_ref().map(|(of, _)| *of));
        domain.into_iter().chain(path)
    }

    /// What the first segment of the path begins with, before any variable.
    #[must_use]
    pub fn first_segment(&self) -> &str {
        self.segments.first().map_or("", |segment| &segment.before)
    }

    /// Fills in the variables that `value` knows; the others stay.
    ///
    /// # Errors
    /// A value that the variable cannot have, or a result that no SPIFFE ID can come of.
    pub fn fill(&self, value: impl Fn(Variable) -> Option<String>) -> Result<Self, FillError> {
        let known = |variable: Variable| match value(variable) {
            Some(value) if !variable.accepts(&value) => Err(FillError::Value(variable)),
            known => Ok(known),
        };
        let trust_domain = match &self.trust_domain {
            None => known(Variable::TrustDomain)?.map(String::into_boxed_str),
            domain => domain.clone(),
        };
        let mut segments = Vec::new();
        for segment in &self.segments {
            segments.push(match &segment.variable {
                Some((variable, after)) => match known(*variable)? {
                    Some(value) => {
                        let before = [&*segment.before, value.as_str(), after].concat().into();
                        let variable = None;
                        Segment { before, variable }
                    }
                    None => segment.clone(),
                },
                None => segment.clone(),
            });
        }
        let filled = Self {
            trust_domain,
            segments,
        };
        let dots = |segment: &Segment| {
            segment.variable.is_none() && matches!(&*segment.before, "." | "..")
        };
        if filled.segments.iter().any(dots) || filled.length() > MAX_TEMPLATE_BYTES {
            return Err(FillError::NoId);
        }
        Ok(filled)
    }

    /// The SPIFFE ID, once no variable is left.
    ///
    /// # Errors
    /// The first variable that is.
    pub fn id(&self) -> Result<String, FillError> {
        match self.variables().next() {
            Some(variable) => Err(FillError::Unknown(variable)),
            None => Ok(alloc::format!("{self}")),
        }
    }

    /// Could this ID come of the template? A variable that stands twice has one value.
    #[must_use]
    pub fn admits(&self, id: &str) -> bool {
        let Some((domain, path)) = id.strip_prefix(SCHEME).and_then(|id| id.split_once('/')) else {
            return false;
        };
        let ours = self.trust_domain.as_deref();
        if id.len() > MAX_TEMPLATE_BYTES || ours.is_some_and(|ours| ours != domain) {
            return false;
        }
        let mut values: Vec<(Variable, &str)> = Vec::new();
        let mut texts = path.split('/');
        for segment in &self.segments {
            let Some(value) = texts.next().and_then(|text| segment.value(text)) else {
                return false;
            };
            let Some((variable, _)) = segment.variable else {
                continue;
            };
            let other = |known: &&(Variable, &str)| known.0 == variable && known.1 != value;
            if !variable.accepts(value) || values.iter().find(other).is_some() {
                return false;
            }
            values.push((variable, value));
        }
        texts.next().is_none()
    }

    /// Could an ID come of both templates? Never `false` where one could; `true` also where it takes values that do not
    /// occur, since a variable that stands twice is not compared with itself.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let domains = match (&self.trust_domain, &other.trust_domain) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        let mut pairs = self.segments.iter().zip(&other.segments);
        domains
            && self.segments.len() == other.segments.len()
            && pairs.all(|(ours, theirs)| ours.overlaps(theirs))
    }

    fn length(&self) -> usize {
        alloc::format!("{self}").len()
    }
}

impl Segment {
    fn parse(text: &str, at: usize) -> Result<Self, TemplateError> {
        let (before, rest) = match text.find(OPEN).and_then(|open| text.split_at_checked(open)) {
            Some((before, rest)) => (before, Some(rest)),
            None => (text, None),
        };
        let at_variable = at.saturating_add(before.len());
        plain(before, at)?;
        let variable = match rest {
            None => None,
            Some(rest) if !rest.contains(CLOSE) => {
                return Err(TemplateError::Open { at: at_variable });
            }
            Some(rest) => match variable(rest) {
                None | Some((Variable::TrustDomain, _)) => {
                    return Err(TemplateError::UnknownVariable { at: at_variable });
                }
                Some((variable, after)) => {
                    let len = rest.len().saturating_sub(after.len());
                    let at = at_variable.saturating_add(len);
                    if let Some(open) = after.find(OPEN) {
                        let at = at.saturating_add(open);
                        return Err(TemplateError::SecondVariable { at });
                    }
                    plain(after, at)?;
                    Some((variable, after.into()))
                }
            },
        };
        if variable.is_none() && matches!(before, "" | "." | "..") {
            return Err(TemplateError::Segment { at });
        }
        let before = before.into();
        Ok(Self { before, variable })
    }

    /// Could one text stand for both?
    fn overlaps(&self, other: &Self) -> bool {
        match (&self.variable, &other.variable) {
            (None, _) => other.holds(&self.before),
            (_, None) => self.holds(&other.before),
            (Some((_, ours)), Some((_, theirs))) => {
                let (before, others) = (&*self.before, &*other.before);
                (before.starts_with(others) || others.starts_with(before))
                    && (ours.ends_with(&**theirs) || theirs.ends_with(&**ours))
            }
        }
    }

    /// Could this text stand for it?
    fn holds(&self, text: &str) -> bool {
        self.value(text).is_some_and(|value| match self.variable {
            None => true,
            Some((variable, _)) => variable.accepts(value),
        })
    }

    /// The value of the variable in a segment of an ID; of a segment without variable, what stands there.
    fn value<'t>(&self, text: &'t str) -> Option<&'t str> {
        if matches!(text, "." | "..") {
            return None;
        }
        match &self.variable {
            None => (text == &*self.before).then_some(text),
            Some((_, after)) => text.strip_prefix(&*self.before)?.strip_suffix(&**after),
        }
    }
}

/// A variable at the start of a text, and what follows it.
fn variable(text: &str) -> Option<(Variable, &str)> {
    let (name, after) = text.strip_prefix(OPEN)?.split_once(CLOSE)?;
    Some((Variable::of_name(name.trim_matches(' '))?, after))
}

fn plain(text: &str, at: usize) -> Result<(), TemplateError> {
    match text.bytes().position(|byte| !is_plain(byte)) {
        None => Ok(()),
        Some(bad) => Err(TemplateError::BadByte {
            at: at.saturating_add(bad),
        }),
    }
}

/// SPIFFE-ID §2.1.
const fn is_of_domain(byte: u8) -> bool {
    is_plain(byte) && !byte.is_ascii_uppercase()
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        match &self.trust_domain {
            None => Variable::TrustDomain.fmt(f)?,
            Some(domain) => f.write_str(domain)?,
        }
        for segment in &self.segments {
            write!(f, "/{}", segment.before)?;
            if let Some((variable, after)) = &segment.variable {
                write!(f, "{variable}{after}")?;
            }
        }
        Ok(())
    }
}
