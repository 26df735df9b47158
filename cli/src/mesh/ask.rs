//! What the agent of this host is and knows.

use std::io::stdout;
use std::time::Duration;

use clap::ArgMatches;
use dreammesh_agent_api::instance::WEIGHT_DEFAULT;
use dreammesh_agent_api::name::ServiceName;
use dreammesh_agent_api::proto::{
    AgentClient, Application, Instance, InstancesRequest, InstancesResponse, KnownInstance, Port,
    Protocol, ServicesRequest, ServicesResponse, StatusRequest, StatusResponse, WhyRequest,
    WhyResponse,
};
use dreammesh_core::codec::Json;

use super::columns::Columns;
use crate::connection;
use crate::outcome::{FINE, FOUND, Failure, Outcome, call_failed, print};
use crate::terminal::Paint;

/// `dreammesh status`.
pub(crate) fn status(matches: &ArgMatches) -> Outcome {
    connection::block_on(async {
        let client = AgentClient::new(super::agent(matches)?);
        let call = client.status(StatusRequest::default()).timeout(PATIENCE);
        let response = call.await.map_err(|error| call_failed(&error))?;
        let response = response.into_owned();
        show(matches, &response, |paint| status_text(&response, paint))?;
        Ok(FINE)
    })
}

/// `dreammesh services`.
pub(crate) fn services(matches: &ArgMatches) -> Outcome {
    connection::block_on(async {
        let client = AgentClient::new(super::agent(matches)?);
        let request = ServicesRequest {
            namespace: text(matches, "namespace"),
            ..Default::default()
        };
        let call = client.services(request).timeout(PATIENCE);
        let response = call.await.map_err(|error| call_failed(&error))?;
        let response = response.into_owned();
        show(matches, &response, |paint| services_text(&response, paint))?;
        Ok(FINE)
    })
}

/// `dreammesh instances`.
pub(crate) fn instances(matches: &ArgMatches) -> Outcome {
    connection::block_on(async {
        let mut request = InstancesRequest::default();
        if matches.get_one::<String>("service").is_some() {
            let service = service(matches)?;
            request.service = service.name().to_owned();
            request.namespace = service.namespace().to_owned();
        }
        let client = AgentClient::new(super::agent(matches)?);
        let call = client.instances(request).timeout(PATIENCE);
        let response = call.await.map_err(|error| call_failed(&error))?;
        let response = response.into_owned();
        show(matches, &response, |paint| instances_text(&response, paint))?;
        Ok(FINE)
    })
}

/// `dreammesh why`.
pub(crate) fn why(matches: &ArgMatches) -> Outcome {
    connection::block_on(async {
        let target = text(matches, "target");
        let parsed: Result<dreammesh_agent_api::name::MeshTarget, _> = target.parse();
        parsed.map_err(|error| Failure::input(format!("{target}: {error}")))?;
        let client = AgentClient::new(super::agent(matches)?);
        let request = WhyRequest {
            target,
            ..Default::default()
        };
        let call = client.why(request).timeout(PATIENCE);
        let response = call.await.map_err(|error| call_failed(&error))?;
        let response = response.into_owned();
        show(matches, &response, |paint| why_text(&response, paint))?;
        let has_one = response.instances.iter().any(|reason| reason.chosen);
        Ok(if has_one { FINE } else { FOUND })
    })
}

/// The service that a command is about.
pub(super) fn service(matches: &ArgMatches) -> Result<ServiceName, Failure> {
    let service = text(matches, "service");
    let parsed = service.parse();
    parsed.map_err(|error| Failure::input(format!("{service}: {error}")))
}

pub(super) fn text(matches: &ArgMatches, name: &str) -> String {
    matches.get_one::<String>(name).cloned().unwrap_or_default()
}

fn show(
    matches: &ArgMatches,
    response: &impl Json,
    in_words: impl FnOnce(Paint) -> String,
) -> Result<(), Failure> {
    if matches.get_flag("json") {
        let json = response.to_json();
        let json = json.map_err(|error| Failure::input(error.to_string()))?;
        return print(&format!("{json}\n"));
    }
    print(&in_words(Paint::of(matches, &stdout())))
}

fn status_text(it: &StatusResponse, paint: Paint) -> String {
    let mut text = format!(
        "{} on {}, build {}, process {}, up {}\n{} services, {} instances, {} applications\n",
        paint.strong(&it.agent),
        it.host,
        it.build,
        it.process,
        age(it.up_ms),
        it.services,
        it.instances,
        it.applications,
    );
    if !it.metrics.is_empty() {
        text += &format!("figures at {}\n", it.metrics);
    }
    let mut sources = Columns::new(&["SOURCE", "STATE", "INSTANCES", "AGE", "PROBLEM"]);
    for source in &it.sources {
        sources.row([
            source.name.clone(),
            if source.healthy { "ok" } else { "failing" }.to_owned(),
            source.instances.to_string(),
            age(source.age_ms),
            source.problem.clone(),
        ]);
    }
    text += &format!("\n{}", sources.text(paint));
    if !it.attached.is_empty() {
        text += &format!("\n{}", applications_text(&it.attached, paint));
    }
    if !it.members.is_empty() {
        let mut members = Columns::new(&["AGENT", "ADDRESS", "STATE", "HEARD"]);
        for member in &it.members {
            members.row([
                member.agent.clone(),
                member.address.clone(),
                if member.alive { "alive" } else { "gone" }.to_owned(),
                format!("{} ago", age(member.heard_ms_ago)),
            ]);
        }
        text += &format!("\n{}", members.text(paint));
    }
    for warning in &it.warnings {
        text += &format!("{} {warning}\n", paint.bad("warning:"));
    }
    text
}

