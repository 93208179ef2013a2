//! A long answer is taken in steps, beside what is there: readers have the old rows until the last step,
//! and from then on all of the new ones. No step does more because the answer is longer.

use crate::builder::RowsBuilder;
use crate::column;
use crate::family::Slot;
use crate::fields::{BRANCH, FIELD_COUNT, ID, OWNER, STATUS};
use crate::held::Held;
use crate::ids;
use crate::index::Delta;
use crate::peer::{Peer, named};
use crate::rows::Rows;

/// What a peer will have, as far as it stands.
#[derive(Debug)]
pub struct Renewal {
    pub(crate) name: Box<str>,
    complete: bool,
    fresh: Peer,
    /// The answer, and the batch that it is in `fresh`.
    rows: Rows,
    held: u32,
    /// The batches that there were when it came, and where in them a row was.
    before: Vec<Rows>,
    places: Vec<(usize, usize)>,
    stage: Stage,
    /// The next row, place or slot of the stage.
    next: usize,
    /// Slots below this one are of rows of the answer.
    answered: usize,
    /// Batches that no row stands in at the end.
    emptied: Vec<u32>,
    youngest: u32,
    dropped: usize,
    deltas: Vec<Delta>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Rows of the answer are entered by their ids.
    Entering,
    /// Where it is not all, rows that it leaves out are entered too.
    Keeping,
    /// Everybody is there: branches are read, and what is another than before is noted.
    Judging,
    /// What it leaves out is noted, where it is all.
    Leaving,
    Done,
}

impl Renewal {
    pub(crate) fn new(
        name: &str,
        told: bool,
        before: Option<&Held>,
        rows: &Rows,
        complete: bool,
    ) -> Self {
        let mut fresh = Peer::with(&name.into(), told, &Rows::default());
        let mut places = Vec::new();
        let mut batches = Vec::new();
        for (batch, live) in before.into_iter().flat_map(Held::batches) {
            let number = batches.len();
            batches.push(batch.clone());
            places.extend(live.map(|row| (number, row as usize)));
        }
        fresh.family.expect(rows.len().max(places.len()));
        let held = fresh.family.hold(rows.clone());
        Self {
            name: name.into(),
            complete,
            fresh,
            rows: rows.clone(),
            held,
            before: batches,
            places,
            stage: Stage::Entering,
            next: 0,
            answered: 0,
            emptied: vec![held],
            youngest: held,
            dropped: 0,
            deltas: Vec::new(),
        }
    }

    /// Go on by so many rows; whether there is more to do. `before` is what the peer has, which nobody
    /// changed since the renewal began.
    pub(crate) fn step(&mut self, before: Option<&Held>, most: usize) -> bool {
        let (from, all) = (self.next, self.length());
        self.next = all.min(from.saturating_add(most));
        let part = from..self.next;
        match self.stage {
            Stage::Entering => part.for_each(|row| self.enter(self.held, row, true)),
            Stage::Keeping => self.keep(part),
            Stage::Judging => self.judge(part, before),
            Stage::Leaving => self.leave(part),
            Stage::Done => return false,
        }
        if self.next == self.length() {
            self.turn_to_the_next();
        }
        self.stage != Stage::Done
    }

    fn length(&self) -> usize {
        match self.stage {
            Stage::Entering => self.rows.len(),
            Stage::Keeping | Stage::Leaving => self.places.len(),
            Stage::Judging => self.fresh.family.slot_count(),
            Stage::Done => 0,
        }
    }

    fn turn_to_the_next(&mut self) {
        self.next = 0;
        if self.stage == Stage::Entering {
            self.answered = self.fresh.family.slot_count();
        }
        self.stage = match self.stage {
            Stage::Entering if !self.complete => Stage::Keeping,
            Stage::Entering | Stage::Keeping => Stage::Judging,
            Stage::Judging if self.complete => Stage::Leaving,
            Stage::Judging | Stage::Leaving | Stage::Done => Stage::Done,
        };
    }

