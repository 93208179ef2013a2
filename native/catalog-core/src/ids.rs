//! What an id tells (GB/T 28181-2016 annex D); most ids of the field tell nothing, and are kept.

/// Longest name of a peer for a thing, in characters, as in `cascade.model.ids.PeerName`.
pub(crate) const MAX_NAME: usize = 64;

/// Whether a peer may call something this: 1 to 64 printable characters, trimmed (Q10).
///
/// Narrower than Python's `str.isprintable`, whose table is of another Unicode edition: ASCII,
/// Latin letters, Chinese, and full-width forms.
pub(crate) fn is_name(text: &str) -> bool {
    let printable = |letter: char| matches!(letter, ' '..='~' | '\u{c0}'..='\u{24f}' | '\u{4e00}'..='\u{9fff}' | '\u{ff01}'..='\u{ff5e}');
    !text.is_empty()
        && text.trim().len() == text.len()
        && text.chars().all(printable)
        && text.chars().count() <= MAX_NAME
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An administrative division: 2, 4, 6 or 8 digits (annex E).
pub(crate) fn is_area(id: &str) -> bool {
    matches!(id.len(), 2 | 4 | 6 | 8) && is_digits(id)
}

/// The 20 digits that every platform understands.
pub(crate) fn is_regular(id: &str) -> bool {
    id.len() == 20 && is_digits(id)
}

/// Digits 11 to 13 of a regular id.
pub(crate) fn kind(id: &str) -> Option<u16> {
    is_regular(id).then(|| id[10..13].parse().ok())?
}

/// The division that a `CivilCode` points at: digits, right-hand zero pairs trimmed
/// (`440106000000` is 440106). None for what is none, such as a word.
pub(crate) fn area_of_civil_code(code: &str) -> Option<&str> {
    if !matches!(code.len(), 2 | 4 | 6 | 8 | 10 | 12) || !is_digits(code) {
        return None;
    }
    let mut end = code.len();
    while end > 2 && &code[end - 2..end] == "00" {
        end -= 2;
    }
    Some(&code[..end.min(8)])
}

/// A division and those around it, the nearest first: 440106, 4401, 44.
pub(crate) fn areas_upward(area: &str) -> impl Iterator<Item = &str> {
    (1..=area.len() / 2)
        .rev()
        .map(move |pairs| &area[..2 * pairs])
}

/// Place of a thing in a list that goes upward: systems, divisions, business groups, virtual
/// organisations, devices, channels. What tells nothing stands among the channels.
pub(crate) fn class(id: &str) -> u8 {
    if is_area(id) {
        return AREA_CLASS;
    }
    match kind(id) {
        Some(200) => 0,
        Some(215) => 2,
        Some(216) => 3,
        Some(131..=199) | None => 5,
        Some(_) => 4,
    }
}

pub(crate) const AREA_CLASS: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printable_and_trimmed() {
        for name in [
            "1",
            "34020000001320000001",
            "cam 1",
            "模",
            &"9".repeat(64),
            "Ａ１",
        ] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            " 1",
            "1\n",
            "\u{ad}",
            "\u{3000}",
            "\u{e000}",
            "\u{fffd}",
            &"9".repeat(65),
        ] {
            assert!(!is_name(name), "{name:?}");
        }
    }

    #[test]
    fn a_kind_needs_all_twenty_digits() {
        assert_eq!(kind("34020000001320000001"), Some(132));
        assert_eq!(kind("3402000000132000000"), None);
        assert_eq!(kind("3402000000132000000x"), None);
        assert_eq!(kind("模模模模模模xx"), None);
    }

    #[test]
    fn a_civil_code_loses_its_zero_pairs() {
        for (code, area) in [
            ("440106", Some("440106")),
            ("44010600", Some("440106")),
            ("440106000000", Some("440106")),
            ("440000", Some("44")),
            ("440106001002", Some("44010600")),
            ("00", Some("00")),
            ("44010", None),
            ("CivilCode", None),
            ("", None),
        ] {
            assert_eq!(area_of_civil_code(code), area, "{code}");
        }
    }

    #[test]
    fn areas_go_upward_from_the_nearest() {
        assert!(areas_upward("440106").eq(["440106", "4401", "44"]));
        assert!(areas_upward("44").eq(["44"]));
    }

    #[test]
    fn classes_stand_in_the_order_of_sending() {
        let ids = [
            "44010600002000000001",
            "4401",
            "44010600002150000001",
            "44010600002160000001",
            "44010600001180000001",
            "44010600001320000001",
        ];
        let classes: Vec<u8> = ids.iter().map(|id| class(id)).collect();
        assert_eq!(classes, [0, 1, 2, 3, 4, 5]);
        assert_eq!(class("camera-1"), 5);
    }
}
