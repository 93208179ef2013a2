//! The rows of one peer in the index. Few of them rest as one batch; only while something is done to them,
//! or while there are many, stands the table around them by which a row is found, joined and put away.

use std::sync::Arc;

use crate::packed;
use crate::peer::Peer;
use crate::rows::Rows;

/// Of one peer: whether it is there, and what it has.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) online: bool,
    kin: Kin,
}

#[derive(Debug)]
enum Kin {
    Few(Rows),
    Many(Box<Peer>),
}

/// Some of the rows of a batch.
pub(crate) type Live<'a> = (&'a Rows, Box<dyn Iterator<Item = u32> + 'a>);

impl Default for Held {
    fn default() -> Self {
        Self {
            online: true,
            kin: Kin::Few(Rows::default()),
        }
    }
}

impl Held {
    pub(crate) fn len(&self) -> usize {
        match &self.kin {
            Kin::Few(rows) => rows.len(),
            Kin::Many(peer) => peer.family.len(),
        }
    }

    /// Does it say no more than what is taken of a peer of which nothing is known?
    pub(crate) fn says_nothing(&self) -> bool {
        self.online && matches!(&self.kin, Kin::Few(rows) if rows.is_empty())
    }

    /// The batch in which a row stands, and where in it.
    pub(crate) fn find(&self, id: &str) -> Option<(&Rows, usize)> {
        match &self.kin {
            Kin::Few(rows) => (0..rows.len())
                .find(|&row| rows.id(row) == id)
                .map(|row| (rows, row)),
            Kin::Many(peer) => peer.family.find(id).map(|slot| peer.family.place(slot)),
        }
    }

    /// All of them in one batch.
    pub(crate) fn rows(&self) -> Rows {
        match &self.kin {
            Kin::Few(rows) => rows.clone(),
            Kin::Many(peer) => peer.family.rows(peer.family.slots()),
        }
    }

    /// Every batch, with the numbers of the rows of it that are there.
    pub(crate) fn batches(&self) -> Box<dyn Iterator<Item = Live<'_>> + '_> {
        match &self.kin {
            Kin::Few(rows) => {
                let numbers: Box<dyn Iterator<Item = u32>> =
                    Box::new(0..u32::try_from(rows.len()).unwrap_or(u32::MAX));
                Box::new((!rows.is_empty()).then_some((rows, numbers)).into_iter())
            }
            Kin::Many(peer) => Box::new(peer.family.batches().map(|(rows, live)| {
                let live: Box<dyn Iterator<Item = u32>> = Box::new(live);
                (rows, live)
            })),
        }
    }

    /// Every row: the batch in which it stands, and where in it.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&Rows, usize)> {
        self.batches()
            .flat_map(|(rows, live)| live.map(move |row| (rows, row as usize)))
    }

    /// It has these instead; few rest.
    pub(crate) fn renew(&mut self, peer: Peer) {
        self.kin = if peer.family.len() <= packed::MOST {
            Kin::Few(peer.family.gathered())
        } else {
            Kin::Many(Box::new(peer))
        };
    }

    /// Do something to them; few rest again afterwards.
    pub(crate) fn stir<T>(
        &mut self,
        name: &Arc<str>,
        told: bool,
        act: impl FnOnce(&mut Peer) -> T,
    ) -> T {
        let mut peer = match std::mem::replace(&mut self.kin, Kin::Few(Rows::default())) {
            Kin::Few(rows) => Box::new(Peer::with(name, told, &rows)),
            Kin::Many(peer) => peer,
        };
        let done = act(&mut peer);
        let rests = peer.rests() && peer.family.len() <= packed::MOST;
        self.kin = if rests {
            Kin::Few(peer.family.gathered())
        } else {
            Kin::Many(peer)
        };
        done
    }
}
