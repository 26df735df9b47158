//! The service that applications and people call.

use std::time::Instant;

use dreammesh_agent_api::endpoint::{Here, Rules, choose};
use dreammesh_agent_api::instance::InstanceStatus;
use dreammesh_agent_api::name::MeshTarget;
use dreammesh_agent_api::proto;
use dreammesh_core::call::{Receiver, Request, Response, Sender, Status};

use crate::questions::{Questions, is_available, known_instance};
use crate::registry::Known;

/// `dreammesh.agent.v1.Agent`.
#[derive(Debug)]
pub struct AgentService(Questions);

impl AgentService {
    /// Over what it answers from.
    pub const fn new(questions: Questions) -> Self {
        Self(questions)
    }
}

impl proto::Agent for AgentService {
    async fn attach(
        &self,
        requests: Receiver<proto::FromApplication>,
        responses: Sender<proto::FromAgent>,
    ) -> Result<(), Status> {
        self.0.attachments().serve(requests, responses).await
    }

    async fn status(
        &self,
        _: Request<proto::StatusRequest>,
    ) -> Result<Response<proto::StatusResponse>, Status> {
        Ok(Response::new(self.0.status()))
    }

    async fn services(
        &self,
        request: Request<proto::ServicesRequest>,
    ) -> Result<Response<proto::ServicesResponse>, Status> {
        let process = request.peer().process();
        let services = self.0.services(request.view().namespace(), process)?;
        Ok(Response::new(services))
    }

    async fn instances(
        &self,
        request: Request<proto::InstancesRequest>,
    ) -> Result<Response<proto::InstancesResponse>, Status> {
        let process = request.peer().process();
        let instances = self.0.instances(&request.into_owned(), process)?;
        Ok(Response::new(instances))
    }

    async fn why(
        &self,
        request: Request<proto::WhyRequest>,
    ) -> Result<Response<proto::WhyResponse>, Status> {
        let target: MeshTarget = request.view().target().parse().map_err(|error| {
            let target = request.view().target();
            Status::invalid_argument(format!("{target}: {error}"))
        })?;
        let process = request.peer().process();
        let (known, now) = self.0.known(target.service(), process)?;
        let here = self.0.here();
        let reasons = known.iter();
        let reasons = reasons.map(|known| reason(known, target.port(), &here, now));
        Ok(Response::new(proto::WhyResponse {
            service: target.service().name().to_owned(),
            namespace: target.service().namespace().to_owned(),
            port: target.port().unwrap_or_default().to_owned(),
            instances: reasons.collect(),
            ..Default::default()
        }))
    }
}

/// Why an instance is an endpoint, or is none, to somebody on this host who believes certificates.
fn reason(known: &Known, port: Option<&str>, here: &Here, now: Instant) -> proto::Reason {
    let rules = Rules::default().encrypted(true);
    let instance = &known.instance;
    let (endpoint, exposed, none) = match choose(instance, port, here, rules) {
        Ok(chosen) => {
            let target = chosen.endpoint.endpoint.target().to_owned();
            (target, chosen.exposed, None)
        }
        Err(reason) => (String::new(), false, Some(reason.to_string())),
    };
    let is_endpoint = none.is_none();
    let because = none.unwrap_or_else(|| match (instance.status, &known.health) {
        (InstanceStatus::Down, Some(health)) if health.down => format!(
            "its check failed ({}); it is called only when there is no other",
            health.said
        ),
        (InstanceStatus::Down, _) => {
            "it is said to be down; it is called only when there is no other".to_owned()
        }
        _ if instance.weight == 0 => "its weight is 0".to_owned(),
        _ if exposed => "it is up, and permits plaintext from other hosts".to_owned(),
        _ => "it is up".to_owned(),
    });
    proto::Reason {
        known: Some(known_instance(known, now)),
        chosen: is_endpoint && is_available(instance),
        endpoint,
        because,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dreammesh_agent_api::instance::{Host, Instance, InstanceId, Locality, Port, Protocol};

    use super::*;
    use crate::attach::{Attachments, Bounds, NoReports, Site};
    use crate::knowledge::{Here, Knowledge};
    use crate::questions::{Alone, Warnings};
    use crate::registry::{Health, Origin};

    fn instance(id: &str, host: &str) -> Instance {
        let id = InstanceId::new(id).unwrap();
        let port = Port::new(7443, Protocol::DreamMesh);
        let mut instance = Instance::new(id, "catalog".parse().unwrap(), port);
        instance.addresses = vec![Host::Ip([10, 0, 0, 7].into())];
        instance.host = host.into();
        instance
    }

    #[tokio::test]
    async fn each_instance_has_one_sentence_of_why() {
        let knowledge = Knowledge::new(Here::new("agent-1", "host-1"));
        let site = Site::new(Locality::new("eu", "eu-1"), Vec::new());
        let reports = Arc::new(NoReports);
        let attachments = Attachments::new(&knowledge, site, Bounds::default(), reports);
        let warnings = Warnings::default();
        let questions = Questions::new(&attachments, Arc::new(Alone), &warnings, String::new());
        let sink = knowledge.sink("gossip", Origin::Gossip);
        sink.set(instance("here", "host-1"));
        sink.set(instance("there", "host-2"));
        let mut permits = instance("permits", "host-2");
        permits.permit_plaintext = true;
        sink.set(permits);
        let mut idle = instance("idle", "host-1");
        idle.weight = 0;
        sink.set(idle);
        sink.set(instance("sick", "host-1"));
        let sick = InstanceId::new("sick").unwrap();
        knowledge.set_health(&sick, Some(Health::failing("timeout")));
        let channel = dreammesh_core::codegen::in_process(&proto::AgentServer::new(
            AgentService::new(questions),
        ));
        let client = proto::AgentClient::new(channel);
        let ask = |target: &str| proto::WhyRequest {
            target: target.to_owned(),
            ..Default::default()
        };
        let why = client
            .why(ask("mesh://catalog"))
            .await
            .unwrap()
            .into_owned();
        let because = why.instances.into_iter().map(|reason| {
            let id = reason.known.unwrap().instance.unwrap().id;
            (id, reason.chosen, reason.because)
        });
        for ((id, chosen, because), (is, is_chosen, word)) in because.zip([
            ("here", true, "it is up"),
            ("idle", false, "its weight is 0"),
            ("permits", true, "permits plaintext"),
            ("sick", false, "its check failed (timeout)"),
            ("there", false, "not encrypted"),
        ]) {
            assert_eq!((&*id, chosen), (is, is_chosen), "{because}");
            assert!(because.contains(word), "{because}");
        }
        let wrong = client.why(ask("grpc://catalog")).await.unwrap_err();
        assert!(wrong.message().contains("begins with mesh://"), "{wrong}");
        let status = client
            .status(proto::StatusRequest::default())
            .await
            .unwrap();
        assert_eq!(status.view().instances(), 5);
    }
}
