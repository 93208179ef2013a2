//! Tests of the index as a whole: what an answer changes, what a snapshot freezes.

use std::collections::BTreeMap;

use crate::fields::{self, STATUS};
use crate::index::{Delta, Index};
use crate::rows::Rows;
use crate::testing::{Noise, PEER, counts, ids, rows, shown};

#[test]
fn an_answer_is_compared_with_what_was_there() {
    let mut index = Index::new();
    let first = rows(&["1 name=a", "2 name=b", "3 name=c"]);
    assert_eq!(counts(&index.apply(PEER, &first, true)), [3, 0, 0, 0]);
    let again = index.apply(PEER, &first, true);
    assert_eq!((counts(&again), again.present.len()), ([0, 0, 0, 3], 0));
    let delta = index.apply(PEER, &rows(&["2 name=b", "3 name=x", "4 name=d"]), true);
    assert_eq!(counts(&delta), [1, 1, 1, 1]);
    assert_eq!(
        (ids(&delta.present), ids(&delta.gone)),
        (vec!["3", "4"], vec!["1"])
    );
    assert_eq!(delta.gone, rows(&["1 name=a"]));
    assert_eq!(index.len(), 3);
}

#[test]
fn a_part_deletes_nothing() {
    let mut index = Index::new();
    index.apply(PEER, &rows(&["1", "2"]), true);
    assert_eq!(
        counts(&index.apply(PEER, &rows(&["2", "3"]), false)),
        [1, 0, 0, 1]
    );
    assert_eq!(index.count(PEER), 3);
}

#[test]
fn the_same_id_below_two_peers_is_two_rows() {
    let mut index = Index::new();
    index.apply("a", &rows(&["1 name=x"]), true);
    index.apply("b", &rows(&["1 name=y"]), true);
    assert_eq!(
        (index.len(), index.peers()),
        (2, vec!["a".to_owned(), "b".to_owned()])
    );
    index.apply("a", &Rows::default(), true);
    assert_eq!(
        (index.find("a", "1"), index.peers()),
        (None, vec!["b".to_owned()])
    );
    assert_eq!(index.find("b", "1").unwrap()[fields::NAME], "y");
}

#[test]
fn of_one_id_the_last_row_counts_and_a_row_without_id_is_dropped() {
    let mut index = Index::new();
    let delta = index.apply(PEER, &rows(&["1 name=a", " name=b", "1 name=c"]), true);
    assert_eq!((counts(&delta), delta.dropped), ([1, 0, 0, 0], 1));
    assert_eq!(delta.present, rows(&["1 name=c"]));
}

#[test]
fn an_empty_status_keeps_the_one_before() {
    let mut index = Index::new();
    index.apply(PEER, &rows(&["1 status=OFF"]), true);
    assert_eq!(
        counts(&index.apply(PEER, &rows(&["1"]), true)),
        [0, 0, 0, 1]
    );
    let delta = index.apply(PEER, &rows(&["1 name=a"]), true);
    assert_eq!(delta.present, rows(&["1 name=a status=OFF"]));
}

#[test]
fn rows_of_an_offline_peer_read_off_and_come_back() {
    let mut index = Index::new();
    index.apply(PEER, &rows(&["1 status=ON", "2 status=OFF", "3"]), true);
    let before = index.snapshot();
    assert_eq!(index.set_online(PEER, false), 2);
    assert_eq!(index.set_online(PEER, false), 0);
    let during = index.snapshot();
    assert_eq!(index.find(PEER, "1").unwrap()[STATUS], "OFF");
    assert_eq!(index.rows(PEER).get(0, STATUS), "ON");
    assert_eq!(index.set_online(PEER, true), 2);
    let read = |snapshot: &crate::Snapshot| {
        [0, 1, 2].map(|number| snapshot.get(number, STATUS).to_owned())
    };
    assert_eq!(read(&before), ["ON", "OFF", ""]);
    assert_eq!(read(&during), ["OFF", "OFF", "OFF"]);
    assert_eq!(read(&index.snapshot()), ["ON", "OFF", ""]);
}

