//! What a member holds, as one fixed field: all up to a number, and a bit for each of the next 256.

use super::super::WINDOW;
use super::DecodeError;
use super::cursor::Reader;

const BYTES: usize = 32;

/// All up to `have`, some of those up to `newest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Every message up to this number is here.
    pub have: u64,
    /// The highest number known of, at most [`WINDOW`] more.
    pub newest: u64,
    /// Bit i: number `have + 1 + i` is here.
    bits: [u8; BYTES],
}

impl Held {
    /// Everything up to `have`, and the numbers in `more`; numbers further than [`WINDOW`] are not told.
    #[must_use]
    pub fn new(have: u64, newest: u64, more: impl Iterator<Item = u64>) -> Self {
        let mut held = Held { have, newest: newest.clamp(have, have.saturating_add(WINDOW)), bits: [0; BYTES] };
        for number in more.filter(|&number| number > have + 1 && number <= held.newest) {
            let (byte, bit) = place(number - have - 1);
            held.bits[byte] |= bit;
        }
        held
    }

    /// The numbers up to the newest that are not here, ascending.
    pub fn missing(&self) -> impl Iterator<Item = u64> {
        let held = *self;
        (0..held.newest - held.have).filter(move |&i| !held.has(i)).map(move |i| held.have + 1 + i)
    }

    fn has(&self, i: u64) -> bool {
        let (byte, bit) = place(i);
        self.bits[byte] & bit != 0
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.have.to_be_bytes());
        out.extend(self.newest.to_be_bytes());
        out.extend(self.bits);
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let held = Held { have: reader.u64()?, newest: reader.u64()?, bits: reader.array()? };
        let ahead = held.newest.checked_sub(held.have).filter(|&ahead| ahead <= WINDOW);
        let ahead = ahead.ok_or(DecodeError::BadField("report"))?;
        // The first is a gap, or `have` would be higher; nothing is known beyond the newest.
        let is_plain = !held.has(0) && (ahead..WINDOW).all(|i| !held.has(i));
        if is_plain && held.newest < u64::MAX { Ok(held) } else { Err(DecodeError::BadField("report")) }
    }
}

/// Byte and bit of the i-th number; i is below [`WINDOW`].
fn place(i: u64) -> (usize, u8) {
    let byte = usize::try_from(i / 8).map_or(BYTES - 1, |byte| byte.min(BYTES - 1));
    (byte, 1 << (i % 8))
}
