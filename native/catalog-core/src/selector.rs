//! Which rows a rule list admits. Compiled once, asked for every row.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use crate::fields::BRANCH;
use crate::rows::Rows;

/// Refuses what no rule is about.
const DEFAULT: &str = "default";

/// A selector string that can't be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSelector(pub String);

impl fmt::Display for BadSelector {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            to,
            "not a selector: {:?} (\"*\", \"id:…\", \"prefix:…\" with digits, or \"branch:…\")",
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
#[derive(Debug, Clone)]
pub struct Selector {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Default)]
struct Rule {
    id: String,
    allow: bool,
    all: bool,
    ids: HashSet<Box<str>>,
    branches: HashSet<Box<str>>,
    prefixes: Vec<Box<str>>,
}

impl Selector {
    /// # Errors
    /// The first selector string that is none.
    pub fn new(rules: impl IntoIterator<Item = RuleText>) -> Result<Self, BadSelector> {
        let rules = rules
            .into_iter()
            .map(Rule::compile)
            .collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// Whether a row with this id and branch passes, and the rule that says so.
    pub fn judge(&self, id: &str, branch: &str) -> (bool, &str) {
        let rule = self.rules.iter().find(|rule| rule.fits(id, branch));
        rule.map_or((false, DEFAULT), |rule| (rule.allow, &rule.id))
    }
}

impl Rule {
    fn compile(text: RuleText) -> Result<Self, BadSelector> {
        let mut rule = Self {
            id: text.id,
            allow: text.allow,
            ..Self::default()
        };
        for selector in text.selectors {
            match selector.split_once(':') {
                None if selector == "*" => rule.all = true,
                Some(("id", id)) if !id.is_empty() => drop(rule.ids.insert(id.into())),
                Some(("branch", id)) if !id.is_empty() && !id.contains('/') => {
                    rule.branches.insert(id.into());
                }
                Some(("prefix", digits)) if is_digits(digits) => rule.prefixes.push(digits.into()),
                _ => return Err(BadSelector(selector)),
            }
        }
        Ok(rule)
    }

    fn fits(&self, id: &str, branch: &str) -> bool {
        self.all
            || self.ids.contains(id)
            || self.prefixes.iter().any(|prefix| id.starts_with(&**prefix))
            || (!self.branches.is_empty()
                && (self.branches.contains(id)
                    || branch.split('/').any(|id| self.branches.contains(id))))
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl Rows {
    /// The admitted rows in their order, and how many of the others each rule refused.
    pub fn select(&self, selector: &Selector) -> Selection {
        let mut admitted = Vec::with_capacity(self.len());
        let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
        for row in 0..self.len() {
            match selector.judge(self.id(row), self.get(row, BRANCH)) {
                (true, _) => admitted.push(row),
                (false, rule) => *refused.entry(rule).or_default() += 1,
            }
        }
        let all = admitted.len() == self.len();
        Selection {
            admitted: if all {
                self.clone()
            } else {
                self.pick(admitted)
            },
            refused: refused
                .into_iter()
                .map(|(rule, count)| (rule.to_owned(), count))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::RowsBuilder;
    use crate::fields::{FIELD_COUNT, ID};

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
            assert_eq!(selector.judge(id, branch), verdict, "{id} in {branch}");
        }
        assert_eq!(
            Selector::new([]).unwrap().judge("1", "2"),
            (false, "default")
        );
    }

    #[test]
    fn a_star_fits_everything() {
        let selector = Selector::new([rule("all", true, &["*"])]).unwrap();
        assert_eq!(selector.judge("", ""), (true, "all"));
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
}
