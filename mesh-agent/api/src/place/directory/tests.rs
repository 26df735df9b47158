//! Tests of what others may have put where an agent is looked for.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;

use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};

use super::*;

struct Desk(PathBuf);

impl Desk {
    fn new(test: &str) -> Self {
        let name = format!("dreammesh-directory-{}-{test}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(directory.join("agent")).unwrap();
        let desk = Self(directory);
        desk.set_mode("agent", 0o700);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn open(&self, told: bool) -> Result<Directory, PlaceError> {
        Directory::open(&self.path("agent"), told, user())
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
        self.set_mode(name, 0o600);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn user() -> u32 {
    geteuid().as_raw()
}

#[test]
fn a_link_in_the_place_of_the_directory_is_not_followed_unless_it_was_named() {
    let desk = Desk::new("link");
    fs::rename(desk.path("agent"), desk.path("other")).unwrap();
    symlink(desk.path("other"), desk.path("agent")).unwrap();
    let error = desk.open(false).unwrap_err();
    assert!(matches!(error, PlaceError::NoDirectory(_)), "{error}");
    assert!(error.to_string().contains("/agent`"), "{error}");
    desk.open(true).unwrap();
    fs::remove_file(desk.path("agent")).unwrap();
    fs::write(desk.path("agent"), "").unwrap();
    assert!(matches!(desk.open(true), Err(PlaceError::NoDirectory(_))));
    fs::remove_file(desk.path("agent")).unwrap();
    assert!(matches!(desk.open(true), Err(PlaceError::Absent(..))));
}

#[test]
fn a_directory_in_which_others_may_write_is_not_believed_unless_it_was_named() {
    let desk = Desk::new("writable");
    for mode in [0o770, 0o702, 0o1777] {
        desk.set_mode("agent", mode);
        let error = desk.open(false).unwrap_err();
        assert!(matches!(error, PlaceError::Writable(_)), "{error}");
        desk.open(true).unwrap();
    }
    desk.set_mode("agent", 0o755);
    desk.open(false).unwrap();
}

#[test]
fn a_directory_that_another_user_made_first_is_not_believed_unless_it_was_named() {
    if user() != 0 {
        // Only root may give something away.
        return;
    }
    let desk = Desk::new("owner");
    let at = desk.path("agent");
    chown(&at, Some(7), None).unwrap();
    let error = Directory::open(&at, false, 8).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, PlaceError::Owner { owner: 7, .. }),
        "{text}"
    );
    for word in ["/agent`", "user 7", "8", "DREAMMESH_AGENT"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert_eq!(Directory::open(&at, false, 7).unwrap().users(), [0, 7]);
    // Whoever names it believes its owner as well, and nobody else.
    let told = Directory::open(&at, true, 8).unwrap();
    assert_eq!(told.users(), [0, 7, 8]);
    desk.write("agent/state", b"x");
    chown(desk.path("agent/state"), Some(7), None).unwrap();
    assert_eq!(told.read("state", 1).unwrap(), b"x");
    chown(desk.path("agent/state"), Some(9), None).unwrap();
    let error = told.read("state", 1).unwrap_err();
    assert!(
        matches!(error, PlaceError::Owner { owner: 9, .. }),
        "{error}"
    );
}

#[test]
fn what_is_read_is_of_the_directory_that_was_looked_at() {
    let desk = Desk::new("moved");
    desk.write("agent/state", b"right");
    let directory = desk.open(false).unwrap();
    fs::rename(desk.path("agent"), desk.path("away")).unwrap();
    fs::create_dir(desk.path("agent")).unwrap();
    desk.write("agent/state", b"wrong");
    assert_eq!(directory.read("state", 9).unwrap(), b"right");
}

#[test]
fn only_a_file_that_nobody_else_may_write_is_read_and_no_more_of_it_than_that() {
    let desk = Desk::new("file");
    let directory = desk.open(false).unwrap();
    let read = || directory.read("state", 4);
    assert!(matches!(read(), Err(PlaceError::Absent(..))));
    desk.write("agent/state", b"four");
    assert_eq!(read().unwrap(), b"four");
    desk.write("agent/state", b"five!");
    let error = read().unwrap_err().to_string();
    assert!(error.contains("more than 4 bytes"), "{error}");
    desk.write("agent/state", b"four");
    desk.set_mode("agent/state", 0o640);
    assert_eq!(read().unwrap(), b"four", "a group may read it");
    desk.set_mode("agent/state", 0o660);
    assert!(matches!(read(), Err(PlaceError::Writable(_))));
    fs::rename(desk.path("agent/state"), desk.path("agent/other")).unwrap();
    desk.set_mode("agent/other", 0o600);
    symlink("other", desk.path("agent/state")).unwrap();
    assert!(matches!(read(), Err(PlaceError::NoFile(_))));
    fs::remove_file(desk.path("agent/state")).unwrap();
    // Nobody writes into it, so whoever waited for that would wait for ever.
    mkfifo(&desk.path("agent/state"), Mode::from_bits_truncate(0o600)).unwrap();
    assert!(matches!(read(), Err(PlaceError::NoFile(_))));
    fs::remove_file(desk.path("agent/state")).unwrap();
    let _socket = UnixListener::bind(desk.path("agent/state")).unwrap();
    assert!(matches!(read(), Err(PlaceError::NoFile(_))));
}

#[test]
fn a_file_that_is_endless_is_not_read_to_its_end() {
    let Ok(endless) = fs::File::open("/dev/zero") else {
        return;
    };
    let error = read_at_most(endless, 4).unwrap_err().to_string();
    assert!(error.contains("more than 4 bytes"), "{error}");
}

#[test]
fn a_socket_is_a_socket_and_of_somebody_who_is_believed() {
    let desk = Desk::new("socket");
    let directory = desk.open(false).unwrap();
    let check = || directory.check_socket(Path::new("agent.sock"));
    assert!(matches!(check(), Err(PlaceError::Absent(..))));
    desk.write("agent/agent.sock", b"");
    assert!(matches!(check(), Err(PlaceError::NotASocketFile(_))));
    fs::remove_file(desk.path("agent/agent.sock")).unwrap();
    let _listener = UnixListener::bind(desk.path("agent/agent.sock")).unwrap();
    check().unwrap();
    fs::rename(desk.path("agent/agent.sock"), desk.path("elsewhere")).unwrap();
    symlink(desk.path("elsewhere"), desk.path("agent/agent.sock")).unwrap();
    assert!(matches!(check(), Err(PlaceError::NotASocketFile(_))));
    if user() == 0 {
        fs::remove_file(desk.path("agent/agent.sock")).unwrap();
        let _listener = UnixListener::bind(desk.path("agent/agent.sock")).unwrap();
        chown(desk.path("agent/agent.sock"), Some(7), None).unwrap();
        assert!(matches!(check(), Err(PlaceError::Owner { owner: 7, .. })));
    }
}
