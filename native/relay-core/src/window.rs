//! The sequence window of one sender (after RFC 3550 appendix A.1), and an own numbering that never goes back.

use crate::admission::Refusal;

/// A step ahead up to this is loss; a longer one is a jump.
const MAX_AHEAD: u16 = 3000;
/// A step back up to this is a packet that was overtaken. Not above 127, the bits of `seen`.
const MAX_BEHIND: u16 = 100;
/// Where our own numbering starts: far enough from 0 that an overtaken first packet has a number.
const START: u64 = 1 << 32;

/// Where a packet stands among those admitted before it. Nothing changes until it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    First,
    Ahead(u16),
    Behind(u16),
    /// The second of two that follow each other after a jump: the sender starts anew there.
    Resync,
}

#[derive(Debug)]
pub(crate) struct Window {
    started: bool,
    highest: u16,
    /// Our number of `highest`: input numbers without wrapping, jumps closed.
    number: u64,
    /// Bit `n`: the packet `n` below `highest` was admitted.
    seen: u128,
    after_jump: Option<u16>,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self::after(START)
    }

    /// A window for the next sender of the same stream: its numbers continue ours.
    pub(crate) fn succeeding(&self) -> Self {
        Self::after(self.number + 1)
    }

    fn after(number: u64) -> Self {
        Self {
            started: false,
            highest: 0,
            number,
            seen: 0,
            after_jump: None,
        }
    }

    /// How many packets there are from the first to the newest, those included that did not come.
    pub(crate) fn span(&self) -> u64 {
        (self.number + u64::from(self.started)).saturating_sub(START)
    }

    pub(crate) fn judge(&self, sequence: u16) -> Result<Step, Refusal> {
        if !self.started {
            return Ok(Step::First);
        }
        let ahead = sequence.wrapping_sub(self.highest);
        let behind = self.highest.wrapping_sub(sequence);
        if ahead == 0 {
            Err(Refusal::Duplicate)
        } else if ahead <= MAX_AHEAD {
            Ok(Step::Ahead(ahead))
        } else if behind <= MAX_BEHIND {
            match self.seen >> behind & 1 {
                0 => Ok(Step::Behind(behind)),
                _ => Err(Refusal::Duplicate),
            }
        } else if self.after_jump == Some(sequence) {
            Ok(Step::Resync)
        } else {
            Err(Refusal::OutsideWindow)
        }
    }

    /// Remember a jump: if the packet after it is the next to come, the stream goes on there.
    pub(crate) fn jumped(&mut self, sequence: u16) {
        self.after_jump = Some(sequence.wrapping_add(1));
    }

    /// Count the packet as admitted; return its number. A gap in the input is the same gap in the numbers.
    pub(crate) fn commit(&mut self, sequence: u16, step: Step) -> u64 {
        self.after_jump = None;
        let ahead = match step {
            Step::Behind(behind) => {
                self.seen |= 1 << behind;
                return self.number - u64::from(behind);
            }
            Step::Ahead(ahead) => ahead,
            Step::First => 0,
            Step::Resync => {
                self.seen = 0;
                2 // the first packet after the jump was refused: it shows as one lost
            }
        };
        self.started = true;
        self.highest = sequence;
        self.number += u64::from(ahead);
        self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(window: &mut Window, sequence: u16) -> Result<u64, Refusal> {
        match window.judge(sequence) {
            Ok(step) => Ok(window.commit(sequence, step) - START),
            Err(refusal) => {
                if refusal == Refusal::OutsideWindow {
                    window.jumped(sequence);
                }
                Err(refusal)
            }
        }
    }

    #[test]
    fn gaps_stay_gaps_across_the_wrap() {
        let mut window = Window::new();
        let numbers: Vec<_> = [65_533, 65_534, 1, 2]
            .map(|it| admit(&mut window, it).unwrap())
            .into();
        assert_eq!(numbers, [0, 1, 4, 5]);
    }

    #[test]
    fn an_overtaken_packet_keeps_its_place_and_comes_once() {
        let mut window = Window::new();
        assert_eq!(admit(&mut window, 10), Ok(0));
        assert_eq!(admit(&mut window, 13), Ok(3));
        assert_eq!(admit(&mut window, 11), Ok(1));
        assert_eq!(admit(&mut window, 11), Err(Refusal::Duplicate));
        assert_eq!(admit(&mut window, 13), Err(Refusal::Duplicate));
        assert_eq!(admit(&mut window, 10), Err(Refusal::Duplicate));
        assert_eq!(admit(&mut window, 14), Ok(4));
    }

    #[test]
    fn a_jump_needs_two_that_follow_each_other() {
        let mut window = Window::new();
        assert_eq!(admit(&mut window, 0), Ok(0));
        assert_eq!(admit(&mut window, 3001), Err(Refusal::OutsideWindow));
        assert_eq!(admit(&mut window, 1), Ok(1));
        assert_eq!(
            admit(&mut window, 3002),
            Err(Refusal::OutsideWindow),
            "1 came between"
        );
        assert_eq!(admit(&mut window, 3003), Ok(3));
        assert_eq!(
            admit(&mut window, 3002),
            Ok(2),
            "the refused one may come again"
        );
        assert_eq!(admit(&mut window, 0), Err(Refusal::OutsideWindow));
        assert_eq!(admit(&mut window, 1), Ok(5), "a sender that starts again");
    }

    #[test]
    fn three_thousand_ahead_is_loss_and_a_hundred_behind_is_late() {
        let mut window = Window::new();
        assert_eq!(admit(&mut window, 5000), Ok(0));
        assert_eq!(admit(&mut window, 8000), Ok(3000));
        assert_eq!(admit(&mut window, 7900), Ok(2900));
        assert_eq!(admit(&mut window, 7899), Err(Refusal::OutsideWindow));
    }
}
