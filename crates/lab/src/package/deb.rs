//! One Debian package, from a folder that says what it is.
//!
//! `dpkg-deb` is enough: debhelper would bring a build system for C, and derive from it what is four short scripts here.
//! The same sources, compiler and [`Stamp`] give the same bytes.

use crate::cmd::Cmd;
use crate::failure::{Doing, Failure, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What stands for the version in control files, scripts and everything else of a package's folder.
const VERSION_MARK: &str = "@VERSION@";
/// What stands for the size, in the control file.
const SIZE_MARK: &str = "@INSTALLED_KIB@";
/// How many folders may lie within one another: more means that something is wrong.
const MAX_DEPTH: usize = 16;

/// What every package of a run has in common.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    /// The version.
    pub version: String,
    /// `SOURCE_DATE_EPOCH`: the time that files are said to be of, in seconds since 1970.
    pub epoch: u64,
    /// How hard to compress, from 0 to 9.
    pub effort: u8,
}

/// A file that is not in the package's folder.
#[derive(Clone, Debug)]
pub(crate) struct Extra {
    /// Where it is now.
    pub from: PathBuf,
    /// Where it will be, without the leading `/`.
    pub to: String,
    /// Whether it is a program.
    pub program: bool,
}

/// Makes `to/NAME_VERSION_amd64.deb` of `folder`: `DEBIAN` with control file and scripts, `root` with files as they are to
/// lie on the machine, and `extras`.
///
/// # Errors
/// When a file cannot be read or written, or `dpkg-deb` finds a mistake.
pub(crate) fn build(folder: &Path, extras: &[Extra], stamp: &Stamp, to: &Path) -> Result<PathBuf> {
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let tree = to.join(format!("{name}.tree"));
    crate::cache::remove(&tree)?;
    let control = tree.join("DEBIAN");
    copy_filled(&folder.join("DEBIAN"), &control, stamp, 0)?;
    let root = folder.join("root");
    if root.is_dir() {
        copy_filled(&root, &tree, stamp, 0)?;
    }
    for extra in extras {
        place(extra, &tree.join(&extra.to))?;
    }
    let files = files_of(&tree)?;
    set_modes(&tree, &control, extras)?;
    note_size(&control, &files)?;
    write_lists(&tree, &control, &files)?;
    let deb = to.join(format!("{name}_{}_amd64.deb", stamp.version));
    Cmd::new("dpkg-deb")
        .env("SOURCE_DATE_EPOCH", stamp.epoch.to_string())
        // One thread: where a compressor cuts its input into blocks would depend on the machine otherwise.
        .args(["--root-owner-group", "--threads-max=1"])
        .arg(format!("-z{}", stamp.effort))
        .args(["-Zxz", "--build"])
        .arg(&tree)
        .arg(&deb)
        .log(&to.join(format!("{name}.log")))
        .run()?;
    crate::cache::remove(&tree)?;
    Ok(deb)
}

/// Copies a folder of texts, with the version filled in.
fn copy_filled(from: &Path, to: &Path, stamp: &Stamp, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Failure::new(format!(
            "folders lie too deep within one another in {}",
            from.display()
        )));
    }
    fs::create_dir_all(to).doing("make the folder", to)?;
    for entry in fs::read_dir(from).doing("read", from)? {
        let source = entry.doing("read", from)?.path();
        let target = to.join(source.file_name().unwrap_or_default());
        if source.is_dir() {
            copy_filled(&source, &target, stamp, depth + 1)?;
        } else {
            let text = fs::read_to_string(&source).doing("read", &source)?;
            fs::write(&target, filled(&text, stamp)).doing("write", &target)?;
        }
    }
    Ok(())
}

/// A text with the version filled in.
pub(crate) fn filled(text: &str, stamp: &Stamp) -> String {
    text.replace(VERSION_MARK, &stamp.version)
}

fn place(extra: &Extra, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).doing("make the folder", parent)?;
    }
    fs::copy(&extra.from, to)
        .map(drop)
        .doing("copy", &extra.from)
}

/// Every file that will lie on the machine, in order, as `dpkg` names it: without the leading `/`.
fn files_of(tree: &Path) -> Result<Vec<(String, PathBuf)>> {
    let list = Cmd::new("find")
        .arg(tree)
        .args(["-path", "*/DEBIAN", "-prune", "-o", "-type", "f", "-print"])
        .output()?;
    let mut files: Vec<(String, PathBuf)> = list
        .lines()
        .filter_map(|line| {
            let path = PathBuf::from(line);
            let name = path.strip_prefix(tree).ok()?.to_string_lossy().into_owned();
            Some((name, path))
        })
        .collect();
    files.sort();
    Ok(files)
}

