//! How the index behaves as it grows: `cargo run --release -p catalog-core --example province`.
//!
//! One peer with a tree of organisations, recorders and cameras, applied in pages of 1,000 as they
//! come across a link, the children before their parents. Prints microseconds a row for each step;
//! a column that grows with the number of rows is a defect.

use std::time::Instant;

use catalog_core::{
    FIELD_COUNT, Index, Mapping, RowSet, Rows, RowsBuilder, RuleText, Selector, fields,
};

const PEER: &str = "44010000002000000001";
const STEPS: [&str; 11] = [
    "build", "gather", "pages", "again", "view", "changed", "differ", "select", "encode",
    "snapshot", "mapping",
];

/// Cameras below recorders of 100, these below organisations of 10, these below one platform.
fn province(len: usize) -> Rows {
    let mut builder = RowsBuilder::new();
    let mut push = |id: &str, name: &str, parent: &str| {
        let mut row = [""; FIELD_COUNT];
        (row[fields::ID], row[fields::NAME], row[fields::PARENT_ID]) = (id, name, parent);
        (row[fields::MANUFACTURER], row[fields::STATUS]) = ("Lockgate", "ON");
        (row[fields::CIVIL_CODE], row[fields::ADDRESS]) = ("440106", name);
        (row[fields::LONGITUDE], row[fields::LATITUDE]) = (&id[14..], &id[14..]);
        assert!(builder.push(&row));
    };
    let recorder = |number: usize| format!("44010600001180{number:06}");
    let organisation = |number: usize| format!("44010600002160{number:06}");
    for number in 0..len {
        let id = format!("44010600001320{number:06}");
        push(
            &id,
            &format!("天河区路口{number:06}"),
            &recorder(number / 100),
        );
    }
    for number in 0..=len / 100 {
        push(&recorder(number), "recorder", &organisation(number / 10));
    }
    for number in 0..=len / 1000 {
        push(&organisation(number), "organisation", "");
    }
    push(PEER, "platform", "");
    builder.finish()
}

fn pages(rows: &Rows) -> impl Iterator<Item = Rows> {
    (0..rows.len())
        .step_by(1000)
        .map(|start| rows.slice(start, start + 1000))
}

/// Seconds of each step, in the order of `STEPS`.
fn measure(len: usize) -> (usize, [f64; STEPS.len()]) {
    let mut seconds = Vec::new();
    let mut last = Instant::now();
    let mut step = || {
        seconds.push(last.elapsed().as_secs_f64());
        last = Instant::now();
    };
    let rows = province(len);
    step();
    let mut gathered = RowSet::new();
    for page in pages(&rows) {
        gathered.add(&page);
    }
    let rows = gathered.rows();
    step();
    let mut index = Index::new();
    pages(&rows).for_each(|page| drop(index.apply(PEER, &page, false)));
    step();
    assert_eq!(index.apply(PEER, &rows, true).unchanged, rows.len());
    step();
    let before = index.view(&["44010600002000000009"], None);
    step();
    let every_fiftieth = (0..rows.len()).step_by(50).map(|row| rows.row(row));
    let mut changed = RowsBuilder::new();
    every_fiftieth.for_each(|mut row| {
        row[fields::STATUS] = "OFF";
        changed.push(&row);
    });
    pages(&changed.finish()).for_each(|page| drop(index.apply(PEER, &page, false)));
    step();
    let now = index.view(&["44010600002000000009"], None);
    assert!(now.changes_since(&before).len() > rows.len() / 60);
    step();
    let deny = RuleText {
        id: "no".to_owned(),
        allow: false,
        selectors: vec!["branch:44010600002160000001".to_owned()],
    };
    let allow = RuleText {
        id: "yes".to_owned(),
        allow: true,
        selectors: vec!["branch:4401".to_owned()],
    };
    let selector = Selector::new([deny, allow]).expect("two selectors");
    let held = index.rows(PEER);
    let admitted: usize = pages(&held)
        .map(|page| page.select(&selector).admitted.len())
        .sum();
    assert!(admitted >= rows.len() - 1100);
    step();
    let bytes: Vec<Vec<u8>> = pages(&held).map(|page| page.encode()).collect();
    assert!(bytes.iter().all(|page| Rows::decode(page).is_ok()));
    step();
    let snapshot = index.snapshot();
    step();
    let mut mapping = Mapping::new("44010600002000000009", []).expect("20 digits");
    assert_eq!(mapping.assign(&snapshot).len(), rows.len());
    step();
    (rows.len(), seconds.try_into().expect("as many as STEPS"))
}

fn main() {
    println!(
        "{:>9}  {}",
        "rows",
        STEPS.map(|step| format!("{step:>9}")).join("")
    );
    for len in [12_500, 25_000, 50_000, 100_000, 1_000_000 / 2] {
        let (rows, seconds) = measure(len);
        #[allow(clippy::cast_precision_loss)] // far below 2^52
        let each = seconds.map(|seconds| format!("{:>9.2}", seconds * 1e6 / rows as f64));
        println!("{rows:>9}  {}", each.join(""));
    }
}
