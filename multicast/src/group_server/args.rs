//! What may be typed to the group server, and how it runs then.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use labkit::flags::switch;
use labkit::interface::Choice;
use labkit::program::VERSION;
use labkit::units::{positive_duration, show_duration};
use labkit::{Common, Exit, Failure, Program, Session};
use netsim::Impairment;

use super::orders::CheckOrder;
use super::{ADDRESS, CallSummary, Config, GROUP, Server};
use crate::Group;
use crate::call::{CallResult, MEMBERS, Order};

/// The longest line read: the largest raw line there can be.
const LONGEST_LINE: usize = 65_507;

/// Hear the clients of a group, answer one, tell all, call them as one calls a procedure
#[derive(Parser, Debug)]
#[command(
    name = "group-server",
    version,
    args_conflicts_with_subcommands = true,
    before_help = "Examples:
  group-server                             on 127.0.0.1:20001; a plain line answers a client
  group-server --reply 'Hello {client}'    answers by itself
  group-server call 'Ready?' --members 1,2,3   every member's answer, the missing named
  group-server --order causal --cast multicast -I lo   one datagram to all
  group-server check-order *.jsonl         did everybody see everything in order?",
    after_help = "While it runs: TEXT answers, /to NAME TEXT, /group TEXT, /all TEXT, /call TEXT, /who, /help, /quit.
A call ends with 0 when all answered, with 6 when some did, with 4 when nobody did."
)]
pub struct ServerArgs {
    #[command(subcommand)]
    action: Option<Action>,

    #[command(flatten)]
    setup: Setup,

    /// What everyone who writes is answered; {client} and {text} stand for its name and its message
    #[arg(long, value_name = "TEXT", env = "CASTLAB_REPLY", hide_env_values = true)]
    reply: Option<String>,

    /// Answer raw lines of other machines in full, though they prove no address
    #[arg(value_parser = switch(), long, env = "CASTLAB_CLASSIC", hide_env_values = true)]
    classic: bool,

    /// End after this long [default: at Ctrl-C]
    #[arg(short = 't', long, visible_alias = "time", value_parser = positive_duration, env = "CASTLAB_DURATION", hide_env_values = true)]
    duration: Option<Duration>,

    #[command(flatten)]
    common: Common,
}

#[derive(Subcommand, Clone, Debug)]
enum Action {
    /// Wait for members, ask them all, show every answer, end
    #[command(before_help = "Examples:
  group-server call 'Ready?' --deadline 500ms
  group-server call 'Ready?' --members 1,2,3 --max-wait 10s
  group-server call 'Ready?' --cast multicast -I lo --json")]
    Call(Box<Call>),

    #[command(before_help = "Examples:
  group-server check-order server.jsonl client1.jsonl client2.jsonl
  group-server check-order --order total *.jsonl
  group-server check-order --json *.jsonl")]
    CheckOrder(CheckOrder),
}

/// How the group is kept, whatever is done with it.
#[derive(Args, Clone, Debug)]
struct Setup {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR:PORT", default_value = ADDRESS, env = "CASTLAB_BIND", hide_env_values = true)]
    bind: SocketAddr,

    /// In which order members see what is said to all: none, fifo, causal or total
    #[arg(long, default_value_t, env = "CASTLAB_ORDER", hide_env_values = true)]
    order: Order,

    /// How what is for all goes out: a copy to each member, or one to a multicast group
    #[arg(long, value_enum, default_value_t = Cast::Unicast, env = "CASTLAB_CAST", hide_env_values = true)]
    cast: Cast,

    /// The multicast group, with --cast multicast
    #[arg(long, value_name = "GROUP[:PORT]", default_value = GROUP, env = "CASTLAB_GROUP", hide_env_values = true)]
    group: String,

    /// The interface to the multicast group: NAME, ADDRESS or INDEX [default: that of --bind, or the one routed to]
    #[arg(short = 'I', long, value_name = "INTERFACE", env = "CASTLAB_INTERFACE", hide_env_values = true)]
    interface: Option<Choice>,

    /// How many links what goes to the multicast group may cross; 1 is this link only
    #[arg(long, default_value_t = 1, env = "CASTLAB_TTL", hide_env_values = true)]
    ttl: u8,

    /// How often members report that they are there, at the least
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = positive_duration, env = "CASTLAB_HEARTBEAT", hide_env_values = true)]
    heartbeat: Duration,

    /// After how long without a word a member counts as gone
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = positive_duration, env = "CASTLAB_SILENCE", hide_env_values = true)]
    silence: Duration,

    /// How many members there may be
    #[arg(long, value_name = "N", default_value_t = MEMBERS as u64, value_parser = clap::value_parser!(u64).range(1..=MEMBERS as u64), env = "CASTLAB_MAX_MEMBERS", hide_env_values = true)]
    max_members: u64,

    /// Make what we send meet a bad network: loss=10%,delay=5ms,duplicate=2%,reorder=5%,…
    #[arg(long, value_name = "IMPAIRMENT", env = "CASTLAB_IMPAIR", hide_env_values = true)]
    impair: Option<Impairment>,

    /// Where the impairment's choices come from [default: a new one]
    #[arg(long, value_name = "N", env = "CASTLAB_SEED", hide_env_values = true)]
    seed: Option<u64>,
}

/// How what is for all goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Cast {
    /// A copy to each member.
    Unicast,
    /// One datagram to a multicast group.
    Multicast,
}

#[derive(Parser, Clone, Debug)]
struct Call {
    /// The question
    #[arg(value_name = "TEXT")]
    text: String,

