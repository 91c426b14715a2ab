//! Lab 1: several replicas behind one name or one address. The client gets one of them, and sees which and why.
//!
//! The way of the data, top to bottom: [`args`] what may be typed · [`client`] resolves, asks and goes on to the next ·
//! [`report`] the table and the JSON · [`server`] the replica. Pure are: [`chooser`] in which order ([`rendezvous`]
//! hashing, [`nearest`] by measuring, [`race`] for Happy Eyeballs) · [`preference`] what the system would have chosen ·
//! [`greeting`], [`hello`], [`http`] and [`answer`] what travels (pure but for the reading) · [`tally`] who answered how
//! often, [`evenness`] whether that is chance · [`watch`] what changed · [`flows`] what became of kept connections.
//!
//! TCP already is a state machine, so there is none here: honest tokio around pure choosers, over a [`stream`] that the
//! reactor hears of only when somebody has to wait.

pub mod answer;
pub mod args;
pub mod chooser;
pub mod client;
pub mod evenness;
pub mod flows;
pub mod greeting;
pub mod hello;
pub mod http;
pub mod nearest;
pub mod preference;
pub mod race;
pub mod rendezvous;
pub mod report;
pub mod server;
pub mod stream;
pub mod tally;
pub mod watch;
