//! In which order members see what is said to their group.

use std::fmt;
use std::str::FromStr;

/// The order in which messages are handed out. Each but the first promises what the one before does, and more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// As they come: every message once, in any order.
    None,
    /// What one member says, in the order it said it.
    Fifo,
    /// And nothing before what its speaker had seen when saying it (Lamport 1978; vector clocks).
    Causal,
    /// And everybody sees everything in one order: that of the hub's numbers.
    #[default]
    Total,
}

impl Order {
    /// Weakest first.
    pub const ALL: [Order; 4] = [Order::None, Order::Fifo, Order::Causal, Order::Total];

    pub(super) fn code(self) -> u8 {
        match self {
            Order::None => 0,
            Order::Fifo => 1,
            Order::Causal => 2,
            Order::Total => 3,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Order::ALL.into_iter().find(|order| order.code() == code)
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Order::None => "none",
            Order::Fifo => "fifo",
            Order::Causal => "causal",
            Order::Total => "total",
        })
    }
}

impl FromStr for Order {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = |order: &Order| order.to_string().eq_ignore_ascii_case(text);
        Order::ALL.into_iter().find(known).ok_or_else(|| "orders are none, fifo, causal, total".to_owned())
    }
}
