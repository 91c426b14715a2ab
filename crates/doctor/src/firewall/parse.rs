//! Reads what `nft --json list ruleset` prints (libnftables-json(5)).

use core::fmt;

use serde_json::Value;

use super::{Chain, Condition, Rule, Verdict};

/// It was no ruleset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRuleset(String);

impl fmt::Display for BadRuleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no ruleset of nftables: {}", self.0)
    }
}

impl core::error::Error for BadRuleset {}

/// The chains with their rules. What is neither a chain nor a rule is passed over.
///
/// # Errors
/// When `text` is no JSON object with a list `nftables`.
pub fn parse(text: &str) -> Result<Vec<Chain>, BadRuleset> {
    let value: Value = serde_json::from_str(text).map_err(|error| BadRuleset(error.to_string()))?;
    let listed = value.get("nftables").and_then(Value::as_array).ok_or_else(|| BadRuleset("no such list".into()))?;
    let mut chains: Vec<Chain> = listed.iter().filter_map(|entry| entry.get("chain")).filter_map(chain).collect();
    for entry in listed.iter().filter_map(|entry| entry.get("rule")) {
        let (family, table, name) = (text_of(entry, "family"), text_of(entry, "table"), text_of(entry, "chain"));
        let home = chains.iter_mut().find(|chain| {
            Some(&chain.family) == family.as_ref()
                && Some(&chain.table) == table.as_ref()
                && Some(&chain.name) == name.as_ref()
        });
        if let Some(home) = home {
            home.rules.extend(rules(entry));
        }
    }
    chains.sort_by_key(|chain| chain.priority);
    Ok(chains)
}

fn text_of(entry: &Value, key: &str) -> Option<String> {
    entry.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn chain(entry: &Value) -> Option<Chain> {
    Some(Chain {
        family: text_of(entry, "family")?,
        table: text_of(entry, "table")?,
        name: text_of(entry, "name")?,
        hook: text_of(entry, "hook"),
        priority: entry.get("prio").and_then(Value::as_i64).unwrap_or(0),
        drops_by_default: text_of(entry, "policy").as_deref() == Some("drop"),
        device: text_of(entry, "dev"),
        rules: Vec::new(),
    })
}

/// A rule; or, where it ends in a map of verdicts, one for each entry of the map.
fn rules(entry: &Value) -> Vec<Rule> {
    let whole = rule(entry);
    let statements = entry.get("expr").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let Some(map) = statements.iter().find_map(|statement| statement.get("vmap")) else { return vec![whole] };
    let key = map.get("key").and_then(name_of);
    let entries = map.get("data").and_then(|data| data.get("set")).and_then(Value::as_array);
    let (Some(left), Some(entries)) = (key, entries) else {
        // A named map, or a key of several parts: it may say anything.
        return vec![Rule { verdict: Verdict::Unknown, ..whole }];
    };
    let one = |entry: &Value| {
        let [value, verdict] = entry.as_array()?.as_slice() else { return None };
        let condition = Condition::Match { left: left.clone(), op: "==".to_owned(), right: value.clone() };
        let conditions = whole.conditions.iter().cloned().chain([condition]).collect();
        let (name, body) = verdict.as_object()?.iter().next()?;
        Some(Rule { conditions, verdict: verdict_of(name, body)?, ..whole.clone() })
    };
    entries.iter().filter_map(one).collect()
}

fn verdict_of(name: &str, body: &Value) -> Option<Verdict> {
    Some(match name {
        "accept" => Verdict::Accept,
        "drop" | "reject" => Verdict::Drop,
        "return" => Verdict::Return,
        "continue" => Verdict::Continue,
        "jump" => target(body).map_or(Verdict::Unknown, Verdict::Jump),
        "goto" => target(body).map_or(Verdict::Unknown, Verdict::Goto),
        _ => return None,
    })
}

fn rule(entry: &Value) -> Rule {
    let mut rule = Rule {
        handle: entry.get("handle").and_then(Value::as_u64).unwrap_or(0),
        conditions: Vec::new(),
        verdict: Verdict::Continue,
    };
    let statements = entry.get("expr").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (name, body) in statements.iter().filter_map(Value::as_object).flatten() {
        if let Some(verdict) = verdict_of(name, body) {
            rule.verdict = verdict;
            continue;
        }
        match name.as_str() {
            "match" => rule.conditions.push(condition(body)),
            // They watch or mark, and decide nothing; a map of verdicts is read apart.
            "counter" | "log" | "comment" | "mangle" | "notrack" | "vmap" => {}
            // They may decide, one way or the other: queues, extensions of iptables.
            "queue" | "xt" | "tproxy" | "fwd" | "dup" => {
                rule.conditions.push(Condition::Unknown);
                if rule.verdict == Verdict::Continue {
                    rule.verdict = Verdict::Unknown;
                }
            }
            // They let some through: limits, quotas, sets filled on the way.
            _ => rule.conditions.push(Condition::Unknown),
        }
    }
    rule
}

fn target(body: &Value) -> Option<String> {
    text_of(body, "target")
}

fn condition(body: &Value) -> Condition {
    let (Some(left), Some(op), Some(right)) =
        (body.get("left").and_then(name_of), text_of(body, "op"), body.get("right").cloned())
    else {
        return Condition::Unknown;
    };
    Condition::Match { left, op, right }
}

/// `{"meta": {"key": "iifname"}}` is `meta iifname`; `{"payload": {"protocol": "udp", "field": "dport"}}` is
/// `udp dport`.
fn name_of(left: &Value) -> Option<String> {
    let (kind, body) = left.as_object()?.iter().next()?;
    match kind.as_str() {
        "meta" | "ct" => Some(format!("{kind} {}", body.get("key")?.as_str()?)),
        "payload" => Some(format!("{} {}", body.get("protocol")?.as_str()?, body.get("field")?.as_str()?)),
        _ => None,
    }
}
