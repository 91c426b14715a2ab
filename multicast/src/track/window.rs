//! Which of the last few thousand numbers were heard: one bit each, in a ring.

/// How far back a number can still be told late from twice, in messages.
pub const WINDOW: u64 = 4096;

const WORDS: usize = 64;

/// One bit for each of the last [`WINDOW`] numbers.
#[derive(Clone, Debug)]
pub(super) struct Window([u64; WORDS]);

impl Default for Window {
    fn default() -> Self {
        Window([0; WORDS])
    }
}

impl Window {
    /// Whether `number` was marked since the ring last passed it.
    pub(super) fn holds(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.0[word] & bit != 0
    }

    pub(super) fn mark(&mut self, number: u64) {
        let (word, bit) = place(number);
        self.0[word] |= bit;
    }

    /// The numbers from `from` up to, not including, `to` come into the window unheard.
    pub(super) fn open(&mut self, from: u64, to: u64) {
        if to.saturating_sub(from) >= WINDOW {
            self.0 = [0; WORDS];
            return;
        }
        for number in from..to {
            let (word, bit) = place(number);
            self.0[word] &= !bit;
        }
    }
}

fn place(number: u64) -> (usize, u64) {
    let slot = number % WINDOW;
    (usize::try_from(slot / 64).unwrap_or(0), 1 << (slot % 64))
}
