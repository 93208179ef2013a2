//! The head of a body: what decides its SIP answer before the body is read (GB/T 28181 annex A).
//!
//! A bounded scan of the first 4 KiB, tolerant of what follows the head, and safe on any bytes. In
//! all charsets that peers send, `<`, `>` and `&` are never part of another character.

/// How far a head is looked for.
const WINDOW: usize = 4096;

/// Longest names we take: of an element or command, and of a channel.
const LONGEST_NAME: usize = 64;

/// An SN that fits a 64-bit integer.
const LONGEST_SN: usize = 18;

const ROOTS: [&str; 4] = ["Control", "Query", "Notify", "Response"];

const OPERATIONS: [&str; 14] = [
    "PTZCmd",
    "TeleBoot",
    "RecordCmd",
    "GuardCmd",
    "AlarmCmd",
    "IFameCmd",
    "IFrameCmd",
    "DragZoomIn",
    "DragZoomOut",
    "HomePosition",
    "PTZPreciseCtrl",
    "DeviceUpgrade",
    "FormatSDCard",
    "TargetTrack",
];

/// Children of a `DeviceControl` that say nothing about the operation.
const COMPANIONS: [&str; 5] = ["CmdType", "SN", "DeviceID", "Info", "ExtraInfo"];

/// Root, command, SN and id of a body; all are checked text, none is empty except `operation`,
/// `source_id` and the id of a broadcast's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// `Control`, `Query`, `Notify` or `Response`, in this spelling.
    pub root: &'static str,
    pub cmd_type: String,
    /// 1 to 18 digits, as sent.
    pub sn: String,
    /// 1 to 64 printable ASCII characters; of a Broadcast notice its `TargetID`. Devices leave it out
    /// of the answer to that notice, where the SN says everything: then it is empty.
    pub device_id: String,
    /// Of a Broadcast notice who speaks, or empty.
    pub source_id: String,
    /// Of a `DeviceControl` the name of the element that says what to do, or empty.
    pub operation: String,
    /// False for a keepalive that does not say `OK`, or lists broken children (Q14).
    pub well: bool,
}

/// Read the head of `body`. None: there is none (another root, one of the four missing or unfit,
/// `<!` before the end of the head). Of repeated elements the first counts, as for every reader here.
pub fn head(body: &[u8]) -> Option<Head> {
    let (root, children) = open(&body[..body.len().min(WINDOW)])?;
    let mut found = Found::default();
    for child in children {
        found.take(&child);
        if found.complete() {
            break;
        }
    }
    let mut head = found.into_head(root)?;
    if head.root == "Notify" && head.cmd_type == "Keepalive" {
        head.well = body.len() <= WINDOW
            && find(body, b"<Status>OK</Status>").is_some()
            && find(body, b"<Info").is_none();
    }
    Some(head)
}

/// The root's name in our spelling, and its children.
pub(crate) fn open(bytes: &[u8]) -> Option<(&'static str, Children<'_>)> {
    let mut rest = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes)
        .trim_ascii_start();
    while let Some(declaration) = rest.strip_prefix(b"<?") {
        let end = find(declaration, b"?>")?;
        rest = declaration[end + 2..].trim_ascii_start();
    }
    let tag = Tag::at(rest)?;
    let root = ROOTS.into_iter().find(|root| tag.is(root))?;
    let end = if tag.empty { rest.len() } else { tag.length };
    Some((root, Children { rest: &rest[end..] }))
}

#[derive(Default)]
struct Found<'a> {
    cmd_type: Option<&'a [u8]>,
    sn: Option<&'a [u8]>,
    device_id: Option<&'a [u8]>,
    source_id: Option<&'a [u8]>,
    target_id: Option<&'a [u8]>,
    operation: Option<&'a [u8]>,
    companion: Option<&'a [u8]>,
}

impl<'a> Found<'a> {
    fn take(&mut self, child: &Child<'a>) {
        let slot = match child {
            _ if child.is("CmdType") => &mut self.cmd_type,
            _ if child.is("SN") => &mut self.sn,
            _ if child.is("DeviceID") => &mut self.device_id,
            _ if child.is("SourceID") => &mut self.source_id,
            _ if child.is("TargetID") => &mut self.target_id,
            _ if OPERATIONS.iter().any(|name| child.is(name)) => {
                self.operation.get_or_insert(child.name);
                return;
            }
            _ => {
                if !COMPANIONS.iter().any(|name| child.is(name)) {
                    self.companion.get_or_insert(child.name);
                }
                return;
            }
        };
        // A value with elements inside, or cut off, is there but unfit: it must not be passed over.
        slot.get_or_insert(child.value.unwrap_or_default());
    }

    fn is(&self, command: &[u8]) -> bool {
        self.cmd_type
            .is_some_and(|text| text.trim_ascii() == command)
    }

    fn complete(&self) -> bool {
        self.cmd_type.is_some()
            && self.sn.is_some()
            && (!self.is(b"DeviceControl") || self.operation.is_some())
            && if self.is(b"Broadcast") {
                self.device_id.is_some() || (self.source_id.is_some() && self.target_id.is_some())
            } else {
                self.device_id.is_some()
            }
    }

