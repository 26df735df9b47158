use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn event(at: u64, event: Event, what: &str) -> Line {
    Line::Event {
        at: s(at),
        event,
        what: what.to_owned(),
    }
}

fn call(id: u64, method: Method, outcome: Outcome) -> Call {
    Call {
        id,
        service: "books".to_owned(),
        method,
        begun: s(10),
        ended: s(15),
        resumed: 0,
        outcome,
    }
}

fn answered() -> Outcome {
    Outcome::Answered("books-1-1".to_owned())
}

fn failed(may_have_begun: bool) -> Outcome {
    Outcome::Failed {
        may_have_begun,
        text: "UNAVAILABLE".to_owned(),
    }
}

fn ran(call: u64, method: Method) -> Line {
    Line::Ran {
        at: s(11),
        call,
        method,
    }
}

/// Two instances, on hosts 1 and 2; a client on host 2; what they have written beside.
fn logs(calls: Vec<Call>, first: Vec<Line>, second: Vec<Line>) -> Logs {
    let made = Line::Made(calls.len() as u64);
    let calls = calls.into_iter().map(Line::Call);
    Logs {
        events: vec![
            event(0, Event::Up, "books-1-1"),
            event(0, Event::Up, "books-2-2"),
        ],
        clients: BTreeMap::from([(2, calls.chain([made]).collect())]),
        instances: BTreeMap::from([
            ("books-1-1".to_owned(), first),
            ("books-2-2".to_owned(), second),
        ]),
    }
}

/// What is wrong, and how often.
fn wrong(logs: &Logs) -> Vec<(Wrong, usize)> {
    let found = compare(logs).unwrap().wrong.into_iter();
    found.map(|(wrong, what)| (wrong, what.len())).collect()
}

#[test]
fn what_went_well_is_counted() {
    let calls = Method::ALL.map(|method| call(method as u64, method, answered()));
    let runs = Method::ALL.map(|method| ran(method as u64, method));
    // What may be run twice was; a list runs for each of its answers.
    let again = vec![
        ran(Method::Put as u64, Method::Put),
        ran(Method::List as u64, Method::List),
    ];
    let findings = compare(&logs(calls.into(), runs.into(), again)).unwrap();
    assert!(findings.are_fine(), "{findings:?}");
    let tally = Tally {
        answered: 1,
        longest: s(5),
        ..Tally::default()
    };
    assert_eq!(
        findings.tallies,
        Method::ALL.map(|method| (method, tally)).into()
    );
}

#[test]
fn an_idempotent_call_must_not_fail_while_somebody_could_have_served_it() {
    for method in [Method::Look, Method::Put, Method::List] {
        for may_have_begun in [true, false] {
            let mut logs = logs(
                vec![call(1, method, failed(may_have_begun))],
                vec![],
                vec![],
            );
            assert_eq!(wrong(&logs), [(Wrong::IdempotentFailed, 1)]);
            // With one of two it is the same, and with none it may.
            logs.events.push(event(5, Event::Stopped, "books-2-2"));
            assert_eq!(wrong(&logs), [(Wrong::IdempotentFailed, 1)]);
            logs.events.push(event(6, Event::Cut, "host-2"));
            assert_eq!(wrong(&logs), []);
        }
    }
}

#[test]
fn a_call_that_must_not_be_repeated_may_fail_if_it_may_have_begun() {
    let one = |may_have_begun| vec![call(1, Method::Add, failed(may_have_begun))];
    assert_eq!(wrong(&logs(one(true), vec![], vec![])), []);
    assert_eq!(
        wrong(&logs(one(true), vec![ran(1, Method::Add)], vec![])),
        []
    );
    let unbegun = logs(one(false), vec![], vec![]);
    assert_eq!(wrong(&unbegun), [(Wrong::NotBegunFailed, 1)]);
}

