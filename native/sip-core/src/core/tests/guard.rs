//! Strangers, junk and passwords.

use super::*;
use crate::attempts::Why;
use crate::digest::tests::HASHED;

const USER: &str = "44010600001180000001";
const URI: &str = "sip:44010000002000000001@4401000000";

fn registrar() -> Core {
    let mut core = core();
    admit(&mut core, USER, &[Algorithm::Md5]);
    core
}

/// Register without, then answer the challenge; the second REGISTER.
fn challenged(core: &mut Core, user: &str, password: &str, seconds: f64) -> Vec<u8> {
    feed(
        core,
        &ask("REGISTER", &format!("z9hG4bK{seconds}"), 1, "", "", ""),
        seconds,
    );
    let event = event(core);
    assert_eq!(event.auth, Auth::None);
    reply(core, event.transaction, 401, seconds);
    let challenge = header(&text(&core.take_outputs()[0]), "WWW-Authenticate");
    let value = proof(&[&challenge], user, password, URI);
    ask(
        "REGISTER",
        &format!("z9hG4bKr{seconds}"),
        2,
        "",
        &format!("Authorization: {value}\r\n"),
        "",
    )
}

#[test]
fn a_right_digest_counts_once_and_its_retransmission_is_answered_from_the_transaction() {
    let mut core = registrar();
    let register = challenged(&mut core, USER, "right", 0.0);
    feed(&mut core, &register, 0.1);
    let seen = event(&mut core);
    assert_eq!(
        (seen.auth, seen.username.of(seen.bytes())),
        (Auth::Verified, USER.as_bytes())
    );
    reply(&mut core, seen.transaction, 200, 0.1);
    feed(&mut core, &register, 0.6);
    assert_eq!(sent(&mut core), ["SIP/2.0 200 OK"; 2]);
    assert!(events(&mut core).is_empty());

    let replayed = String::from_utf8(register)
        .unwrap()
        .replace("z9hG4bKr0", "z9hG4bKr9");
    feed(&mut core, replayed.as_bytes(), 1.0);
    let seen = event(&mut core);
    assert_eq!(seen.auth, Auth::Stale);
    reply(&mut core, seen.transaction, 401, 1.0);
    assert!(header(&text(&core.take_outputs()[0]), "WWW-Authenticate").ends_with("stale=true"));
}

#[test]
fn an_old_nonce_and_one_from_another_address_are_stale() {
    let mut core = registrar();
    let register = challenged(&mut core, USER, "right", 0.0);
    core.feed(&register, address("203.0.113.51:5060"), at(1.0));
    assert_eq!(event(&mut core).auth, Auth::Stale);
    core.feed(&register, address("203.0.113.50:7777"), at(61.0));
    assert_eq!(event(&mut core).auth, Auth::Stale);
}

#[test]
fn an_unknown_user_can_not_be_told_from_a_wrong_password() {
    let answers: Vec<String> = [(USER, "wrong"), ("44010600001180000009", "right")]
        .into_iter()
        .map(|(user, password)| {
            let mut core = registrar();
            let register = challenged(&mut core, user, password, 0.0);
            feed(&mut core, &register, 0.1);
            let seen = event(&mut core);
            assert_eq!(seen.auth, Auth::Wrong);
            reply(&mut core, seen.transaction, 401, 0.1);
            text(&core.take_outputs()[0])
        })
        .collect();
    assert_eq!(answers[0], answers[1]);
    assert!(!answers[0].contains("stale"));
}

