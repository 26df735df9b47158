//! The text format of Prometheus.

use std::fmt::Write;

use super::{BOUNDS_SECONDS, CallCounts, MethodSnapshot, Side};

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
    let labels = format!(
        "rpc_method=\"{}\",rpc_response_status_code=\"{}\",wire_mode=\"{}\"",
        method.path.trim_start_matches('/'),
        calls.code,
        calls.mode.name(),
    );
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

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{line}");
}
