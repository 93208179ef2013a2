//! What rows say of those above them, where not all of that may be told on.
//!
//! A row names others in its `ParentID`, its `BusinessGroupID` and its branch. Where the rules share a
//! camera but not the branches around it, their ids are left out of all three. In the branch a veil
//! takes their place: a word that begins with "~" and means to the reader's rules what the id meant to
//! the writer's, without saying it. Peers can't write one (`ancestry`).

use std::collections::{BTreeSet, HashMap};

use crate::ancestry::MAX_PARENTS;
use crate::builder::RowsBuilder;
use crate::fields::{BRANCH, BUSINESS_GROUP_ID, CIVIL_CODE, ID, PARENT_ID};
use crate::ids;
use crate::rows::Rows;

/// A veil begins with this, and no id in a branch does.
pub(crate) const SIGN: char = '~';

impl Rows {
    /// All ids that these rows name as above them, once each and in order. A division that a row's own
    /// `CivilCode` says is not among them: that column tells it anyway.
    pub fn named_above(&self) -> Vec<String> {
        let mut found = BTreeSet::new();
        for row in 0..self.len() {
            let own = self.get(row, CIVIL_CODE).trim();
            let branch = self.get(row, BRANCH).split('/');
            let parents = parents(self.get(row, PARENT_ID));
            let group = std::iter::once(self.get(row, BUSINESS_GROUP_ID).trim());
            for name in branch
                .filter(|name| !says(own, name))
                .chain(parents)
                .chain(group)
            {
                if !name.is_empty() && !found.contains(name) {
                    found.insert(name.to_owned());
                }
            }
        }
        found.into_iter().collect()
    }

    /// The same rows without the ids that are keys of `veils`; in the branches each id is replaced by
    /// its veil, once. Of a `ParentID` with more than eight elements the last eight are left.
    #[must_use]
    pub fn veil(&self, veils: &HashMap<String, String>) -> Self {
        if veils.is_empty() {
            return self.clone();
        }
        let mut builder = RowsBuilder::new();
        for number in 0..self.len() {
            let mut row = self.row(number);
            let branch = veiled(row[BRANCH], row[CIVIL_CODE].trim(), veils);
            let hidden = |name: &str| veils.contains_key(name.trim());
            let above: Vec<&str> = parents(row[PARENT_ID])
                .filter(|name| !hidden(name))
                .collect();
            let above = above.join("/");
            row[BRANCH] = &branch;
            if above != row[PARENT_ID] {
                row[PARENT_ID] = &above;
            }
            if hidden(row[BUSINESS_GROUP_ID]) {
                row[BUSINESS_GROUP_ID] = "";
            }
            debug_assert_eq!(row[ID], self.id(number));
            builder.push(&row);
        }
        builder.finish()
    }
}

/// The elements of a `ParentID` that are read, as they stand.
pub(crate) fn parents(text: &str) -> impl Iterator<Item = &str> {
    let passed_over = text.split('/').count().saturating_sub(MAX_PARENTS);
    text.split('/').skip(passed_over).map(str::trim)
}

/// Whether a `CivilCode` says that its row is in this division.
fn says(civil_code: &str, name: &str) -> bool {
    ids::is_area(name)
        && (civil_code == name
            || ids::area_of_civil_code(civil_code).is_some_and(|area| area.starts_with(name)))
}

fn veiled(branch: &str, civil_code: &str, veils: &HashMap<String, String>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for name in branch.split('/').filter(|name| !name.is_empty()) {
        let shown = match veils.get(name) {
            Some(veil) if !says(civil_code, name) => veil,
            _ => name,
        };
        if !seen.contains(&shown) {
            seen.push(shown);
        }
    }
    seen.join("/")
}

#[cfg(test)]
mod tests {
    use crate::fields::{BRANCH, BUSINESS_GROUP_ID, PARENT_ID};
    use crate::index::Index;
    use crate::rows::Rows;
    use crate::selector::{RuleText, Selector};
    use crate::testing::{Noise, PEER, counts, rows};
    use std::collections::HashMap;

