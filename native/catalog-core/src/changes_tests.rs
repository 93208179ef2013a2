//! Tests of what a reader is told between two looks.

use std::collections::BTreeMap;

use crate::changes::{Changes, Event, View};
use crate::fields::{FIELD_COUNT, STATUS};
use crate::index::Index;
use crate::testing::{Noise, PEER, rows};

const CAMERA: &str = "44010000001320000001";
const OTHER: &str = "44010000001320000002";
const GROUP: &str = "44010000002150000001";

fn told(changes: &Changes) -> Vec<String> {
    (0..changes.len())
        .map(|number| {
            let (event, rows, row) = changes.get(number);
            format!("{} {} {}", event.label(), rows.peer(row), rows.id(row))
        })
        .collect()
}

fn since(index: &mut Index, former: &View) -> Vec<String> {
    told(&index.view(&[], None).changes_since(former))
}

#[test]
fn what_came_went_turned_or_is_another_is_told_once_and_the_rest_is_not() {
    let mut index = Index::new();
    let line = |id: &str, rest: &str| format!("{id} {rest}");
    let first = [
        line(CAMERA, "status=ON name=a"),
        line(OTHER, "status=ON"),
        line(GROUP, "name=g"),
    ];
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    index.apply("a", &rows(&first), true);
    let before = index.view(&[], None);
    assert_eq!(since(&mut index, &before), [""; 0]);
    index.apply("a", &rows(&[&line(CAMERA, "status=OFF name=a")]), false);
    index.apply("b", &rows(&[&line(OTHER, "status=ON")]), false);
    assert_eq!(
        since(&mut index, &before),
        [format!("OFF a {CAMERA}"), format!("ADD b {OTHER}")]
    );
    index.apply("a", &rows(&[&line(CAMERA, "status=ON name=a")]), false);
    index.remove("b", [OTHER]);
    assert_eq!(since(&mut index, &before), [""; 0], "it toggled in between");
    index.apply("a", &rows(&[&line(CAMERA, "status=OFF name=b")]), false);
    index.remove("a", [GROUP, OTHER]);
    assert_eq!(
        since(&mut index, &before),
        [
            format!("UPDATE a {CAMERA}"),
            format!("DEL a {OTHER}"),
            format!("DEL a {GROUP}")
        ]
    );
}

#[test]
fn a_peer_that_is_away_turns_all_that_can_be_off_and_only_that() {
    let mut index = Index::new();
    let off = format!("{OTHER} status=OFF");
    index.apply(PEER, &rows(&[CAMERA, &off, GROUP, "4401"]), true);
    let before = index.view(&[], None);
    assert_eq!(told(&before.faults()), [format!("OFF {PEER} {OTHER}")]);
    index.set_online(PEER, false);
    assert_eq!(since(&mut index, &before), [format!("OFF {PEER} {CAMERA}")]);
    let away = index.view(&[], None);
    assert_eq!(away.faults().len(), 2);
    index.set_online(PEER, true);
    assert_eq!(since(&mut index, &away), [format!("ON {PEER} {CAMERA}")]);
}

#[test]
fn a_division_is_there_as_long_as_one_peer_lists_it() {
    let mut index = Index::new();
    let empty = index.view(&[], None);
    index.apply("a", &rows(&["4401"]), true);
    index.apply("b", &rows(&["4401"]), true);
    assert_eq!(since(&mut index, &empty), ["ADD a 4401"]);
    let both = index.view(&[], None);
    index.remove("a", ["4401"]);
    assert_eq!(since(&mut index, &both), [""; 0]);
    let one = index.view(&[], None);
    index.apply("c", &rows(&["4401"]), true);
    assert_eq!(since(&mut index, &one), [""; 0]);
    index.remove("b", ["4401"]);
    index.remove("c", ["4401"]);
    assert_eq!(since(&mut index, &one), ["DEL b 4401"]);
}