#[test]
fn a_peer_may_be_offline_before_its_first_row() {
    let mut index = Index::new();
    assert_eq!(index.set_online(PEER, false), 0);
    assert_eq!(index.peers(), Vec::<String>::new());
    index.apply(PEER, &rows(&["1 status=ON"]), true);
    assert_eq!(index.snapshot().get(0, STATUS), "OFF");
}

#[test]
fn what_is_removed_is_returned_and_the_unknown_passed_over() {
    let mut index = Index::new();
    index.apply(PEER, &rows(&["1 name=a", "2"]), true);
    assert_eq!(
        index.remove(PEER, ["1", "1", "9"]).gone,
        rows(&["1 name=a"])
    );
    assert_eq!(index.remove("nobody", ["1"]), Delta::default());
    assert_eq!(index.len(), 1);
}

#[test]
fn a_snapshot_stands_in_the_order_of_sending() {
    let mut index = Index::new();
    let sent = [
        "44010600002000000001",
        "44",
        "4401",
        "440106",
        "44010600002150000001 parent_id=44010600002000000001",
        "44010600002160000009",
        "44010600002160000001 parent_id=44010600002160000009",
        "44010600001180000001",
        "44010600001110000001 parent_id=44010600001180000001",
        "44010600001320000001",
        "cam",
        "44010600001340000001 parent_id=44010600001320000009",
    ];
    let mut reversed = sent;
    reversed.reverse();
    index.apply("a", &rows(&reversed), true);
    index.apply(
        "b",
        &rows(&["44010600001320000001", "4401", "44010600001320000009"]),
        true,
    );
    let expected = [
        "44010600002000000001",
        "44",
        "4401",
        "440106",
        "44010600002150000001",
        "44010600002160000009",
        "44010600002160000001",
        "44010600001180000001",
        "44010600001110000001",
        "44010600001320000001",
        "44010600001320000001",
        "44010600001320000009",
        "cam",
        "44010600001340000001",
    ];
    assert_eq!(shown(&mut index), expected);
    let snapshot = index.snapshot();
    assert_eq!(
        [9, 10, 11].map(|number| snapshot.peer(number)),
        ["a", "b", "b"]
    );
}

#[test]
fn a_division_of_two_peers_stands_once_and_is_on_if_any_is() {
    let mut index = Index::new();
    index.apply("a", &rows(&["4401 status=ON"]), true);
    index.apply("b", &rows(&["4401 status=ON"]), true);
    assert_eq!(
        (
            index.len(),
            index.snapshot().len(),
            index.snapshot().peer(0)
        ),
        (2, 1, "a")
    );
    index.set_online("a", false);
    assert_eq!(
        (index.snapshot().peer(0), index.snapshot().get(0, STATUS)),
        ("b", "ON")
    );
}

#[test]
fn a_snapshot_does_not_see_what_comes_later() {
    let mut index = Index::new();
    index.apply(PEER, &rows(&["1 name=a", "2 name=b"]), true);
    let snapshot = index.snapshot();
    index.apply(PEER, &rows(&["1 name=x", "3"]), true);
    index.remove(PEER, ["1"]);
    assert_eq!(snapshot.len(), 2);
    assert_eq!(
        [0, 1].map(|number| snapshot.get(number, fields::NAME)),
        ["a", "b"]
    );
    assert_eq!(shown(&mut index), ["3"]);
}

fn lines(noise: &mut Noise) -> BTreeMap<String, String> {
    let count = noise.below(24);
    let line = |_| {
        let (id, parent, name) = (noise.below(48), noise.below(48), noise.below(3));
        (
            id.to_string(),
            format!("{id} parent_id={parent} name={name}"),
        )
    };
    (0..count).map(line).collect()
}

