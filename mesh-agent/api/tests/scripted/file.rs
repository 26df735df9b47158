//! A file of services in place of an agent.

use std::path::Path;

use dreammesh_agent_api::mesh::{Mesh, MeshBuilder};

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
