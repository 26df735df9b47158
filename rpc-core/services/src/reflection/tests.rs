#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dreammesh_core::codec::Protobuf;
use dreammesh_core::in_process::InProcess;
use dreammesh_core::server::Router;
use dreammesh_golden::everything;

use super::*;
use crate::descriptors::{Field, File, Files, Named, Service as Declared, Type};
use crate::proto::reflection_v1::server_reflection_request::MessageRequest as Question;
use crate::proto::reflection_v1::server_reflection_response::MessageResponse as Answer;
use crate::proto::reflection_v1::{
    ExtensionRequest, ServerReflectionClient, ServerReflectionRequest,
};
use crate::proto::{health_v1, reflection_v1alpha};

/// Two files: `base.proto` declares and `shop.proto` imports it, extends it and serves.
fn set() -> Vec<u8> {
    let base = File {
        name: "base.proto".to_owned(),
        message_type: vec![Type {
            name: "Base".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let field = |name: &str, extendee: &str, number| Field {
        name: name.to_owned(),
        extendee: extendee.to_owned(),
        number,
        ..Default::default()
    };
    let named = |name: &str| Named {
        name: name.to_owned(),
        ..Default::default()
    };
    let shop = File {
        name: "shop.proto".to_owned(),
        package: "shop.v1".to_owned(),
        dependency: vec!["base.proto".to_owned(), "missing.proto".to_owned()],
        message_type: vec![Type {
            name: "Item".to_owned(),
            field: vec![field("sku", "", 1)],
            nested_type: vec![Type {
                name: "Price".to_owned(),
                extension: vec![field("inner", ".Base", 200)],
                ..Default::default()
            }],
            oneof_decl: vec![named("kind")],
            enum_type: vec![crate::descriptors::Enum {
                name: "Size".to_owned(),
                value: vec![named("SMALL")],
                ..Default::default()
            }],
            ..Default::default()
        }],
        service: vec![Declared {
            name: "Catalog".to_owned(),
            method: vec![named("GetItem")],
            ..Default::default()
        }],
        extension: vec![field("outer", ".Base", 100)],
        ..Default::default()
    };
    let files = [base, shop].map(|file| file.to_protobuf().unwrap().into());
    let files = Files {
        file: files.to_vec(),
        ..Default::default()
    };
    files.to_protobuf().unwrap()
}

async fn ask(offer: &Reflection, questions: &[Option<Question>]) -> Vec<Answer> {
    let router = Router::of(&offer.service());
    let client = ServerReflectionClient::new(InProcess::new(router).into_channel());
    let (requests, mut responses) = client.server_reflection_info().await.unwrap();
    let mut answers = Vec::new();
    for question in questions {
        let request = ServerReflectionRequest {
            host: "here".to_owned(),
            message_request: question.clone(),
            ..Default::default()
        };
        requests.send(&request).await.unwrap();
        let response = responses.next().await.unwrap().unwrap().into_owned();
        assert_eq!(response.valid_host, "here");
        assert_eq!(response.original_request, Some(request));
        answers.push(response.message_response.unwrap());
    }
    requests.finish();
    assert!(responses.next().await.unwrap().is_none());
    answers
}

/// The names of the files in an answer.
fn files(answer: &Answer) -> Vec<String> {
    let Answer::FileDescriptorResponse(files) = answer else {
        panic!("no files: {answer:?}");
    };
    let read = |bytes: &Bytes| File::from_protobuf(bytes).unwrap().name;
    files.file_descriptor_proto.iter().map(read).collect()
}

fn error(answer: &Answer) -> (i32, &str) {
    match answer {
        Answer::ErrorResponse(error) => (error.error_code, &error.error_message),
        other => panic!("no error: {other:?}"),
    }
}

fn symbol(name: &str) -> Option<Question> {
    Some(Question::FileContainingSymbol(name.to_owned()))
}

fn extension(message: &str, number: i32) -> Option<Question> {
    Some(Question::FileContainingExtension(ExtensionRequest {
        containing_type: message.to_owned(),
        extension_number: number,
        ..Default::default()
    }))
}

#[tokio::test]
async fn services_are_listed_in_order_and_once() {
    let set = set();
    let none: &[u8] = &[];
    let offer = Reflection::new([("shop.v1.Catalog", &*set), (V1, none), ("a.A", none)]);
    let list = [Some(Question::ListServices(String::new()))];
    let answers = ask(&offer.unwrap(), &list).await;
    let Answer::ListServicesResponse(list) = &answers[0] else {
        panic!("no list: {answers:?}");
    };
    let names = list.service.iter().map(|service| &*service.name);
    let names: Vec<_> = names.collect();
    assert_eq!(names, ["a.A", V1, V1_ALPHA, "shop.v1.Catalog"]);
}

#[tokio::test]
async fn every_full_name_leads_to_its_file() {
    let set = set();
    let offer = Reflection::new([("shop.v1.Catalog", &*set)]).unwrap();
    let names = [
        "shop.v1.Item",
        ".shop.v1.Item",
        "shop.v1.Item.sku",
        "shop.v1.Item.kind",
        "shop.v1.Item.Price",
        "shop.v1.Item.Price.inner",
        "shop.v1.Item.Size",
        "shop.v1.Item.SMALL",
        "shop.v1.Catalog",
        "shop.v1.Catalog.GetItem",
        "shop.v1.outer",
    ];
    for name in names {
        let answers = ask(&offer, &[symbol(name)]).await;
        assert_eq!(files(&answers[0]), ["shop.proto", "base.proto"], "{name}");
    }
    for name in ["shop.v1", "Item", "shop.v1.Item.Price.none", ""] {
        let answers = ask(&offer, &[symbol(name)]).await;
        assert_eq!(error(&answers[0]).0, 5, "{name}");
    }
}

#[tokio::test]
async fn imports_are_sent_once_a_stream_and_what_is_asked_for_each_time() {
    let set = set();
    let offer = Reflection::new([("shop.v1.Catalog", &*set)]).unwrap();
    let by_name = |name: &str| Some(Question::FileByFilename(name.to_owned()));
    let questions = [
        by_name("shop.proto"),
        by_name("shop.proto"),
        by_name("base.proto"),
        by_name("missing.proto"),
    ];
    let answers = ask(&offer, &questions).await;
    assert_eq!(files(&answers[0]), ["shop.proto", "base.proto"]);
    assert_eq!(files(&answers[1]), ["shop.proto"]);
    assert_eq!(files(&answers[2]), ["base.proto"]);
    assert_eq!(
        error(&answers[3]),
        (5, "there is no file \"missing.proto\"")
    );
}

#[tokio::test]
async fn extensions_are_found_by_message_and_number() {
    let set = set();
    let offer = Reflection::new([("shop.v1.Catalog", &*set)]).unwrap();
    let numbers = |name: &str| Some(Question::AllExtensionNumbersOfType(name.to_owned()));
    let questions = [
        extension("Base", 100),
        extension("Base", 200),
        extension("Base", 201),
        extension("None", 100),
        numbers("Base"),
        numbers("shop.v1.Item"),
        numbers("None"),
    ];
    let answers = ask(&offer, &questions).await;
    assert_eq!(files(&answers[0]), ["shop.proto", "base.proto"]);
    assert_eq!(files(&answers[1]), ["shop.proto"]);
    assert_eq!(error(&answers[2]).0, 5);
    assert_eq!(error(&answers[3]).0, 5);
    for (answer, expected) in answers[4..6].iter().zip([&[100, 200][..], &[]]) {
        let Answer::AllExtensionNumbersResponse(numbers) = answer else {
            panic!("no numbers: {answer:?}");
        };
        assert_eq!(numbers.extension_number, expected);
    }
    assert_eq!(error(&answers[6]).0, 5);
}

#[tokio::test]
async fn a_question_that_is_none_is_an_error_and_the_stream_goes_on() {
    let offer = Reflection::new([]).unwrap();
    let answers = ask(&offer, &[None, symbol(&"n".repeat(300)), symbol(V1)]).await;
    assert_eq!(error(&answers[0]).0, 3);
    let shown = format!("there is no symbol {:?}", "n".repeat(NAME_SHOWN_CHARS));
    assert_eq!(error(&answers[1]), (5, &*shown));
    assert_eq!(files(&answers[2]), ["grpc/reflection/v1/reflection.proto"]);
}

#[tokio::test]
async fn what_the_compiler_embeds_is_what_is_shown() {
    let sets = [
        ("everything.Everything", everything::FILE_DESCRIPTOR_SET),
        ("grpc.health.v1.Health", health_v1::FILE_DESCRIPTOR_SET),
    ];
    let offer = Reflection::new(sets).unwrap();
    let answers = ask(&offer, &[symbol("everything.Everything")]).await;
    let found = files(&answers[0]);
    assert_eq!(found[0], "everything.proto");
    assert!(found.len() > 1, "its imports: {found:?}");
    assert!(
        found
            .iter()
            .any(|name| name.starts_with("google/protobuf/"))
    );
}

#[tokio::test]
async fn the_older_name_gives_the_same_answers() {
    use reflection_v1alpha::server_reflection_request::MessageRequest as Question;
    use reflection_v1alpha::server_reflection_response::MessageResponse as Answer;

    let offer = Reflection::new([]).unwrap();
    let router = Router::of(&offer.service_v1alpha());
    let channel = InProcess::new(router).into_channel();
    let client = reflection_v1alpha::ServerReflectionClient::new(channel);
    let (requests, mut responses) = client.server_reflection_info().await.unwrap();
    let request = reflection_v1alpha::ServerReflectionRequest {
        message_request: Some(Question::FileContainingSymbol(V1_ALPHA.to_owned())),
        ..Default::default()
    };
    requests.send_last(&request).await.unwrap();
    let response = responses.next().await.unwrap().unwrap().into_owned();
    let Some(Answer::FileDescriptorResponse(files)) = response.message_response else {
        panic!("no files: {response:?}");
    };
    let file = File::from_protobuf(&files.file_descriptor_proto[0]).unwrap();
    assert_eq!(file.name, "grpc/reflection/v1alpha/reflection.proto");
}

#[test]
fn a_descriptor_set_that_is_none_is_named() {
    let error = Reflection::new([("a.A", &[0xff][..])]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the descriptors of a.A cannot be read: ")
    );
    assert!(std::error::Error::source(&error).is_some());
}
