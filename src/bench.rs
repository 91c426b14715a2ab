//! `castlab bench`: how fast the labs' programs are, against others on the same machine in the same run.

pub mod environment;
pub mod keeper;
pub mod matrix;
pub mod quiet;
pub mod received;
pub mod scratch;
pub mod speed;
pub mod stats;

use clap::Subcommand;
use labkit::{Common, Exit, Failure, Session};

/// What may be typed after `castlab bench`.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Which benchmark.
    #[command(subcommand)]
    pub which: Which,
}

/// The benchmarks.
#[derive(Subcommand, Clone, Debug)]
pub enum Which {
    /// File transfer: clients × sizes × modes, with plain TCP beside them, as tables and figures
    Matrix(Box<matrix::Args>),

    /// Our file transfers beside nginx, iperf3, UFTP, QUIC and Python: rate, processor time and memory, on several paths
    Speed(speed::Args),

    /// A file over plain TCP: what `matrix` compares with
    #[command(hide = true)]
    MatrixTcp(matrix::tcp::Args),
}

/// Runs it.
///
/// # Errors
/// When it cannot be set up, or its report cannot be written.
pub async fn run(args: Args, common: &Common, session: &Session) -> Result<Exit, Failure> {
    match args.which {
        Which::Matrix(args) => matrix::run(&args, common, session).await,
        Which::Speed(args) => speed::run(&args, common, session).await,
        Which::MatrixTcp(args) => matrix::tcp::run(args, session).await,
    }
}