#[test]
fn the_digest_of_another_platform_or_algorithm_is_wrong() {
    let mut core = registrar();
    let register = String::from_utf8(challenged(&mut core, USER, "right", 0.0)).unwrap();
    let other_uri = proof(
        &["Digest realm=\"4401000000\", nonce=\"x\""],
        USER,
        "right",
        "sip:44010000002000000009@4401000000",
    );
    let other_uri = format!("Authorization: {other_uri}\r\n");
    for datagram in [
        register.replace("algorithm=MD5", "algorithm=SM3"),
        register.replace("qop=auth", "qop=auth-int"),
        register.replace("nc=00000001", "nc=1x"),
        String::from_utf8(ask("REGISTER", "z9hG4bKo", 2, "", &other_uri, "")).unwrap(),
    ] {
        feed(
            &mut core,
            datagram.replace("z9hG4bKr", "z9hG4bKs").as_bytes(),
            0.1,
        );
        let seen = events(&mut core);
        assert!(
            seen.iter().all(|event| event.auth == Auth::Wrong),
            "{datagram}"
        );
        core.advance(at(0.1));
        core = registrar();
    }
}

#[test]
fn each_algorithm_of_the_list_is_challenged_in_its_order_and_counts_and_none_below_it() {
    let [md5, sha, sm3] = Algorithm::ALL;
    for list in [&[sm3, sha, md5][..], &[sha, sm3], &[md5]] {
        for algorithm in Algorithm::ALL {
            let mut core = core();
            admit(&mut core, USER, list);
            feed(&mut core, &ask("REGISTER", "z9hG4bK1", 1, "", "", ""), 0.0);
            let transaction = event(&mut core).transaction;
            reply(&mut core, transaction, 401, 0.0);
            let answer = text(&core.take_outputs()[0]);
            let challenges: Vec<&str> = answer
                .lines()
                .filter_map(|line| line.strip_prefix("WWW-Authenticate: "))
                .collect();
            let named: Vec<_> = list
                .iter()
                .map(|one| format!("algorithm={}, qop=\"auth\"", one.name()))
                .collect();
            assert_eq!(challenges.len(), list.len());
            assert!(
                challenges
                    .iter()
                    .zip(&named)
                    .all(|(one, name)| one.ends_with(name))
            );
            // What it would be asked by a registrar that wants this one.
            let asked = challenges[0].replace(
                &format!("algorithm={}", list[0].name()),
                &format!("algorithm={}", algorithm.name()),
            );
            let value = proof(&[&asked], USER, "right", URI);
            let line = format!("Authorization: {value}\r\n");
            feed(
                &mut core,
                &ask("REGISTER", "z9hG4bK2", 2, "", &line, ""),
                0.1,
            );
            let right = list.contains(&algorithm);
            let expected = if right { Auth::Verified } else { Auth::Wrong };
            assert_eq!(event(&mut core).auth, expected, "{list:?} {algorithm:?}");
            let why = core
                .attempts(USER.as_bytes())
                .next()
                .map(|(one, _)| one.why);
            assert_eq!(why, (!right).then_some(Why::Algorithm));
        }
    }
}

#[test]
fn an_unknown_user_costs_as_many_hashes_as_a_wrong_password_by_each_algorithm() {
    for algorithm in Algorithm::ALL {
        let [known, unknown] = [USER, "44010600001180000009"].map(|user| {
            let mut core = core();
            admit(&mut core, USER, &[algorithm]);
            let register = challenged(&mut core, user, "wrong", 0.0);
            let before = HASHED.get();
            feed(&mut core, &register, 0.1);
            assert_eq!(event(&mut core).auth, Auth::Wrong);
            HASHED.get() - before
        });
        assert_eq!((known, unknown), (2, 2));
    }
}

#[test]
fn what_was_not_right_is_kept_with_the_moment_of_its_nonce() {
    let mut core = registrar();
    let register = challenged(&mut core, USER, "wrong", 2.0);
    feed(&mut core, &register, 3.5);
    let (seen, issued) = core.attempts(USER.as_bytes()).next().unwrap();
    assert_eq!(
        (seen.why, seen.at, issued),
        (Why::Response, at(3.5), Some(at(2.0)))
    );
    assert_eq!(seen.target(), URI.as_bytes());
    assert_eq!(
        seen.given().username.of(seen.credentials()),
        USER.as_bytes()
    );
    core.feed(&register, address("203.0.113.51:5060"), at(4.0));
    let (seen, issued) = core.attempts(USER.as_bytes()).nth(1).unwrap();
    assert_eq!((seen.why, issued), (Why::Response, None));
}

