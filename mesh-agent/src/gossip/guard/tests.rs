use super::*;
use crate::clock;
use crate::gossip::secret::Secret;

const HEAD_AND_TAG: usize = HEAD_BYTES + TAG_BYTES;

fn secret(letter: u8) -> Secret {
    Secret::new(&[letter; 32]).unwrap()
}

fn secrets(letters: &[u8]) -> Secrets {
    let lines: Vec<_> = letters.iter().map(|letter| vec![*letter; 32]).collect();
    Secrets::parse(&lines.join(&b'\n')).unwrap()
}

fn address(number: u16) -> SocketAddr {
    ([127, 0, 0, 1], number).into()
}

fn guard(seed: u8) -> Guard {
    let cluster = Cluster::new("test", Secrets::one(secret(b's')));
    Guard::new(&cluster, [seed; 32], clock::now())
}

fn guard_of(name: &str, secrets: Secrets, seed: u8) -> Guard {
    Guard::new(&Cluster::new(name, secrets), [seed; 32], clock::now())
}

/// What a guard sends now.
fn sent(guard: &mut Guard) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| guard.poll_transmit())
        .map(|it| it.1)
        .collect()
}

fn take(guard: &mut Guard, from: u16, datagram: &[u8]) -> Result<Option<Vec<u8>>, Dropped> {
    guard.handle_datagram(address(from), &mut datagram.to_vec(), clock::now())
}

/// Carries what two guards, at 1 and 2, have to say to one another, and gives what came at each.
fn carry(one: &mut Guard, two: &mut Guard) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut at_one, mut at_two) = (Vec::new(), Vec::new());
    loop {
        let (from_one, from_two) = (sent(one), sent(two));
        if from_one.is_empty() && from_two.is_empty() {
            return (at_one, at_two);
        }
        for datagram in from_one {
            at_two.extend(take(two, 1, &datagram).ok().flatten());
        }
        for datagram in from_two {
            at_one.extend(take(one, 2, &datagram).ok().flatten());
        }
    }
}

/// Two guards at 1 and 2 that know one another.
fn acquainted() -> (Guard, Guard) {
    let (mut one, mut two) = (guard(1), guard(2));
    assert!(one.handle_message(address(2), b"hello"));
    assert_eq!(carry(&mut one, &mut two).1, [b"hello"]);
    assert!(two.handle_message(address(1), b"hello"));
    assert_eq!(carry(&mut one, &mut two).0, [b"hello"]);
    (one, two)
}

#[test]
fn the_first_message_comes_after_one_challenge_and_the_answer_needs_none() {
    let (mut one, mut two) = (guard(1), guard(2));
    one.handle_message(address(2), b"first");
    let first = sent(&mut one).remove(0);
    assert_eq!(take(&mut two, 1, &first), Err(Dropped::Stale));
    let challenge = sent(&mut two).remove(0);
    assert!(challenge.len() <= first.len(), "more goes out than came in");
    assert_eq!(take(&mut one, 2, &challenge), Ok(None));
    let again = sent(&mut one).remove(0);
    assert_eq!(take(&mut two, 1, &again), Ok(Some(b"first".to_vec())));
    two.handle_message(address(1), b"answer");
    let answer = sent(&mut two).remove(0);
    assert_eq!(take(&mut one, 2, &answer), Ok(Some(b"answer".to_vec())));
}

#[test]
fn the_way_back_is_known_to_who_was_answered() {
    let (mut one, mut two) = acquainted();
    for (from, at) in [(1, 2), (2, 1)] {
        let (sender, receiver) = match from {
            1 => (&mut one, &mut two),
            _ => (&mut two, &mut one),
        };
        sender.handle_message(address(at), b"again");
        let datagram = sent(sender).remove(0);
        assert_eq!(take(receiver, from, &datagram), Ok(Some(b"again".to_vec())));
        assert_eq!(sent(receiver).len(), 0);
    }
}

#[test]
fn a_datagram_is_taken_once() {
    let (mut one, mut two) = acquainted();
    one.handle_message(address(2), b"word");
    let datagram = sent(&mut one).remove(0);
    assert!(take(&mut two, 1, &datagram).is_ok());
    assert_eq!(take(&mut two, 1, &datagram), Err(Dropped::Replayed));
    assert_eq!(
        take(&mut two, 9, &datagram),
        Err(Dropped::Replayed),
        "from elsewhere"
    );
    assert_eq!(
        take(&mut one, 2, &datagram),
        Err(Dropped::Replayed),
        "sent back"
    );
    assert_eq!(sent(&mut one).len() + sent(&mut two).len(), 0);
}

