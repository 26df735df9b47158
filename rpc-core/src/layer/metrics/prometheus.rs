//! The text format of Prometheus.

use std::fmt::Write;
use std::time::Duration;

use super::{
    BOUNDS_SECONDS, CallCounts, ConnectFailure, ConnectionEnd, ConnectionSnapshot, MethodSnapshot,
    Side,
};

/// Writes all methods, each metric's lines together as the format demands.
pub(super) fn write(methods: &[MethodSnapshot]) -> String {
    let mut text = String::new();
    for side in [Side::Client, Side::Server] {
        let of_side: Vec<_> = methods
            .iter()
            .filter(|method| method.side == side)
            .collect();
        if !of_side.is_empty() {
            durations(&mut text, side, &of_side);
            gauges(&mut text, side, &of_side);
        }
    }
    text
}

fn name(side: Side) -> &'static str {
    match side {
        Side::Client => "client",
        Side::Server => "server",
    }
}

fn durations(text: &mut String, side: Side, methods: &[&MethodSnapshot]) {
    let metric = format!("rpc_{}_call_duration_seconds", name(side));
    put(text, format_args!("# HELP {metric} How long calls took."));
    put(text, format_args!("# TYPE {metric} histogram"));
    for method in methods {
        for calls in &method.calls {
            histogram(text, &metric, method, calls);
        }
    }
}

fn histogram(text: &mut String, metric: &str, method: &MethodSnapshot, calls: &CallCounts) {
    let mut labels = format!(
        "rpc_method=\"{}\",rpc_response_status_code=\"{}\",wire_mode=\"{}\"",
        method.path.trim_start_matches('/'),
        calls.code,
        calls.mode.name(),
    );
    if let Some(protocol) = calls.protocol {
        labels += &format!(",protocol=\"{}\"", protocol.name());
    }
    let mut below = 0;
    for (bound, count) in BOUNDS_SECONDS.iter().zip(&calls.buckets) {
        below += count;
        put(
            text,
            format_args!("{metric}_bucket{{{labels},le=\"{bound}\"}} {below}"),
        );
    }
    let count = calls.count();
    put(
        text,
        format_args!("{metric}_bucket{{{labels},le=\"+Inf\"}} {count}"),
    );
    put(
        text,
        format_args!("{metric}_sum{{{labels}}} {}", calls.sum.as_secs_f64()),
    );
    put(text, format_args!("{metric}_count{{{labels}}} {count}"));
}

fn gauges(text: &mut String, side: Side, methods: &[&MethodSnapshot]) {
    type Figure = (
        &'static str,
        &'static str,
        &'static str,
        fn(&MethodSnapshot) -> i128,
    );
    let figures: [Figure; 3] = [
        ("active_calls", "gauge", "Calls that run now.", |m| {
            i128::from(m.in_flight)
        }),
        (
            "received_bytes_total",
            "counter",
            "Bytes of messages received.",
            |m| i128::from(m.received_bytes),
        ),
        (
            "sent_bytes_total",
            "counter",
            "Bytes of messages sent.",
            |m| i128::from(m.sent_bytes),
        ),
    ];
    for (what, kind, help, figure) in figures {
        let metric = format!("rpc_{}_{what}", name(side));
        put(text, format_args!("# HELP {metric} {help}"));
        put(text, format_args!("# TYPE {metric} {kind}"));
        for method in methods {
            let path = method.path.trim_start_matches('/');
            put(
                text,
                format_args!("{metric}{{rpc_method=\"{path}\"}} {}", figure(method)),
            );
        }
    }
}

/// Writes what became of connections; every medium and reason has its line from the beginning.
pub(super) fn write_knowledge(text: &mut String, ages: &[(String, Duration)]) {
    if ages.is_empty() {
        return;
    }
    let metric = "rpc_client_endpoints_age_seconds";
    let help = "How long ago it was certain what is known of a target's endpoints.";
    put(text, format_args!("# HELP {metric} {help}"));
    put(text, format_args!("# TYPE {metric} gauge"));
    for (target, age) in ages {
        let (target, age) = (escaped(target), age.as_secs_f64());
        put(text, format_args!("{metric}{{target=\"{target}\"}} {age}"));
    }
}

