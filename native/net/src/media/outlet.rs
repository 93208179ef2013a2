//! Where packets leave: each viewer's own headers before the same payloads.

use relay_core::{Admitted, HEADER_BYTES, Port, Stream, Viewer};

use super::line::Line;
use super::worker::Socket;
use crate::train::{self, Packet};

/// Where packets leave; keeps its lists from one batch to the next.
#[derive(Default)]
pub(super) struct Outlet {
    sender: train::Sender,
    packets: Vec<Packet<HEADER_BYTES>>,
}

impl Outlet {
    /// Give each viewer its own headers before the same payloads.
    pub(super) fn send(
        &mut self,
        stream: &mut Stream<Port<Socket>>,
        bytes: &[u8],
        admitted: &[Admitted],
        mut line: Option<&mut Line>,
    ) {
        for viewer in &mut stream.viewers {
            match viewer.socket {
                Port::Own(_) => self.send_from_socket(viewer, bytes, admitted),
                Port::Trunk(number) => {
                    send_over_trunk(viewer, number, bytes, admitted, line.as_deref_mut());
                }
            }
        }
    }

    fn send_from_socket(
        &mut self,
        viewer: &mut Viewer<Port<Socket>>,
        bytes: &[u8],
        admitted: &[Admitted],
    ) {
        self.packets.clear();
        self.packets.extend(admitted.iter().filter_map(|it| {
            let (header, payload) = (viewer.header(it)?, it.payload.clone());
            Some(Packet { header, payload })
        }));
        if self.packets.is_empty() {
            return;
        }
        if let Port::Own(socket) = &mut viewer.socket {
            let merge = &mut socket.merge;
            let sent = self
                .sender
                .send(&socket.udp, bytes, &self.packets, None, merge);
            viewer.count_sent(sent.packets, sent.bytes);
            viewer.count_unsent(sent.unsent);
        }
    }
}

/// Seal them; they leave with those of other streams.
fn send_over_trunk(
    viewer: &mut Viewer<Port<Socket>>,
    number: u32,
    bytes: &[u8],
    admitted: &[Admitted],
    mut line: Option<&mut Line>,
) {
    for it in admitted {
        if let Some(header) = viewer.header(it) {
            let payload = &bytes[it.payload.clone()];
            let line = line.as_deref_mut();
            match line.and_then(|it| it.put(number, &header, payload)) {
                Some(length) => viewer.count_sent(1, length),
                None => viewer.count_unsent(1),
            }
        }
    }
}
