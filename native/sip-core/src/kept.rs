//! Final answers that are kept for repeated requests (timer J, RFC 3261 section 17.2.2).
//!
//! Of an answer only what the repeat can't tell is kept: status, tag, the port that its Via named, and its own
//! headers and body. The rest stands in the repeat, which has the same Via, From, To, Call-ID and `CSeq`, or it
//! would be another request. So an answer takes some 60 bytes and not 700; they lie one behind the other in
//! pages, oldest first, and a page whose answers are forgotten is given back.

use std::collections::VecDeque;

use crate::codec::MAX_DATAGRAM;
use crate::index::Index;
use crate::time::Time;

/// Answers on a page.
const PAGE: usize = 1024;
/// Bytes that an answer takes besides its headers and body: its entry here and in the index.
const ENTRY: usize = 56;
/// A page's memory is used again unless one long answer made it large.
const USUAL: usize = 512 * PAGE;

#[derive(Debug)]
struct Entry {
    key: [u64; 2], // as one number it would have to lie on sixteens
    until: Time,
    tag: u64,
    /// Where its headers begin on the page; they end where those of the next begin.
    start: u32,
    status: u16,
    port: u16,
}

#[derive(Debug, Default)]
struct Page {
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

/// What is to be said again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept<'a> {
    pub status: u16,
    pub tag: u64,
    /// The sender's, when it was answered first.
    pub port: u16,
    /// From the first header behind `CSeq` to the end of the message.
    pub tail: &'a [u8],
}

/// The answers by the key of their transaction, in the order in which they were given.
#[derive(Debug, Default)]
pub struct Answers {
    /// By half of the key: where it is, counted from the first answer ever.
    index: Index,
    pages: VecDeque<Page>,
    /// The next page, if one came back.
    spare: Option<Page>,
    /// The number of the first place of the first page.
    base: u32,
    /// Forgotten places of the first page.
    gone: usize,
    count: usize,
    bytes: usize,
}

#[allow(clippy::cast_possible_truncation)] // it is cut on purpose
fn halves(key: u128) -> [u64; 2] {
    [key as u64, (key >> 64) as u64]
}

/// The number so far behind another; numbers begin anew behind the last.
fn numbered(base: u32, behind: usize) -> u32 {
    base.wrapping_add(u32::try_from(behind).unwrap_or(0))
}

impl Page {
    fn tail(&self, place: usize) -> &[u8] {
        let end = self
            .entries
            .get(place + 1)
            .map_or(self.bytes.len(), |next| next.start as usize);
        &self.bytes[self.entries[place].start as usize..end]
    }
}

impl Answers {
    pub fn len(&self) -> usize {
        self.count
    }

    /// Bytes that are held, entries included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keep one until then, which is no earlier than for those before it. What no datagram could hold never
    /// left, and is not kept.
    pub fn keep(&mut self, key: u128, until: Time, kept: Kept<'_>) {
        if kept.tail.len() > MAX_DATAGRAM {
            return;
        }
        if self
            .pages
            .back()
            .is_none_or(|last| last.entries.len() >= PAGE)
        {
            self.pages.push_back(self.spare.take().unwrap_or_default());
        }
        let before = self.pages.len() - 1;
        let page = &mut self.pages[before];
        let Ok(start) = u32::try_from(page.bytes.len()) else {
            return; // never: a page holds fewer datagrams than that
        };
        let number = numbered(self.base, before * PAGE + page.entries.len());
        let key = halves(key);
        page.entries.push(Entry {
            key,
            until,
            tag: kept.tag,
            start,
            status: kept.status,
            port: kept.port,
        });
        page.bytes.extend_from_slice(kept.tail);
        self.count += 1;
        self.bytes += ENTRY + kept.tail.len();
        self.index.insert(key[0], number);
    }