fn of(lines: &BTreeMap<String, String>) -> Rows {
    rows(&lines.values().map(String::as_str).collect::<Vec<_>>())
}

fn by_id(rows: &Rows) -> BTreeMap<String, Vec<String>> {
    let row = |row: usize| {
        (
            rows.id(row).to_owned(),
            rows.row(row).map(str::to_owned).to_vec(),
        )
    };
    (0..rows.len()).map(row).collect()
}

/// Any history of answers and removals leaves the rows, and the branches, that the last state
/// alone gives; and whoever only follows the differences has the same.
#[test]
fn any_history_leaves_what_the_last_state_alone_gives() {
    let mut noise = Noise(0x5eed_cafe);
    for _ in 0..40 {
        let (mut index, mut model, mut follower) = (Index::new(), BTreeMap::new(), BTreeMap::new());
        for _ in 0..40 {
            let lines = lines(&mut noise);
            let delta = match noise.below(8) {
                0 => {
                    model.retain(|id, _| !lines.contains_key(id));
                    index.remove(PEER, lines.keys().map(String::as_str))
                }
                1 => {
                    model.clone_from(&lines);
                    index.apply(PEER, &of(&lines), true)
                }
                _ => {
                    model.extend(lines.clone());
                    index.apply(PEER, &of(&lines), false)
                }
            };
            assert_eq!(
                (delta.present.len(), delta.gone.len()),
                (delta.added + delta.changed, delta.removed)
            );
            (0..delta.gone.len()).for_each(|row| drop(follower.remove(delta.gone.id(row))));
            follower.extend(by_id(&delta.present));
            let mut fresh = Index::new();
            fresh.apply(PEER, &of(&model), true);
            assert_eq!(by_id(&index.rows(PEER)), by_id(&fresh.rows(PEER)));
            assert_eq!(by_id(&index.rows(PEER)), follower);
            assert_eq!(shown(&mut index), shown(&mut fresh));
        }
    }
}

#[test]
fn nothing_is_kept_of_a_peer_that_is_there_and_has_no_row() {
    let mut index = Index::new();
    assert_eq!(index.set_online(PEER, true), 0);
    index.begin(PEER);
    index.finish(PEER);
    index.apply(PEER, &rows(&["1"]), true);
    index.apply(PEER, &Rows::default(), true);
    assert_eq!(index.known_count(), 0);
    index.set_online(PEER, false);
    assert_eq!((index.known_count(), index.peers()), (1, Vec::new()));
    index.set_online(PEER, true);
    assert_eq!(index.known_count(), 0);
}

#[test]
fn a_row_that_did_not_change_stands_where_it_stood() {
    let mut index = Index::new();
    let given = rows(&["1 name=a", "2 name=b"]);
    index.apply(PEER, &given, true);
    let before = index.rows(PEER).identity();
    assert_eq!(counts(&index.apply(PEER, &given, true)), [0, 0, 0, 2]);
    index.remove(PEER, ["3"]);
    assert_eq!(index.rows(PEER).identity(), before);
    index.apply(PEER, &rows(&["2 name=c"]), false);
    assert_ne!(index.rows(PEER).identity(), before);
}

/// Single rows that change again and again leave neither many small batches nor dead rows.
#[test]
fn small_changes_leave_few_batches() {
    let mut index = Index::new();
    let lines: Vec<String> = (0..3000).map(|number| format!("{number}")).collect();
    index.apply(
        PEER,
        &rows(&lines.iter().map(String::as_str).collect::<Vec<_>>()),
        true,
    );
    for round in 0..5000 {
        index.apply(
            PEER,
            &rows(&[&format!("{} name={round}", round * 7 % 3000)]),
            false,
        );
    }
    assert_eq!(index.count(PEER), 3000);
    assert!(index.batch_count() < 24, "{}", index.batch_count());
    assert_eq!(index.find(PEER, "7").unwrap()[fields::NAME], "3001");
}