fn applications_text(applications: &[Application], paint: Paint) -> String {
    let head = [
        "PROGRAM",
        "PROCESS",
        "USER",
        "INSTANCES",
        "WATCHES",
        "BYTES",
    ];
    let mut columns = Columns::new(&head);
    let number = |number: Option<u32>| number.map_or_else(String::new, |it| it.to_string());
    for it in applications {
        columns.row([
            it.program.clone(),
            number(it.process),
            number(it.user),
            it.instances.to_string(),
            it.watches.to_string(),
            it.bytes.to_string(),
        ]);
    }
    columns.text(paint)
}

fn services_text(response: &ServicesResponse, paint: Paint) -> String {
    if response.services.is_empty() {
        return "no service is known\n".to_owned();
    }
    let head = ["SERVICE", "INSTANCES", "AVAILABLE", "WATCHERS", "VERSIONS"];
    let mut columns = Columns::new(&head);
    for it in &response.services {
        columns.row([
            format!("{}.{}", it.service, it.namespace),
            it.instances.to_string(),
            it.available.to_string(),
            it.watchers.to_string(),
            it.versions.join(", "),
        ]);
    }
    columns.text(paint)
}

fn instances_text(response: &InstancesResponse, paint: Paint) -> String {
    if response.instances.is_empty() {
        return "no instance is known\n".to_owned();
    }
    let head = [
        "SERVICE", "ID", "STATUS", "WEIGHT", "PLACES", "ZONE", "VERSION", "ORIGIN", "AGE", "CHECK",
    ];
    let mut columns = Columns::new(&head);
    for known in &response.instances {
        let KnownInstance { age_ms, check, .. } = known;
        let instance = known.instance.clone().unwrap_or_default();
        columns.row([
            format!("{}.{}", instance.service, instance.namespace),
            instance.id.clone(),
            status_of(&instance),
            weight(&instance).to_string(),
            places(&instance),
            instance.zone.clone(),
            instance.version.clone(),
            format!("{} ({})", instance.origin, instance.agent),
            age(*age_ms),
            check.clone(),
        ]);
    }
    columns.text(paint)
}

fn why_text(response: &WhyResponse, paint: Paint) -> String {
    let (service, namespace) = (&response.service, &response.namespace);
    if response.instances.is_empty() {
        return format!(
            "{service}.{namespace} has no instance: no server has registered it here, no file has \
             it, and no other agent knows it\n"
        );
    }
    let head = [
        "ID", "CHOSEN", "ENDPOINT", "BECAUSE", "ORIGIN", "AGE", "CHECK",
    ];
    let mut columns = Columns::new(&head);
    for reason in &response.instances {
        let known = reason.known.clone().unwrap_or_default();
        let instance = known.instance.unwrap_or_default();
        columns.row([
            instance.id,
            if reason.chosen { "yes" } else { "no" }.to_owned(),
            reason.endpoint.clone(),
            reason.because.clone(),
            format!("{} ({})", instance.origin, instance.agent),
            age(known.age_ms),
            known.check,
        ]);
    }
    columns.text(paint)
}

/// The state of an instance in one word.
pub(super) fn status_of(instance: &Instance) -> String {
    let name = format!("{:?}", instance.status);
    let word = name.strip_prefix("INSTANCE_STATUS_");
    word.unwrap_or(&name).to_owned()
}

/// The weight of an instance, which may leave it unsaid.
pub(super) fn weight(instance: &Instance) -> u32 {
    instance.weight.unwrap_or_else(|| WEIGHT_DEFAULT.into())
}

/// Where an instance is, in one word.
pub(super) fn places(instance: &Instance) -> String {
    let address = instance.addresses.first().map_or("", String::as_str);
    let place = |port: &Port| {
        let scheme = match (port.protocol == Protocol::GRPC, port.tls) {
            (true, false) => "grpc://",
            (true, true) => "grpcs://",
            (false, false) => "dreammesh+tcp://",
            (false, true) => "dreammesh://",
        };
        match port.number {
            0 => format!("unix://{}", port.unix_path),
            number if address.contains(':') => format!("{scheme}[{address}]:{number}"),
            number => format!("{scheme}{address}:{number}"),
        }
    };
    let places: Vec<_> = instance.ports.iter().map(place).collect();
    places.join(",")
}

/// A time as people say it.
fn age(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms}ms"),
        1_000..60_000 => format!("{}.{}s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{}m{:02}s", ms / 60_000, ms / 1_000 % 60),
        3_600_000..86_400_000 => format!("{}h{:02}m", ms / 3_600_000, ms / 60_000 % 60),
        _ => format!("{}d{:02}h", ms / 86_400_000, ms / 3_600_000 % 24),
    }
}

/// An agent that takes longer to answer hangs.
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        for (ms, said) in [
            (0, "0ms"),
            (999, "999ms"),
            (1_000, "1.0s"),
            (59_999, "59.9s"),
            (61_000, "1m01s"),
            (3_600_000, "1h00m"),
            (90_000_000, "1d01h"),
        ] {
            assert_eq!(age(ms), said);
        }
    }
}