    /// How long answers are waited for
    #[arg(short = 'W', long, value_name = "TIME", default_value = "500ms", value_parser = positive_duration, env = "CASTLAB_DEADLINE", hide_env_values = true)]
    deadline: Duration,

    /// The names of those expected: waits for them, and names those that did not come
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', env = "CASTLAB_MEMBERS", hide_env_values = true)]
    members: Vec<String>,

    /// Wait until so many are here
    #[arg(long, value_name = "N", default_value_t = 1, env = "CASTLAB_MIN_MEMBERS", hide_env_values = true)]
    min_members: usize,

    /// Ask at the latest after this long, whoever is here
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = positive_duration, env = "CASTLAB_MAX_WAIT", hide_env_values = true)]
    max_wait: Duration,

    #[command(flatten)]
    setup: Setup,
}

impl Setup {
    fn config(&self) -> Result<Config, Failure> {
        if self.heartbeat * 2 > self.silence {
            let (heartbeat, silence) = (show_duration(self.heartbeat), show_duration(self.silence));
            return Err(Failure::usage(format!("--silence {silence} is less than two heartbeats of {heartbeat}"))
                .hint("one lost heartbeat must not make a member count as gone: --silence 3s --heartbeat 500ms"));
        }
        let seed = self.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
        let group = match self.cast {
            Cast::Unicast => None,
            Cast::Multicast => Some(Group::parse(&self.group)?),
        };
        Ok(Config {
            order: self.order,
            group,
            interface: self.interface.clone(),
            ttl: self.ttl,
            heartbeat: self.heartbeat,
            silence: self.silence,
            members: usize::try_from(self.max_members).unwrap_or(MEMBERS),
            impairment: self.impair.clone().map(|impairment| (impairment, seed)),
            ..Config::new(self.bind)
        })
    }
}

impl Program for ServerArgs {
    const ROLE: &'static str = "group-server";

    fn common(&self) -> &Common {
        &self.common
    }

    async fn run(self, session: Session) -> Result<Exit, Failure> {
        match &self.action {
            Some(Action::CheckOrder(check)) => check.run(&session),
            Some(Action::Call(call)) => call.run(session).await,
            None => self.serve(session).await,
        }
    }
}

impl ServerArgs {
    async fn serve(self, session: Session) -> Result<Exit, Failure> {
        let config = Config {
            reply: self.reply.clone(),
            classic: self.classic,
            duration: self.duration,
            ..self.setup.config()?
        };
        let output = session.output.clone();
        let server = open(config, session)?;
        let is_person = std::io::stdin().is_terminal();
        let lines = crate::sender::stdin::lines(std::io::stdin(), LONGEST_LINE);
        let summary = server.with_operator(lines, is_person).run().await?;
        output.result(summary.to_string());
        output.json(&summary.to_json());
        Ok(summary.exit())
    }
}

impl Call {
    async fn run(&self, session: Session) -> Result<Exit, Failure> {
        let (output, shutdown) = (session.output.clone(), session.shutdown.clone());
        let server = open(self.setup.config()?, session)?;
        let handle = server.handle();
        let names: Vec<Vec<u8>> = self.members.iter().map(|name| name.clone().into_bytes()).collect();
        let wanted = self.min_members.max(names.len());
        let ask = async {
            if !handle.gather(wanted, &names, self.max_wait).await? {
                tracing::warn!("not all came within {}; asking those who did", show_duration(self.max_wait));
            }
            let present = handle.present().await?;
            let result = handle.call(self.text.as_bytes(), self.deadline).await?;
            let is_here = |name: &Vec<u8>| present.iter().any(|one| one.name == *name);
            let absent = names.iter().filter(|name| !is_here(name)).cloned().collect();
            Ok(CallSummary { result, absent, wanted })
        };
        let (asked, ran) = tokio::join!(
            async {
                let asked = shutdown.or(ask).await;
                // The server says good-bye to its members, then ends.
                shutdown.request();
                asked
            },
            server.run()
        );
        ran?;
        let summary = match asked {
            Some(asked) => asked?,
            None if shutdown.was_interrupted() => return Ok(Exit::Interrupted),
            None => CallSummary { result: CallResult::nobody(self.text.as_bytes()), absent: names, wanted },
        };
        if summary.result.answers.is_empty() && summary.result.missing.is_empty() {
            let failure =
                Failure::new(Exit::NobodyAnswered, "NOBODY-HERE", format!("nobody joined at {}", self.setup.bind));
            return Err(failure.hint(format!("group-client --server {} --name 1 --reply yes", self.setup.bind)));
        }
        output.result(summary.to_string());
        output.json(&summary.to_json());
        Ok(summary.exit())
    }
}

/// Binds, and says so.
fn open(config: Config, session: Session) -> Result<Server, Failure> {
    let output = session.output.clone();
    let (order, heartbeat, silence) = (config.order, config.heartbeat, config.silence);
    let cast =
        config.group.as_ref().map_or("a copy to each member".to_owned(), |group| format!("multicast to {group}"));
    if let Some((_, seed)) = &config.impairment {
        tracing::info!("what we send meets a bad network, --seed {seed}");
    }
    let server = Server::open(config, session)?;
    tracing::info!(
        "group-server {VERSION}: order {order}, {cast}; heartbeat {}, gone after {} of silence",
        show_duration(heartbeat),
        show_duration(silence)
    );
    output.line(format!("Group server listening on {}", server.local()));
    Ok(server)
}
