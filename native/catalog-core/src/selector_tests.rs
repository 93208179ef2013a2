//! Tests of the selector.

use std::collections::BTreeMap;

use crate::builder::RowsBuilder;
use crate::fields::{BRANCH, FIELD_COUNT, ID, OWNER};
use crate::rows::Rows;
use crate::selector::{RuleText, Selector};
use crate::testing::Noise;

fn rule(id: &str, allow: bool, selectors: &[&str]) -> RuleText {
    let selectors = selectors.iter().map(|&text| text.to_owned()).collect();
    RuleText {
        id: id.to_owned(),
        allow,
        selectors,
    }
}

#[test]
fn the_first_fitting_rule_decides_and_nothing_is_refused() {
    let selector = Selector::new([
        rule("no-inside", false, &["branch:216", "id:7"]),
        rule("guangzhou", true, &["prefix:4401", "branch:4401"]),
    ])
    .unwrap();
    for (id, branch, verdict) in [
        ("44010601", "", (true, "guangzhou")),
        ("44010601", "216/4401", (false, "no-inside")),
        ("216", "", (false, "no-inside")),
        ("5", "118/4401", (true, "guangzhou")),
        ("7", "4401", (false, "no-inside")),
        ("4403", "44", (false, "default")),
        ("5", "1184401", (false, "default")),
    ] {
        assert_eq!(selector.judge(id, branch, ""), verdict, "{id} in {branch}");
    }
    assert_eq!(
        Selector::new([]).unwrap().judge("1", "2", ""),
        (false, "default")
    );
}

#[test]
fn a_star_fits_everything() {
    let selector = Selector::new([rule("all", true, &["*"])]).unwrap();
    assert_eq!(selector.judge("", "", ""), (true, "all"));
}

#[test]
fn a_class_is_said_by_three_digits_of_an_id_of_twenty() {
    let selector = Selector::new([
        rule("not-this", false, &["id:44010600001320000001"]),
        rule("cameras", true, &["class:132"]),
        rule("late", false, &["prefix:4401060000132", "class:137"]),
    ])
    .unwrap();
    for (id, verdict) in [
        ("44010600001320000001", (false, "not-this")),
        ("44010600001320000002", (true, "cameras")),
        ("44010600001370000002", (false, "late")),
        ("44010600001310000002", (false, "default")),
        ("4401060000132", (false, "late")),
        ("4401060000132000000x", (false, "late")),
        ("440106000013200000021", (false, "late")),
        ("摄摄摄132摄摄", (false, "default")),
    ] {
        assert_eq!(selector.judge(id, "", ""), verdict, "{id}");
    }
}

#[test]
fn an_owner_is_the_whole_text_of_its_field() {
    let selector = Selector::new([
        rule("not-this", false, &["id:1"]),
        rule("ours", true, &["owner:交警支队"]),
        rule("rest", false, &["branch:44"]),
    ])
    .unwrap();
    for (id, branch, owner, verdict) in [
        ("1", "", "交警支队", (false, "not-this")),
        ("2", "44", "交警支队", (true, "ours")),
        ("2", "44", "交警", (false, "rest")),
        ("交警支队", "", "", (false, "default")),
    ] {
        assert_eq!(
            selector.judge(id, branch, owner),
            verdict,
            "{id} of {owner}"
        );
    }
}

#[test]
fn what_is_no_selector_is_named() {
    for text in [
        "",
        "**",
        "id:",
        "prefix:",
        "prefix:44x",
        "branch:",
        "branch:1/2",
        "kind:132",
        "class:",
        "class:13",
        "class:1320",
        "class:13x",
        "owner:",
        "4401",
    ] {
        assert_eq!(
            Selector::new([rule("r", true, &[text])]).unwrap_err().0,
            text
        );
    }
}

