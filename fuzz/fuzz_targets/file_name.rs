//! A name that is taken leads nowhere but into a folder.
#![no_main]

use std::path::{Component, Path};

use arq::catalogue::FileName;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(name) = FileName::new(text) {
        assert_eq!(name.as_str(), text);
        assert!(Path::new(text).components().all(|part| matches!(part, Component::Normal(_))));
        assert!(!text.contains(|c: char| c.is_control()));
    }
});