    fn into_head(self, root: &'static str) -> Option<Head> {
        let cmd_type = word(self.cmd_type?)?;
        let (source_id, device_id) = match (self.source_id, self.target_id, self.device_id) {
            (Some(source), Some(target), _) if cmd_type == "Broadcast" => {
                (name(source)?, name(target)?)
            }
            (None, None, None) if cmd_type == "Broadcast" && root == "Response" => {
                (String::new(), String::new())
            }
            (_, _, device_id) => (String::new(), name(device_id?)?),
        };
        let operation = match self.operation.or(self.companion) {
            Some(name) if cmd_type == "DeviceControl" => canonical(name),
            _ => String::new(),
        };
        Some(Head {
            root,
            sn: digits(self.sn?)?,
            device_id,
            source_id,
            cmd_type,
            operation,
            well: true,
        })
    }
}

fn canonical(name: &[u8]) -> String {
    OPERATIONS
        .into_iter()
        .find(|known| known.as_bytes().eq_ignore_ascii_case(name))
        .map_or_else(|| word(name).unwrap_or_default(), str::to_owned)
}

fn checked(value: &[u8], longest: usize, fits: impl Fn(&u8) -> bool) -> Option<String> {
    let value = value.trim_ascii();
    if value.is_empty() || value.len() > longest || !value.iter().all(fits) {
        return None;
    }
    String::from_utf8(value.to_vec()).ok()
}

fn word(value: &[u8]) -> Option<String> {
    checked(value, LONGEST_NAME, |byte| {
        byte.is_ascii_alphanumeric() || *byte == b'_'
    })
}

pub(crate) fn digits(value: &[u8]) -> Option<String> {
    checked(value, LONGEST_SN, u8::is_ascii_digit)
}

/// An id as a peer may write it; `&` would need a reader of references, no id has one.
pub(crate) fn name(value: &[u8]) -> Option<String> {
    checked(value, LONGEST_NAME, |byte| {
        matches!(byte, b' '..=b'~') && *byte != b'&'
    })
}

/// One child of the root. `value` is None when it holds elements or is cut off.
pub(crate) struct Child<'a> {
    name: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
}

impl Child<'_> {
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Children of the root in order; ends at the root's end, at `<!` or `<?`, or where it is unreadable.
pub(crate) struct Children<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Children<'a> {
    type Item = Child<'a>;

    fn next(&mut self) -> Option<Child<'a>> {
        let at = self.rest.iter().position(|&byte| byte == b'<')?;
        let tag = Tag::at(&self.rest[at..])?;
        self.rest = &self.rest[at + tag.length..];
        if tag.empty {
            return Some(Child {
                name: tag.name,
                value: Some(b""),
            });
        }
        let end = self
            .rest
            .iter()
            .position(|&byte| byte == b'<')
            .unwrap_or(self.rest.len());
        if let Some(length) = closing(&self.rest[end..], tag.name) {
            let value = Some(&self.rest[..end]);
            self.rest = &self.rest[end + length..];
            return Some(Child {
                name: tag.name,
                value,
            });
        }
        self.skip(end);
        Some(Child {
            name: tag.name,
            value: None,
        })
    }
}

impl Children<'_> {
    /// Go behind the end of an element whose first inner tag is at `at`; all of the rest if unreadable.
    fn skip(&mut self, at: usize) {
        let mut rest = &self.rest[at..];
        let mut depth = 1_usize;
        while depth > 0 {
            let Some(at) = rest.iter().position(|&byte| byte == b'<') else {
                rest = b"";
                break;
            };
            rest = &rest[at..];
            if rest.starts_with(b"</") {
                depth -= 1;
                let end = rest
                    .iter()
                    .position(|&byte| byte == b'>')
                    .map_or(rest.len(), |end| end + 1);
                rest = &rest[end..];
            } else if let Some(tag) = Tag::at(rest) {
                depth += usize::from(!tag.empty);
                rest = &rest[tag.length..];
            } else {
                rest = b"";
                break;
            }
        }
        self.rest = rest;
    }
}

struct Tag<'a> {
    name: &'a [u8],
    length: usize,
    empty: bool,
}

