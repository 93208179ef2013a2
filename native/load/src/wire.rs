//! What the devices of a fleet write.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;

use sip_core::digest::{Qop, Request, Secret, authorize};

/// Digits of an id (GB/T 28181-2022 annex E).
const DIGITS: usize = 20;

/// Who the devices are and where they register.
#[derive(Debug, Clone)]
pub struct Terms {
    pub server: SocketAddr,
    pub server_id: String,
    /// Realm and host of all URIs.
    pub domain: String,
    /// Of the first device; the others count up from it.
    pub first_id: String,
    pub count: u32,
    pub password: String,
    /// Seconds a registration is asked for.
    pub expires: u32,
    /// Of what strangers make up.
    pub seed: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadTerms(pub &'static str);

impl fmt::Display for BadTerms {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl std::error::Error for BadTerms {}

/// One request of a device: what all of them need.
#[derive(Debug, Clone, Copy)]
pub struct From {
    pub device: u32,
    pub cseq: u32,
    /// Finds the answer's request again.
    pub branch: Branch,
    pub local: SocketAddr,
}

/// Of our requests; `generation` tells a slot's requests apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Branch {
    pub slot: u32,
    pub generation: u32,
}

const COOKIE: &str = "z9hG4bKfleet";

impl Branch {
    pub fn read(text: &[u8]) -> Option<Self> {
        let digits = text.strip_prefix(COOKIE.as_bytes())?;
        let digits = std::str::from_utf8(digits)
            .ok()
            .filter(|it| it.len() == 16)?;
        Some(Branch {
            slot: u32::from_str_radix(&digits[..8], 16).ok()?,
            generation: u32::from_str_radix(&digits[8..], 16).ok()?,
        })
    }
}

pub struct Writer {
    terms: Terms,
    first: u128,
    random: u64,
    text: Vec<u8>,
}

impl Writer {
    /// # Errors
    /// Something in `terms` can't stand in a message.
    pub fn new(terms: Terms) -> Result<Self, BadTerms> {
        let is_id = |id: &str| id.len() == DIGITS && id.bytes().all(|byte| byte.is_ascii_digit());
        if !is_id(&terms.first_id) || !is_id(&terms.server_id) {
            return Err(BadTerms("an id has 20 digits"));
        }
        let first: u128 = terms
            .first_id
            .parse()
            .map_err(|_| BadTerms("an id has 20 digits"))?;
        if terms.count == 0 || first + u128::from(terms.count) > 10u128.pow(20) {
            return Err(BadTerms("the ids of so many devices do not fit"));
        }
        let plain = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']')
        };
        if terms.domain.is_empty() || !terms.domain.bytes().all(plain) {
            return Err(BadTerms("the domain is no host name"));
        }
        Ok(Writer {
            random: terms.seed,
            terms,
            first,
            text: Vec::with_capacity(1024),
        })
    }

    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Which of our devices this user is.
    pub fn device_of(&self, user: &[u8]) -> Option<u32> {
        let number: u128 = std::str::from_utf8(user)
            .ok()
            .filter(|it| it.len() == DIGITS)?
            .parse()
            .ok()?;
        let device = u32::try_from(number.checked_sub(self.first)?).ok()?;
        (device < self.terms.count).then_some(device)
    }

    fn id(&self, device: u32) -> u128 {
        self.first + u128::from(device)
    }

    /// A REGISTER, with the proof that the strongest of the challenges asks for; without any of them none.
    ///
    /// # Errors
    /// A sentence: none of them can be answered.
    pub fn register(&mut self, from: From, challenges: &[&str]) -> Result<&[u8], String> {
        let id = format!("{:020}", self.id(from.device));
        let uri = format!("sip:{}@{}", self.terms.server_id, self.terms.domain);
        let proof = if challenges.is_empty() {
            None
        } else {
            let cnonce = format!("{:08x}", self.next_random() >> 32);
            let request = Request {
                method: "REGISTER",
                uri: &uri,
                cnonce: &cnonce,
                nc: 1,
                body: b"",
                qop: Qop::Both,
            };
            let secret = Secret::Password(&self.terms.password);
            Some(authorize(challenges, &id, &secret, &request)?)
        };
        self.start("REGISTER", &uri, &id, from, |text, terms| {
            put(
                text,
                format_args!("To: <sip:{id}@{}>\r\nCall-ID: {id}\r\n", terms.domain),
            );
        });
        if let Some(proof) = proof {
            put(&mut self.text, format_args!("Authorization: {proof}\r\n"));
        }
        let expires = self.terms.expires;
        put(
            &mut self.text,
            format_args!("Expires: {expires}\r\nContent-Length: 0\r\n\r\n"),
        );
        Ok(&self.text)
    }

