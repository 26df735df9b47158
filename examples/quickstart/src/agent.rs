//! What the agent knows, asked of it over its socket.

use std::error::Error;

use dreammesh::{Channel, Connect as _};
use dreammesh_agent_api::proto::{AgentClient, InstancesRequestArgs};

use crate::processes::Shop;

/// The agent of this host.
#[derive(Debug)]
pub(crate) struct Agent(AgentClient);

impl Agent {
    pub(crate) async fn connect(shop: &Shop) -> Result<Self, Box<dyn Error>> {
        let target = format!("unix://{}", shop.agent_socket().display());
        Ok(Self(AgentClient::new(Channel::connect(&target).await?)))
    }

    /// How many instances are attached to it: whose processes hold a stream that says so.
    pub(crate) async fn attached(&self) -> Result<usize, Box<dyn Error>> {
        let known = self.0.instances(InstancesRequestArgs::default()).await?;
        let instances = known.view().instances();
        let attached = |it: &dreammesh_agent_api::proto::KnownInstanceView<'_>| {
            it.instance()
                .is_some_and(|instance| instance.origin() == "attached")
        };
        Ok(instances.iter().filter(attached).count())
    }
}
