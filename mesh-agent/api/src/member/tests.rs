use dreammesh_core::announce::ServedService;
use dreammesh_core::wire::LayoutHash;

use super::*;
use crate::mesh::MeshBuilder;
use crate::place::Environment;

fn mesh(advertise: Option<&str>) -> Mesh {
    let environment = Environment {
        advertise: advertise.map(Into::into),
        ..Environment::default()
    };
    let nobody = |_: &str, _: &[u32]| Err("nobody is dialled".to_owned());
    MeshBuilder::of(environment).build(nobody).unwrap()
}

fn served(targets: &[&str]) -> Served {
    let services = vec![ServedService::new("shop.v1.Catalog", LayoutHash([7; 16]))];
    Served::new(
        targets.iter().map(|it| (*it).to_owned()).collect(),
        services,
    )
}

#[test]
fn a_server_is_an_instance_with_an_id_of_its_own() {
    let member = mesh(None).member("catalog.shop").version("2").weight(7);
    let member = member.locality("eu", "eu-1").label("team", "books");
    let all = served(&["dreammesh+tcp://10.0.0.7:7443"]);
    let first = member.registering(&all).unwrap();
    let instance = &first.instance;
    assert_eq!(instance.service.to_string(), "catalog.shop");
    assert_eq!((instance.weight, &*instance.version), (7, "2"));
    assert_eq!(&*instance.locality.zone, "eu-1");
    assert_eq!(instance.layouts["shop.v1.Catalog"], [7; 16]);
    assert_eq!(instance.check.kind, CheckKind::None);
    assert!(!first.everywhere);
    let second = member.registering(&all).unwrap();
    assert_ne!(second.instance.id, instance.id);
    assert!(instance.id.as_str().starts_with("catalog-"));
    assert!(
        member
            .registering(&served(&["dreammesh+tcp://0.0.0.0:1"]))
            .unwrap()
            .everywhere
    );
}

#[test]
fn what_is_said_comes_before_what_the_environment_says() {
    let address = |member: Member| {
        let all = served(&["dreammesh+tcp://0.0.0.0:7443"]);
        let instance = member.registering(&all).unwrap().instance;
        format!("{}:{}", instance.addresses[0], instance.ports[0].number)
    };
    let mesh = mesh(Some("shop.example:443"));
    assert_eq!(address(mesh.member("catalog")), "shop.example:443");
    assert_eq!(
        address(mesh.member("catalog").advertise("10.0.0.7")),
        "10.0.0.7:7443"
    );
}

#[test]
fn what_is_wrong_is_found_before_anything_is_bound() {
    let mesh = mesh(None);
    assert_eq!(mesh.member("catalog").check(), Ok(()));
    for (member, what) in [
        (mesh.member("Catalog"), "name of the service"),
        (mesh.member("catalog").weight(70_000), "70000"),
        (mesh.member("catalog").id("a b"), "an id is"),
        (mesh.member("catalog").label("", "x"), "label"),
        (mesh.member("catalog").advertise("0.0.0.0:1"), "0.0.0.0:1"),
    ] {
        let error = member.check().unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}