    /// A stranger's REGISTER: an id that is nobody's or a real one, each second time with a made-up proof.
    pub fn forged(&mut self, from: From) -> &[u8] {
        let chance = self.next_random();
        let id = if chance & 1 == 0 {
            format!("{:020}", self.id(from.device))
        } else {
            format!("99{:018}", chance % 10u64.pow(18))
        };
        let uri = format!("sip:{}@{}", self.terms.server_id, self.terms.domain);
        self.start("REGISTER", &uri, &id, from, |text, terms| {
            put(
                text,
                format_args!(
                    "To: <sip:{id}@{}>\r\nCall-ID: {chance:016x}\r\n",
                    terms.domain
                ),
            );
        });
        if chance & 2 == 0 {
            let (realm, made_up) = (self.terms.domain.clone(), self.next_random());
            put(
                &mut self.text,
                format_args!(
                    "Authorization: Digest username=\"{id}\", realm=\"{realm}\", nonce=\"{made_up:032x}\", \
                     uri=\"{uri}\", response=\"{made_up:032x}\", algorithm=MD5\r\n"
                ),
            );
        }
        self.text
            .extend_from_slice(b"Expires: 3600\r\nContent-Length: 0\r\n\r\n");
        &self.text
    }

    /// A Keepalive (GB/T 28181-2016 A.2.5.2).
    pub fn keepalive(&mut self, from: From) -> &[u8] {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"GB2312\"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n\
             <SN>{}</SN>\r\n<DeviceID>{:020}</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n",
            from.cseq,
            self.id(from.device),
        );
        self.message(from, &body)
    }

    /// The answer to a Catalog query: the device, which is its only channel (A.2.6.7).
    pub fn catalog(&mut self, from: From, sn: u32) -> &[u8] {
        let id = format!("{:020}", self.id(from.device));
        let (server, civil) = (&self.terms.server_id, &id[..6]);
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"GB2312\"?>\r\n<Response>\r\n<CmdType>Catalog</CmdType>\r\n\
             <SN>{sn}</SN>\r\n<DeviceID>{id}</DeviceID>\r\n<SumNum>1</SumNum>\r\n<DeviceList Num=\"1\">\r\n\
             <Item>\r\n<DeviceID>{id}</DeviceID>\r\n<Name>Camera {}</Name>\r\n<Manufacturer>Fleet</Manufacturer>\r\n\
             <Model>M</Model>\r\n<Owner>O</Owner>\r\n<CivilCode>{civil}</CivilCode>\r\n<Address>A</Address>\r\n\
             <Parental>0</Parental>\r\n<ParentID>{server}</ParentID>\r\n<SafetyWay>0</SafetyWay>\r\n\
             <RegisterWay>1</RegisterWay>\r\n<Secrecy>0</Secrecy>\r\n<Status>ON</Status>\r\n</Item>\r\n\
             </DeviceList>\r\n</Response>\r\n",
            from.device + 1,
        );
        self.message(from, &body)
    }

    fn message(&mut self, from: From, body: &str) -> &[u8] {
        let id = format!("{:020}", self.id(from.device));
        let uri = format!("sip:{}@{}", self.terms.server_id, self.terms.domain);
        self.start("MESSAGE", &uri, &id, from, |text, _| {
            put(
                text,
                format_args!("To: <{uri}>\r\nCall-ID: {}-{id}\r\n", from.cseq),
            );
        });
        put(
            &mut self.text,
            format_args!(
                "Content-Type: Application/MANSCDP+xml\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
        );
        &self.text
    }

    fn start(
        &mut self,
        method: &str,
        uri: &str,
        id: &str,
        from: From,
        middle: impl FnOnce(&mut Vec<u8>, &Terms),
    ) {
        let (local, domain) = (from.local, &self.terms.domain);
        let Branch { slot, generation } = from.branch;
        let text = &mut self.text;
        text.clear();
        put(
            text,
            format_args!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch={COOKIE}{slot:08x}{generation:08x}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:{id}@{domain}>;tag={}\r\n",
                from.device
            ),
        );
        middle(text, &self.terms);
        put(
            text,
            format_args!(
                "CSeq: {} {method}\r\nContact: <sip:{id}@{local}>\r\n",
                from.cseq
            ),
        );
    }

    /// splitmix64: good enough for what strangers make up.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn put(text: &mut Vec<u8>, arguments: fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .expect("writing to memory never fails");
}