    /// The answer to the request with this key.
    pub fn find(&self, key: u128) -> Option<Kept<'_>> {
        let key = halves(key);
        let number = self.index.find(key[0], |number| {
            let entry = self.at(number);
            entry.is_some_and(|(page, place)| page.entries[place].key == key)
        })?;
        let (page, place) = self.at(number)?;
        let entry = &page.entries[place];
        Some(Kept {
            status: entry.status,
            tag: entry.tag,
            port: entry.port,
            tail: page.tail(place),
        })
    }

    fn at(&self, number: u32) -> Option<(&Page, usize)> {
        let number = number.wrapping_sub(self.base) as usize;
        let page = self.pages.get(number / PAGE)?;
        Some((page, number % PAGE)).filter(|(page, place)| *place < page.entries.len())
    }

    /// Forget those whose time is over.
    pub fn forget(&mut self, now: Time) {
        while self.oldest().is_some_and(|oldest| oldest.until <= now) {
            self.forget_oldest();
        }
    }

    fn oldest(&self) -> Option<&Entry> {
        self.pages.front()?.entries.get(self.gone)
    }

    /// Forget the one that was given first.
    pub fn forget_oldest(&mut self) {
        let Some(page) = self.pages.front() else {
            return;
        };
        let number = numbered(self.base, self.gone);
        self.index.remove(page.entries[self.gone].key[0], number);
        self.bytes -= ENTRY + page.tail(self.gone).len();
        self.count -= 1;
        self.gone += 1;
        if self.gone == page.entries.len() {
            self.give_back_first();
        }
    }

    fn give_back_first(&mut self) {
        let Some(mut page) = self.pages.pop_front() else {
            return;
        };
        self.base = numbered(self.base, self.gone);
        self.gone = 0;
        if page.bytes.capacity() <= USUAL {
            page.entries.clear();
            page.bytes.clear();
            self.spare = Some(page);
        }
        self.index.shrink();
        self.pages.shrink_to(2 * self.pages.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> u128 {
        (number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    }

    fn keep(answers: &mut Answers, number: usize, until: f64) {
        let tail = vec![b'x'; number % 200];
        let kept = Kept {
            status: 200,
            tag: number as u64,
            port: 5060,
            tail: &tail,
        };
        answers.keep(key(number), Time::from_seconds(until), kept);
    }

    fn held(answers: &Answers, number: usize) -> bool {
        answers.find(key(number)).is_some_and(|kept| {
            assert_eq!(kept.tag, number as u64);
            assert_eq!(kept.tail, vec![b'x'; number % 200]);
            true
        })
    }

    #[test]
    fn each_is_found_whole_until_its_time_is_over() {
        let mut answers = Answers::default();
        for number in 0..5000 {
            #[allow(clippy::cast_precision_loss)] // small
            keep(&mut answers, number, number as f64);
        }
        assert!((0..5000).all(|number| held(&answers, number)));
        assert!(!held(&answers, 5000));
        answers.forget(Time::from_seconds(2999.5));
        assert_eq!(answers.len(), 2000);
        assert!((0..5000).all(|number| held(&answers, number) == (number >= 3000)));
        answers.forget_oldest();
        assert!(!held(&answers, 3000) && held(&answers, 3001));
        answers.forget(Time::NEVER);
        assert_eq!(
            (answers.len(), answers.bytes(), answers.index.len()),
            (0, 0, 0)
        );
        answers.forget_oldest();
        keep(&mut answers, 7, 9.0);
        assert!(held(&answers, 7));
    }

    #[test]
    fn what_a_storm_took_is_given_back_when_it_has_passed() {
        let mut answers = Answers::default();
        for number in 0..100_000 {
            keep(&mut answers, number, 1.0);
        }
        let most = answers.index.capacity();
        answers.forget(Time::from_seconds(1.0));
        for number in 0..10 {
            keep(&mut answers, number, 2.0);
        }
        assert!(answers.index.capacity() < most / 8);
        assert_eq!(answers.pages.len(), 1);
        assert!((0..10).all(|number| held(&answers, number)));
    }

    #[test]
    fn of_two_that_share_half_a_key_neither_is_taken_for_the_other() {
        let mut answers = Answers::default();
        let kept = |tag| Kept {
            status: 200,
            tag,
            port: 1,
            tail: b"",
        };
        answers.keep(7, Time::NEVER, kept(1));
        answers.keep(7 | 1 << 64, Time::NEVER, kept(2));
        assert_eq!(answers.find(7), Some(kept(1)));
        assert_eq!(answers.find(7 | 1 << 64), Some(kept(2)));
        answers.forget_oldest();
        assert_eq!(answers.find(7), None);
        assert_eq!(answers.find(7 | 1 << 64), Some(kept(2)));
    }

    #[test]
    fn numbers_begin_anew_behind_the_last() {
        let mut answers = Answers {
            base: u32::MAX - 1500,
            ..Answers::default()
        };
        for number in 0..9000 {
            keep(&mut answers, number, 1.0);
            if number >= 2000 {
                answers.forget_oldest();
            }
            let oldest = number.saturating_sub(1999);
            assert!(held(&answers, number) && held(&answers, oldest));
        }
        assert!((0..9000).all(|number| held(&answers, number) == (number >= 7000)));
    }

    #[test]
    fn what_never_left_is_not_kept() {
        let mut answers = Answers::default();
        let tail = vec![b'x'; MAX_DATAGRAM + 1];
        let kept = Kept {
            status: 200,
            tag: 1,
            port: 1,
            tail: &tail,
        };
        answers.keep(7, Time::NEVER, kept);
        assert_eq!((answers.find(7), answers.len()), (None, 0));
    }
}
