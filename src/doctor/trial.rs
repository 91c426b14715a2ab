//! Joining and sending to ourselves, one interface after another, with a TTL of 0: the kernel gives such datagrams to
//! the receivers of this machine and to nobody else (RFC 1112 section 6.1), firewall included.

use std::net::{SocketAddr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use doctor::Facts;
use doctor::facts::{Ended, Interface, Trial};
use events::Event;
use labkit::interface::Choice;
use labkit::{Failure, Session};
use multicast::{Group, Membership, Outgoing, Reach};

/// How often it is sent before we call it silence.
const TRIES: u32 = 3;
/// How long each may take; the kernel gives it back at once.
const WAIT: Duration = Duration::from_millis(150);
/// The receive buffer asked for, in bytes.
const BUFFER: usize = 65_536;

/// Tries each of the interfaces meant, and all of them on one socket.
pub(super) async fn all(facts: &Facts, group: &Group, asked: bool, session: &Session) -> Vec<Trial> {
    let lo = facts.interfaces.iter().find(|one| one.flags.loopback && one.flags.up && one.speaks(group.address()));
    let meant = if asked { facts.working() } else { lo.into_iter().collect() };
    let mut trials = Vec::new();
    for one in &meant {
        // Ctrl-C: what was tried so far is told.
        let Some(trial) = session.shutdown.or(on_one(one, group, session)).await else { return trials };
        trials.push(trial);
    }
    if meant.len() > 1 && !group.belongs_to_one_link() {
        trials.push(on_all(group));
    }
    trials
}

/// One socket with a membership on each: what a receiver of ours does.
fn on_all(group: &Group) -> Trial {
    let ended = match Membership::join(group, &Choice::All, BUFFER) {
        Ok(_) => Ended::Joined,
        Err(failure) => Ended::JoinRefused(failure.code, failure.message),
    };
    Trial { interface: None, ended, unicast: None }
}

async fn on_one(one: &Interface, group: &Group, session: &Session) -> Trial {
    let choice = Choice::Index(one.index);
    let trial = |ended| Trial { interface: Some(one.name.clone()), ended, unicast: None };
    let group = unzoned(group);
    let membership = match Membership::join(&group, &choice, BUFFER) {
        Ok(membership) => membership,
        Err(failure) => return trial(Ended::JoinRefused(failure.code, failure.message)),
    };
    session.recorder.tell(|| Event::Joined { group: group.to_string(), interface: one.name.clone() });
    match echo(&membership, &group, &choice, session).await {
        Ok(true) => trial(Ended::Heard),
        Ok(false) => Trial { unicast: unicast(one, &group).await, ..trial(Ended::Silent) },
        Err(failure) => trial(Ended::SendRefused(failure.code, failure.message)),
    }
}

/// The same group without its `%INTERFACE`, which was resolved.
fn unzoned(group: &Group) -> Group {
    Group::new(group.address(), group.port()).unwrap_or_else(|_| group.clone())
}

/// Whether we hear what we send.
async fn echo(membership: &Membership, group: &Group, choice: &Choice, session: &Session) -> Result<bool, Failure> {
    let outgoing = Outgoing::open(group, Some(choice), Reach { ttl: 0, loopback: true })?;
    let payload = format!("castlab doctor hears itself? {:016x}", rand::random::<u64>());
    let mut buffer = [0; 256];
    for number in 0..TRIES {
        outgoing.send(payload.as_bytes()).await?;
        let told = || (group.to_string(), "trial".to_owned(), Some(u64::from(number)), payload.len() as u64);
        session.recorder.tell(|| {
            let (peer, what, number, bytes) = told();
            Event::Sent { peer, what, number, bytes }
        });
        let heard = tokio::time::timeout(WAIT, async {
            loop {
                // Others may send to the group meanwhile.
                let (length, _) = membership.receive(&mut buffer).await?;
                if buffer.get(..length) == Some(payload.as_bytes()) {
                    return Ok::<(), std::io::Error>(());
                }
            }
        });
        if matches!(heard.await, Ok(Ok(()))) {
            let peer = outgoing.source().to_string();
            session.recorder.tell(|| {
                let (_, what, number, bytes) = told();
                Event::Received { peer, what, number, bytes, name: None, elapsed_ns: None }
            });
            return Ok(true);
        }
    }
    Ok(false)
}

/// The same by unicast, to our own address and the same port; `None` where that cannot be tried.
async fn unicast(one: &Interface, group: &Group) -> Option<bool> {
    let address = address_on(one, group, group.port())?;
    let listening = UdpSocket::bind(address).ok()?;
    listening.set_nonblocking(true).ok()?;
    let listening = tokio::net::UdpSocket::from_std(listening).ok()?;
    let sending = tokio::net::UdpSocket::bind(address_on(one, group, 0)?).await.ok()?;
    let payload = format!("castlab doctor hears itself? {:016x}", rand::random::<u64>());
    let sent = sending.send_to(payload.as_bytes(), address).await.is_ok();
    let mut buffer = [0; 64];
    let heard = tokio::time::timeout(WAIT, async {
        loop {
            let length = listening.recv(&mut buffer).await?;
            if buffer.get(..length) == Some(payload.as_bytes()) {
                return Ok::<(), std::io::Error>(());
            }
        }
    });
    Some(sent && matches!(heard.await, Ok(Ok(()))))
}

/// Our own address on an interface, to bind to; a link-local one with the number of its link.
fn address_on(one: &Interface, group: &Group, port: u16) -> Option<SocketAddr> {
    Some(match one.address_for(group.address())? {
        std::net::IpAddr::V4(address) => (address, port).into(),
        std::net::IpAddr::V6(address) => {
            let zone = if address.is_unicast_link_local() { one.index } else { 0 };
            SocketAddrV6::new(address, port, 0, zone).into()
        }
    })
}