#[test]
fn what_was_said_before_a_restart_is_not_taken_after_it() {
    let (mut one, mut two) = acquainted();
    one.handle_message(address(2), b"old");
    let old = sent(&mut one).remove(0);
    // The receiver starts anew.
    let mut anew = guard(3);
    assert_eq!(take(&mut anew, 1, &old), Err(Dropped::Stale));
    let challenge = sent(&mut anew).remove(0);
    // The sender has gone on meanwhile, so what was kept of it is not asked for.
    one.handle_message(address(2), b"new");
    drop(sent(&mut one));
    assert_eq!(take(&mut one, 2, &challenge), Err(Dropped::Unasked));
    // The sender starts anew, and its old run is still not taken twice.
    assert!(take(&mut two, 1, &old).is_ok());
    let mut one = guard(4);
    one.handle_message(address(2), b"hello");
    assert_eq!(carry(&mut one, &mut two).1, [b"hello"]);
    assert_eq!(take(&mut two, 1, &old), Err(Dropped::Replayed));
}

#[test]
fn a_receiver_that_started_anew_is_heard_of_from_the_next_message_on() {
    let (mut one, _) = acquainted();
    let mut anew = guard(3);
    one.handle_message(address(2), b"lost");
    assert_eq!(carry(&mut one, &mut anew).1.len(), 0);
    one.handle_message(address(2), b"next");
    assert_eq!(carry(&mut one, &mut anew).1, [b"next"]);
}

#[test]
fn a_challenge_is_believed_once_and_only_from_who_was_asked() {
    let (mut one, mut two) = (guard(1), guard(2));
    one.handle_message(address(2), b"word");
    let _ = take(&mut two, 1, &sent(&mut one).remove(0));
    let challenge = sent(&mut two).remove(0);
    assert_eq!(take(&mut one, 9, &challenge), Err(Dropped::Unasked));
    assert_eq!(take(&mut guard(5), 2, &challenge), Err(Dropped::Unasked));
    assert_eq!(take(&mut one, 2, &challenge), Ok(None));
    assert_eq!(take(&mut one, 2, &challenge), Err(Dropped::Unasked));
    assert_eq!(
        sent(&mut one).len(),
        1,
        "the message once more, and only once"
    );
}

#[test]
fn what_others_seal_is_foreign() {
    let mut here = guard(1);
    for (name, letters) in [("test", &b"t"[..]), ("other", b"s"), ("", b"s")] {
        let mut there = guard_of(name, secrets(letters), 2);
        there.handle_message(address(1), b"word");
        let datagram = sent(&mut there).remove(0);
        assert_eq!(
            take(&mut here, 2, &datagram),
            Err(Dropped::Foreign),
            "{name}"
        );
    }
    assert_eq!(sent(&mut here).len(), 0, "nothing is answered");
    assert_eq!(here.senders(), 0);
}

#[test]
fn every_byte_counts() {
    let (mut one, mut two) = acquainted();
    one.handle_message(address(2), b"some words");
    let datagram = sent(&mut one).remove(0);
    for at in 0..datagram.len() {
        for bit in 0..8 {
            let mut forged = datagram.clone();
            forged[at] ^= 1 << bit;
            let dropped = take(&mut two, 1, &forged).unwrap_err();
            assert!(
                matches!(dropped, Dropped::Forged | Dropped::Foreign),
                "{at}: {dropped}"
            );
        }
    }
    for length in 0..datagram.len() {
        let dropped = take(&mut two, 1, &datagram[..length]).unwrap_err();
        let short = length < HEAD_AND_TAG;
        let expected = if short {
            Dropped::Truncated
        } else {
            Dropped::Forged
        };
        assert_eq!(dropped, expected, "{length} bytes");
    }
    assert_eq!(sent(&mut two).len(), 0);
    assert!(
        take(&mut two, 1, &datagram).is_ok(),
        "the true one still comes"
    );
}