#[test]
fn a_digest_without_qop_and_algorithm_with_another_host_is_right_once() {
    let mut core = registrar();
    feed(&mut core, &ask("REGISTER", "z9hG4bK1", 1, "", "", ""), 0.0);
    let transaction = event(&mut core).transaction;
    reply(&mut core, transaction, 401, 0.0);
    let challenge =
        header(&text(&core.take_outputs()[0]), "WWW-Authenticate").replace(", qop=\"auth\"", "");
    let uri = "sip:44010000002000000001@192.0.2.9:5060";
    let value = proof(&[&challenge], USER, "right", uri);
    let value = value.replace(", algorithm=MD5", "");
    for (branch, expected) in [("z9hG4bK2", Auth::Verified), ("z9hG4bK3", Auth::Stale)] {
        feed(
            &mut core,
            &ask(
                "REGISTER",
                branch,
                2,
                "",
                &format!("Authorization: {value}\r\n"),
                "",
            ),
            0.1,
        );
        assert_eq!(event(&mut core).auth, expected);
    }
}

#[test]
fn foreign_sources_are_dropped_unread_and_pings_are_no_messages() {
    let mut core = core();
    core.feed(
        &ask("MESSAGE", "z9hG4bKm", 1, "", "", ""),
        address("198.51.100.1:5060"),
        at(0.0),
    );
    feed(&mut core, b"\r\n\r\n", 0.0);
    feed(&mut core, b"", 0.0);
    assert_eq!(
        (
            count(&core, "foreign_source"),
            count(&core, "pings"),
            count(&core, "malformed")
        ),
        (1, 2, 0)
    );
    assert!(events(&mut core).is_empty() && core.take_outputs().is_empty());
}

#[test]
fn a_malformed_request_is_answered_when_it_says_enough_and_told_ten_times_a_second() {
    let mut core = core();
    let whole = String::from_utf8(ask("MESSAGE", "z9hG4bKm", 1, "", "", "body")).unwrap();
    let long = whole.replace("Content-Length: 4", "Content-Length: 5");
    feed(&mut core, long.as_bytes(), 0.0);
    feed(
        &mut core,
        whole
            .replace(" SIP/2.0\r\nVia", " SIP/3.0\r\nVia")
            .as_bytes(),
        0.0,
    );
    let answers: Vec<String> = core.take_outputs().iter().map(text).collect();
    assert!(
        answers[0].starts_with("SIP/2.0 400 Bad Request\r\n"),
        "{answers:?}"
    );
    assert!(answers[1].starts_with("SIP/2.0 505 Version Not Supported\r\n"));
    assert!(answers.iter().all(|answer| answer.len() < 2 * long.len()));
    for junk in [
        long.replace("MESSAGE sip", "ACK sip")
            .replace("1 MESSAGE", "1 ACK"),
        "junk".to_owned(),
    ] {
        feed(&mut core, junk.as_bytes(), 0.0);
    }
    for _ in 0..20 {
        feed(&mut core, b"junk", 0.5);
    }
    assert!(core.take_outputs().is_empty());
    let told = events(&mut core);
    assert_eq!(told.len(), 10);
    assert!(told[0].fault.contains("Content-Length") && told[0].head().is_none());
    assert_eq!(
        (
            count(&core, "malformed"),
            count(&core, "malformed_silenced")
        ),
        (24, 14)
    );
    feed(&mut core, b"junk", 1.5);
    assert_eq!(event(&mut core).kind, Kind::Malformed);
}

