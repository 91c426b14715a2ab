//! The published schema and the code say the same: every event fits it, and it admits nothing else.

use events::{Cause, Event, Outcome, Record, Time, Unit};
use serde_json::{Value, json};

const SCHEMA: &str = include_str!("../schema/record.schema.json");

fn schema() -> Value {
    serde_json::from_str(SCHEMA).expect("the schema is JSON")
}

/// Every event twice: with all its optional fields and without. The match keeps the list complete.
fn examples() -> Vec<Event> {
    let some = |text: &str| Some(text.to_owned());
    let peer = || "127.0.0.1:5000".to_owned();
    let examples = vec![
        Event::Started {
            role: "anycast-server".into(),
            version: "0.1.0".into(),
            local: some("[::]:5000"),
            seed: Some(u64::MAX),
        },
        Event::Started { role: "castlab".into(), version: "0.1.0".into(), local: None, seed: None },
        Event::Resolved { target: "server:5000".into(), addresses: vec![peer(), "[::1]:5000".into()] },
        Event::Resolved { target: "nobody:5000".into(), addresses: vec![] },
        Event::Connected { peer: peer(), elapsed_ns: Some(12) },
        Event::Connected { peer: peer(), elapsed_ns: None },
        Event::Failed { what: "connect".into(), peer: some("127.0.0.1:1"), reason: "refused".into() },
        Event::Failed { what: "resolve".into(), peer: None, reason: "no such name".into() },
        Event::Joined { group: "224.1.1.1:5007".into(), interface: "lo".into() },
        Event::Left { group: "224.1.1.1:5007".into(), interface: "lo".into() },
        Event::Sent { peer: peer(), what: "text".into(), number: Some(0), bytes: 49 },
        Event::Sent { peer: peer(), what: "text".into(), number: None, bytes: 0 },
        Event::Received {
            peer: peer(),
            what: "greeting".into(),
            number: Some(1),
            bytes: 19,
            name: some("server3"),
            elapsed_ns: Some(1),
        },
        Event::Received { peer: peer(), what: "json".into(), number: None, bytes: 34, name: None, elapsed_ns: None },
        Event::Delivered {
            peer: "2".into(),
            what: "join".into(),
            number: 1,
            bytes: 0,
            position: Some(7),
            about: Some(2),
        },
        Event::Delivered { peer: "2".into(), what: "cast".into(), number: 1, bytes: 5, position: None, about: None },
        Event::Dropped { peer: peer(), what: "block".into(), number: Some(3), bytes: 1200, cause: Cause::Impaired },
        Event::Dropped { peer: peer(), what: "block".into(), number: None, bytes: 1200, cause: Cause::ReceiveBuffer },
        Event::Expired { what: "silence".into(), peer: some("server3"), after_ns: 5_000_000_000 },
        Event::Expired { what: "silence".into(), peer: None, after_ns: 5_000_000_000 },
        Event::Changed { what: "replica".into(), from: "a".into(), to: "b".into(), failed: 2, gap_ns: 7 },
        Event::Phase { name: "transfer".into() },
        Event::Measured { name: "loss".into(), value: 31, unit: Unit::PartsPerMillion, peer: some("server3") },
        Event::Measured { name: "rate".into(), value: 31, unit: Unit::BitsPerSecond, peer: None },
        Event::Finished { outcome: Outcome::Partial, reason: some("silence") },
        Event::Finished { outcome: Outcome::Complete, reason: None },
    ];
    for event in &examples {
        match event {
            Event::Started { .. } | Event::Resolved { .. } | Event::Connected { .. } | Event::Failed { .. } => {}
            Event::Joined { .. } | Event::Left { .. } | Event::Sent { .. } | Event::Received { .. } => {}
            Event::Delivered { .. } | Event::Dropped { .. } | Event::Expired { .. } => {}
            Event::Changed { .. } | Event::Phase { .. } => {}
            Event::Measured { .. } | Event::Finished { .. } => {} // A new event: add it above, with and without its options.
        }
    }
    examples
}

fn records() -> impl Iterator<Item = Record> {
    examples().into_iter().enumerate().map(|(i, event)| {
        let record = Record::new(Time::from_nanos(i as u64), "node", event);
        if i % 2 == 0 { record.in_flow(7) } else { record }
    })
}

#[test]
fn every_event_fits_the_schema_and_reads_back() {
    let validator = jsonschema::validator_for(&schema()).expect("the schema is a schema");
    for record in records() {
        let line = record.to_line();
        let value: Value = serde_json::from_str(&line).unwrap();
        assert!(
            validator.is_valid(&value),
            "{line}: {:?}",
            validator.iter_errors(&value).map(|e| e.to_string()).collect::<Vec<_>>()
        );
        assert_eq!(Record::from_line(&line).unwrap(), record);
        assert!(value.as_object().unwrap().values().all(|field| !field.is_object()), "flat: {line}");
    }
}

#[test]
fn the_schema_lists_exactly_the_events_there_are() {
    let schema = schema();
    let mut listed: Vec<&str> = schema["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["properties"]["event"]["const"].as_str().unwrap())
        .collect();
    listed.sort_unstable();
    let mut told: Vec<String> =
        records().map(|record| serde_json::to_value(&record).unwrap()["event"].as_str().unwrap().to_owned()).collect();
    told.sort_unstable();
    told.dedup();
    assert_eq!(listed, told);
}

#[test]
fn the_schema_refuses_what_is_not_of_the_vocabulary() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for wrong in [
        json!({"time": 1, "node": "n", "event": "exploded"}),
        json!({"time": 1, "node": "n", "event": "phase"}),
        json!({"time": 1, "node": "n", "event": "phase", "name": "a", "extra": 1}),
        json!({"time": -1, "node": "n", "event": "phase", "name": "a"}),
        json!({"time": 1.5, "node": "n", "event": "phase", "name": "a"}),
        json!({"time": 1, "node": "n", "event": "measured", "name": "a", "value": 1, "unit": "furlong"}),
        json!([]),
    ] {
        assert!(!validator.is_valid(&wrong), "{wrong}");
    }
}
