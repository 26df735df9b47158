//! Raw byte echo over TCP: what the sockets alone allow, with no message, call or task at all.
//!
//! The client keeps `depth` messages of the workload's protobuf size in flight and writes as many
//! as have come back in one go, so both ends batch as well as any protocol could.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::failure::Failure;
use crate::machine;
use crate::run::{Phase, Plan, Seen, clock_phases};
use crate::system::{Address, Link, System, Work};
use crate::workload::Workload;

/// The byte echo.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Echo;

/// Holds any workload's whole window, so that one read can return all of it.
const BUFFER_BYTES: usize = 256 * 1024;

impl System for Echo {
    fn name(&self) -> &'static str {
        "echo"
    }

    fn links(&self) -> &'static [Link] {
        &[Link::Tcp]
    }

    fn serve<'a>(
        &'a self,
        _link: Link,
        _workload: Workload,
        ready: Box<dyn FnOnce(Address) + 'a>,
    ) -> Work<'a, ()> {
        Box::pin(async move {
            let listener = TcpListener::bind("127.0.0.1:0")
                .await
                .map_err(Failure::io("binding"))?;
            ready(Address::Tcp(
                listener.local_addr().map_err(Failure::io("binding"))?,
            ));
            let (stream, _) = listener.accept().await.map_err(Failure::io("accepting"))?;
            // The client leaves with bytes still on their way, so a reset is how this ends.
            let _ = return_bytes(stream).await;
            Ok(())
        })
    }

    fn load<'a>(&'a self, address: Address, workload: Workload, plan: Plan) -> Work<'a, Seen> {
        Box::pin(async move {
            let Address::Tcp(address) = address else {
                return Err(Failure::Usage(
                    "the byte echo runs over TCP only".to_owned(),
                ));
            };
            let stream = TcpStream::connect(address)
                .await
                .map_err(Failure::io("connecting"))?;
            stream
                .set_nodelay(true)
                .map_err(Failure::io("connecting"))?;
            let phase = Phase::default();
            let bouncing = bounce(stream, workload.protobuf_bytes(), plan.depth, &phase);
            let (clocked, bounced) = tokio::join!(clock_phases(plan, &phase), bouncing);
            let (calls, latencies) = bounced.map_err(Failure::io("bouncing bytes"))?;
            Ok(clocked?.seen(calls, latencies))
        })
    }
}

async fn return_bytes(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            filled => stream.write_all(&buffer[..filled]).await?,
        }
    }
}

/// Keeps `depth` messages in flight and returns how many came back while measuring.
async fn bounce(
    mut stream: TcpStream,
    message_bytes: usize,
    depth: usize,
    phase: &Phase,
) -> std::io::Result<(u64, Vec<Duration>)> {
    let outgoing = vec![7; message_bytes * depth];
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut batches = VecDeque::from([(machine::now(), depth)]);
    let (mut calls, mut latencies, mut partial) = (0, Vec::new(), 0);
    stream.write_all(&outgoing).await?;
    while !phase.over() {
        let filled = stream.read(&mut buffer).await?;
        if filled == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let mut back = (partial + filled) / message_bytes;
        partial = (partial + filled) % message_bytes;
        if back == 0 {
            continue;
        }
        stream.write_all(&outgoing[..back * message_bytes]).await?;
        let now = machine::now();
        batches.push_back((now, back));
        if phase.measuring() {
            calls += back as u64;
            latencies.extend(batches.front().map(|(sent, _)| now - *sent));
        }
        while back > 0 {
            let Some((_, left)) = batches.front_mut() else {
                break;
            };
            let taken = back.min(*left);
            *left -= taken;
            back -= taken;
            if *left == 0 {
                batches.pop_front();
            }
        }
    }
    Ok((calls, latencies))
}