#[test]
fn mutated_messages_never_panic() {
    let mut core = registrar();
    let mut random = Random::new(&[1; 32], "mutations");
    let request = String::from_utf8(challenged(&mut core, USER, "right", 0.0)).unwrap();
    send(&mut core, "INVITE", 0.0);
    let ours = text(&core.take_outputs()[0]);
    let seeds = [
        request.into_bytes(),
        answer(&ours, 200, ";tag=x"),
        ask("INVITE", "z9hG4bKx", 1, "", "", "v=0"),
    ];
    for round in 0..30_000u32 {
        let mut datagram = seeds[round as usize % 3].clone();
        for _ in 0..=random.bytes::<1>()[0] % 4 {
            let [kind, value, high, low] = random.bytes::<4>();
            let place = usize::from(u16::from_be_bytes([high, low])) % datagram.len().max(1);
            match kind % 4 {
                0 => datagram[place] = value,
                1 => datagram.insert(place, b"\r\n <>;,\"="[usize::from(value) % 9]),
                2 => datagram.truncate(place.max(1)),
                _ => {
                    let copy = datagram[place..].to_vec();
                    datagram.extend_from_slice(&copy[..copy.len().min(200)]);
                }
            }
        }
        feed(&mut core, &datagram, f64::from(round) / 100.0);
        for event in events(&mut core) {
            if event.awaits_answer {
                reply(&mut core, event.transaction, 200, f64::from(round) / 100.0);
            }
        }
        core.advance(at(f64::from(round) / 100.0));
        core.take_outputs();
    }
    for reached in [
        "malformed",
        "malformed_answered",
        "retransmissions_absorbed",
        "stray_responses",
    ] {
        assert!(count(&core, reached) > 100, "{reached}");
    }
}

#[test]
fn beyond_its_failures_a_source_is_challenged_without_memory_and_a_right_digest_passes() {
    let mut core = registrar();
    core.set_limits(Limits {
        failures_of_source: 10,
        ..Limits::default()
    });
    let right = challenged(&mut core, USER, "right", 0.0);
    core.take_outputs();
    let wrong = String::from_utf8(challenged(&mut core, USER, "wrong", 0.25)).unwrap();
    core.take_outputs();
    let open = count(&core, "now_open");
    let answers: Vec<String> = (0..200)
        .map(|number| {
            let user = ["", "9"][number % 2]; // unknown ones are no other
            let guess = wrong.replace(USER, &format!("{USER}{user}"));
            let guess = guess.replace("z9hG4bKr", &format!("z9hG4bKg{number}"));
            feed(&mut core, guess.as_bytes(), 0.5);
            core.take_outputs().first().map(text).unwrap_or_default()
        })
        .collect();
    let told: Vec<Event> = core.take_events(1000).collect();
    let of = |kind| told.iter().filter(move |event| event.kind == kind);
    assert_eq!(of(Kind::Register).count(), 10);
    assert!(of(Kind::Limited).all(|event| event.fault == "failures_of_source"));
    assert!((1..=10).contains(&of(Kind::Limited).count()));
    assert_eq!(count(&core, "failures_curtly"), 190);
    assert_eq!(count(&core, "now_open"), open + 10);
    assert!(answers[..10].iter().all(String::is_empty));
    for answer in &answers[10..] {
        assert!(answer.starts_with("SIP/2.0 401 "), "{answer}");
        assert!(!answer.contains("stale"), "{answer}");
    }
    feed(&mut core, &right, 0.5);
    assert_eq!(event(&mut core).auth, Auth::Verified);
    let replayed = String::from_utf8(right).unwrap();
    let replayed = replayed.replace("z9hG4bKr", "z9hG4bKagain");
    feed(&mut core, replayed.as_bytes(), 0.5);
    let answer = text(&core.take_outputs()[0]);
    assert!(header(&answer, "WWW-Authenticate").ends_with("stale=true"));
    feed(
        &mut core,
        wrong.replace("z9hG4bKr", "z9hG4bKl").as_bytes(),
        2.0,
    );
    assert_eq!(event(&mut core).auth, Auth::Wrong); // a second later there is room again
}
