//! Values as canonical JSON, written straight into the line.

/// Lower-case hexadecimal digits.
pub(crate) const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes `text` as a JSON string of printable ASCII.
pub fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    // No early end: so it is done for many bytes at a time.
    if text
        .bytes()
        .fold(true, |plain, byte| plain & is_plain(byte))
    {
        out.extend_from_slice(text.as_bytes());
    } else {
        text.chars().for_each(|char| escaped(out, char));
    }
    out.push(b'"');
}

/// Seconds to the microsecond; None where the shortest text of the number is not simply its decimals.
///
/// Fifteen digits at most, so no shorter text means the same number.
pub fn seconds(value: f64) -> Option<Vec<u8>> {
    let micros = (value * 1e6).round_ties_even();
    if !(1e3..1e15).contains(&micros) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "compared above"
    )]
    let micros = micros as u64;
    let mut out = (micros / 1_000_000).to_string().into_bytes();
    out.push(b'.');
    let first = out.len();
    six_digits(&mut out, micros % 1_000_000);
    while out.len() > first + 1 && out.last() == Some(&b'0') {
        out.pop();
    }
    Some(out)
}

/// Writes the last six decimal digits.
pub(crate) fn six_digits(out: &mut Vec<u8>, number: u64) {
    for place in [100_000, 10_000, 1_000, 100, 10, 1] {
        out.push(HEX[(number / place % 10) as usize]);
    }
}

/// Does this byte stand for itself in a string?
fn is_plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\'
}

fn escaped(out: &mut Vec<u8>, char: char) {
    let short = match char {
        '"' => b'"',
        '\\' => b'\\',
        '\u{8}' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\u{c}' => b'f',
        '\r' => b'r',
        ' '..='~' => return out.push(char as u8),
        _ => {
            for unit in char.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                for shift in [12, 8, 4, 0] {
                    out.push(HEX[usize::from(*unit >> shift & 0xf)]);
                }
            }
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// A JSON object on its way; the caller gives the keys in their order.
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    /// Opens the object.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Writes a key; its value is written to what is returned.
    pub fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        text(self.out, key);
        self.out.push(b':');
        self.out
    }

    /// The same with a key of ours, which stands for itself in a string.
    pub(crate) fn ours(&mut self, key: &'static str) -> &mut Vec<u8> {
        self.out
            .extend_from_slice(if self.empty { b"\"" } else { b",\"" });
        self.empty = false;
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Closes it.
    pub fn end(self) {
        self.out.push(b'}');
    }
}

/// A JSON array on its way.
pub struct List<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> List<'a> {
    /// Opens the array.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, empty: true }
    }

    /// Where the next value is written to.
    pub fn item(&mut self) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out
    }

    /// Closes it.
    pub fn end(self) {
        self.out.push(b']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &str) -> String {
        let mut out = Vec::new();
        text(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_printable_stands_for_itself() {
        assert_eq!(
            written("44010600002000000001 ~"),
            "\"44010600002000000001 ~\""
        );
    }

    #[test]
    fn whatever_else_is_escaped_as_json_has_it() {
        assert_eq!(
            written("\"\\\u{8}\t\n\u{c}\r\0\u{1b}\u{7f}"),
            r#""\"\\\b\t\n\f\r\u0000\u001b\u007f""#
        );
        assert_eq!(
            written("路口\u{2028}😀"),
            r#""\u8def\u53e3\u2028\ud83d\ude00""#
        );
    }

    #[test]
    fn seconds_have_six_decimals_at_most() {
        let written = |value| seconds(value).map(|text| String::from_utf8(text).unwrap());
        assert_eq!(written(1_234.123_456_789).as_deref(), Some("1234.123457"));
        assert_eq!(written(999_999_999.5).as_deref(), Some("999999999.5"));
        assert_eq!(written(7.0).as_deref(), Some("7.0"));
        for odd in [0.0, 1e-6, -1.0, 1e9, f64::NAN, f64::INFINITY] {
            assert_eq!(written(odd), None, "{odd}");
        }
    }

    #[test]
    fn commas_stand_between() {
        let mut out = Vec::new();
        let mut object = Object::new(&mut out);
        object.key("a").extend_from_slice(b"1");
        let mut list = List::new(object.key("b"));
        list.item().push(b'2');
        list.item().push(b'3');
        list.end();
        object.end();
        assert_eq!(out, br#"{"a":1,"b":[2,3]}"#);
    }
}