    /// Enter a row by its id: of one id the last counts.
    fn enter(&mut self, batch: u32, row: usize, counted: bool) {
        let rows = if counted {
            &self.rows
        } else {
            self.fresh.family.batch(batch)
        };
        let known = if ids::is_name(rows.id(row)) {
            self.fresh.family.find(rows.id(row))
        } else {
            self.dropped += 1;
            return;
        };
        let slot = if let Some(slot) = known {
            self.fresh.family.stand(slot, batch, row);
            slot
        } else if let Some(slot) = self.fresh.family.insert(batch, row) {
            slot
        } else {
            self.dropped += 1;
            return;
        };
        self.fresh.mention(slot);
    }

    fn keep(&mut self, part: std::ops::Range<usize>) {
        let mut kept = RowsBuilder::new();
        for &(batch, row) in &self.places[part] {
            let rows = &self.before[batch];
            if self.fresh.family.find(rows.id(row)).is_none() {
                kept.push(&rows.row(row));
            }
        }
        let count = kept.len();
        let batch = self.fresh.family.hold(kept.finish());
        self.emptied.push(batch);
        (0..count).for_each(|row| self.enter(batch, row, false));
    }

    fn judge(&mut self, part: std::ops::Range<usize>, before: Option<&Held>) {
        let mut delta = Delta::default();
        let (mut all, mut slots) = (RowsBuilder::new(), Vec::new());
        let (mut present, mut former) = (RowsBuilder::new(), RowsBuilder::new());
        for slot in part {
            let answered = slot < self.answered;
            let slot = Slot::try_from(slot).expect("fewer slots than 2^32");
            let (branch, loops) = self.fresh.judged(slot);
            let mut row = self.fresh.family.row(slot);
            let known = before
                .and_then(|held| held.find(row[ID]))
                .map(|(rows, place)| rows.row(place));
            row[BRANCH] = &branch;
            if let (Some(known), "") = (&known, row[STATUS]) {
                row[STATUS] = known[STATUS];
            }
            all.push(&row);
            slots.push(slot);
            match known {
                Some(known) if same(&known, &row) => {
                    delta.unchanged += usize::from(answered);
                    continue;
                }
                Some(known) => {
                    delta.changed += 1;
                    if [BRANCH, OWNER]
                        .iter()
                        .any(|&field| known[field] != row[field])
                    {
                        former.push(&named(row[ID], known[BRANCH], known[OWNER]));
                    }
                }
                None => delta.added += 1,
            }
            delta.loops += loops;
            present.push(&row);
        }
        delta.present = present.finish();
        delta.former = former.finish();
        self.deltas.push(delta);
        self.youngest = self.fresh.family.hold(all.finish());
        for (row, slot) in slots.into_iter().enumerate() {
            self.fresh.family.stand(slot, self.youngest, row);
        }
    }

    fn leave(&mut self, part: std::ops::Range<usize>) {
        let mut gone = RowsBuilder::new();
        for &(batch, row) in &self.places[part] {
            let rows = &self.before[batch];
            if self.fresh.family.find(rows.id(row)).is_none() {
                gone.push(&rows.row(row));
            }
        }
        self.deltas.push(Delta {
            removed: gone.len(),
            gone: gone.finish(),
            ..Delta::default()
        });
    }

    /// What the peer has from now on, and what that changes, in parts.
    pub(crate) fn finish(mut self) -> (Peer, Vec<Delta>) {
        self.fresh.family.tidy(self.youngest, &self.emptied);
        self.fresh.mentions_are_tidy();
        self.deltas.retain(|delta| *delta != Delta::default());
        if self.dropped > 0 {
            self.deltas.push(Delta {
                dropped: self.dropped,
                ..Delta::default()
            });
        }
        (self.fresh, self.deltas)
    }
}

