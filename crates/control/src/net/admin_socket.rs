//! The administrators' Unix socket: mode 0600, and only root and its owner get an answer.

use std::fs::Permissions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

/// How many callers may wait to be accepted.
const BACKLOG: i32 = 128;

/// Why the administrators' socket cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminSocketError {
    /// Another control plane answers there.
    #[error("another control plane is listening at `{}`", path.display())]
    InUse {
        /// Where.
        path: PathBuf,
    },
    /// Something that is no socket is there.
    #[error("`{}` is there already, and is not a socket", path.display())]
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot listen at `{}`: {source}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A listening socket, removed from the file system when dropped.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    listener: UnixListener,
    path: PathBuf,
    owner: u32,
}

impl AdminSocket {
    /// Listens at `path`, in a folder that is created if need be; a socket that nobody listens at any
    /// more is replaced.
    pub(crate) fn bind(path: &Path) -> Result<Self, AdminSocketError> {
        let io = |source| AdminSocketError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        make_way(path)?;
        let (listener, owner) = listen(path).map_err(io)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            owner,
        })
    }

    /// Accepts administrators until the receiver is dropped.
    pub(crate) fn accept(self) -> mpsc::Receiver<io::Result<UnixStream>> {
        let (sender, connections) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = self.listener.accept() => accepted,
                    () = sender.closed() => return,
                };
                match accepted.and_then(|(stream, _)| Ok((stream.peer_cred()?.uid(), stream))) {
                    Ok((uid, stream)) if uid == 0 || uid == self.owner => {
                        drop(sender.send(Ok(stream)).await)
                    }
                    Ok((uid, _)) => tracing::warn!(uid, "a user who is no administrator"),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept an administrator");
                        tokio::time::sleep(super::ACCEPT_PAUSE).await;
                    }
                }
            }
        });
        connections
    }
}

fn make_way(path: &Path) -> Result<(), AdminSocketError> {
    let path = || path.to_owned();
    let io = |source| AdminSocketError::Io {
        path: path(),
        source,
    };
    match std::fs::symlink_metadata(path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(AdminSocketError::NotASocket { path: path() });
        }
        Ok(_) => {}
    }
    match net::UnixStream::connect(path()) {
        Ok(_) => Err(AdminSocketError::InUse { path: path() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path()).map_err(io)
        }
        Err(error) => Err(io(error)),
    }
}

/// Sets the mode between bind and listen, when nobody can connect yet.
fn listen(path: &Path) -> io::Result<(UnixListener, u32)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    let owner = std::fs::symlink_metadata(path)?.uid();
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = UnixListener::from_std(net::UnixListener::from(OwnedFd::from(socket)))?;
    Ok((listener, owner))
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "cannot remove the administrators' socket");
        }
    }
}
