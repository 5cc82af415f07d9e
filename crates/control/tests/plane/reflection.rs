//! Server reflection, as a generic client asks for it: over the administrators' socket and over mutual TLS.

use prost::Message as _;
use tidelock_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_reflection::pb;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::common::{Plane, code, next};

const V1: &str = "grpc.reflection.v1.ServerReflection";
const V1_ALPHA: &str = "grpc.reflection.v1alpha.ServerReflection";

type Answers = Streaming<pb::v1::ServerReflectionResponse>;

/// The stream that holds the questions open, and that of the answers.
async fn open(
    channel: Channel,
    questions: Vec<MessageRequest>,
) -> Result<(mpsc::Sender<pb::v1::ServerReflectionRequest>, Answers), Status> {
    let (sender, receiver) = mpsc::channel(8);
    for question in questions {
        let request = pb::v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(question),
        };
        sender.send(request).await.expect("room");
    }
    let mut client = ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(ReceiverStream::new(receiver));
    Ok((sender, answers.await?.into_inner()))
}

async fn ask(channel: &Channel, question: MessageRequest) -> Result<MessageResponse, Status> {
    let (_open, mut answers) = open(channel.clone(), vec![question]).await?;
    let answer = next(&mut answers).await.expect("an answer")?;
    Ok(answer.message_response.expect("a message"))
}

async fn services(channel: &Channel) -> Result<Vec<String>, Status> {
    match ask(channel, MessageRequest::ListServices(String::new())).await? {
        MessageResponse::ListServicesResponse(list) => {
            Ok(list.service.into_iter().map(|one| one.name).collect())
        }
        other => panic!("{other:?}"),
    }
}

/// The names of files that an answer holds, and which they lean on.
async fn files(channel: &Channel, question: MessageRequest) -> Vec<(String, Vec<String>)> {
    let answer = ask(channel, question).await.expect("answered");
    let MessageResponse::FileDescriptorResponse(files) = answer else {
        panic!("{answer:?}");
    };
    let name = |bytes: &Vec<u8>| {
        let file = File::decode(&**bytes).expect("a file");
        (file.name, file.dependency)
    };
    files.file_descriptor_proto.iter().map(name).collect()
}

/// So much of `google.protobuf.FileDescriptorProto`.
#[derive(Clone, PartialEq, prost::Message)]
struct File {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, repeated, tag = "3")]
    dependency: Vec<String>,
}

impl Plane {
    async fn admin_channel(&self) -> Channel {
        let uri = format!("unix://{}", self.dir.path().join("ca.sock").display());
        let endpoint = Endpoint::from_shared(uri).expect("uri");
        endpoint.connect().await.expect("admin socket")
    }
}

#[tokio::test]
async fn operators_and_administrators_are_told_what_there_is_to_call() {
    let plane = Plane::start().await;
    let viewer = plane.operator("v", "viewer", "/a").await;
    let remote = plane.connect(Some(&viewer)).await.expect("connect");
    let local = plane.admin_channel().await;
    let admin = "tidelock.v1.Admin";
    let told = services(&remote).await.expect("an operator is");
    assert_eq!(told, [admin, "tidelock.v1.Node", V1, V1_ALPHA]);
    // Agents are not served there.
    let told = services(&local).await.expect("an administrator is");
    assert_eq!(told, [admin, V1, V1_ALPHA]);

    for channel in [&local, &remote] {
        let symbol = MessageRequest::FileContainingSymbol("tidelock.v1.Admin.GetNodes".into());
        let [(file, imports)] = &files(channel, symbol).await[..] else {
            panic!("more than one file");
        };
        assert_eq!(file, "tidelock/v1/admin.proto");
        // A client goes on with what that imports, until it has everything.
        let mut wanted = imports.clone();
        let mut held = vec![file.clone()];
        while let Some(import) = wanted.pop() {
            if held.contains(&import) {
                continue;
            }
            for (file, imports) in files(channel, MessageRequest::FileByFilename(import)).await {
                held.push(file);
                wanted.extend(imports);
            }
        }
        assert!(
            held.contains(&"tidelock/v1/types.proto".to_owned()),
            "{held:?}"
        );
        for version in [V1, V1_ALPHA] {
            let symbol = MessageRequest::FileContainingSymbol(version.into());
            assert_eq!(files(channel, symbol).await.len(), 1, "{version}");
        }
        let none = MessageRequest::FileContainingSymbol("tidelock.v1.Later".into());
        assert_eq!(code(ask(channel, none).await), Code::NotFound);
    }
}

#[tokio::test]
async fn clients_that_know_only_the_older_version_are_answered() {
    use pb::v1alpha::server_reflection_client::ServerReflectionClient;
    use pb::v1alpha::server_reflection_request::MessageRequest;
    use pb::v1alpha::server_reflection_response::MessageResponse;

    let plane = Plane::start().await;
    let question = pb::v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(plane.admin_channel().await);
    let answers = client.server_reflection_info(tokio_stream::once(question));
    let mut answers = answers.await.expect("answered").into_inner();
    let answer = next(&mut answers).await.expect("one").expect("ok");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    assert_eq!(list.service.len(), 3);
    assert!(next(&mut answers).await.is_none());
}

#[tokio::test]
async fn who_is_no_operator_is_told_nothing_by_reflection() {
    let plane = Plane::start().await;
    let node = plane.attested("n1").await;
    let gone = plane.operator("gone", "viewer", "/").await;
    let keeper = v1::DeleteRequest {
        documents: vec![v1::DocumentName {
            kind: v1::DocumentKind::Operator.into(),
            name: "gone".into(),
        }],
        ..Default::default()
    };
    plane.admin().await.delete(keeper).await.expect("deleted");
    for (who, keys) in [
        ("a stranger", None),
        ("a node", Some(&node)),
        ("an operator that no document gives a role", Some(&gone)),
    ] {
        let channel = plane.connect(keys).await.expect("connect");
        let refused = services(&channel).await;
        assert_eq!(code(refused), Code::Unauthenticated, "{who}");
        let mut older = pb::v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
        let refused = older.server_reflection_info(tokio_stream::empty()).await;
        assert_eq!(code(refused), Code::Unauthenticated, "{who}");
    }
}

#[tokio::test]
async fn a_question_is_no_longer_than_a_name_is() {
    let plane = Plane::start().await;
    let channel = plane.admin_channel().await;
    let long = MessageRequest::FileContainingSymbol("x".repeat(5_000));
    let (_open, mut answers) = open(channel, vec![long]).await.expect("heard");
    // Not even that there is no such symbol.
    assert!(next(&mut answers).await.is_none());
}

#[tokio::test]
async fn who_holds_a_reflection_stream_open_keeps_no_control_plane_from_stopping() {
    let plane = Plane::start().await;
    let question = MessageRequest::ListServices(String::new());
    let channel = plane.admin_channel().await;
    let (_open, mut answers) = open(channel, vec![question]).await.expect("heard");
    assert!(next(&mut answers).await.expect("one").is_ok());
    let stopping = tokio::spawn(plane.plane.stop());
    // It ends while the questions are still open, and not by a connection that broke.
    assert!(next(&mut answers).await.is_none());
    stopping.await.expect("stopped");
}
