//! A data directory without its database is not taken for a new one: that would make another authority of the same name, in the
//! place of the one that every node believes.

use std::path::PathBuf;

use crate::authority::{BUNDLE_FILE, JWKS_FILE};
use crate::data_dir::{DataDir, DataDirError};
use crate::store::{Store, StoreError};

/// What a control plane wrote here whose database is gone.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database `{}` {what}, though `{found}` beside it says that a control plane was set up here: put a back-up of the database in \
     its place; or, to begin a trust domain that no node believes yet, move the directory away",
    path.display()
)]
pub struct Lost {
    path: PathBuf,
    what: &'static str,
    found: String,
}

/// Refuses a database that is not there, or has nothing in it, beside keys or a bundle. A first start makes it before either.
pub(crate) fn refuse_empty(dir: &DataDir, database: &str) -> Result<Option<Lost>, DataDirError> {
    let path = dir.file(database);
    let what = match std::fs::metadata(&path) {
        Ok(file) if file.len() > 0 => return Ok(None),
        Ok(_) => "is empty",
        Err(_) => "is missing",
    };
    let found = dir.find(|name| is_published(name) || is_key(name))?;
    Ok(found.map(|found| Lost { path, what, found }))
}

/// Refuses one that is not set up beside a bundle, which is written when it is. Keys alone are what a first start leaves that was
/// ended half-way.
pub(crate) fn refuse_not_set_up(
    dir: &DataDir,
    database: &str,
    store: &dyn Store,
) -> Result<Option<Lost>, StoreError> {
    if store.authorities()?.is_some() {
        return Ok(None);
    }
    let published = [BUNDLE_FILE, JWKS_FILE];
    let found = published.into_iter().find(|name| dir.has(name));
    Ok(found.map(|found| Lost {
        path: dir.file(database),
        what: "has nothing in it",
        found: found.to_owned(),
    }))
}

fn is_published(name: &str) -> bool {
    [BUNDLE_FILE, JWKS_FILE].contains(&name)
}

fn is_key(name: &str) -> bool {
    let of_authority = ["authority-", "jwt-authority-"];
    name.ends_with(".key") && of_authority.iter().any(|begin| name.starts_with(begin))
}
