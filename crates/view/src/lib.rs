//! Readers of events: they know no lab and no machine.
//!
//! A reader takes [`Record`](events::Record)s, from a run that is over or from a file of JSON lines, and makes something
//! of them that a person can look at.

pub mod ladder;
