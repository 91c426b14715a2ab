//! Lab 3: files over datagrams.
//!
//! The rooms every mode shares: [`catalogue`] (what a server offers), [`FileName`] (what may be asked for),
//! [`landing`] (where it is written), [`report`] and [`progress`] (what came of it). Each mode's protocol stands in a
//! room of its own: [`classic`], and [`reliable`] for all the others; [`disk`] is what those serve and where they write.
//! In [`sim`] the same machines run in virtual time.

pub mod args;
pub mod catalogue;
pub mod classic;
pub mod disk;
pub mod drops;
pub mod file_name;
pub mod landing;
pub mod lines;
pub mod listing;
pub mod progress;
pub mod reliable;
pub mod report;
pub mod sim;

mod marks;
mod served;

pub use file_name::FileName;