impl<'a> Tag<'a> {
    /// The opening tag at the start of `bytes`; None for anything else.
    fn at(bytes: &'a [u8]) -> Option<Self> {
        let inside = bytes.strip_prefix(b"<")?;
        let named = inside.iter().position(|byte| {
            !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        })?;
        if named == 0 || named > LONGEST_NAME {
            return None;
        }
        let mut quote = None;
        for (at, &byte) in inside.iter().enumerate().skip(named) {
            match (quote, byte) {
                (Some(open), _) => quote = quote.filter(|_| open != byte),
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'<') => return None,
                (None, b'>') => {
                    let empty = inside[at - 1] == b'/';
                    return Some(Self {
                        name: &inside[..named],
                        length: at + 2,
                        empty,
                    });
                }
                (None, _) => {}
            }
        }
        None
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Length of `</name>` at the start of `bytes`, if it stands there.
fn closing(bytes: &[u8], name: &[u8]) -> Option<usize> {
    let inside = bytes.strip_prefix(b"</")?;
    if inside.len() < name.len() || !inside[..name.len()].eq_ignore_ascii_case(name) {
        return None;
    }
    let rest = &inside[name.len()..];
    let blanks = rest
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    (rest.get(blanks) == Some(&b'>')).then_some(2 + name.len() + blanks + 1)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEPALIVE: &str = "<?xml version=\"1.0\" encoding=\"GB2312\"?>\r\n<Notify><CmdType>Keepalive</CmdType>\
        <SN>43</SN><DeviceID>44010600001180000001</DeviceID><Status>OK</Status></Notify>";

    #[test]
    fn a_keepalive_that_says_ok_and_nothing_else_is_well() {
        assert!(head(KEEPALIVE.as_bytes()).unwrap().well);
        let listed = "<Info><DeviceID>1</DeviceID></Info></Notify>";
        for body in [
            KEEPALIVE.replace("OK", "OFF"),
            KEEPALIVE.replace("<Status>OK</Status>", ""),
            KEEPALIVE.replace("</Notify>", listed),
            KEEPALIVE.replace("</Notify>", &" ".repeat(WINDOW)),
        ] {
            assert!(!head(body.as_bytes()).unwrap().well, "{body}");
        }
        assert!(
            head(
                KEEPALIVE
                    .replace("Keepalive", "Alarm")
                    .replace("OK", "x")
                    .as_bytes()
            )
            .unwrap()
            .well
        );
    }

    #[test]
    fn a_keepalive_has_a_head() {
        let head = head(KEEPALIVE.as_bytes()).unwrap();
        assert_eq!(
            (head.root, head.cmd_type.as_str(), head.sn.as_str()),
            ("Notify", "Keepalive", "43")
        );
        assert_eq!(head.device_id, "44010600001180000001");
        assert_eq!(head.operation, "");
    }

    #[test]
    fn names_of_elements_are_read_in_any_case_and_values_trimmed() {
        let head = head(
            b"<QUERY>\n<cmdtype> Catalog </cmdtype><sn>\r\n7 </sn><DeviceId>12345678</DeviceId>",
        )
        .unwrap();
        assert_eq!(
            (head.root, head.cmd_type.as_str(), head.sn.as_str()),
            ("Query", "Catalog", "7")
        );
    }

    #[test]
    fn the_order_of_elements_does_not_matter_and_inner_ones_are_not_taken() {
        let body =
            b"<Response><DeviceList><Item><DeviceID>inner</DeviceID><SN>1</SN></Item></DeviceList>\
            <DeviceID>outer</DeviceID><SN>2</SN><CmdType>Catalog</CmdType></Response>";
        assert_eq!(
            head(body).map(|head| (head.device_id, head.sn)),
            Some(("outer".into(), "2".into()))
        );
    }

    #[test]
    fn the_operation_of_a_control_is_named() {
        let body = b"<Control><CmdType>DeviceControl</CmdType><SN>11</SN><DeviceID>d</DeviceID>\
            <Info><ControlPriority>5</ControlPriority></Info><ptzcmd>A50F01021F0000D6</ptzcmd></Control>";
        assert_eq!(head(body).unwrap().operation, "PTZCmd");
        let unknown = b"<Control><CmdType>DeviceControl</CmdType><SN>1</SN><DeviceID>d</DeviceID><Wipe>1</Wipe></Control>";
        assert_eq!(head(unknown).unwrap().operation, "Wipe");
    }

    #[test]
    fn a_broadcast_is_addressed_to_its_target() {
        let body = b"<Notify><CmdType>Broadcast</CmdType><SN>1</SN><SourceID>s</SourceID><TargetID>t</TargetID></Notify>";
        assert_eq!(head(body).unwrap().device_id, "t");
    }

    #[test]
    fn what_has_no_head() {
        for body in [
            &b""[..],
            b"<Foo><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>d</DeviceID></Foo>",
            b"<!DOCTYPE Query []><Query><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>d</DeviceID></Query>",
            b"<Query><CmdType>Catalog</CmdType><DeviceID>d</DeviceID></Query>",
            b"<Query><CmdType>Catalog</CmdType><SN>+1</SN><DeviceID>d</DeviceID></Query>",
            b"<Query><CmdType>Catalog</CmdType><SN>x</SN><SN>1</SN><DeviceID>d</DeviceID></Query>",
            b"<Query><!--<SN>1</SN>--><CmdType>Catalog</CmdType><DeviceID>d</DeviceID></Query>",
            b"<Query/><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>d</DeviceID>",
            b"<Query><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>\xc3\xc5</DeviceID></Query>",
        ] {
            assert_eq!(head(body), None, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn nothing_is_read_beyond_four_kilobytes() {
        let body = format!(
            "<Query><X>{}</X><CmdType>Catalog</CmdType><SN>1</SN><DeviceID>d</DeviceID>",
            "x".repeat(WINDOW)
        );
        assert_eq!(head(body.as_bytes()), None);
    }
}