/// Modes do not depend on who builds: everyone may read, the owner write, and programs, scripts and folders be used.
fn set_modes(tree: &Path, control: &Path, extras: &[Extra]) -> Result<()> {
    Cmd::new("chmod")
        .args(["-R", "u=rwX,go=rX,a-s"])
        .arg(tree)
        .run()?;
    Cmd::new("find")
        .arg(tree)
        .args(["-type", "f", "-exec", "chmod", "644", "{}", "+"])
        .run()?;
    let programs = extras.iter().filter(|extra| extra.program);
    let scripts = ["preinst", "postinst", "prerm", "postrm"].map(|name| control.join(name));
    let executable = programs
        .map(|extra| tree.join(&extra.to))
        .chain(scripts)
        .filter(|path| path.is_file());
    for path in executable {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .doing("make executable", &path)?;
    }
    Ok(())
}

fn note_size(control: &Path, files: &[(String, PathBuf)]) -> Result<()> {
    let mut kib = 0;
    for (_, path) in files {
        kib += fs::metadata(path)
            .doing("look at", path)?
            .len()
            .div_ceil(1024);
    }
    let path = control.join("control");
    let text = fs::read_to_string(&path).doing("read", &path)?;
    fs::write(&path, text.replace(SIZE_MARK, &kib.to_string())).doing("write", &path)
}

/// `md5sums`, by which `dpkg --verify` sees what was changed, and `conffiles`, which an upgrade asks about.
fn write_lists(tree: &Path, control: &Path, files: &[(String, PathBuf)]) -> Result<()> {
    let names = files.iter().map(|(name, _)| name.as_str());
    let (conffiles, others): (Vec<&str>, Vec<&str>) = names.partition(|name| is_conffile(name));
    let sums = Cmd::new("md5sum")
        .arg("--")
        .args(&others)
        .dir(tree)
        .output()?;
    let path = control.join("md5sums");
    fs::write(&path, sums).doing("write", &path)?;
    if conffiles.is_empty() {
        return Ok(());
    }
    let path = control.join("conffiles");
    let list: String = conffiles.iter().map(|name| format!("/{name}\n")).collect();
    fs::write(&path, list).doing("write", &path)
}

fn is_conffile(name: &str) -> bool {
    name.starts_with("etc/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        Stamp {
            version: "1.2.3".to_owned(),
            epoch: 1_000_000_000,
            effort: 0,
        }
    }

    /// A package of one program and one file that people change.
    fn package(dir: &Path) -> PathBuf {
        let folder = dir.join("thing");
        let etc = folder.join("root/etc");
        fs::create_dir_all(folder.join("DEBIAN")).expect("it is ours");
        fs::create_dir_all(&etc).expect("it is ours");
        let control = "Package: thing\nVersion: @VERSION@\nArchitecture: amd64\nMaintainer: Nobody\n\
                       Installed-Size: @INSTALLED_KIB@\nDescription: a thing\n";
        fs::write(folder.join("DEBIAN/control"), control).expect("it is ours");
        fs::write(folder.join("DEBIAN/postinst"), "#!/bin/sh\n").expect("it is ours");
        fs::write(etc.join("thing"), "version=@VERSION@\n").expect("it is ours");
        fs::write(dir.join("program"), "text").expect("it is ours");
        folder
    }

    #[test]
    fn the_same_sources_give_the_same_bytes_and_root_owns_them() {
        let dir = std::env::temp_dir().join(format!("tidelock-lab-deb-{}", std::process::id()));
        let folder = package(&dir);
        let extras = [Extra {
            from: dir.join("program"),
            to: "usr/bin/thing".to_owned(),
            program: true,
        }];
        let deb = build(&folder, &extras, &stamp(), &dir).expect("it is well formed");
        assert!(deb.ends_with("thing_1.2.3_amd64.deb"));
        let first = fs::read(&deb).expect("it was made");
        let again = build(&folder, &extras, &stamp(), &dir).expect("it is well formed");
        assert_eq!(first, fs::read(again).expect("it was made"));
        let list = Cmd::new("dpkg-deb").arg("--contents").arg(&deb).output();
        let list = list.expect("it is a package");
        assert!(list.contains("-rwxr-xr-x root/root"), "{list}");
        assert!(list.contains("-rw-r--r-- root/root"), "{list}");
        assert!(list.contains("2001-09-09"), "{list}");
        let told = Cmd::new("dpkg-deb")
            .arg("--info")
            .arg(&deb)
            .arg("conffiles");
        assert_eq!(told.output().expect("it has some"), "/etc/thing\n");
        fs::remove_dir_all(dir).expect("it exists");
    }
}
