//! Why nothing arrives: facts about one machine in, findings out, and nothing else. No socket, file or clock is touched
//! here; who gathers the facts is the tool `castlab doctor`.
//!
//! [`Facts`] is one value with everything that was seen. [`examine`] runs every rule over it: a rule is a pure function
//! from facts to findings, one small file each in [`rules`]. [`read`] understands what the kernel prints about itself,
//! [`firewall`] what `nft --json list ruleset` prints, and [`probe`] is the conversation of two copies on two machines.

pub mod facts;
pub mod finding;
pub mod firewall;
pub mod probe;
pub mod read;
pub mod rules;

#[cfg(test)]
mod fixture;

pub use facts::Facts;
pub use finding::{Finding, Severity};
pub use rules::examine;
