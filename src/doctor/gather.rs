//! Puts the facts together: everything that can be seen without sending anything.

use doctor::Facts;
use labkit::Failure;

use super::netlink::Netlink;
use super::question::Subject;
use super::{Args, proc};

/// Looks at everything.
///
/// # Errors
/// When the kernel does not list its interfaces.
pub(super) async fn facts(args: &Args, subject: &Subject) -> Result<Facts, Failure> {
    let netlink = Netlink::open()?;
    let mut interfaces = netlink.interfaces().await?;
    proc::complete(&mut interfaces);
    let question = subject.question(args, &interfaces);
    let way_to_source = match subject.source {
        Some(source) => Some(netlink.way_to(source).await),
        None => None,
    };
    Ok(Facts {
        way_to_group: netlink.way_to(question.group).await,
        way_to_source,
        sockets: proc::sockets(question.group, question.port),
        firewall: proc::firewall().await,
        limits: proc::limits(),
        container: proc::container(),
        trials: Vec::new(),
        probe: None,
        question,
        interfaces,
    })
}