fn same(one: &[&str; FIELD_COUNT], other: &[&str; FIELD_COUNT]) -> bool {
    (0..FIELD_COUNT).all(|field| column::same(one[field], other[field]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Index;
    use crate::testing::{Noise, PEER, counts, ids, rows, shown};
    use std::collections::BTreeSet;

    const STEP: usize = 7;

    fn renewed(index: &mut Index, rows: &Rows, complete: bool) -> Vec<Delta> {
        let mut renewal = index.renew(PEER, rows, complete);
        while index.step(&mut renewal, STEP) {}
        index.renewed(renewal)
    }

    fn summed(deltas: &[Delta]) -> [usize; 5] {
        let mut sums = [0; 5];
        for delta in deltas {
            let [added, changed, removed, unchanged] = counts(delta);
            let one = [added, changed, removed, unchanged, delta.dropped];
            sums.iter_mut().zip(one).for_each(|(sum, one)| *sum += one);
        }
        sums
    }

    fn told<'a>(all: impl Iterator<Item = &'a Rows>) -> BTreeSet<Vec<String>> {
        let texts =
            |rows: &'a Rows| (0..rows.len()).map(|row| rows.row(row).map(str::to_owned).to_vec());
        all.flat_map(texts).collect()
    }

    fn answer(noise: &mut Noise) -> Rows {
        let name = |number: u64| {
            format!(
                "44010600{}0000{number:06}",
                ["20", "13"][usize::from(number > 9)]
            )
        };
        let count = noise.below(40);
        let lines: Vec<String> = (0..count)
            .map(|_| {
                let (one, above) = (name(noise.below(30)), name(noise.below(12)));
                let status = ["status=ON", "status=OFF", "model=x"][noise.place(3)];
                format!("{one} parent_id={above} {status} owner={}", noise.below(2))
            })
            .collect();
        rows(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Whatever comes after whatever, in steps it comes to the same as at once.
    #[test]
    fn in_steps_it_comes_to_the_same_as_at_once() {
        let mut noise = Noise(0x0dd_5eed);
        for _ in 0..100 {
            let (mut once, mut stepwise) = (Index::new(), Index::new());
            for _ in 0..6 {
                let (answer, complete) = (answer(&mut noise), noise.below(2) == 0);
                let whole = once.apply(PEER, &answer, complete);
                let parts = renewed(&mut stepwise, &answer, complete);
                assert_eq!(summed(&parts), summed(std::slice::from_ref(&whole)));
                let of = |pick: fn(&Delta) -> &Rows| told(parts.iter().map(pick));
                assert_eq!(
                    of(|delta| &delta.present),
                    told([&whole.present].into_iter())
                );
                assert_eq!(of(|delta| &delta.gone), told([&whole.gone].into_iter()));
                assert_eq!(of(|delta| &delta.former), told([&whole.former].into_iter()));
                assert_eq!(
                    told([&stepwise.rows(PEER)].into_iter()),
                    told([&once.rows(PEER)].into_iter())
                );
            }
        }
    }

    #[test]
    fn nobody_sees_any_of_it_before_the_end_and_no_step_does_more() {
        let lines: Vec<String> = (0..100).map(|number| format!("camera{number}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut index = Index::new();
        index.apply(PEER, &rows(&["old"]), true);
        index.set_online(PEER, false);
        let mut renewal = index.renew(PEER, &rows(&lines), true);
        let mut steps = 1;
        while index.step(&mut renewal, STEP) {
            steps += 1;
            assert_eq!(shown(&mut index), ["old"]);
        }
        assert_eq!(steps, 2 * 100_usize.div_ceil(STEP) + 1);
        let deltas = index.renewed(renewal);
        assert!(deltas.iter().all(|delta| delta.present.len() <= STEP));
        assert_eq!(shown(&mut index).len(), 100);
        assert_eq!(index.find(PEER, "camera7").unwrap()[STATUS], "OFF");
    }

    #[test]
    fn what_follows_finds_it_as_if_it_had_come_at_once() {
        let mut index = Index::new();
        renewed(
            &mut index,
            &rows(&[
                "group",
                "camera parent_id=group",
                "other parent_id=elsewhere",
            ]),
            true,
        );
        let delta = index.apply(PEER, &rows(&["elsewhere parent_id=group"]), false);
        assert_eq!(ids(&delta.present), ["elsewhere", "other"]);
        assert_eq!(index.place(PEER, "other").unwrap().0, "elsewhere/group");
    }

    #[test]
    fn an_answer_without_a_row_empties_a_peer_or_leaves_it_as_it_is() {
        let mut index = Index::new();
        renewed(&mut index, &rows(&["one", "two"]), true);
        assert_eq!(summed(&renewed(&mut index, &rows(&[]), false)), [0; 5]);
        assert_eq!(index.len(), 2);
        assert_eq!(summed(&renewed(&mut index, &rows(&[]), true))[2], 2);
        assert!(index.is_empty());
    }
}
