//! What an agent is told when it is started; nothing of it is needed on a laptop.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

/// How large a file may be, in bytes; a full one has a few hundred.
pub const FILE_BYTES_MAX: usize = 256 << 10;

/// What an agent is told when it is started.
///
/// As YAML, its fields have hyphens:
///
/// ```
/// let config = dreammesh_agent::config::Config::from_yaml(
///     "name: shop-1\nzone: eu-1\nfiles: [/etc/dreammesh/services.yaml]\n",
/// )?;
/// assert_eq!(config.zone.as_deref(), Some("eu-1"));
/// # Ok::<(), dreammesh_agent::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Config {
    /// The agent's name in the mesh; the host's if it is not said.
    pub name: Option<String>,
    /// The host; what the system calls it if it is not said.
    pub host: Option<String>,
    /// Where the host is.
    pub region: Option<String>,
    /// Where in the region.
    pub zone: Option<String>,
    /// Where others reach this host, the preferred address first.
    pub advertise: Vec<String>,
    /// Where the socket and the state are.
    pub directory: Option<PathBuf>,
    /// The group whose members may attach, besides the agent's own user.
    pub group: Option<String>,
    /// Files of services.
    pub files: Vec<PathBuf>,
    /// Where the Prometheus text is served, as `address:port`, or `off`.
    pub metrics: Option<String>,
    /// How it meets other agents; without it, it is alone.
    pub gossip: Option<Gossip>,
}

/// How an agent meets others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Gossip {
    /// Where it listens, over UDP.
    pub listen: Option<SocketAddr>,
    /// Where others reach it, if that is another address.
    pub advertise: Option<SocketAddr>,
    /// Agents to begin with, as `host:port`; one that is there is enough.
    pub seeds: Vec<String>,
    /// A file with the secret of the cluster; without it, only loopback is listened on.
    pub secret_file: Option<PathBuf>,
    /// The cluster's name; agents of another are not heard.
    pub cluster: Option<String>,
}

impl Config {
    /// What a file says.
    ///
    /// # Errors
    /// Where it is wrong, and how; a key that is not known is wrong.
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        if text.len() > FILE_BYTES_MAX {
            let message = format!("it has more than {FILE_BYTES_MAX} bytes");
            return Err(ConfigError {
                line: None,
                message,
            });
        }
        let config: Result<Option<Self>, _> = serde_saphyr::from_str_with_options(text, options());
        config
            .map(Option::unwrap_or_default)
            .map_err(|error| ConfigError::new(&error))
    }
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: 8,
            flow_nesting_limit: 8,
            max_documents: 1,
            max_aliases: 100,
            max_anchors: 100,
            max_nodes: 20_000,
            max_events: 50_000,
        },
        with_snippet: false,
        strict_booleans: true,
    }
}

/// Why a file says nothing that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    line: Option<u64>,
    message: String,
}

impl ConfigError {
    fn new(error: &serde_saphyr::Error) -> Self {
        let error = error.without_snippet();
        let line = error.location().map(|location| location.line());
        let mut message = error.render();
        // The place is said apart from it.
        if let Some(place) = message.rfind(" at line ") {
            message.truncate(place);
        }
        Self {
            line: line.filter(|line| *line > 0),
            message,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_say_everything_or_nothing() {
        for nothing in ["", "# nothing\n", "{}"] {
            assert_eq!(Config::from_yaml(nothing).unwrap(), Config::default());
        }
        let everything = "\
name: a
host: h
region: eu
zone: eu-1
advertise: [10.0.0.7, host.example]
directory: /run/mesh
group: mesh
files: [/etc/services.yaml]
metrics: 127.0.0.1:9464
gossip:
  listen: 0.0.0.0:7946
  advertise: 10.0.0.7:7946
  seeds: [other.example:7946]
  secret-file: /etc/secret
  cluster: shop
";
        let config = Config::from_yaml(everything).unwrap();
        let gossip = config.gossip.unwrap();
        assert_eq!(config.advertise.len(), 2);
        assert_eq!(gossip.listen.unwrap().port(), 7946);
        assert_eq!(gossip.secret_file.unwrap(), PathBuf::from("/etc/secret"));
    }

    #[test]
    fn what_is_not_known_is_wrong_and_the_line_is_said() {
        for (text, line, what) in [
            ("name: a\nzoen: b\n", 2, "zoen"),
            ("gossip:\n  listen: 0.0.0.0:1\n  seed: []\n", 3, "seed"),
            ("name: a\ngossip:\n  listen: nowhere\n", 3, ""),
            ("name: [\n", 0, ""),
        ] {
            let error = Config::from_yaml(text).unwrap_err();
            let said = error.to_string();
            assert!(
                line == 0 || said.starts_with(&format!("line {line}: ")),
                "{said}"
            );
            assert!(said.contains(what), "{said}");
        }
        let at = " ".repeat(FILE_BYTES_MAX);
        assert!(Config::from_yaml(&at).is_ok());
        assert!(Config::from_yaml(&format!("{at} ")).is_err());
    }
}