#[test]
fn two_secrets_take_turns() {
    let steps: [(&[u8], &[u8]); 6] = [
        (b"a", b"a"),
        (b"ab", b"a"),
        (b"ab", b"ab"),
        (b"ba", b"ab"),
        (b"ba", b"ba"),
        (b"b", b"ba"),
    ];
    for (of_one, of_two) in steps {
        let mut one = guard_of("test", secrets(of_one), 1);
        let mut two = guard_of("test", secrets(of_two), 2);
        one.handle_message(address(2), b"there");
        assert_eq!(carry(&mut one, &mut two).1, [b"there"]);
        two.handle_message(address(1), b"back");
        assert_eq!(carry(&mut one, &mut two).0, [b"back"]);
    }
    let mut one = guard_of("test", secrets(b"b"), 1);
    one.handle_message(address(2), b"word");
    assert_eq!(
        carry(&mut one, &mut guard_of("test", secrets(b"a"), 2))
            .1
            .len(),
        0
    );
}

#[test]
fn messages_of_every_length_come_whole() {
    for datagram_bytes in [1, 512, DATAGRAM_BYTES, DATAGRAM_BYTES_MAX, usize::MAX] {
        let mut cluster = Cluster::new("test", Secrets::one(secret(b's')));
        cluster.datagram_bytes = datagram_bytes;
        let (_, mut two) = acquainted();
        let mut one = Guard::new(&cluster, [7; 32], clock::now());
        let chunk = one.chunk;
        for length in [
            2,
            0,
            1,
            chunk,
            chunk + 1,
            2 * chunk,
            MESSAGE_BYTES_MAX - 1,
            MESSAGE_BYTES_MAX,
        ] {
            let length = length.min(MESSAGE_BYTES_MAX);
            let message: Vec<u8> = (0..length).map(|it| (it % 251) as u8).collect();
            assert!(one.handle_message(address(2), &message));
            let most = one.transmits.iter().map(|it| it.1.len()).max();
            assert!(most.is_some_and(|it| it <= datagram_bytes.clamp(512, DATAGRAM_BYTES_MAX)));
            assert_eq!(
                carry(&mut one, &mut two).1,
                [message],
                "{length} in {datagram_bytes}"
            );
        }
        let long = vec![0; MESSAGE_BYTES_MAX + 1];
        assert!(!one.handle_message(address(2), &long));
        assert_eq!(two.parts_bytes, 0);
    }
}

#[test]
fn parts_come_in_any_order_and_a_lost_one_loses_one_message() {
    let (mut one, mut two) = acquainted();
    let message = vec![5; 4 * one.chunk];
    one.handle_message(address(2), &message);
    let mut parts = sent(&mut one);
    parts.reverse();
    let came: Vec<_> = parts
        .iter()
        .filter_map(|it| take(&mut two, 1, it).unwrap())
        .collect();
    assert_eq!(came, std::slice::from_ref(&message));
    one.handle_message(address(2), &message);
    for part in &sent(&mut one)[1..] {
        assert_eq!(take(&mut two, 1, part), Ok(None));
    }
    assert_eq!(two.parts_bytes, 3 * one.chunk);
    one.handle_message(address(2), &message);
    assert_eq!(carry(&mut one, &mut two).1, [message]);
    assert_eq!(two.parts_bytes, 0);
}

#[test]
fn parts_are_kept_up_to_a_bound() {
    let mut two = guard(2);
    let most = PARTS_BYTES_MAX / 64_000 + 3;
    for seed in 0..most {
        let mut one = guard(100 + u8::try_from(seed).unwrap());
        one.handle_message(address(2), b"hello");
        assert_eq!(carry(&mut one, &mut two).1.len(), 1);
        one.handle_message(address(2), &vec![1; 65_000]);
        let parts = sent(&mut one);
        for part in &parts[..parts.len() - 1] {
            assert_eq!(take(&mut two, 1, part), Ok(None));
        }
        let kept = two.senders.values().filter_map(|it| it.parts.as_ref());
        assert_eq!(kept.map(Parts::bytes).sum::<usize>(), two.parts_bytes);
        assert!(two.parts_bytes <= PARTS_BYTES_MAX);
        let last = take(&mut two, 1, &parts[parts.len() - 1]).unwrap();
        assert_eq!(
            last.map(|it| it.len()),
            Some(65_000),
            "the newest is never the one dropped"
        );
        one.handle_message(address(2), &vec![1; 65_000]);
        for part in &sent(&mut one)[1..] {
            assert_eq!(take(&mut two, 1, part), Ok(None));
        }
    }
    assert!(
        two.parts_bytes > PARTS_BYTES_MAX - 65_000,
        "the bound was not reached"
    );
}

