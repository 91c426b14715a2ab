//! Act 2: a group, two senders, and two receivers of which one leaves early.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU64;
use std::time::Duration;

use labkit::interface::{self, Choice};
use labkit::{Exit, Failure, Session, table};
use multicast::Group;
use multicast::receiver::{self, Receiver, Summary};
use multicast::sender::{self, Sender, Sent};

use super::stage::Stage;

const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 1, 1, 1));

/// How many messages a sender of the lab has: a text, a JSON object and random bytes.
const EACH: u64 = 3;

/// How long a receiver waits for messages that do not come: only a demo that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn play(stage: &mut Stage, seed: u64) -> Result<(), Failure> {
    super::begin(stage, 2, "multicast", "Multicast: two senders, one group, and who happens to be in it");
    let session = stage.session().clone();
    let lo = loopback()?;
    let group =
        Receiver::join(&config(&Group::new(GROUP, 0)?, &lo, EACH), session.inner("multicast-receiver", "scout"))?
            .group()
            .clone();
    let send = async |name: &str, sensor: &str| send(&group, &lo, name, sensor, seed, &session).await;
    let join = |name: &str, stays_for: u64| {
        Receiver::join(&config(&group, &lo, stays_for), session.inner("multicast-receiver", name))
    };

    let too_early = send("sender1", "temp").await?;
    stage.say(&format!(
        "sender1 sends {} messages to {group}. Nobody has joined yet, and nobody tells it so.",
        messages(&too_early)
    ));

    let (stays, leaves) = (join("receiver1", 2 * EACH)?, join("receiver2", EACH)?);
    stage.say("Now receiver1 and receiver2 join, and sender1 sends again; receiver2 then leaves, and sender2 sends.");
    let first = send("sender1", "temp").await?;
    let left_early = leaves.run().await?;
    let second = send("sender2", "humidity").await?;
    let stayed = stays.run().await?;

    let sent = messages(&too_early) + messages(&first) + messages(&second);
    stage.say(&told_by_receiver(&[("receiver1", &stayed), ("receiver2", &left_early)], sent));
    let heard = |summary: &Summary| summary.tally.total().all().datagrams;
    let sources = stayed.tally.sources();
    stage.expect(
        heard(&stayed) == 2 * EACH && sources == 2,
        format!(
            "receiver1 heard {} messages from {sources} senders, all that were sent while it was in the group",
            heard(&stayed)
        ),
    );
    stage.expect(
        heard(&left_early) == EACH,
        format!("receiver2 left after {} and missed what came later; no sender noticed", heard(&left_early)),
    );
    let kinds = stayed.tally.total();
    stage.expect(
        [kinds.text, kinds.json, kinds.binary].iter().all(|kind| kind.datagrams == 2),
        format!(
            "text, JSON and binary were told apart: {}, {} and {}",
            kinds.text.datagrams, kinds.json.datagrams, kinds.binary.datagrams
        ),
    );
    Ok(())
}

fn config(group: &Group, interface: &Choice, stays_for: u64) -> receiver::Config {
    receiver::Config {
        interface: interface.clone(),
        count: NonZeroU64::new(stays_for),
        duration: Some(PATIENCE),
        ..receiver::Config::new(group.clone())
    }
}

async fn send(
    group: &Group,
    lo: &Choice,
    name: &str,
    sensor: &str,
    seed: u64,
    session: &Session,
) -> Result<Sent, Failure> {
    let config = sender::Config {
        interface: Some(lo.clone()),
        items: sender::classic(name, sensor, "22.29"),
        interval: Duration::ZERO,
        seed,
        ..sender::Config::classic(group.clone(), name)
    };
    Sender::open(config, session.inner("multicast-sender", name))?.run().await
}

/// The loopback interface, whatever it is called here: what is sent there reaches nobody else.
fn loopback() -> Result<Choice, Failure> {
    let all = interface::all()?;
    let lo = all.iter().find(|interface| interface.flags.loopback && interface.flags.up && !interface.v4.is_empty());
    lo.map(|interface| Choice::Index(interface.index)).ok_or_else(|| {
        Failure::new(Exit::Setup, "MC-IFACE", "this machine has no loopback interface with an IPv4 address that is up")
            .hint("`ip link set lo up`")
    })
}

fn messages(sent: &Sent) -> u64 {
    sent.counts.all().datagrams
}

fn told_by_receiver(receivers: &[(&str, &Summary)], sent: u64) -> String {
    let mut table = table::new(&["who", "text", "JSON", "binary", "heard", "missed"]);
    for (name, summary) in receivers {
        let total = summary.tally.total();
        let heard = total.all().datagrams;
        let cells =
            [total.text.datagrams, total.json.datagrams, total.binary.datagrams, heard, sent.saturating_sub(heard)];
        table.add_row(std::iter::once((*name).to_owned()).chain(cells.map(|cell| cell.to_string())));
    }
    table.to_string()
}
