//! Tests of what others may do to a directory, and of what the group may.

use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;

use super::*;

struct Desk(PathBuf);

impl Desk {
    fn new(test: &str) -> Self {
        let name = format!("dreammesh-place-{}-{test}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A group that is not the one of files that this process makes, if it may give files away.
fn other_group() -> Gid {
    match geteuid().is_root() {
        true => Gid::from_raw(7),
        false => nix::unistd::getegid(),
    }
}

#[test]
fn a_directory_is_made_for_its_owner_alone_and_had_by_one_agent() {
    let desk = Desk::new("alone");
    let directory = desk.0.join("dreammesh");
    let place = Place::take(&directory, None).unwrap();
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&directory.join(LOCK)), 0o600);
    let second = Place::take(&directory, None).unwrap_err().to_string();
    let process = format!("as process {}", std::process::id());
    assert!(second.contains(&process), "{second}");
    drop(place);
    Place::take(&directory, None).unwrap();
}

#[test]
fn a_group_may_enter_connect_and_read_the_state_and_nothing_else() {
    let desk = Desk::new("group");
    let group = other_group();
    let is_groups = |path: &Path| fs::metadata(path).unwrap().gid() == group.as_raw();
    let was_there = desk.0.join("was-there");
    fs::create_dir(&was_there).unwrap();
    set_mode(&was_there, 0o700);
    fs::write(was_there.join(LOCK), "").unwrap();
    set_mode(&was_there.join(LOCK), 0o666);
    // What was left by an agent that had no group, and by one that was killed as it wrote.
    fs::write(was_there.join("state.new"), "half").unwrap();
    set_mode(&was_there.join("state.new"), 0o600);
    for directory in [desk.0.join("dreammesh"), was_there] {
        let place = Place::take(&directory, Some(&group.to_string())).unwrap();
        assert_eq!(mode(&directory), 0o750);
        assert!(is_groups(&directory));
        let _listener = UnixListener::bind(place.socket()).unwrap();
        place.open().unwrap();
        assert_eq!(mode(&place.socket()), 0o660);
        assert!(is_groups(&place.socket()));
        let state = directory.join(STATE);
        for words in ["one", "two"] {
            place.state().replace(words.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&state).unwrap(), words);
            assert_eq!(mode(&state), 0o640);
            assert!(is_groups(&state));
        }
        assert_eq!(
            mode(&directory.join(LOCK)),
            0o600,
            "who can open it can lock it"
        );
        drop(place);
        // Without the group, it is let in no more.
        let place = Place::take(&directory, None).unwrap();
        fs::remove_file(place.socket()).unwrap();
        let _listener = UnixListener::bind(place.socket()).unwrap();
        place.open().unwrap();
        place.state().replace(b"three").unwrap();
        assert_eq!((mode(&place.socket()), mode(&state)), (0o600, 0o600));
    }
    let directory = desk.0.join("third");
    let error = Place::take(&directory, Some("nobody-has-it")).unwrap_err();
    assert!(matches!(error, PlaceError::Group(_)));
    assert!(!directory.exists());
}

#[test]
fn what_others_may_write_and_what_is_none_is_no_directory() {
    let desk = Desk::new("writable");
    let writable = desk.0.join("writable");
    fs::create_dir(&writable).unwrap();
    for wrong in [0o777, 0o770, 0o1777] {
        set_mode(&writable, wrong);
        let error = Place::take(&writable, None).unwrap_err();
        assert!(matches!(error, PlaceError::Writable(_)));
    }
    let link = desk.0.join("link");
    symlink(&desk.0, &link).unwrap();
    let file = desk.0.join("file");
    fs::write(&file, "").unwrap();
    for none in [&link, &file] {
        let error = Place::take(none, None).unwrap_err();
        assert!(matches!(error, PlaceError::NoDirectory(_)), "{error}");
    }
    assert!(!desk.0.join(LOCK).exists(), "the link was followed");
}

#[test]
fn a_directory_that_another_user_made_first_is_left_alone() {
    if !geteuid().is_root() {
        // Only root may give something away.
        return;
    }
    let desk = Desk::new("owner");
    let others = desk.0.join("others");
    fs::create_dir(&others).unwrap();
    chown(&others, Some(7), None).unwrap();
    let error = Place::take(&others, None).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, PlaceError::Owner { owner: 7, .. }),
        "{text}"
    );
    for word in ["/others", "user 7", "runs as 0", "--directory"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert_eq!(fs::read_dir(&others).unwrap().count(), 0);
}

#[test]
fn a_directory_that_everybody_may_move_is_not_taken() {
    let desk = Desk::new("parent");
    let directory = desk.0.join("dreammesh");
    set_mode(&desk.0, 0o777);
    let error = Place::take(&directory, None).unwrap_err();
    assert!(matches!(error, PlaceError::Parent(_)), "{error}");
    assert!(!directory.exists());
    set_mode(&desk.0, 0o1777);
    Place::take(&directory, None).unwrap();
}

#[test]
fn links_within_the_directory_are_not_followed() {
    let desk = Desk::new("links");
    let directory = desk.0.join("dreammesh");
    fs::create_dir(&directory).unwrap();
    let target = desk.0.join("target");
    fs::write(&target, "precious").unwrap();
    symlink(&target, directory.join(LOCK)).unwrap();
    assert!(matches!(
        Place::take(&directory, None),
        Err(PlaceError::Disk(..))
    ));
    fs::remove_file(directory.join(LOCK)).unwrap();
    let place = Place::take(&directory, None).unwrap();
    symlink(&target, directory.join(STATE)).unwrap();
    symlink(&target, directory.join("state.new")).unwrap();
    assert!(place.state().read(100).is_err());
    place.state().replace(b"state").unwrap();
    assert_eq!(place.state().read(100).unwrap(), b"state");
    assert_eq!(fs::read(&target).unwrap(), b"precious");
}

#[test]
fn all_is_done_in_the_directory_that_was_taken() {
    let desk = Desk::new("moved");
    let directory = desk.0.join("dreammesh");
    let place = Place::take(&directory, None).unwrap();
    let _own = UnixListener::bind(place.socket()).unwrap();
    fs::rename(&directory, desk.0.join("away")).unwrap();
    fs::create_dir(&directory).unwrap();
    let _others = UnixListener::bind(place.socket()).unwrap();
    assert!(matches!(place.open(), Err(PlaceError::Moved(_))));
    place.state().replace(b"state").unwrap();
    assert_eq!(fs::read(desk.0.join("away/state")).unwrap(), b"state");
    assert!(!directory.join(STATE).exists());
}