#[test]
fn rows_that_stand_elsewhere_now_tell_where_they_stood() {
    let mut index = Index::new();
    index.apply(
        PEER,
        &rows(&["a", "b", "c parent_id=a", "d parent_id=c", "e parent_id=a"]),
        true,
    );
    let delta = index.apply(
        PEER,
        &rows(&["c parent_id=b", "e parent_id=a name=x"]),
        false,
    );
    assert_eq!(ids(&delta.former), ["c", "d"]);
    for (row, branch) in [(0, "a"), (1, "c/a")] {
        assert_eq!(delta.former.get(row, fields::BRANCH), branch);
    }
    assert_eq!(index.find(PEER, "d").unwrap()[fields::BRANCH], "c/b");
    let again = index.apply(PEER, &rows(&["c parent_id=b name=y"]), false);
    assert_eq!(ids(&again.former), Vec::<&str>::new());
}

#[test]
fn rows_of_another_owner_now_tell_whose_they_were() {
    let mut index = Index::new();
    index.apply(PEER, &rows(&["a owner=police", "b owner=police"]), true);
    let delta = index.apply(
        PEER,
        &rows(&["a owner=school", "b owner=police name=x"]),
        false,
    );
    assert_eq!(ids(&delta.former), ["a"]);
    assert_eq!(delta.former.get(0, fields::OWNER), "police");
    assert_eq!(index.place(PEER, "a"), Some(("", "school")));
    assert_eq!(index.place(PEER, "c"), None);
}

#[test]
fn what_is_not_told_anew_is_gone_and_what_is_stays_whatever_happens_meanwhile() {
    let mut index = Index::told();
    index.apply(PEER, &rows(&["1 name=a", "2", "3", "4"]), false);
    assert_eq!(index.finish(PEER), Delta::default(), "nothing was begun");
    index.begin(PEER);
    index.apply(PEER, &rows(&["1 name=b", "2"]), false);
    index.remove(PEER, ["2", "3"]);
    index.apply(PEER, &rows(&["5"]), false); // in the place of one that has gone
    let gone = index.finish(PEER).gone;
    assert_eq!(ids(&gone), ["4"]);
    assert_eq!(shown(&mut index), ["1", "5"]);
    assert_eq!(index.finish(PEER), Delta::default());
}

#[test]
fn a_second_beginning_forgets_the_first() {
    let mut index = Index::told();
    index.apply(PEER, &rows(&["1", "2"]), false);
    index.begin(PEER);
    index.apply(PEER, &rows(&["1"]), false);
    index.begin(PEER);
    index.apply(PEER, &rows(&["2"]), false);
    assert_eq!(ids(&index.finish(PEER).gone), ["1"]);
    index.begin(PEER);
    assert_eq!(ids(&index.finish(PEER).gone), ["2"]);
    index.begin("nobody");
    assert_eq!(index.finish("nobody"), Delta::default());
}

#[test]
fn what_a_notice_does_not_say_of_a_row_stays_as_it_was() {
    let mut index = Index::new();
    index.apply(PEER, &rows(&["1 name=a status=ON parent_id=2", "2"]), true);
    index.set_online(PEER, false);
    let said = rows(&["1 status=OFF", "3 status=OFF"]);
    let (merged, unknown) = index.merge(PEER, &said, true);
    assert_eq!(
        (merged, unknown),
        (rows(&["1 name=a status=OFF parent_id=2 branch=2"]), 1)
    );
    let (merged, unknown) = index.merge(PEER, &rows(&["1 name=b", "3 name=c"]), false);
    assert_eq!(
        (merged, unknown),
        (
            rows(&["1 name=b status=ON parent_id=2 branch=2", "3 name=c"]),
            1
        )
    );
    assert_eq!(index.merge("nobody", &said, true), (Rows::default(), 2));
}
