//! Hostile datagrams at a guard, raw and as what a true one becomes by changing some of its bytes:
//! no panic, and nothing of them is taken.
#![no_main]

use std::net::SocketAddr;
use std::time::Instant;

use dreammesh_agent::gossip::guard::{Cluster, Guard};
use dreammesh_agent::gossip::secret::Secrets;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let secrets = Secrets::parse(&[b's'; 32]).expect("32 bytes are a secret");
    let cluster = Cluster::new("fuzz", secrets);
    let now = Instant::now();
    let mut here = Guard::new(&cluster, [1; 32], now);
    let mut there = Guard::new(&cluster, [2; 32], now);
    let (at_here, at_there): (SocketAddr, SocketAddr) =
        (([127, 0, 0, 1], 1).into(), ([127, 0, 0, 1], 2).into());
    let mut raw = data.to_vec();
    assert!(!matches!(here.handle_datagram(at_there, &mut raw, now), Ok(Some(_))));

    // What was said to one another truly, altered where the input says.
    there.handle_message(at_here, data.get(..40).unwrap_or(data));
    let mut edits = data.chunks_exact(3);
    for _ in 0..4 {
        while let Some((_, mut datagram)) = there.poll_transmit() {
            for edit in edits.by_ref().take(2) {
                let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % datagram.len();
                let before = datagram.clone();
                datagram[at] ^= edit[2];
                let mut altered = datagram.clone();
                let taken = here.handle_datagram(at_there, &mut altered, now);
                assert!(datagram == before || !matches!(taken, Ok(Some(_))), "taken altered");
                datagram = before;
            }
            let _ = here.handle_datagram(at_there, &mut datagram, now);
        }
        while let Some((_, mut datagram)) = here.poll_transmit() {
            let _ = there.handle_datagram(at_here, &mut datagram, now);
        }
    }
    assert!(here.senders() <= 1);
    // The text of a file of secrets is somebody else's, too.
    let _ = Secrets::parse(data);
});
