//! Which rows a rule list admits. Compiled once, asked for every row.
//!
//! The first rule that fits decides. A rule's selectors are spread over tables that each give the
//! first rule of their kind, so that a row costs a look at its id and at each element of its
//! branch, however many rules there are.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;

use crate::fields::{BRANCH, OWNER};
use crate::rows::Rows;

/// Refuses what no rule is about.
const DEFAULT: &str = "default";

/// An id as annex D has it, and where its digits 11 to 13 are, which say what it is of.
const ID_DIGITS: usize = 20;
const CLASS: Range<usize> = 10..13;

/// A selector string that can't be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSelector(pub String);

impl fmt::Display for BadSelector {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            to,
            "not a selector: {:?} (\"*\", \"id:…\", \"prefix:…\" with digits, \"class:…\" with three, \"branch:…\", or \"owner:…\")",
            self.0
        )
    }
}

impl std::error::Error for BadSelector {}

/// One rule as it is written: its id, whether it allows, the selectors any of which may fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleText {
    pub id: String,
    pub allow: bool,
    pub selectors: Vec<String>,
}

/// What `Rows::select` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    pub admitted: Rows,
    /// How many rows each rule refused, "default" for those that no rule is about.
    pub refused: BTreeMap<String, usize>,
}

/// A rule list: the first rule that fits decides, and nothing is refused by "default".
#[derive(Debug, Clone, Default)]
pub struct Selector {
    verdicts: Vec<(bool, String)>,
    ids: HashMap<Box<str>, usize>,
    branches: HashMap<Box<str>, usize>,
    /// By the digits that say it.
    classes: HashMap<Box<str>, usize>,
    /// By the whole text of the field.
    owners: HashMap<Box<str>, usize>,
    prefixes: Prefixes,
    /// The first rule for everything.
    all: Option<usize>,
}

impl Selector {
    /// # Errors
    /// The first selector string that is none.
    pub fn new(rules: impl IntoIterator<Item = RuleText>) -> Result<Self, BadSelector> {
        let mut made = Self::default();
        let mut prefixes = BTreeMap::new();
        for (number, rule) in rules.into_iter().enumerate() {
            for selector in rule.selectors {
                match selector.split_once(':') {
                    None if selector == "*" => {
                        made.all.get_or_insert(number);
                    }
                    Some(("id", id)) if !id.is_empty() => {
                        made.ids.entry(id.into()).or_insert(number);
                    }
                    Some(("branch", id)) if !id.is_empty() && !id.contains('/') => {
                        made.branches.entry(id.into()).or_insert(number);
                    }
                    Some(("class", digits)) if is_digits(digits) && digits.len() == CLASS.len() => {
                        made.classes.entry(digits.into()).or_insert(number);
                    }
                    Some(("owner", owner)) if !owner.is_empty() => {
                        made.owners.entry(owner.into()).or_insert(number);
                    }
                    Some(("prefix", digits)) if is_digits(digits) => {
                        prefixes.entry(digits.into()).or_insert(number);
                    }
                    _ => return Err(BadSelector(selector)),
                }
            }
            made.verdicts.push((rule.allow, rule.id));
        }
        made.prefixes = Prefixes::new(prefixes);
        Ok(made)
    }

    /// Whether a row with this id, branch and owner passes, and the rule that says so.
    pub fn judge(&self, id: &str, branch: &str, owner: &str) -> (bool, &str) {
        self.verdict(self.first(id, branch, owner))
    }

    /// The first rule that fits.
    fn first(&self, id: &str, branch: &str, owner: &str) -> Option<usize> {
        let within = |id| self.branches.get(id);
        let mut found = [self.all, self.ids.get(id).copied(), self.prefixes.first(id)]
            .into_iter()
            .flatten()
            .min();
        if !self.classes.is_empty() {
            let rule = class_of(id).and_then(|class| self.classes.get(class));
            found = rule.copied().into_iter().chain(found).min();
        }
        if !self.owners.is_empty() {
            found = self
                .owners
                .get(owner)
                .copied()
                .into_iter()
                .chain(found)
                .min();
        }
        if !self.branches.is_empty() {
            let named = branch.split('/').filter_map(within).chain(within(id));
            found = named.copied().chain(found).min();
        }
        found
    }

    fn verdict(&self, rule: Option<usize>) -> (bool, &str) {
        rule.map_or((false, DEFAULT), |rule| {
            let (allow, id) = &self.verdicts[rule];
            (*allow, id)
        })
    }
}

/// For each prefix the first rule that names it or a shorter one that it begins with.
#[derive(Debug, Clone, Default)]
struct Prefixes {
    /// In the order of their text.
    sorted: Vec<Prefix>,
}

#[derive(Debug, Clone)]
struct Prefix {
    digits: Box<str>,
    rule: usize,
    /// Where the longest shorter one stands that this one begins with.
    within: Option<usize>,
}

impl Prefixes {
    fn new(rules: BTreeMap<Box<str>, usize>) -> Self {
        let mut made = Self::default();
        for (digits, rule) in rules {
            let within = made.longest(&digits);
            let above = within.map_or(rule, |at| made.sorted[at].rule);
            made.sorted.push(Prefix {
                digits,
                rule: rule.min(above),
                within,
            });
        }
        made
    }

    fn first(&self, id: &str) -> Option<usize> {
        self.longest(id).map(|at| self.sorted[at].rule)
    }

    /// Where the longest prefix of `id` stands. All texts between a prefix of `id` and `id` itself
    /// begin with that prefix, so it is the last text that is not greater, or one of those within
    /// which that one is.
    fn longest(&self, id: &str) -> Option<usize> {
        let not_greater = self.sorted.partition_point(|prefix| *prefix.digits <= *id);
        let mut at = not_greater.checked_sub(1);
        while let Some(prefix) = at.map(|at| &self.sorted[at]) {
            if id.starts_with(&*prefix.digits) {
                break;
            }
            at = prefix.within;
        }
        at
    }
}

/// The kind of what has this id (annex D), None where that is no id of 20 digits.
fn class_of(id: &str) -> Option<&str> {
    (id.len() == ID_DIGITS && is_digits(id)).then(|| &id[CLASS])
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Rows {
    /// The admitted rows in their order, and how many of the others each rule refused.
    pub fn select(&self, selector: &Selector) -> Selection {
        let mut admitted = Vec::with_capacity(self.len());
        let mut refused: BTreeMap<Option<usize>, usize> = BTreeMap::new();
        for row in 0..self.len() {
            let rule = selector.first(self.id(row), self.get(row, BRANCH), self.get(row, OWNER));
            if selector.verdict(rule).0 {
                admitted.push(row);
            } else {
                *refused.entry(rule).or_default() += 1;
            }
        }
        let all = admitted.len() == self.len();
        let mut by_id = BTreeMap::new();
        for (rule, count) in refused {
            *by_id
                .entry(selector.verdict(rule).1.to_owned())
                .or_default() += count;
        }
        Selection {
            admitted: if all {
                self.clone()
            } else {
                self.pick(admitted)
            },
            refused: by_id,
        }
    }
}
