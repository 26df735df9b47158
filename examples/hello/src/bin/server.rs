use dreammesh::{Request, Response, Server, Status};
use hello::{GreetReply, GreetReplyArgs, GreetRequest, Greeter, GreeterServer};

struct Polite;

impl Greeter for Polite {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetReply>, Status> {
        let text = format!("Good day, {}", request.view().name());
        Ok(Response::new(GreetReplyArgs {
            text: &text,
            ..Default::default()
        }))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    dreammesh::block_on(async {
        let address = std::env::args()
            .nth(1)
            .unwrap_or("dreammesh+tcp://127.0.0.1:7443".into());
        let server = Server::builder()
            .service(GreeterServer::new(Polite))
            .bind(&address)
            .await?;
        println!("{}", server.target());
        server.serve().await;
        Ok(())
    })
}