/// The SN of a Catalog query, if `body` is one.
pub fn catalog_query(body: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(body).ok()?; // an id, a number and names of elements
    let inside = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once('<').map(|(value, _)| value.trim())
    };
    (text.contains("<Query>") && inside("CmdType")? == "Catalog")
        .then(|| inside("SN")?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_core::codec;

    pub fn terms() -> Terms {
        Terms {
            server: "127.0.0.1:5060".parse().unwrap(),
            server_id: "44010000002000000001".to_owned(),
            domain: "4401000000".to_owned(),
            first_id: "44010700001180000000".to_owned(),
            count: 1000,
            password: "secret".to_owned(),
            expires: 3600,
            seed: 7,
        }
    }

    fn from() -> From {
        From {
            device: 12,
            cseq: 3,
            branch: Branch {
                slot: 5,
                generation: 0xab,
            },
            local: "127.0.0.1:9".parse().unwrap(),
        }
    }

    #[test]
    fn what_devices_write_is_read_by_the_codec() {
        let mut writer = Writer::new(terms()).unwrap();
        let challenge = "Digest realm=\"4401000000\", nonce=\"abc\", qop=\"auth\"";
        let register = writer.register(from(), &[challenge]).unwrap().to_vec();
        let keepalive = writer.keepalive(from()).to_vec();
        let catalog = writer.catalog(from(), 17).to_vec();
        let forged = writer.forged(from()).to_vec();
        for (bytes, method) in [
            (&register, "REGISTER"),
            (&keepalive, "MESSAGE"),
            (&catalog, "MESSAGE"),
            (&forged, "REGISTER"),
        ] {
            let head = codec::parse(bytes).expect("a message");
            assert_eq!(head.method(bytes), method.as_bytes());
            assert_eq!(head.beyond, 0);
            assert_eq!(Branch::read(head.via.branch.of(bytes)), Some(from().branch));
        }
        let head = codec::parse(&register).unwrap();
        assert!(head.has_authorization());
        assert_eq!(head.expires(&register), Some(3600));
        let user = codec::values::uri_user(&register, head.from_uri);
        assert_eq!(writer.device_of(user.of(&register)), Some(12));
        assert_eq!(writer.device_of(b"44010700001180001000"), None);
    }

    #[test]
    fn a_catalog_query_is_told_from_everything_else() {
        let query =
            b"<?xml version=\"1.0\"?>\n<Query>\n<CmdType>Catalog</CmdType>\n<SN>42</SN>\n</Query>";
        assert_eq!(catalog_query(query), Some(42));
        assert_eq!(
            catalog_query(b"<Query><CmdType>DeviceInfo</CmdType><SN>4</SN></Query>"),
            None
        );
        assert_eq!(
            catalog_query(b"<Query><CmdType>Catalog</CmdType></Query>"),
            None
        );
        assert_eq!(catalog_query(b"\xff"), None);
    }

    #[test]
    fn terms_that_can_not_be_written_are_refused() {
        for bad in [
            Terms {
                first_id: "1".to_owned(),
                ..terms()
            },
            Terms {
                count: 0,
                ..terms()
            },
            Terms {
                domain: "a b".to_owned(),
                ..terms()
            },
        ] {
            assert!(Writer::new(bad).is_err());
        }
    }
}