#[test]
fn it_must_not_run_twice_at_one_or_at_two() {
    let one = || vec![call(1, Method::Add, answered())];
    let run = || ran(1, Method::Add);
    assert_eq!(wrong(&logs(one(), vec![run()], vec![])), []);
    let twice = [(Wrong::RanTwice, 1)];
    assert_eq!(wrong(&logs(one(), vec![run(), run()], vec![])), twice);
    assert_eq!(wrong(&logs(one(), vec![run()], vec![run()])), twice);
    let unknown = vec![call(1, Method::Add, failed(true))];
    assert_eq!(wrong(&logs(unknown, vec![run()], vec![run()])), twice);
}

#[test]
fn whoever_answers_must_have_run_it() {
    for method in Method::ALL {
        let one = || vec![call(1, method, answered())];
        let never = [(Wrong::NeverRan, 1)];
        assert_eq!(wrong(&logs(one(), vec![], vec![])), never);
        assert_eq!(wrong(&logs(one(), vec![], vec![ran(1, method)])), never);
        assert_eq!(wrong(&logs(one(), vec![ran(1, method)], vec![])), []);
    }
}

#[test]
fn what_is_said_not_to_have_begun_must_not_have_run() {
    let unbegun = vec![call(1, Method::Add, failed(false))];
    let mut logs = logs(unbegun, vec![ran(1, Method::Add)], vec![]);
    // Nobody could serve it: it is wrong all the same.
    logs.events.push(event(5, Event::Killed, "books-1-1"));
    logs.events.push(event(5, Event::Killed, "books-2-2"));
    assert_eq!(wrong(&logs), [(Wrong::RanUnbegun, 1)]);
}

#[test]
fn what_one_side_knows_alone_is_lost() {
    let lost = [(Wrong::Lost, 1)];
    assert_eq!(
        wrong(&logs(vec![], vec![ran(1, Method::Put)], vec![])),
        lost
    );
    let other = logs(
        vec![call(1, Method::Put, answered())],
        vec![ran(1, Method::Look)],
        vec![],
    );
    assert_eq!(wrong(&other), lost);
    let one = || call(1, Method::Put, answered());
    let there_twice = logs(vec![one(), one()], vec![ran(1, Method::Put)], vec![]);
    assert_eq!(wrong(&there_twice), lost);
    let mut short = logs(vec![one()], vec![ran(1, Method::Put)], vec![]);
    for made in [Line::Made(2), Line::Made(0)] {
        *short.clients.get_mut(&2).unwrap().last_mut().unwrap() = made;
        assert_eq!(wrong(&short), lost);
    }
    // A client that was ended has not said how many there are.
    short.clients.get_mut(&2).unwrap().pop();
    assert_eq!(wrong(&short), lost);
}

#[test]
fn the_last_call_in_vain_is_found_and_told_apart() {
    let mut logs = logs(vec![], vec![], vec![]);
    logs.events.extend([
        event(20, Event::Killed, "books-1-1"),
        event(30, Event::Stopped, "books-2-2"),
        event(40, Event::Up, "books-2-2"),
    ]);
    let picked = |millis, instance: &str| Line::Picked {
        at: Duration::from_millis(millis),
        instance: instance.to_owned(),
    };
    logs.clients.get_mut(&2).unwrap().extend([
        picked(19_999, "books-1-1"),
        picked(20_250, "books-1-1"),
        picked(20_500, "books-1-1"),
        picked(39_000, "books-2-2"),
        picked(40_000, "books-2-2"),
    ]);
    let findings = compare(&logs).unwrap();
    assert!(findings.are_fine(), "{findings:?}");
    let found = |longest, instance| InVain {
        outages: 1,
        longest: Duration::from_millis(longest),
        by: format!("client-2 to {instance}"),
    };
    let expected = [
        (("killed", true), found(500, "books-1-1")),
        (("stopped", true), found(9_000, "books-2-2")),
    ];
    assert_eq!(findings.in_vain, expected.into());
}

#[test]
fn a_line_where_it_does_not_belong_is_an_error() {
    let mut logs = logs(vec![], vec![Line::Made(1)], vec![]);
    assert!(compare(&logs).is_err());
    logs.instances.clear();
    assert!(compare(&logs).is_ok());
    logs.clients.insert(1, vec![ran(1, Method::Put)]);
    assert!(compare(&logs).is_err());
}
