//! The tool `castlab`, over all labs: shows them to you in one command.
//!
//! [`args`] is what may be typed; [`demo`] runs a short version of every lab on loopback and checks what
//! happened; [`ladder`] draws recorded events.

pub mod args;
pub mod demo;
pub mod ladder;