#[test]
fn a_sender_past_the_bound_makes_what_a_forgotten_one_sent_stale() {
    let mut two = guard(2);
    let seed = |number: usize| {
        let mut seed = [9; 32];
        seed[..8].copy_from_slice(&number.to_be_bytes());
        seed
    };
    let cluster = Cluster::new("test", Secrets::one(secret(b's')));
    let mut said = Vec::new();
    for number in 0..SENDERS_MAX {
        let mut one = Guard::new(&cluster, seed(number), clock::now());
        // The mark is told by hand, since challenges are few in a second.
        one.peer(address(2)).mark = Some(two.present);
        one.handle_message(address(2), b"word");
        said.push(sent(&mut one).remove(0));
        assert!(take(&mut two, 1, &said[number]).is_ok());
    }
    let before = two.present;
    assert_eq!((two.senders(), two.present), (SENDERS_MAX, before));
    assert_eq!(take(&mut two, 1, &said[0]), Err(Dropped::Replayed));
    let mut past = Guard::new(&cluster, seed(SENDERS_MAX), clock::now());
    past.peer(address(2)).mark = Some(two.present);
    past.handle_message(address(2), b"word");
    assert!(take(&mut two, 1, &sent(&mut past).remove(0)).is_ok());
    assert_eq!(two.senders(), SENDERS_MAX);
    assert_ne!(two.present, before);
    assert_eq!(
        take(&mut two, 1, &said[0]),
        Err(Dropped::Stale),
        "it is forgotten"
    );
    assert_eq!(
        take(&mut two, 1, &said[1]),
        Err(Dropped::Replayed),
        "it is known"
    );
}

#[test]
fn challenges_are_few() {
    let mut two = guard(2);
    let mut one = guard(1);
    let now = clock::now();
    let mut ask = |two: &mut Guard, now| {
        one.peers.clear();
        one.handle_message(address(2), b"word");
        let mut datagram = sent(&mut one).remove(0);
        let _ = two.handle_datagram(address(1), &mut datagram, now);
        sent(two).len()
    };
    for _ in 0..CHALLENGES_PER_SECOND {
        assert_eq!(ask(&mut two, now), 1);
    }
    assert_eq!(ask(&mut two, now), 0);
    assert_eq!(ask(&mut two, now + Duration::from_secs(1)), 1);
}

#[test]
fn what_is_kept_and_known_of_addresses_is_bounded() {
    let mut one = guard(1);
    let long = vec![0; MESSAGE_BYTES_MAX];
    let fit = KEPT_BYTES_MAX / MESSAGE_BYTES_MAX;
    for number in 0..fit + 2 {
        assert!(one.handle_message(address(number as u16 + 1), &long));
        drop(sent(&mut one));
    }
    assert_eq!(one.kept_bytes, fit * MESSAGE_BYTES_MAX);
    for number in 0..PEERS_MAX + 1 {
        assert!(one.handle_message(address(number as u16 + 10_000), b"word"));
        drop(sent(&mut one));
    }
    assert_eq!(one.peers.len(), PEERS_MAX);
    let kept = one.peers.values().filter_map(|it| it.kept.as_ref());
    assert_eq!(kept.map(Vec::len).sum::<usize>(), one.kept_bytes);
    // Nobody takes away what is to be sent.
    let mut queued = 0;
    while one.handle_message(address(1), &long) {
        queued += 1;
    }
    assert!(queued >= 1 && one.transmits.len() <= TRANSMITS_MAX);
}

#[test]
fn what_is_shorter_than_a_challenge_is_not_answered() {
    for (message, answers) in [(&b"2b"[..], 1), (b"1", 0)] {
        let (mut one, mut two) = (guard(1), guard(2));
        one.handle_message(address(2), message);
        let datagram = sent(&mut one).remove(0);
        assert_eq!(take(&mut two, 1, &datagram), Err(Dropped::Stale));
        assert_eq!(sent(&mut two).len(), answers);
    }
}