    fn veils(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        let owned = |&(name, veil): &(&str, &str)| (name.to_owned(), veil.to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn all_that_a_row_names_above_it_is_listed_once() {
        let given = rows(&[
            "1 parent_id=a/b business_group_id=g branch=b/a/g/k civil_code=4401",
            "2 parent_id=b branch=b/4401/44 civil_code=440100",
            "3 branch=4401/44",
        ]);
        assert_eq!(given.named_above(), ["44", "4401", "a", "b", "g", "k"]);
        assert_eq!(given.slice(0, 2).named_above(), ["a", "b", "g", "k"]);
    }

    #[test]
    fn hidden_names_are_nowhere_and_their_veils_stand_in_the_branch() {
        let given = rows(&[
            "1 parent_id=a/b business_group_id=g branch=b/a/g/k/4401/44 civil_code=440106",
            "2 parent_id=b/a branch=a/b",
            "3 parent_id=c branch=c/4401/44",
        ]);
        let hidden = veils(&[("b", "~"), ("g", "~"), ("k", "~1"), ("4401", "~")]);
        let shown = given.veil(&hidden);
        assert_eq!(
            shown,
            rows(&[
                "1 parent_id=a branch=~/a/~1/4401/44 civil_code=440106",
                "2 parent_id=a branch=a/~",
                "3 parent_id=c branch=c/~/44",
            ])
        );
        assert_eq!(given.veil(&HashMap::new()), given);
    }

    #[test]
    fn elements_of_a_parent_that_nobody_reads_are_not_told_on() {
        let path = "1/2/3/4/5/6/7/8/9";
        let given = rows(&[&format!("c parent_id={path} branch=9")]);
        assert_eq!(
            given.named_above(),
            ["2", "3", "4", "5", "6", "7", "8", "9"]
        );
        let shown = given.veil(&veils(&[("4", "~")]));
        assert_eq!(shown.get(0, PARENT_ID), "2/3/5/6/7/8/9");
    }

    #[test]
    fn no_peer_can_write_a_veil() {
        let mut index = Index::new();
        let given = rows(&[
            "~1",
            "2 parent_id=~1 business_group_id=~0/x",
            "3 parent_id=2/~1",
        ]);
        index.apply(PEER, &given, true);
        assert_eq!(index.find(PEER, "2").unwrap()[BRANCH], "");
        assert_eq!(index.find(PEER, "3").unwrap()[BRANCH], "2");
    }

    #[test]
    fn an_index_of_what_is_told_keeps_the_branches_that_are_told() {
        let mut index = Index::told();
        let delta = index.apply(PEER, &rows(&["2 parent_id=1 branch=~1", "1", PEER]), false);
        assert_eq!(counts(&delta), [3, 0, 0, 0]);
        assert_eq!(index.find(PEER, "2").unwrap()[BRANCH], "~1");
        assert_eq!(index.find(PEER, "1").unwrap()[BRANCH], "");
        let delta = index.apply(PEER, &rows(&["2 parent_id=1 branch=1/~1", "1"]), false);
        assert_eq!(counts(&delta), [0, 1, 0, 1]);
        assert_eq!(delta.present, rows(&["2 parent_id=1 branch=1/~1"]));
        assert_eq!(index.remove(PEER, ["1", PEER]).present.len(), 0);
        assert_eq!(index.find(PEER, "2").unwrap()[BRANCH], "1/~1");
    }

    fn name(noise: &mut Noise) -> String {
        noise.below(9).to_string()
    }

    fn tree(noise: &mut Noise) -> Rows {
        let lines: Vec<String> = (0..9)
            .map(|id| match noise.below(4) {
                0 => format!("{id}"),
                1 => format!("{id} parent_id={}/{}", name(noise), name(noise)),
                2 => format!(
                    "{id} parent_id={} business_group_id={}",
                    name(noise),
                    name(noise)
                ),
                _ => format!("{id} parent_id={}", name(noise)),
            })
            .collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let all = rows(&lines);
        let some: Vec<usize> = (0..9).filter(|_| noise.below(5) > 0).collect();
        all.pick(some)
    }

    fn rule_list(noise: &mut Noise) -> Vec<RuleText> {
        (0..noise.below(6))
            .map(|number| RuleText {
                id: number.to_string(),
                allow: noise.below(2) == 0,
                selectors: (0..=noise.below(2))
                    .map(|_| match noise.below(6) {
                        0 => "*".to_owned(),
                        1 | 2 => format!("id:{}", name(noise)),
                        _ => format!("branch:{}", name(noise)),
                    })
                    .collect(),
            })
            .collect()
    }

    /// What a reader of veils knows beside the ids: "~5" is what a rule calls "branch:5".
    fn with_veils(rules: &[RuleText]) -> Selector {
        let more = |rule: &RuleText| {
            let mut rule = rule.clone();
            let veiled: Vec<String> = rule
                .selectors
                .iter()
                .filter_map(|selector| {
                    Some(format!("branch:~{}", selector.strip_prefix("branch:")?))
                })
                .collect();
            rule.selectors.extend(veiled);
            rule
        };
        Selector::new(rules.iter().map(more)).unwrap()
    }

    #[test]
    fn every_rule_decides_behind_the_veil_as_before_it() {
        for seed in 1..=2000 {
            let noise = &mut Noise(seed);
            let mut index = Index::new();
            index.apply(PEER, &tree(noise), true);
            let (shares, others) = (rule_list(noise), rule_list(noise));
            let share = Selector::new(shares.clone()).unwrap();
            let admitted = index.rows(PEER).select(&share).admitted;
            let mut hidden = HashMap::new();
            for above in admitted.named_above() {
                let branch = index.find(PEER, &above).map_or("", |row| row[BRANCH]);
                if !share.judge(&above, branch, "").0 {
                    hidden.insert(above.clone(), format!("~{above}"));
                }
            }
            let crossed = admitted.veil(&hidden);
            let mut beyond = Index::told();
            beyond.apply(PEER, &crossed, false);
            for row in 0..admitted.len() {
                let id = admitted.id(row);
                let told = beyond.find(PEER, id).unwrap();
                for rules in [&shares, &others] {
                    let near = Selector::new(rules.clone()).unwrap();
                    assert_eq!(
                        with_veils(rules).judge(id, told[BRANCH], ""),
                        near.judge(id, admitted.get(row, BRANCH), ""),
                        "seed {seed}: {id} by {rules:?}"
                    );
                }
                for field in [PARENT_ID, BUSINESS_GROUP_ID, BRANCH] {
                    let named = told[field].split('/');
                    assert!(
                        named.clone().all(|name| !hidden.contains_key(name)),
                        "seed {seed}"
                    );
                }
            }
        }
    }
}
