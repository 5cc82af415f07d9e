//! Tools for people who write policies: all that is wrong at once, tests, reasons, and a policy to begin with.
//!
//! Nothing here decides: what is told of a decision was asked of the image that was compiled.

mod check;
mod documents;
mod explain;
mod lend;
mod question;
mod suggest;
mod suite;
mod yaml;

pub use check::{Checked, check, show};
pub use documents::{CedarOfYaml, cedar_of_yaml};
pub use explain::{Account, Explanation, Policies, Standing, Wanted};
pub use question::{Facts, Question, QuestionError, Written};
pub use suggest::{Flows, Seen, read_flows, suggest};
pub use suite::{Case, FileError, Tested, read_tests, run_tests};
