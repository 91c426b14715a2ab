//! Lab 1: several replicas behind one name or one address. The client gets one of them, and sees which and why.
//!
//! The way of the data, top to bottom: [`args`] what may be typed · [`client`] resolves, asks and goes on to the next ·
//! [`chooser`] in which order (pure) · [`greeting`] what travels (pure but for the reading) · [`tally`] who answered
//! how often (pure) · [`report`] the table and the JSON · [`server`] the replica.
//!
//! TCP already is a state machine, so there is none here: honest tokio around a pure chooser.

pub mod args;
pub mod chooser;
pub mod client;
pub mod greeting;
pub mod report;
pub mod server;
pub mod tally;
