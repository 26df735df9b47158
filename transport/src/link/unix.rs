//! Unix stream sockets; elsewhere every operation answers with an error that says so.

#[cfg(not(unix))]
pub(crate) use elsewhere::{Listener, bind, dial};
#[cfg(unix)]
pub(crate) use here::{Listener, bind, dial};

#[cfg(unix)]
mod here {
    use std::io::{self, IoSliceMut};
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    use std::path::{Path, PathBuf};
    use std::pin::Pin;
    use std::task::{Context, Poll, ready};

    use dreammesh_core::call::Process;
    use tokio::net::{UnixListener, UnixStream};

    use crate::link::{BoxLink, Link};

    impl Link for UnixStream {
        fn peer(&self) -> String {
            match self.process().and_then(|process| process.id) {
                Some(process) => format!("unix:process {process}"),
                None => "unix".to_owned(),
            }
        }

        fn process(&self) -> Option<Process> {
            let it = self.peer_cred().ok()?;
            // Of a process in another namespace the kernel says 0.
            let id = it.pid().and_then(|id| u32::try_from(id).ok());
            Some(Process::new(it.uid(), it.gid(), id.filter(|id| *id != 0)))
        }

        fn poll_read_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            places: &mut [IoSliceMut<'_>],
        ) -> Poll<io::Result<usize>> {
            loop {
                ready!(self.poll_read_ready(cx))?;
                match self.try_read_vectored(places) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    result => return Poll::Ready(result),
                }
            }
        }
    }

    /// A listening socket that removes its file when it is dropped.
    #[derive(Debug)]
    pub(crate) struct Listener {
        listener: UnixListener,
        path: PathBuf,
        /// Device and inode of the file made by this listener, so that a successor's file which
        /// has taken its place is left alone.
        identity: (u64, u64),
    }

    impl Listener {
        pub(crate) async fn accept(&self) -> io::Result<BoxLink> {
            let (stream, _) = self.listener.accept().await?;
            Ok(Box::new(stream))
        }

        pub(crate) fn path(&self) -> &Path {
            &self.path
        }

        /// Whether another listener's file has taken the place of this one's.
        pub(crate) fn is_succeeded(&self) -> bool {
            identity(&self.path).is_ok_and(|found| found != self.identity)
        }
    }

    impl Drop for Listener {
        fn drop(&mut self) {
            if identity(&self.path).is_ok_and(|found| found == self.identity) {
                // Nobody is left to tell; a file that stays behind is cleared by the next bind.
                let _ = std::fs::remove_file(&self.path);
            }
        }
    }

    /// Connects to a process of one of the users, or of any user if none are named.
    ///
    /// It is asked of the connection who listens, before a byte is written: a file that was looked
    /// at before may be another's by now.
    pub(crate) async fn dial(path: &Path, users: Option<&[u32]>) -> io::Result<BoxLink> {
        let stream = UnixStream::connect(path).await?;
        if let Some(users) = users {
            let user = stream.peer_cred()?.uid();
            if !users.contains(&user) {
                let text = format!(
                    "who listens at `{}` runs as the user {user}, which is not to be believed",
                    path.display()
                );
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
        }
        Ok(Box::new(stream))
    }

    /// Listens on the path, replacing a socket file that a dead process left behind.
    ///
    /// A file that is no socket is never touched, nor a socket on which somebody still answers.
    ///
    /// One that takes over puts its own file in the place of a socket's on which somebody answers,
    /// so that there is one at any time.
    pub(crate) async fn bind(path: &Path, take_over: bool) -> io::Result<Listener> {
        if take_over && std::fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket()) {
            return replace(path);
        }
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                clear_stale(path).await?;
                UnixListener::bind(path)?
            }
            bound => bound?,
        };
        Ok(Listener {
            listener,
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }

    fn replace(path: &Path) -> io::Result<Listener> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        let listener = UnixListener::bind(&beside)?;
        let replaced = identity(&beside).and_then(|identity| {
            std::fs::rename(&beside, path)?;
            Ok(identity)
        });
        if replaced.is_err() {
            // The reason why it could not be renamed is what matters.
            let _ = std::fs::remove_file(&beside);
        }
        Ok(Listener {
            listener,
            path: path.to_owned(),
            identity: replaced?,
        })
    }

    async fn clear_stale(path: &Path) -> io::Result<()> {
        let in_use = |what| io::Error::new(io::ErrorKind::AddrInUse, what);
        if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
            return Err(in_use("a file that is no socket has that name"));
        }
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)
            }
            Err(error) => Err(error),
            Ok(_) => Err(in_use("another process listens there")),
        }
    }

    fn identity(path: &Path) -> io::Result<(u64, u64)> {
        std::fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::io;
    use std::path::Path;

    use crate::link::BoxLink;

    /// A listener that cannot be made on this platform.
    #[derive(Debug)]
    pub(crate) enum Listener {}

    impl Listener {
        pub(crate) async fn accept(&self) -> io::Result<BoxLink> {
            match *self {}
        }

        pub(crate) fn path(&self) -> &Path {
            match *self {}
        }

        pub(crate) fn is_succeeded(&self) -> bool {
            match *self {}
        }
    }

    pub(crate) async fn dial(_: &Path, _: Option<&[u32]>) -> io::Result<BoxLink> {
        Err(unsupported())
    }

    pub(crate) async fn bind(_: &Path, _: bool) -> io::Result<Listener> {
        Err(unsupported())
    }

    fn unsupported() -> io::Error {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "this platform has no Unix sockets",
        )
    }
}
