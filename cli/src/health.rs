//! `dreammesh health`: whether a service can be called now, as its server says.

use std::time::Duration;

use clap::ArgMatches;
use dreammesh_services::proto::health_v1::{HealthCheckRequest, HealthClient};

use crate::connection;
use crate::outcome::{FINE, FOUND, Outcome, call_failed, print};

/// Asks once, and prints the state.
pub(crate) fn run(matches: &ArgMatches) -> Outcome {
    connection::block_on(async {
        let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
        let channel = connection::channel(matches, &text("target"))?;
        let request = HealthCheckRequest {
            service: text("service"),
            ..Default::default()
        };
        let call = HealthClient::new(channel).check(request).timeout(PATIENCE);
        let response = call.await.map_err(|error| call_failed(&error))?;
        let state = format!("{:?}", response.view().status());
        print(&format!("{state}\n"))?;
        Ok(if state == "SERVING" { FINE } else { FOUND })
    })
}

/// A server that takes longer to say that it serves does not.
const PATIENCE: Duration = Duration::from_secs(5);
