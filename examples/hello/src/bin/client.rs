use dreammesh::{Channel, Connect};
use hello::{GreetRequestArgs, GreeterClient};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    dreammesh::block_on(async {
        let target = std::env::args()
            .nth(1)
            .unwrap_or("dreammesh+tcp://127.0.0.1:7443".into());
        let greeter = GreeterClient::new(Channel::connect(&target).await?);
        let reply = greeter
            .greet(GreetRequestArgs {
                name: "Ada",
                ..Default::default()
            })
            .await?;
        println!("{}", reply.view().text());
        Ok(())
    })
}
