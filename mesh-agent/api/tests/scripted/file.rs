//! A file of services in place of an agent.

use std::path::Path;
use std::time::Duration;

use dreammesh_agent_api::file::LOOK_PERIOD;
use dreammesh_agent_api::mesh::{Mesh, MeshBuilder};
use tokio::time::{Instant, timeout};

use crate::agent::{Asking, Host};

fn mesh(host: &Host, file: &Path) -> Mesh {
    let mut environment = host.environment();
    environment.services = Some(file.to_owned());
    host.mesh_of(MeshBuilder::of(environment))
}

fn services(ids: &[&str]) -> String {
    let mut text = String::from("services:\n  - service: catalog\n    instances:\n");
    for id in ids {
        text += &format!("      - {{id: {id}, address: 127.0.0.1, port: 7443}}\n");
    }
    text
}

#[tokio::test(start_paused = true)]
async fn a_file_is_followed_and_a_slip_changes_nothing() {
    let host = Host::new("file");
    let file = host.directory.join("services.yaml");
    std::fs::write(&file, services(&["a"])).unwrap();
    let mesh = mesh(&host, &file);
    let mut asking = Asking::new(&mesh);
    assert_eq!(asking.ids().await, ["a"]);
    std::fs::write(&file, services(&["a", "bb"])).unwrap();
    assert_eq!(asking.ids().await, ["a", "bb"]);
    std::fs::write(&file, "services: [").unwrap();
    // What is known is said again, with the trouble.
    assert_eq!(asking.ids().await, ["a", "bb"]);
    std::fs::write(&file, services(&["ccc"])).unwrap();
    assert_eq!(asking.ids().await, ["ccc"]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(asking.ids().await, ["ccc"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_wrong_from_the_beginning_says_where() {
    let host = Host::new("slip");
    let file = host.directory.join("services.yaml");
    std::fs::write(&file, "services:\n  - servise: a\n").unwrap();
    let mesh = mesh(&host, &file);
    let mut asking = Asking::new(&mesh);
    assert_eq!(asking.endpoints().await, []);
    let why = asking.0.why_none().unwrap();
    assert!(
        why.contains("services.yaml") && why.contains("line 2: "),
        "{why}"
    );
    std::fs::remove_file(&file).unwrap();
    assert_eq!(asking.endpoints().await, []);
    let why = asking.0.why_none().unwrap();
    assert!(why.contains("No such file"), "{why}");
    std::fs::write(&file, services(&["a"])).unwrap();
    assert_eq!(asking.ids().await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn no_endpoint_goes_while_the_file_is_being_written() {
    let host = Host::new("writing");
    let file = host.directory.join("services.yaml");
    let whole = services(&["a", "b", "c"]);
    std::fs::write(&file, &whole).unwrap();
    let mesh = mesh(&host, &file);
    let mut asking = Asking::new(&mesh);
    assert_eq!(asking.ids().await, ["a", "b", "c"]);
    // Most of these are right as far as they go.
    for end in (0..whole.len()).step_by(5) {
        std::fs::write(&file, &whole[..end]).unwrap();
        let said = timeout(LOOK_PERIOD, asking.ids()).await;
        assert!(said.is_err(), "{said:?} after {:?}", &whole[..end]);
    }
    // The writer was ended in the middle, which a full disk does too.
    std::fs::write(&file, "").unwrap();
    assert_eq!(asking.ids().await, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_used_makes_what_is_known_older() {
    let host = Host::new("older");
    let file = host.directory.join("services.yaml");
    std::fs::write(&file, services(&["a"])).unwrap();
    let mesh = mesh(&host, &file);
    let mut asking = Asking::new(&mesh);
    assert_eq!(asking.ids().await, ["a"]);
    let knowledge = asking.0.knowledge().unwrap();
    let age = || knowledge.age(Instant::now().into_std()).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(age() <= 2 * LOOK_PERIOD, "{:?}", age());
    std::fs::write(&file, "services: [").unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(age() > Duration::from_secs(55), "{:?}", age());
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_pipe_in_the_place_of_the_file_is_refused() {
    let host = Host::new("pipe");
    let file = host.directory.join("services.yaml");
    let made = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(made.unwrap().success());
    let mesh = mesh(&host, &file);
    let mut asking = Asking::new(&mesh);
    assert_eq!(asking.endpoints().await, []);
    let why = asking.0.why_none().unwrap();
    assert!(why.contains("no regular file"), "{why}");
}
