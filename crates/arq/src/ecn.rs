//! Explicit congestion notification (RFC 3168): a router that has a queue marks a datagram instead of dropping it.
//!
//! The sender says of its blocks that they may be marked. The receiver counts what came of that, and says so in each
//! [`Report`](crate::Report). The sender compares: where the counts fit what it sent, a mark is a word of a router and
//! congestion control hears it; where they do not, the path or a kernel keeps the bits to itself, and none is set any
//! more (RFC 9000 section 13.4).

/// The two bits of the IP header a router writes into (RFC 3168 section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codepoint {
    /// Not to be marked: where a queue is too long, it is dropped.
    #[default]
    NotEct = 0b00,
    /// May be marked, by the rules of RFC 9331. Nobody here sends it.
    Ect1 = 0b01,
    /// May be marked.
    Ect0 = 0b10,
    /// It was marked: there is a queue.
    Ce = 0b11,
}

/// How many blocks came with which codepoint since the transfer began. Each counts once, as it came first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Marks {
    /// As they were sent, [`Codepoint::Ect0`].
    pub ect0: u64,
    /// As a router marked them, [`Codepoint::Ce`].
    pub ce: u64,
}

/// What a sender knows of the marks on its path: RFC 9000 appendix A.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ecn {
    /// Nothing is said of marks: it is switched off, or nobody would slow down for one.
    #[default]
    Unused = 0,
    /// The first blocks were sent so, and nothing is known of them yet.
    Testing = 1,
    /// They come through: marks are heard.
    Capable = 2,
    /// They came, but not as they were sent: the path clears the bits, or the receiver's system does not tell.
    Cleared = 3,
    /// More are reported than were ever sent so, or fewer than before.
    Miscounted = 4,
    /// Everything comes marked, however little is sent: that is no queue.
    AllMarked = 5,
    /// None of the first came, and others did: something drops them.
    Dropped = 6,
}

impl Codepoint {
    /// The codepoint in the two lowest bits of `tos`, the second byte of an IPv4 header or the traffic class of IPv6.
    #[must_use]
    pub const fn of(tos: u8) -> Self {
        match tos & 0b11 {
            0b00 => Codepoint::NotEct,
            0b01 => Codepoint::Ect1,
            0b10 => Codepoint::Ect0,
            _ => Codepoint::Ce,
        }
    }

    /// The two bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// Whether a router may mark it.
    #[must_use]
    pub const fn may_be_marked(self) -> bool {
        !matches!(self, Codepoint::NotEct)
    }
}

impl Marks {
    /// Counts a block that came with `codepoint`.
    pub(crate) fn count(&mut self, codepoint: Codepoint) {
        match codepoint {
            Codepoint::Ect0 => self.ect0 += 1,
            Codepoint::Ce => self.ce += 1,
            // What nobody sent is nothing to vouch for: the sender sees that it is missing.
            Codepoint::NotEct | Codepoint::Ect1 => {}
        }
    }

    /// These and those of another transfer.
    #[must_use]
    pub const fn and(self, others: Marks) -> Self {
        Marks { ect0: self.ect0.saturating_add(others.ect0), ce: self.ce.saturating_add(others.ce) }
    }

    /// All that came as sent, or marked.
    #[must_use]
    pub const fn all(self) -> u64 {
        self.ect0.saturating_add(self.ce)
    }
}

impl Ecn {
    /// Every state there is.
    pub const ALL: [Ecn; 7] =
        [Ecn::Unused, Ecn::Testing, Ecn::Capable, Ecn::Cleared, Ecn::Miscounted, Ecn::AllMarked, Ecn::Dropped];

    /// Its code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The state a code stands for.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// Its name, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Ecn::Unused => "unused",
            Ecn::Testing => "testing",
            Ecn::Capable => "capable",
            Ecn::Cleared => "cleared",
            Ecn::Miscounted => "miscounted",
            Ecn::AllMarked => "all-marked",
            Ecn::Dropped => "dropped",
        }
    }

    /// Whether it was tried, and given up.
    #[must_use]
    pub const fn has_failed(self) -> bool {
        matches!(self, Ecn::Cleared | Ecn::Miscounted | Ecn::AllMarked | Ecn::Dropped)
    }
}

/// What it means, for people.
impl std::fmt::Display for Ecn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Ecn::Unused => "not used",
            Ecn::Testing => "too little was sent to know",
            Ecn::Capable => "validated",
            Ecn::Cleared => "off: the path clears the bits, or the system here does not tell them",
            Ecn::Miscounted => "off: the counts that came back cannot be",
            Ecn::AllMarked => "off: everything came marked, however little was sent",
            Ecn::Dropped => "off: what may be marked did not come through",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_bits_are_read_back() {
        for state in Ecn::ALL {
            assert_eq!(Ecn::from_code(state.code()), Some(state));
        }
        assert_eq!(Ecn::from_code(7), None);
        for bits in 0..4 {
            assert_eq!(Codepoint::of(bits).bits(), bits);
            assert_eq!(Codepoint::of(0xb8 | bits), Codepoint::of(bits), "whatever the rest of the byte asks for");
        }
    }
}