pub(super) fn write_connections(text: &mut String, endpoints: &[ConnectionSnapshot]) {
    if endpoints.is_empty() {
        return;
    }
    for (what, kind, help, label, counts) in CONNECTIONS {
        let metric = format!("rpc_client_{what}");
        put(text, format_args!("# HELP {metric} {help}"));
        put(text, format_args!("# TYPE {metric} {kind}"));
        for endpoint in endpoints {
            let server = escaped(endpoint.endpoint.target());
            for (name, count) in counts(endpoint) {
                let mut labels = format!("server_endpoint=\"{server}\"");
                if !label.is_empty() {
                    labels += &format!(",{label}=\"{name}\"");
                }
                put(text, format_args!("{metric}{{{labels}}} {count}"));
            }
        }
    }
}

/// A metric of connections: name, kind, help, its label if it has one more, and its figures.
type OfConnections = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    fn(&ConnectionSnapshot) -> Vec<(&'static str, u64)>,
);

const CONNECTIONS: [OfConnections; 9] = [
    (
        "connections_open",
        "gauge",
        "Connections that are open now.",
        "medium",
        |it| it.open.clone(),
    ),
    (
        "connections_opened_total",
        "counter",
        "Connections on which the server has said hello.",
        "medium",
        |it| it.opened.clone(),
    ),
    (
        "connections_failed_total",
        "counter",
        "Connections that were not made.",
        "reason",
        |it| named(&it.failed, ConnectFailure::name),
    ),
    (
        "connections_ended_total",
        "counter",
        "Connections that were open and ended.",
        "reason",
        |it| named(&it.ended, ConnectionEnd::name),
    ),
    (
        "medium_switches_total",
        "counter",
        "Connections by another medium than the one before.",
        "medium",
        |it| it.switched.clone(),
    ),
    (
        "reconnects_total",
        "counter",
        "Connections opened where one had been and none was left.",
        "",
        |it| vec![("", it.reconnects)],
    ),
    (
        "path_stalls_total",
        "counter",
        "Paths found to swallow what is sent.",
        "",
        |it| vec![("", it.stalls)],
    ),
    (
        "calls_repeated_total",
        "counter",
        "Calls made again because their connection was over.",
        "",
        |it| vec![("", it.calls_repeated)],
    ),
    (
        "calls_drained_total",
        "counter",
        "Calls that their server ended because it drains.",
        "",
        |it| vec![("", it.calls_drained)],
    ),
];

fn named<K: Copy>(counts: &[(K, u64)], name: fn(K) -> &'static str) -> Vec<(&'static str, u64)> {
    let named = counts.iter().map(|(key, count)| (name(*key), *count));
    named.collect()
}

/// What may stand between the quotes of a label.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Endpoint;
    use crate::layer::ConnectionCounts;

    #[test]
    fn connections_have_their_endpoint_and_medium_or_reason() {
        let counts = ConnectionCounts::new(Endpoint::new("a\"b\\c\nd"), &["one", "two"]);
        counts.opened(1, true);
        counts.ended(1, ConnectionEnd::Silent);
        let mut text = String::new();
        write_connections(&mut text, &[]);
        assert!(text.is_empty());
        write_connections(&mut text, &[counts.snapshot()]);
        let server = r#"server_endpoint="a\"b\\c\nd""#;
        for line in [
            "# TYPE rpc_client_connections_open gauge".to_owned(),
            format!("rpc_client_connections_open{{{server},medium=\"two\"}} 0"),
            format!("rpc_client_connections_opened_total{{{server},medium=\"two\"}} 1"),
            format!("rpc_client_connections_failed_total{{{server},reason=\"dial\"}} 0"),
            format!("rpc_client_connections_ended_total{{{server},reason=\"silent\"}} 1"),
            format!("rpc_client_reconnects_total{{{server}}} 0"),
        ] {
            let found = text.lines().any(|found| found == line);
            assert!(found, "{line}\nin\n{text}");
        }
    }
}