#[test]
fn rows_are_parted_and_counted() {
    let mut builder = RowsBuilder::new();
    for number in 0..10 {
        let (id, branch) = (
            number.to_string(),
            if number % 2 == 0 { "even/44" } else { "44" },
        );
        let mut row = [""; FIELD_COUNT];
        (row[ID], row[BRANCH]) = (&id, branch);
        builder.push(&row);
    }
    let rows = builder.finish();
    let selector = Selector::new([
        rule("no-three", false, &["id:3"]),
        rule("no-even", false, &["branch:even"]),
        rule("44", true, &["branch:44"]),
    ]);
    let selection = rows.select(&selector.unwrap());
    assert_eq!(selection.admitted, rows.pick([1, 5, 7, 9]));
    let refused = [("no-even".to_owned(), 5), ("no-three".to_owned(), 1)];
    assert_eq!(selection.refused, BTreeMap::from(refused));
}

/// The rule list read from its top, as it is written: what every shortcut must agree with.
fn read_from_the_top<'a>(
    rules: &'a [RuleText],
    id: &str,
    branch: &str,
    owner: &str,
) -> (bool, &'a str) {
    let within = |name: &str| name == id || branch.split('/').any(|above| above == name);
    let fits = |selector: &String| match selector.split_once(':') {
        None => true,
        Some(("id", name)) => id == name,
        Some(("prefix", digits)) => id.starts_with(digits),
        Some(("owner", text)) => owner == text,
        Some(("class", digits)) => {
            id.len() == 20 && id.bytes().all(|byte| byte.is_ascii_digit()) && &id[10..13] == digits
        }
        Some((_, name)) => within(name),
    };
    let found = rules.iter().find(|rule| rule.selectors.iter().any(fits));
    found.map_or((false, "default"), |rule| (rule.allow, &rule.id))
}

/// One to four digits of two kinds, so that names meet and begin with each other.
fn name(noise: &mut Noise) -> String {
    (0..=noise.below(4))
        .map(|_| if noise.below(2) == 0 { '4' } else { '0' })
        .collect()
}

fn some_rules(noise: &mut Noise) -> Vec<RuleText> {
    let one = |noise: &mut Noise| match noise.below(20) {
        0 => "*".to_owned(),
        1..=6 => format!("id:{}", name(noise)),
        7..=11 => format!("prefix:{}", name(noise)),
        12..=13 => format!("class:{:0<3.3}", name(noise)),
        14 => format!("owner:{}", name(noise)),
        _ => format!("branch:{}", name(noise)),
    };
    (0..noise.below(12))
        .map(|_| RuleText {
            id: format!("r{}", noise.below(6)), // an id may stand twice
            allow: noise.below(2) == 0,
            selectors: (0..noise.below(4)).map(|_| one(noise)).collect(),
        })
        .collect()
}

fn some_rows(noise: &mut Noise) -> Rows {
    let mut builder = RowsBuilder::new();
    for _ in 0..20 {
        let above: Vec<String> = (0..noise.below(4)).map(|_| name(noise)).collect();
        let id = match noise.below(2) {
            0 => name(noise),
            _ => format!("{:0<10}{:0<10}", name(noise), name(noise)),
        };
        let branch = above.join("/");
        let mut row = [""; FIELD_COUNT];
        let owner = match noise.below(2) {
            0 => name(noise),
            _ => String::new(),
        };
        (row[ID], row[BRANCH], row[OWNER]) = (&id, &branch, &owner);
        builder.push(&row);
    }
    builder.finish()
}

#[test]
fn every_decision_is_that_of_the_list_read_from_its_top() {
    for seed in 1..=3000 {
        let noise = &mut Noise(seed);
        let (rules, rows) = (some_rules(noise), some_rows(noise));
        let selector = Selector::new(rules.clone()).unwrap();
        let mut refused = BTreeMap::new();
        let mut admitted = Vec::new();
        for row in 0..rows.len() {
            let (id, branch) = (rows.id(row), rows.get(row, BRANCH));
            let owner = rows.get(row, OWNER);
            let expected = read_from_the_top(&rules, id, branch, owner);
            let found = selector.judge(id, branch, owner);
            assert_eq!(
                found, expected,
                "seed {seed}: {id} of {owner:?} in {branch} by {rules:?}"
            );
            if expected.0 {
                admitted.push(row);
            } else {
                *refused.entry(expected.1.to_owned()).or_insert(0) += 1;
            }
        }
        let selection = rows.select(&selector);
        assert_eq!(selection.admitted, rows.pick(admitted), "seed {seed}");
        assert_eq!(selection.refused, refused, "seed {seed}");
    }
}
