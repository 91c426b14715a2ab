//! What a person looks at: readers of events, and charts of results. They know no lab and no machine.
//!
//! A reader takes [`Record`](events::Record)s, from a run that is over or from a file of JSON lines, and makes something
//! of them that a person can look at; a [`chart`] takes numbers that somebody measured.

pub mod chart;
pub mod ladder;
