//! What the system refused in a trial and no other rule explains: told under the code of the refusal.

use crate::facts::Ended;
use crate::{Facts, Finding};

/// Codes that have a rule of their own.
const EXPLAINED: &[&str] = &["MC-LIMIT", "PORT-IN-USE", "MC-NOROUTE", "NET-FIREWALL", "PERMISSION"];

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    let refused = facts.trials.iter().filter_map(|trial| match &trial.ended {
        Ended::JoinRefused(code, why) | Ended::SendRefused(code, why) if !EXPLAINED.contains(code) => {
            Some((*code, why, trial.interface.as_deref().unwrap_or("all of them")))
        }
        _ => None,
    });
    refused
        .map(|(code, why, on)| {
            let means = format!("no program can use the group on {on} as things are");
            Finding::new(code, why.clone(), means, "castlab interfaces")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Trial;
    use crate::fixture::{codes, healthy};

    #[test]
    fn a_refusal_is_told_once() {
        let mut facts = healthy();
        let trial = |ended| Trial { interface: Some("eth0".into()), ended, unicast: None };
        facts.trials = vec![
            trial(Ended::JoinRefused("IO", "cannot join: too strange".into())),
            trial(Ended::JoinRefused("MC-LIMIT", "explained elsewhere".into())),
        ];
        assert_eq!(codes(&examine(&facts)), ["IO"]);
    }
}
