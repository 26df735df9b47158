//! The trace a call belongs to, in the form W3C Trace Context gives it.

use std::fmt;
use std::sync::Arc;

/// The trace a call belongs to: W3C `traceparent` and `tracestate`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
    state: Option<Arc<str>>,
}

/// Why a `traceparent` or `tracestate` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceContextError {
    /// It is not `version-traceid-spanid-flags` in lower-case hex.
    Form,
    /// The version is the forbidden `ff`.
    Version,
    /// The trace or the span id is all zero.
    Zero,
    /// The `tracestate` exceeds 512 characters or 32 members, or is not printable ASCII.
    State,
}

impl TraceContext {
    /// The length of a `traceparent` as written here.
    pub const TRACEPARENT_LEN: usize = 55;
    /// The bit of the flags that says the caller records this trace.
    pub const SAMPLED: u8 = 0x01;

    /// A context from its parts.
    ///
    /// # Errors
    /// [`TraceContextError::Zero`] when an id is all zero.
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> Result<Self, TraceContextError> {
        if trace_id == [0; 16] || span_id == [0; 8] {
            return Err(TraceContextError::Zero);
        }
        Ok(Self {
            trace_id,
            span_id,
            flags,
            state: None,
        })
    }

    /// Reads a `traceparent`; a version newer than 00 may carry more behind what is known.
    ///
    /// # Errors
    /// When it is not a valid one.
    pub fn parse(traceparent: &str) -> Result<Self, TraceContextError> {
        let text = traceparent.as_bytes();
        let dashes =
            text.len() >= Self::TRACEPARENT_LEN && [2, 35, 52].iter().all(|at| text[*at] == b'-');
        if !dashes {
            return Err(TraceContextError::Form);
        }
        let [version] = hex(&text[..2]).ok_or(TraceContextError::Form)?;
        match version {
            0xff => return Err(TraceContextError::Version),
            0 if text.len() != Self::TRACEPARENT_LEN => return Err(TraceContextError::Form),
            _ if text.len() > Self::TRACEPARENT_LEN && text[Self::TRACEPARENT_LEN] != b'-' => {
                return Err(TraceContextError::Form);
            }
            _ => {}
        }
        let trace_id = hex(&text[3..35]).ok_or(TraceContextError::Form)?;
        let span_id = hex(&text[36..52]).ok_or(TraceContextError::Form)?;
        let [flags] = hex(&text[53..55]).ok_or(TraceContextError::Form)?;
        Self::new(trace_id, span_id, flags)
    }

    /// Attaches a `tracestate`; an empty one is none.
    ///
    /// # Errors
    /// [`TraceContextError::State`] when it breaks the bounds of the specification.
    pub fn with_state(mut self, tracestate: &str) -> Result<Self, TraceContextError> {
        let printable = tracestate.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        let members = tracestate.split(',').count();
        if tracestate.len() > STATE_BYTES_MAX || members > STATE_MEMBERS_MAX || !printable {
            return Err(TraceContextError::State);
        }
        self.state = (!tracestate.is_empty()).then(|| tracestate.into());
        Ok(self)
    }

    /// The id of the whole trace.
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The id of the span that made the call.
    pub fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// The flags; see [`Self::SAMPLED`].
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// The `tracestate`, empty when there is none.
    pub fn state(&self) -> &str {
        self.state.as_deref().unwrap_or_default()
    }

    /// The context of a child span: the same trace, another span.
    ///
    /// # Errors
    /// [`TraceContextError::Zero`] when the id is all zero.
    pub fn child(&self, span_id: [u8; 8]) -> Result<Self, TraceContextError> {
        if span_id == [0; 8] {
            return Err(TraceContextError::Zero);
        }
        Ok(Self {
            span_id,
            ..self.clone()
        })
    }
}

/// The `traceparent`.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace_id
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.span_id
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "-{:02x}", self.flags)
    }
}

impl fmt::Display for TraceContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "traceparent is not version-traceid-spanid-flags in lower-case hex",
            Self::Version => "traceparent has the forbidden version ff",
            Self::Zero => "traceparent has an id of zeros",
            Self::State => "tracestate exceeds 512 characters or 32 members",
        })
    }
}

impl std::error::Error for TraceContextError {}

/// Lower-case hex only, as the specification demands.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Both bounds are those that W3C Trace Context asks every vendor to carry at least.
const STATE_BYTES_MAX: usize = 512;
const STATE_MEMBERS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_specification_round_trips() {
        let context = TraceContext::parse(SPEC).unwrap();
        assert_eq!(context.flags() & TraceContext::SAMPLED, 1);
        assert_eq!(context.to_string(), SPEC);
        let child = context.child([7; 8]).unwrap();
        assert_eq!(child.trace_id(), context.trace_id());
        assert_eq!(child.span_id(), [7; 8]);
    }

    #[test]
    fn a_newer_version_is_read_as_far_as_it_is_known() {
        let newer = SPEC.replacen("00-", "01-", 1);
        assert!(TraceContext::parse(&newer).is_ok());
        assert!(TraceContext::parse(&format!("{newer}-more")).is_ok());
        assert_eq!(
            TraceContext::parse(&format!("{newer}.")),
            Err(TraceContextError::Form)
        );
        assert_eq!(
            TraceContext::parse(&format!("{SPEC}-more")),
            Err(TraceContextError::Form)
        );
    }

    #[test]
    fn bad_ones_are_refused() {
        for bad in [
            "",
            "00",
            &SPEC[1..],
            &SPEC.to_uppercase(),
            &SPEC.replace('-', "_"),
        ] {
            assert_eq!(
                TraceContext::parse(bad),
                Err(TraceContextError::Form),
                "{bad}"
            );
        }
        let forbidden = SPEC.replacen("00-", "ff-", 1);
        assert_eq!(
            TraceContext::parse(&forbidden),
            Err(TraceContextError::Version)
        );
        let zero = SPEC.replace("00f067aa0ba902b7", "0000000000000000");
        assert_eq!(TraceContext::parse(&zero), Err(TraceContextError::Zero));
    }

    #[test]
    fn the_state_is_bounded_at_both_limits() {
        let context = TraceContext::parse(SPEC).unwrap();
        let with = |state: &str| context.clone().with_state(state);
        assert_eq!(with("a=1,b=2").unwrap().state(), "a=1,b=2");
        assert!(with(&"x".repeat(512)).is_ok());
        assert_eq!(with(&"x".repeat(513)), Err(TraceContextError::State));
        assert!(with(&["a=1"; 32].join(",")).is_ok());
        assert_eq!(with(&["a=1"; 33].join(",")), Err(TraceContextError::State));
        assert_eq!(with("a=\n"), Err(TraceContextError::State));
    }
}
