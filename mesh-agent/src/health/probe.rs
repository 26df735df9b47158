//! One check of one instance.

use std::io;
use std::time::Duration;

use dreammesh_core::call::{CallError, Code, Initiator};
use dreammesh_core::negotiate::VerdictCache;
use dreammesh_services::proto::health_v1::health_check_response::ServingStatus;
use dreammesh_services::proto::health_v1::{HealthCheckRequest, HealthClient};
use dreammesh_transport::{ConnectError, Connector};
use tokio::net::TcpStream;

use super::subject::{Kind, Place, Subject};
use super::verdict::{Answer, Outcome};

/// How long a check may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);

/// Checks an instance once, within [`TIMEOUT`].
pub(super) async fn probe(subject: &Subject) -> Outcome {
    let checked = async {
        // A connection of its own says at once whether somebody listens, in the system's words.
        if let Err(error) = connect(subject.place()).await {
            return of_connect(subject, &error);
        }
        match subject.kind {
            Kind::Tcp => outcome(Answer::Passed, "a connection is accepted".to_owned()),
            Kind::Session => session(subject).await,
            Kind::Grpc => grpc(subject).await,
        }
    };
    match tokio::time::timeout(TIMEOUT, checked).await {
        Ok(outcome) => outcome,
        Err(_) => outcome(
            Answer::TimedOut,
            format!("{} did not answer within {TIMEOUT:?}", subject.target),
        ),
    }
}

async fn connect(place: Place<'_>) -> io::Result<()> {
    match place {
        Place::Address(address) => TcpStream::connect(address).await.map(drop),
        #[cfg(unix)]
        Place::Socket(path) => tokio::net::UnixStream::connect(path).await.map(drop),
        #[cfg(not(unix))]
        Place::Socket(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn of_connect(subject: &Subject, error: &io::Error) -> Outcome {
    let is_socket = matches!(subject.place(), Place::Socket(_));
    let answer = match error.kind() {
        io::ErrorKind::ConnectionRefused => Answer::Refused,
        // The socket's file goes with its server.
        io::ErrorKind::NotFound if is_socket => Answer::Refused,
        io::ErrorKind::TimedOut => Answer::TimedOut,
        _ => Answer::Failed,
    };
    outcome(answer, format!("{}: {error}", subject.target))
}

/// A session begins, and the server says hello on it.
async fn session(subject: &Subject) -> Outcome {
    match connector().connect(&subject.session_target()).await {
        Ok(_channel) => outcome(Answer::Passed, "a session is answered".to_owned()),
        Err(error) => unreachable(subject, &error),
    }
}

/// gRPC's health service says that it serves, or the server does not know of it.
async fn grpc(subject: &Subject) -> Outcome {
    let channel = match connector().connect_lazy(&subject.grpc_target()) {
        Ok(channel) => channel,
        Err(error) => return unreachable(subject, &error),
    };
    let client = HealthClient::new(channel);
    let request = HealthCheckRequest {
        service: subject.service.to_string(),
        ..Default::default()
    };
    match client.check(&request).timeout(TIMEOUT).await {
        Ok(response) => of_status(response.into_owned().status),
        Err(error) => of_error(subject, &error),
    }
}

fn of_status(status: ServingStatus) -> Outcome {
    match status {
        ServingStatus::SERVING => outcome(Answer::Passed, "it says that it serves".to_owned()),
        ServingStatus::SERVICE_UNKNOWN => unknown(),
        other => outcome(Answer::Failed, format!("it says {other:?}")),
    }
}

fn of_error(subject: &Subject, error: &CallError) -> Outcome {
    if error.initiator() == Initiator::Peer {
        match error.code() {
            Code::Unimplemented | Code::NotFound => return unknown(),
            // It says that this agent may not ask; so there is somebody who says it.
            code @ (Code::Unauthenticated | Code::PermissionDenied) => {
                return outcome(Answer::Passed, format!("it answers {code}"));
            }
            _ => {}
        }
    }
    let answer = match error.code() {
        Code::DeadlineExceeded => Answer::TimedOut,
        _ => Answer::Failed,
    };
    outcome(answer, format!("{}: {error}", subject.target))
}

fn unknown() -> Outcome {
    let text = "it answers, and knows nothing of gRPC's health service";
    outcome(Answer::Passed, text.to_owned())
}

fn unreachable(subject: &Subject, error: &ConnectError) -> Outcome {
    outcome(Answer::Failed, format!("{}: {error}", subject.target))
}

/// Each check has connections of its own, which end with it.
fn connector() -> Connector {
    Connector::new()
        .connect_timeout(TIMEOUT)
        .max_connections_per_endpoint(1)
        .layouts(&VerdictCache::new())
}

fn outcome(result: Answer, said: String) -> Outcome {
    // Words of a server that come from outside stand in lists for people.
    let said: String = said.chars().take(SAID_CHARS_MAX).collect();
    Outcome {
        result,
        said: said.replace(char::is_control, " ").into(),
    }
}

/// As much as a line of a list has room for, and some more.
const SAID_CHARS_MAX: usize = 200;

#[cfg(test)]
mod tests;
