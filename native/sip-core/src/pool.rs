//! Memory of messages that are told of and then forgotten: used again, so that it is warm and nobody is asked for it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::codec::Head;
use crate::event::Message;

/// So many may come back here; more at once are of their holders alone.
const LENT: usize = 1024;
/// Longer ones do not stay.
const USUAL: usize = 4096;

/// What was handed out. Of too many that are held the oldest are their holders' for good.
#[derive(Debug, Default)]
pub struct Pool {
    lent: VecDeque<Arc<Message>>,
}

impl Pool {
    pub fn message(&mut self, bytes: Cow<'_, [u8]>, head: &Head) -> Arc<Message> {
        if bytes.len() > USUAL {
            return Arc::new(Message {
                bytes: bytes.into_owned(),
                head: *head,
            });
        }
        let message = match self.returned() {
            Some(mut message) => {
                if let Some(place) = Arc::get_mut(&mut message) {
                    place.bytes.clear();
                    place.bytes.extend_from_slice(&bytes);
                    place.head = *head;
                }
                message
            }
            None => Arc::new(Message {
                bytes: bytes.into_owned(),
                head: *head,
            }),
        };
        if self.lent.len() < LENT {
            self.lent.push_back(Arc::clone(&message));
        }
        message
    }

    /// One that nobody holds any more, if it is one of the two oldest: many that are held are not all asked.
    fn returned(&mut self) -> Option<Arc<Message>> {
        for _ in 0..2 {
            let mut oldest = self.lent.pop_front()?;
            if Arc::get_mut(&mut oldest).is_some() {
                return Some(oldest);
            }
            if self.lent.len() < LENT / 2 {
                self.lent.push_back(oldest);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(pool: &mut Pool, text: &[u8]) -> Arc<Message> {
        pool.message(Cow::Borrowed(text), &Head::default())
    }

    #[test]
    fn memory_comes_back_when_nobody_holds_it_and_never_before() {
        let mut pool = Pool::default();
        let first = take(&mut pool, b"first");
        let place = Arc::as_ptr(&first);
        let second = take(&mut pool, b"second");
        assert_ne!(Arc::as_ptr(&second), place);
        drop(first);
        let third = take(&mut pool, b"third");
        assert_eq!(
            (Arc::as_ptr(&third), &third.bytes[..]),
            (place, &b"third"[..])
        );
        assert_eq!(&second.bytes, b"second");
    }

    #[test]
    fn one_that_is_held_for_long_stops_nobody_and_long_ones_do_not_stay() {
        let mut pool = Pool::default();
        let held: Vec<_> = (0..LENT).map(|_| take(&mut pool, b"held")).collect();
        for _ in 0..2 * LENT {
            take(&mut pool, b"short");
        }
        assert!(held.iter().all(|message| message.bytes == b"held"));
        let kept = pool.lent.iter().filter(|one| one.bytes == b"held").count();
        assert!(kept <= LENT / 2, "{kept}");
        let count = pool.lent.len();
        take(&mut pool, &[b'x'; USUAL + 1]);
        assert_eq!(pool.lent.len(), count);
    }
}
