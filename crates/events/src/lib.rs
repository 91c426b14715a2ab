//! What happened: one vocabulary for every lab, one [`Record`] per JSON line.
//!
//! A program tells what it does as a stream of records. Ladders, reports, figures and checks are *readers* of that
//! stream: they know no socket and no protocol machine. The same vocabulary serves real and virtual time.
//!
//! ```
//! use events::{Event, Record, Time};
//!
//! let record = Record::new(Time::from_nanos(1_500), "server1", Event::Connected { peer: "127.0.0.1:40000".into(), elapsed_ns: None });
//! assert_eq!(
//!     record.to_line(),
//!     r#"{"time":1500,"node":"server1","event":"connected","peer":"127.0.0.1:40000"}"#,
//! );
//! ```
//!
//! The published schema is `schema/record.schema.json`; `tests/schema.rs` holds it to this code.

mod lines;
mod record;
mod time;

pub use lines::{LineError, Reader, Writer};
pub use record::{Cause, Event, Outcome, Record, Unit};
pub use time::Time;
