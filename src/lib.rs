//! The tool `castlab`, over all labs: shows them to you in one command.
//!
//! [`args`] is what may be typed; [`demo`] runs a short version of every lab on loopback and checks what
//! happened; [`ladder`] draws recorded events; [`mod@doctor`] finds why multicast does not arrive, and [`interfaces`]
//! lists where it could. [`mod@bench`] measures.

pub mod args;
pub mod bench;
pub mod demo;
pub mod doctor;
pub mod interfaces;
pub mod ladder;
