//! What agents say of an instance to one another: its protobuf form as base64, under its id.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use dreammesh_agent_api::instance::{Instance, InstanceError};
use dreammesh_agent_api::proto;
use dreammesh_core::codec::Protobuf as _;

use crate::registry::Origin;

/// What stands before the ids of instances.
pub(super) const INSTANCE: &str = "i/";
/// Under this an agent says that all it had to say when it started has been said: its files have
/// been read, and applications that were attached to a former run have had the time to come back.
pub(super) const READY: &str = "a/ready";
/// Under this an agent says that it leaves, and that its instances are well without it.
pub(super) const LEAVING: &str = "a/leaving";

/// How long a value is at most, in bytes. One must fit into a datagram of `chitchat` beside what is
/// said of the members, or it would never be passed on, nor what comes after it.
pub(super) const VALUE_BYTES_MAX: usize = 32 << 10;

/// The value for an instance; what it reads in place is left out where there is no room for it.
/// `None` when it is too long all the same.
pub(super) fn value_of(instance: &Instance) -> Option<String> {
    let mut said = proto::Instance::from(instance);
    loop {
        let bytes = said.to_protobuf().ok()?;
        let value = STANDARD_NO_PAD.encode(bytes);
        if value.len() <= VALUE_BYTES_MAX {
            return Some(value);
        }
        if said.layouts.is_empty() {
            return None;
        }
        said.layouts.clear();
    }
}

/// The instance that an agent said under a key.
///
/// # Errors
/// What is wrong with it.
pub(super) fn instance_of(agent: &str, id: &str, value: &str) -> Result<Instance, Unclear> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(Unclear::Long);
    }
    let bytes = STANDARD_NO_PAD.decode(value).map_err(|_| Unclear::Bytes)?;
    let said = proto::Instance::from_protobuf(&bytes).map_err(|_| Unclear::Bytes)?;
    let mut instance = Instance::try_from(said).map_err(Unclear::Instance)?;
    if instance.id.as_str() != id {
        return Err(Unclear::OtherId);
    }
    // Nobody speaks in another agent's name, and what was said of where it is from is not asked.
    instance.agent = agent.into();
    instance.origin = Origin::Gossip.as_str().into();
    Ok(instance)
}

/// Why a value says no instance.
#[derive(Debug)]
pub(super) enum Unclear {
    Long,
    Bytes,
    OtherId,
    Instance(InstanceError),
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long => write!(f, "it has more than {VALUE_BYTES_MAX} bytes"),
            Self::Bytes => f.write_str("it is no instance"),
            Self::OtherId => f.write_str("it says another id"),
            Self::Instance(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::contract::instance;

    #[test]
    fn an_instance_reads_as_written_in_its_agents_name() {
        let said = instance("a", 1);
        let value = value_of(&said).unwrap();
        let read = instance_of("agent-2", "a", &value).unwrap();
        assert_eq!((&*read.agent, &*read.origin), ("agent-2", "gossip"));
        let mut read = read;
        (read.agent, read.origin) = (said.agent.clone(), said.origin.clone());
        assert_eq!(read, said);
        assert!(matches!(
            instance_of("agent-2", "b", &value),
            Err(Unclear::OtherId)
        ));
    }

    #[test]
    fn what_is_no_instance_is_an_error() {
        let empty = STANDARD_NO_PAD.encode(b"");
        for value in ["!", "AAAA", "//////8", &empty] {
            assert!(instance_of("a", "a", value).is_err(), "{value:?}");
        }
        let most = "A".repeat(VALUE_BYTES_MAX);
        assert!(!matches!(instance_of("a", "a", &most), Err(Unclear::Long)));
        let more = "A".repeat(VALUE_BYTES_MAX + 1);
        assert!(matches!(instance_of("a", "a", &more), Err(Unclear::Long)));
    }

    #[test]
    fn layouts_go_before_an_instance_does() {
        let mut long = instance("a", 1);
        for number in 0..64 {
            let name = format!("{number:0>255}");
            long.layouts.insert(name.into(), [7; 16]);
            let name = format!("{number:0>63}");
            long.labels.insert(name.into(), "x".repeat(200).into());
        }
        let value = value_of(&long).unwrap();
        let read = instance_of("", "a", &value).unwrap();
        assert!(read.layouts.is_empty());
        assert_eq!(read.labels, long.labels);
        for value in long.labels.values_mut() {
            *value = "x".repeat(255).into();
        }
        long.layouts.clear();
        let spare = VALUE_BYTES_MAX.checked_sub(value_of(&long).map_or(0, |it| it.len()));
        assert!(spare.is_some());
        long.version = "\u{10ffff}".repeat(63).into();
        long.addresses.clear();
        for number in 0..8 {
            let name = format!("{}.{number:0>60}.example", "a".repeat(63));
            long.addresses.push(name.parse().unwrap());
        }
        let bytes = proto::Instance::from(&long).to_protobuf().unwrap();
        let fits = STANDARD_NO_PAD.encode(bytes).len() <= VALUE_BYTES_MAX;
        assert_eq!(value_of(&long).is_some(), fits);
    }
}
