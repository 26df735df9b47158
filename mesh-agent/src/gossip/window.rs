//! Which datagrams of a sender have been taken already.

/// How far apart datagrams may overtake one another. A sender numbers what it sends to anybody, so
/// this has to hold what it sends to all others between two datagrams to one; a message of the
/// greatest size is some sixty.
pub(super) const WINDOW: u64 = 1_024;

const WORDS: usize = (WINDOW / 64) as usize;

/// The numbers that have been taken, of the last [`WINDOW`] up to the greatest.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// The greatest number taken; 0 when there is none, so numbers begin at 1.
    greatest: u64,
    /// A bit for each number in `greatest - WINDOW + 1 ..= greatest`, at its remainder.
    taken: [u64; WORDS],
}

impl Window {
    /// Takes a number, unless it was taken before or is too old for that to be known.
    pub(super) fn take(&mut self, number: u64) -> bool {
        if number == 0 || number.saturating_add(WINDOW) <= self.greatest {
            return false;
        }
        if number > self.greatest {
            if number - self.greatest >= WINDOW {
                self.taken = [0; WORDS];
            } else {
                for passed in self.greatest + 1..number {
                    let (word, bit) = place(passed);
                    self.taken[word] &= !bit;
                }
            }
            let (word, bit) = place(number);
            self.taken[word] |= bit;
            self.greatest = number;
            return true;
        }
        let (word, bit) = place(number);
        let is_new = self.taken[word] & bit == 0;
        self.taken[word] |= bit;
        is_new
    }
}

const fn place(number: u64) -> (usize, u64) {
    let at = number % WINDOW;
    ((at / 64) as usize, 1 << (at % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_number_is_taken_once() {
        let mut window = Window::default();
        assert!(!window.take(0));
        assert!(window.take(1) && !window.take(1));
        assert!(window.take(3) && window.take(2) && !window.take(2));
        assert!(window.take(u64::MAX) && !window.take(u64::MAX) && !window.take(4));
    }

    #[test]
    fn the_window_ends_where_it_says() {
        let mut window = Window::default();
        assert!(window.take(WINDOW + 1));
        assert!(!window.take(1), "one past the window");
        assert!(window.take(2), "the last that the window holds");
    }

    #[test]
    fn it_agrees_with_a_set() {
        let seed = 0x5eed_u64;
        println!("seed {seed:#x}");
        let (mut state, mut window) = (seed, Window::default());
        let (mut taken, mut greatest) = (BTreeSet::new(), 0_u64);
        for _ in 0..200_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let step = (state >> 33) % 2_400;
            let number = (greatest + 1_200).saturating_sub(step).max(1);
            let expected = number + WINDOW > greatest && taken.insert(number);
            greatest = greatest.max(number);
            assert_eq!(window.take(number), expected, "{number} after {greatest}");
        }
    }
}
