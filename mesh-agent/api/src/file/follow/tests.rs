use std::fs;

use super::*;

struct Desk(PathBuf);

impl Desk {
    fn new(test: &str) -> Self {
        let name = format!("dreammesh-follow-{}-{test}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    fn path(&self) -> PathBuf {
        self.0.join("services.yaml")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn replace(&self, text: &str) {
        let beside = self.0.join("beside");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.path()).unwrap();
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn services(ids: &[&str]) -> String {
    let mut text = String::from("services:\n  - service: catalog\n    instances:\n");
    for id in ids {
        text += &format!("      - {{id: {id}, address: 10.0.0.7, port: 7443}}\n");
    }
    text
}

/// The ids of a new version.
fn new(seen: Seen) -> Vec<String> {
    match seen {
        Seen::New(instances) => instances.iter().map(|it| it.id.to_string()).collect(),
        seen => panic!("{seen:?}"),
    }
}

fn wrong(seen: Seen) -> String {
    match seen {
        Seen::Wrong(reason) => reason,
        seen => panic!("{seen:?}"),
    }
}

#[test]
fn a_version_counts_when_it_stays_however_it_came() {
    let desk = Desk::new("stays");
    desk.write(&services(&["a"]));
    let mut reader = Reader::new(&desk.path());
    assert_eq!(new(reader.look()), ["a"]);
    assert_eq!(reader.look(), Seen::Same);
    desk.replace(&services(&["a", "b"]));
    assert_eq!(reader.look(), Seen::Unsure);
    assert_eq!(new(reader.look()), ["a", "b"]);
    assert_eq!(reader.look(), Seen::Same);
    desk.write(&services(&["a", "bb", "c"]));
    assert_eq!(reader.look(), Seen::Unsure);
    assert_eq!(new(reader.look()), ["a", "bb", "c"]);
    // The same words again are nothing new.
    desk.replace(&services(&["a", "bb", "c"]));
    assert_eq!(reader.look(), Seen::Unsure);
    assert_eq!(reader.look(), Seen::Same);
}

#[test]
fn no_beginning_of_a_file_that_is_being_written_counts() {
    let desk = Desk::new("writing");
    let whole = services(&["a", "b", "c"]);
    desk.write(&whole);
    let mut reader = Reader::new(&desk.path());
    assert_eq!(new(reader.look()).len(), 3);
    for end in (0..whole.len()).step_by(7) {
        desk.write(&whole[..end]);
        assert_eq!(reader.look(), Seen::Unsure, "{:?}", &whole[..end]);
    }
    desk.write(&whole);
    reader.look();
    assert_eq!(reader.look(), Seen::Same);
}

#[test]
fn what_is_found_at_first_is_read_once_more() {
    let desk = Desk::new("first");
    desk.write(&services(&["a"]));
    let mut reader = Reader::new(&desk.path());
    assert_eq!(new(reader.look()), ["a"]);
    assert!(reader.read.is_none());
    assert_eq!(reader.look(), Seen::Same);
    assert!(reader.read.is_some());
}

#[test]
fn what_shrinks_to_nothing_is_wrong_and_said_once() {
    let desk = Desk::new("nothing");
    desk.write(&services(&["a"]));
    let mut reader = Reader::new(&desk.path());
    reader.look();
    for nothing in [
        "",
        "\n",
        "\0\0\0",
        "# a remark\n",
        "services:\n",
        "services:\n  - service: catalog\n",
        "services:\n  - service: catalog\n    instances:\n",
    ] {
        desk.replace(nothing);
        assert_eq!(reader.look(), Seen::Unsure);
        wrong(reader.look());
        assert_eq!(reader.look(), Seen::Unsure, "{nothing:?} was said");
    }
    fs::remove_file(desk.path()).unwrap();
    assert_eq!(reader.look(), Seen::Unsure);
    assert!(wrong(reader.look()).contains("No such file"));
    assert_eq!(reader.look(), Seen::Unsure);
    for said in [
        "services: []\n",
        "services:\n  - service: catalog\n    instances: []\n",
    ] {
        desk.replace(said);
        assert_eq!(reader.look(), Seen::Unsure);
        assert_eq!(new(reader.look()), [""; 0]);
    }
}

#[test]
fn what_is_wrong_is_told_from_what_is_wrong_in_another_way() {
    let desk = Desk::new("wrong");
    let mut reader = Reader::new(&desk.path());
    assert!(wrong(reader.look()).contains("No such file"));
    fs::create_dir(desk.path()).unwrap();
    reader.look();
    assert!(wrong(reader.look()).contains("no regular file"));
    fs::remove_dir(desk.path()).unwrap();
    fs::write(desk.path(), [0xff, 0xfe]).unwrap();
    reader.look();
    assert!(wrong(reader.look()).contains("utf-8"));
    desk.write("services: [");
    reader.look();
    assert!(wrong(reader.look()).starts_with("line "));
    desk.write(&services(&["a"]));
    reader.look();
    assert_eq!(new(reader.look()), ["a"]);
}

#[test]
fn a_file_has_so_many_bytes_and_no_more() {
    let desk = Desk::new("large");
    let mut text = services(&["a"]);
    text += &"#".repeat(FILE_BYTES_MAX - text.len());
    desk.write(&text);
    let mut reader = Reader::new(&desk.path());
    assert_eq!(new(reader.look()), ["a"]);
    desk.write(&(text + "#"));
    reader.look();
    assert!(wrong(reader.look()).contains("more than"));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_does_not_end_is_said_once_and_taken_when_it_does() {
    let desk = Desk::new("stuck");
    desk.write(&services(&["a"]));
    let mut follower = Follower::new(desk.path());
    // A look that a test lets end.
    let mut reader = follower.reader.take().unwrap();
    let (ends, ended) = tokio::sync::oneshot::channel::<()>();
    follower.looking = Some(tokio::spawn(async move {
        let _ = ended.await;
        let seen = reader.look();
        (reader, seen)
    }));
    assert_eq!(follower.next().await, Seen::Stuck);
    let waited = timeout(Duration::from_secs(3_600), follower.next()).await;
    assert!(waited.is_err(), "nothing more is said before it answers");
    ends.send(()).unwrap();
    assert_eq!(new(follower.next().await), ["a"]);
    assert_eq!(follower.next().await, Seen::Same);
}
