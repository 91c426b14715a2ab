//! What may be typed to the group client, and how it runs then.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Parser;
use labkit::flags::switch;
use labkit::interface::Choice;
use labkit::target::{Family, Target, resolve};
use labkit::units::positive_duration;
use labkit::{Common, Exit, Failure, Program, Session};
use netsim::Impairment;

use super::{Client, Config, Ended, classic};

/// The port where none is typed.
const PORT: u16 = 20_001;
/// The longest line read: the largest raw line there can be.
const LONGEST_LINE: usize = 65_507;

/// Join a group: say and hear what is for all, write to the server alone, answer calls
#[derive(Parser, Clone, Debug)]
#[command(
    name = "group-client",
    version,
    before_help = "Examples:
  group-client --name 2                    join at 127.0.0.1:20001; each line goes to the server
  group-client --name 2 --reply 'yes from {client}'   answer every call, until Ctrl-C
  echo Hello | group-client --name 2       send a line, wait for the answer, leave
  group-client --classic                   raw lines, as the system of the course does",
    after_help = "While it runs: TEXT to the server, /group TEXT to all, /answer TEXT to a call, /who, /help, /quit.
Ends with 4 when nobody let it in or no line was answered, with 6 when some were."
)]
pub struct ClientArgs {
    /// The server
    #[arg(
        short,
        long,
        value_name = "HOST[:PORT]",
        default_value = "127.0.0.1:20001",
        env = "CASTLAB_SERVER",
        hide_env_values = true
    )]
    server: Target,

    /// What every call is answered; {client} and {text} stand for our name and the question
    #[arg(long, value_name = "TEXT", env = "CASTLAB_REPLY", hide_env_values = true)]
    reply: Option<String>,

    /// Raw lines only, no membership: for a server of the course
    #[arg(value_parser = switch(), long, env = "CASTLAB_CLASSIC", hide_env_values = true)]
    classic: bool,

    /// Where to hear the server's multicast group: NAME, ADDRESS, INDEX or all [default: where the server is reached]
    #[arg(short = 'I', long, value_name = "INTERFACE", env = "CASTLAB_INTERFACE", hide_env_values = true)]
    interface: Option<Choice>,

    /// How long to try to join
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = positive_duration, env = "CASTLAB_MAX_WAIT", hide_env_values = true)]
    max_wait: Duration,

    /// How long answers to the lines of a script are waited for
    #[arg(short = 'W', long, value_name = "TIME", default_value = "5s", value_parser = positive_duration, env = "CASTLAB_DEADLINE", hide_env_values = true)]
    deadline: Duration,

    /// Leave after this long [default: at Ctrl-C, or when the server ends]
    #[arg(short = 't', long, visible_alias = "time", value_parser = positive_duration, env = "CASTLAB_DURATION", hide_env_values = true)]
    duration: Option<Duration>,

    /// Make what we send meet a bad network: loss=10%,delay=5ms,duplicate=2%,reorder=5%,…
    #[arg(long, value_name = "IMPAIRMENT", env = "CASTLAB_IMPAIR", hide_env_values = true)]
    impair: Option<Impairment>,

    /// Where random choices come from [default: a new one]
    #[arg(long, value_name = "N", env = "CASTLAB_SEED", hide_env_values = true)]
    seed: Option<u64>,

    #[command(flatten)]
    common: Common,
}

impl Program for ClientArgs {
    const ROLE: &'static str = "group-client";

    fn common(&self) -> &Common {
        &self.common
    }

    async fn run(self, session: Session) -> Result<Exit, Failure> {
        let server = resolve(&self.server, PORT, Family::Any).await?;
        let Some(&server) = server.first() else {
            return Err(Failure::usage(format!("{} has no address", self.server)).hint("name an address"));
        };
        let seed = self.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
        let config = Config {
            reply: self.reply.clone(),
            interface: self.interface.clone(),
            max_wait: self.max_wait,
            deadline: self.deadline,
            duration: self.duration,
            impairment: self.impair.clone().map(|impairment| (impairment, seed)),
            ..Config::new(server, &session.node)
        };
        let output = session.output.clone();
        let is_person = std::io::stdin().is_terminal();
        let lines = crate::sender::stdin::lines(std::io::stdin(), LONGEST_LINE);
        let summary = if self.classic {
            classic::run(&config, &session, lines).await?
        } else {
            Client::open(config, session)?.with_lines(lines, is_person).run().await?
        };
        if summary.ended == Ended::NeverIn {
            let message =
                format!("no group server answered at {server} within {}", labkit::units::show_duration(self.max_wait));
            return Err(Failure::new(Exit::NobodyAnswered, "NOBODY-ANSWERED", message)
                .hint("is it running, and on that address? A server of the course needs --classic"));
        }
        output.result(summary.to_string());
        output.json(&summary.to_json());
        Ok(summary.exit())
    }
}
