//! Tests of ancestry, read where it becomes visible: in the index.

use crate::fields::BRANCH;
use crate::index::Index;
use crate::testing::{Noise, PEER, counts, ids, rows, shown};

fn branch<'a>(index: &'a Index, id: &str) -> &'a str {
    index.find(PEER, id).unwrap()[BRANCH]
}

#[test]
fn the_last_element_is_the_parent_and_the_others_memberships() {
    let mut index = Index::new();
    index.apply(
        PEER,
        &rows(&[
            "camera parent_id=system/organisation business_group_id=group",
            "organisation parent_id=above business_group_id=group",
            "above",
            "system",
            "group parent_id=system",
        ]),
        true,
    );
    assert_eq!(branch(&index, "camera"), "organisation/system/group/above");
    assert_eq!(branch(&index, "organisation"), "above/group/system");
    assert_eq!(branch(&index, "system"), "");
}

#[test]
fn without_a_known_parent_the_peer_itself_is_it() {
    let mut index = Index::new();
    let all = [
        format!("{PEER} civil_code=4401"),
        "1".to_owned(),
        "2 parent_id=unknown".to_owned(),
        "44".to_owned(),
    ];
    index.apply(PEER, &rows(&all.each_ref().map(String::as_str)), true);
    let expected = format!("{PEER}/4401/44");
    assert_eq!(branch(&index, "1"), expected);
    assert_eq!(branch(&index, "2"), format!("{expected}/unknown"));
    assert_eq!(branch(&index, "44"), "");
    assert_eq!(branch(&index, PEER), "4401/44");
}

#[test]
fn divisions_close_the_branch_whether_they_have_rows_or_not() {
    let mut index = Index::new();
    index.apply(
        PEER,
        &rows(&[
            "a civil_code=440106",
            "b civil_code=440106000000",
            "c parent_id=440103",
            "d parent_id=a",
            "e parent_id=a civil_code=4403",
            "f civil_code=44010600",
            "g civil_code=none",
            "h parent_id=4402 civil_code=4403",
            "440107",
            "4402",
        ]),
        true,
    );
    for (id, expected) in [
        ("a", "440106/4401/44"),
        ("b", "440106/4401/44"),
        ("c", "440103/4401/44"),
        ("d", "a/440106/4401/44"),
        ("e", "a/4403/44"),
        ("f", "44010600/440106/4401/44"),
        ("g", ""),
        ("h", "4402/4403/44"),
        ("440107", "4401/44"),
    ] {
        assert_eq!(branch(&index, id), expected, "{id}");
    }
}

#[test]
fn nobody_is_above_itself() {
    let mut index = Index::new();
    index.apply(
        PEER,
        &rows(&[
            "self parent_id=self",
            "1 parent_id=2",
            "2 parent_id=3",
            "3 parent_id=1",
            "child parent_id=2",
        ]),
        true,
    );
    assert_eq!(branch(&index, "self"), "");
    // Of the steps 1-2, 2-3 and 3-1 only the last goes to a smaller id.
    assert_eq!(branch(&index, "1"), "");
    assert_eq!(branch(&index, "2"), "");
    assert_eq!(branch(&index, "3"), "1");
    assert_eq!(branch(&index, "child"), "2");
}

#[test]
fn a_long_chain_is_followed_sixteen_generations() {
    let mut index = Index::new();
    let lines: Vec<String> = (0..100)
        .map(|number| format!("{number:03} parent_id={:03}", number + 1))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    index.apply(PEER, &rows(&lines), true);
    assert_eq!(branch(&index, "000").split('/').count(), 16);
    assert_eq!(branch(&index, "097"), "098/099/100");
}

#[test]
fn a_parent_that_moves_takes_its_descendants_along() {
    let mut index = Index::new();
    let all = [
        "camera parent_id=nvr",
        "nvr parent_id=north",
        "north",
        "south",
        "other",
    ];
    index.apply(PEER, &rows(&all), true);
    let delta = index.apply(PEER, &rows(&["nvr parent_id=south"]), false);
    assert_eq!(counts(&delta), [0, 2, 0, 0]);
    assert_eq!(
        delta.present,
        rows(&[
            "nvr parent_id=south branch=south",
            "camera parent_id=nvr branch=nvr/south"
        ])
    );
    let delta = index.apply(PEER, &rows(&["nvr parent_id=south name=x"]), false);
    assert_eq!(ids(&delta.present), ["nvr"]);
    let delta = index.remove(PEER, ["nvr"]);
    assert_eq!((delta.removed, delta.changed), (1, 1));
    assert_eq!(branch(&index, "camera"), "nvr");
    let delta = index.apply(PEER, &rows(&["nvr"]), false);
    assert_eq!(counts(&delta), [1, 0, 0, 0]);
    assert_eq!(branch(&index, "camera"), "nvr");
}

/// A rule about a branch holds for who says to be in it, whether the branch itself has a row or not.
#[test]
fn what_is_named_above_counts_without_a_row() {
    let mut index = Index::new();
    let all = [
        "camera parent_id=system/school business_group_id=group",
        "below parent_id=camera",
        "system",
    ];
    index.apply(PEER, &rows(&all), true);
    assert_eq!(branch(&index, "camera"), "system/school/group");
    assert_eq!(branch(&index, "below"), "camera/system/school/group");
    index.apply(PEER, &rows(&["school parent_id=group"]), false);
    assert_eq!(branch(&index, "camera"), "school/system/group");
    index.remove(PEER, ["school", "system"]);
    assert_eq!(branch(&index, "camera"), "school/system/group");
}

#[test]
fn a_row_of_the_batch_with_only_another_branch_is_changed() {
    let mut index = Index::new();
    index.apply(PEER, &rows(&["camera parent_id=nvr"]), true);
    let again = ["camera parent_id=nvr", "nvr parent_id=north"];
    let delta = index.apply(PEER, &rows(&again), true);
    assert_eq!(counts(&delta), [1, 1, 0, 0]);
    assert_eq!(ids(&delta.present), ["nvr", "camera"]);
}

/// In every snapshot a row stands after all of its ancestors that are no divisions.
#[test]
fn parents_stand_before_their_children() {
    let mut noise = Noise(0xcafe_5eed);
    let name = |number: u64| {
        let kind = [200, 215, 216, 118, 132, 134][usize::try_from(number % 6).unwrap()];
        format!("4401060000{kind}0{number:06}")
    };
    for _ in 0..300 {
        let lines: Vec<String> = (0..20)
            .map(|number| {
                let (one, other) = (name(noise.below(20)), name(noise.below(20)));
                format!("{} parent_id={one}/{other}", name(number))
            })
            .collect();
        let mut index = Index::new();
        index.apply(
            PEER,
            &rows(&lines.iter().map(String::as_str).collect::<Vec<_>>()),
            true,
        );
        let order = shown(&mut index);
        for (place, id) in order.iter().enumerate() {
            for ancestor in branch(&index, id).split('/').filter(|id| !id.is_empty()) {
                let above = order.iter().position(|other| other == ancestor);
                assert!(
                    above.is_some_and(|above| above < place),
                    "{ancestor} above {id}"
                );
            }
        }
    }
}
