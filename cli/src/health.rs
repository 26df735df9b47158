//! `dreammesh health`: whether a service can be called now, as its server says.

use std::io::stdout;
use std::time::Duration;

use clap::ArgMatches;
use dreammesh_services::proto::health_v1::{HealthCheckRequest, HealthCheckResponse, HealthClient};
use serde_json::json;

use crate::connection;
use crate::outcome::{FINE, FOUND, Failure, Outcome, call_failed, print};
use crate::terminal::Paint;

/// Asks once, or listens, and prints the state.
pub(crate) fn run(matches: &ArgMatches) -> Outcome {
    connection::block_on(async {
        let text = |name: &str| matches.get_one::<String>(name).cloned().unwrap_or_default();
        let channel = connection::channel(matches, &text("target"))?;
        let client = HealthClient::new(channel);
        let request = HealthCheckRequest {
            service: text("service"),
            ..Default::default()
        };
        if !matches.get_flag("watch") {
            let call = client.check(&request).timeout(PATIENCE);
            let response = call.await.map_err(|error| call_failed(&error))?;
            return show(matches, &request, &response.into_owned());
        }
        let call = client.watch(&request);
        let mut states = call.await.map_err(|error| call_failed(&error))?;
        let mut last = FOUND;
        while let Some(state) = states.next().await.map_err(|error| call_failed(&error))? {
            last = show(matches, &request, &state.into_owned())?;
        }
        Ok(last)
    })
}

fn show(
    matches: &ArgMatches,
    request: &HealthCheckRequest,
    response: &HealthCheckResponse,
) -> Result<u8, Failure> {
    let state = format!("{:?}", response.status);
    let serves = state == "SERVING";
    let paint = Paint::of(matches, &stdout());
    print(&if matches.get_flag("json") {
        format!("{}\n", json!({"service": request.service, "status": state}))
    } else if serves {
        format!("{}\n", paint.good(&state))
    } else {
        format!("{}\n", paint.bad(&state))
    })?;
    Ok(if serves { FINE } else { FOUND })
}

/// A server that takes longer to say that it serves does not.
const PATIENCE: Duration = Duration::from_secs(5);
