//! `PORT-IN-USE`: another program holds the port and does not share it.

use crate::facts::Ended;
use crate::{Facts, Finding};

pub(super) fn examine(facts: &Facts) -> Vec<Finding> {
    let refused = facts.trials.iter().find_map(|trial| match &trial.ended {
        Ended::JoinRefused("PORT-IN-USE", _) => Some(()),
        _ => None,
    });
    if refused.is_none() {
        return Vec::new();
    }
    let port = facts.question.port;
    let holders: Vec<String> = facts
        .sockets
        .iter()
        .map(|socket| match &socket.owner {
            Some(owner) => format!("{owner} on {}", socket.local),
            None => format!("somebody on {}", socket.local),
        })
        .collect();
    let by = if holders.is_empty() { "a program".to_owned() } else { holders.join(", ") };
    vec![Finding::new(
        "PORT-IN-USE",
        format!("UDP port {port} is held by {by}, without address reuse"),
        "a receiver of the group cannot bind there",
        format!("ss -ulpn 'sport = :{port}'   # end it, or choose another port"),
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Socket, Trial};
    use crate::fixture::healthy;

    #[test]
    fn whoever_holds_the_port_is_named() {
        let mut facts = healthy();
        let local = "0.0.0.0".parse().unwrap();
        let owner = Some("nc (process 7)".to_owned());
        facts.sockets = vec![Socket { local, port: 5007, drops: 0, inode: 1, owner }];
        assert_eq!(examine(&facts), [], "a port may be shared");
        let ended = Ended::JoinRefused("PORT-IN-USE", "in use".into());
        facts.trials = vec![Trial { interface: Some("eth0".into()), ended, unicast: None }];
        assert!(examine(&facts)[0].seen.contains("nc (process 7) on 0.0.0.0"));
    }
}
