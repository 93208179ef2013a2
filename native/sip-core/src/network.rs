//! Allowed sources, as CIDR.

use std::net::IpAddr;
use std::str::FromStr;

/// An address range such as `203.0.113.0/24` or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    v6: bool,
    base: u128,
    mask: u128,
}

fn number(address: IpAddr) -> (bool, u128) {
    match address.to_canonical() {
        IpAddr::V4(address) => (false, u128::from(address.to_bits())),
        IpAddr::V6(address) => (true, address.to_bits()),
    }
}

/// The same for an IPv4 address and its mapped form.
pub(crate) fn octets(address: IpAddr) -> [u8; 16] {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        let (v6, bits) = number(address);
        v6 == self.v6 && bits & self.mask == self.base
    }
}

impl FromStr for Network {
    type Err = String;

    /// Bits behind the prefix may be set, as people write `192.0.2.9/24` for its network.
    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("not a network: {text:?}");
        let (address, prefix) = text
            .split_once('/')
            .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.trim().parse().map_err(|_| fault())?;
        let (v6, bits) = number(address);
        let width = if v6 { 128 } else { 32 };
        let prefix: u32 = match prefix {
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().map_err(|_| fault())?
            }
            Some(_) => return Err(fault()),
            None => width,
        };
        let free = width.checked_sub(prefix).ok_or_else(fault)?;
        let all = if v6 { u128::MAX } else { u128::from(u32::MAX) };
        let mask = if free == 128 {
            0
        } else {
            (all >> free) << free
        };
        Ok(Network {
            v6,
            base: bits & mask,
            mask,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_own_addresses_and_no_others() {
        let inside = |network: &str, address: &str| {
            network
                .parse::<Network>()
                .unwrap()
                .contains(address.parse().unwrap())
        };
        assert!(inside("203.0.113.9/24", "203.0.113.255"));
        assert!(inside("203.0.113.0/24", "::ffff:203.0.113.1"));
        assert!(!inside("203.0.113.0/24", "203.0.114.0"));
        assert!(inside("0.0.0.0/0", "1.2.3.4"));
        assert!(!inside("0.0.0.0/0", "::1"));
        assert!(inside("::/0", "2001:db8::1"));
        assert!(inside("127.0.0.1", "127.0.0.1"));
        for text in [
            "",
            "x",
            "1.2.3.4/33",
            "1.2.3.4/",
            "1.2.3.4/-1",
            "1.2.3.4/+8",
            "::/129",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
