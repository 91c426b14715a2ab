//! The record and its events: what a program can say happened.

use serde::{Deserialize, Serialize};

use crate::Time;

/// One thing that happened, at one time, at one node: one flat JSON object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, in nanoseconds (see [`Time`]).
    pub time: Time,
    /// Who tells it: the name the program was given (`server1`), unique within a run.
    pub node: String,
    /// Which conversation of that node it belongs to (connection, source, transfer), where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<u64>,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen. Names are past participles; integers are in base units: ns, bytes, bit/s.
///
/// A reader that draws needs five fields: `time`, `node`, `peer`, `what` and `number`. A `sent` without the `received`
/// that answers it is an arrow that ends mid-way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A program began.
    Started {
        /// The binary, such as `anycast-server`.
        role: String,
        /// Its version.
        version: String,
        /// The address it is bound to, where it has one from the start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        local: Option<String>,
        /// The seed all its random choices come from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed: Option<u64>,
    },
    /// A name was looked up.
    Resolved {
        /// The name and port, as given.
        target: String,
        /// Every address it stands for, in the order of the answer.
        addresses: Vec<String>,
    },
    /// A connection was made or accepted.
    Connected {
        /// The other end.
        peer: String,
        /// How long making it took.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        elapsed_ns: Option<u64>,
    },
    /// Something that was tried did not work.
    Failed {
        /// The operation, such as `connect`.
        what: String,
        /// With whom, where there is somebody.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<String>,
        /// Why, for people.
        reason: String,
    },
    /// A group was joined.
    Joined {
        /// The group's address and port.
        group: String,
        /// The interface's name.
        interface: String,
    },
    /// A group was left.
    Left {
        /// The group's address and port.
        group: String,
        /// The interface's name.
        interface: String,
    },
    /// A message or datagram was handed to the network.
    Sent {
        /// To whom.
        peer: String,
        /// What kind, such as `text`, `block` or `report`.
        what: String,
        /// Which one of its kind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
        /// Its payload's length.
        bytes: u64,
    },
    /// A message or datagram came from the network.
    Received {
        /// From whom.
        peer: String,
        /// What kind.
        what: String,
        /// Which one of its kind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
        /// Its payload's length.
        bytes: u64,
        /// The name the sender gave itself, where the message carries one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// How long after the question this answer came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        elapsed_ns: Option<u64>,
    },
    /// A message to a group was handed to whoever reads it, in the group's order. Its flow is who said it.
    Delivered {
        /// The name of who said it, or of who came or went.
        peer: String,
        /// What kind, such as `cast`, `join` or `leave`.
        what: String,
        /// Which one of all that this one said.
        number: u64,
        /// Its payload's length.
        bytes: u64,
        /// Its place among all messages of the group, where they have one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        position: Option<u64>,
        /// Whom it is about, where somebody came or went.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<u64>,
    },
    /// A message or datagram is known to be gone, or was thrown away.
    Dropped {
        /// From or to whom.
        peer: String,
        /// What kind.
        what: String,
        /// Which one of its kind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<u64>,
        /// Its payload's length.
        bytes: u64,
        /// What took it.
        cause: Cause,
    },
    /// A timer ran out.
    Expired {
        /// Which timer, such as `silence` or `probe`.
        what: String,
        /// Whom it waited for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<String>,
        /// How long it had been set for.
        after_ns: u64,
    },
    /// Somebody else answers now: what was watched has moved.
    Changed {
        /// What changed, such as `replica`.
        what: String,
        /// Who answered last before.
        from: String,
        /// Who answers now; the same as `from` where it only fell silent for a while.
        to: String,
        /// How many attempts failed in between.
        failed: u64,
        /// From the last answer of the old to the first of the new.
        gap_ns: u64,
    },
    /// A stage of longer work began.
    Phase {
        /// Its name.
        name: String,
    },
    /// A figure.
    Measured {
        /// What was measured, such as `latency_p50`.
        name: String,
        /// The value, in `unit`.
        value: u64,
        /// The base unit.
        unit: Unit,
        /// With whom, where the figure belongs to one peer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<String>,
    },
    /// The program, or one flow of it, ended.
    Finished {
        /// How.
        outcome: Outcome,
        /// Why, for people, where it is not plain.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// What took a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Lost on the way.
    Network,
    /// Our own receive buffer was full.
    ReceiveBuffer,
    /// We dropped it on purpose (`--impair`).
    Impaired,
    /// It is not of this conversation, or no message at all.
    Foreign,
    /// A limit says no.
    Refused,
}

/// The base unit of a measured value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanoseconds,
    /// Bytes.
    #[serde(rename = "B")]
    Bytes,
    /// Bits per second.
    #[serde(rename = "bit/s")]
    BitsPerSecond,
    /// Things counted.
    #[serde(rename = "1")]
    Count,
    /// Parts per million.
    #[serde(rename = "ppm")]
    PartsPerMillion,
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All of it was done.
    Complete,
    /// Some of it was done.
    Partial,
    /// None of it was done.
    Failed,
    /// Somebody stopped it.
    Interrupted,
}

impl Record {
    /// A record that belongs to no particular flow.
    #[must_use]
    pub fn new(time: Time, node: impl Into<String>, event: Event) -> Self {
        Record { time, node: node.into(), flow: None, event }
    }

    /// The same record, told of one flow.
    #[must_use]
    pub fn in_flow(self, flow: u64) -> Self {
        Record { flow: Some(flow), ..self }
    }

    /// The record as one line of JSON, without the line's end.
    #[must_use]
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).expect("strings, integers and enums always have a JSON form")
    }

    /// Reads what [`Record::to_line`] wrote.
    ///
    /// # Errors
    /// When the line is no JSON object, or not of this vocabulary.
    pub fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}