#[test]
fn a_view_of_a_part_is_told_what_enters_and_leaves_it() {
    let mut index = Index::new();
    let under = format!("{CAMERA} parent_id={GROUP}");
    index.apply(PEER, &rows(&[GROUP, &under, OTHER]), true);
    index.apply("b", &rows(&[GROUP]), true);
    let part = |index: &mut Index| index.view(&[], Some((PEER, GROUP)));
    let before = part(&mut index);
    assert_eq!(before.len(), 2);
    index.apply(
        PEER,
        &rows(&[CAMERA, &format!("{OTHER} parent_id={GROUP}")]),
        false,
    );
    let bare = format!("{CAMERA} parent_id=4401");
    index.apply(PEER, &rows(&[&bare]), false);
    assert_eq!(
        told(&part(&mut index).changes_since(&before)),
        [
            format!("ADD {PEER} {OTHER}"),
            format!("DEL {PEER} {CAMERA}")
        ]
    );
}

#[test]
fn what_came_through_a_reader_is_not_in_its_view() {
    let mut index = Index::new();
    let behind = format!("{OTHER} parent_id=44010000002000000009");
    index.apply(
        PEER,
        &rows(&[CAMERA, &behind, "44010000002000000009"]),
        true,
    );
    assert_eq!(index.view(&["44010000002000000009"], None).len(), 1);
}

type Known = BTreeMap<(String, String), [String; FIELD_COUNT]>;

fn known(index: &Index) -> Known {
    let mut known = Known::new();
    for peer in index.peers() {
        let all = index.rows(&peer);
        for number in 0..all.len() {
            let id = all.id(number).to_owned();
            let row = index.find(&peer, &id).unwrap();
            known.insert((peer.clone(), id), row.map(str::to_owned));
        }
    }
    known
}

/// The event that each change of rows deserves, by comparing all of them.
fn expected(before: &Known, now: &Known) -> Vec<String> {
    let line =
        |event: Event, (peer, id): &(String, String)| format!("{} {peer} {id}", event.label());
    let mut lines: Vec<String> = Vec::new();
    for (key, row) in now {
        let off = |row: &[String; FIELD_COUNT]| row[STATUS] == "OFF";
        lines.extend(match before.get(key) {
            None => Some(line(Event::Add, key)),
            Some(old) if (0..FIELD_COUNT).any(|each| each != STATUS && old[each] != row[each]) => {
                Some(line(Event::Update, key))
            }
            Some(old) if off(old) != off(row) => {
                Some(line(if off(row) { Event::Off } else { Event::On }, key))
            }
            Some(_) => None,
        });
    }
    let gone = before.keys().filter(|key| !now.contains_key(*key));
    lines.extend(gone.map(|key| line(Event::Del, key)));
    lines.sort_unstable();
    lines
}

#[test]
fn whatever_happens_a_reader_is_told_exactly_the_difference() {
    for seed in 1..60 {
        let mut noise = Noise(seed);
        let mut index = Index::new();
        let mut before = (known(&index), index.view(&[], None));
        for _ in 0..60 {
            let peer = ["a", "b", "c"][noise.place(3)];
            let batch: Vec<String> = (0..noise.below(12))
                .map(|_| {
                    let (id, name) = (noise.below(40), noise.below(3));
                    let status = ["ON", "OFF", ""][noise.place(3)];
                    format!("440100000013200{id:05} status={status} name={name}")
                })
                .collect();
            let lines: Vec<&str> = batch.iter().map(String::as_str).collect();
            match noise.below(6) {
                0 => drop(index.apply(peer, &rows(&lines), true)),
                1 => drop(index.set_online(peer, noise.below(2) == 0)),
                2 => {
                    let ids = lines.iter().map(|line| line.split(' ').next().unwrap());
                    drop(index.remove(peer, ids));
                }
                _ => drop(index.apply(peer, &rows(&lines), false)),
            }
            if noise.below(3) == 0 {
                let now = (known(&index), index.view(&[], None));
                let mut lines = told(&now.1.changes_since(&before.1));
                lines.sort_unstable();
                assert_eq!(lines, expected(&before.0, &now.0), "seed {seed}");
                before = now;
            }
        }
    }
}
