//! Where a message came from or goes to, and by which way.

use std::net::SocketAddr;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Transport {
    #[default]
    Udp = 0,
    Tcp = 1,
    Tls = 2,
}

impl Transport {
    /// As a Via writes it (RFC 3261 section 20.42).
    pub fn name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
        }
    }

    /// As a URI parameter writes it.
    pub fn parameter(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
        }
    }
}

impl std::str::FromStr for Transport {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Transport::Udp, Transport::Tcp, Transport::Tls]
            .into_iter()
            .find(|transport| transport.parameter() == text)
            .ok_or_else(|| format!("not a transport: {text:?}"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By the datagram socket with that place among the listeners.
    Datagram(u8),
    /// By that connection.
    Stream(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop {
    pub address: SocketAddr,
    pub way: Way,
    pub transport: Transport,
}

impl Hop {
    pub fn datagram(address: SocketAddr, listener: u8) -> Self {
        Hop {
            address,
            way: Way::Datagram(listener),
            transport: Transport::Udp,
        }
    }

    /// Of a connection that is not there, or not any more.
    pub fn incoming(address: SocketAddr, transport: Transport) -> Self {
        Hop {
            address,
            way: Way::Stream(0),
            transport,
        }
    }

    /// Whether what is sent arrives or its sender is told: no timers repeat it (RFC 3261 section 17).
    pub fn reliable(self) -> bool {
        self.transport != Transport::Udp
    }

    /// 0 for datagrams.
    pub fn connection(self) -> u64 {
        match self.way {
            Way::Datagram(_) => 0,
            Way::Stream(connection) => connection,
        }
    }
}
