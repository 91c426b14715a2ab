//! What each congestion control makes of each path: how much of the line it uses, how long a queue it keeps, what it sends twice.

use std::fmt;
use std::time::Duration;

use arq::congestion::Choice;
use netsim::Impairment;

use super::{Flow, Shared};

/// Each path with each congestion control.
#[derive(Clone, Debug, PartialEq)]
pub struct Contest {
    /// The rows, in the order of the paths, and of the congestion controls within a path.
    pub rows: Vec<Contestant>,
}

/// One congestion control on one path.
#[derive(Clone, Debug, PartialEq)]
pub struct Contestant {
    /// The path.
    pub course: Course,
    /// What was tried.
    pub congestion: Choice,
    /// The share of the line it used, in thousandths; beside another flow, its own share.
    pub used: u64,
    /// How long datagrams waited before the bottleneck: in the mean, and at most.
    pub queue: (Duration, Duration),
    /// Datagrams with blocks, per block.
    pub sent_per_block: f64,
}

/// A path, and who else is on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Course {
    /// The path to the receiver. What comes back takes as long, and is lost as often.
    pub path: &'static str,
    /// For how long, and what of it counts.
    pub time: Duration,
    /// See [`Course::time`].
    pub counts_from: Duration,
    /// A flow with this congestion control was there before.
    pub beside: Option<Choice>,
}

impl Course {
    /// A transfer of four seconds, start-up included.
    const fn alone(path: &'static str) -> Self {
        Course { path, time: Duration::from_secs(4), counts_from: Duration::ZERO, beside: None }
    }

    /// Beside a flow of CUBIC that came three seconds before, for as long as it takes to find each other.
    const fn beside_cubic(path: &'static str) -> Self {
        let (time, counts_from) = (Duration::from_secs(40), Duration::from_secs(10));
        Course { path, time, counts_from, beside: Some(Choice::Cubic) }
    }

    /// What congestion control is for: a clean line, one whose queue marks, lines that lose, a long one, a short queue, and
    /// others.
    pub const ALL: [Course; 7] = [
        Course::alone("rate=100mbit,delay=10ms,queue=250kB"),
        Course::alone("rate=100mbit,delay=10ms,queue=250kB,ecn=30kB"),
        Course::alone("rate=1gbit,delay=10ms,queue=2500kB,loss=1%"),
        Course::alone("rate=100mbit,delay=10ms,queue=250kB,loss=5%"),
        Course::alone("rate=1gbit,delay=25ms,queue=6250kB"),
        Course::alone("rate=100mbit,delay=10ms,queue=25kB"),
        Course::beside_cubic("rate=50mbit,delay=10ms,queue=125kB"),
    ];

    fn run(self, congestion: Choice, seed: u64) -> Contestant {
        let path: Impairment = self.path.parse().expect("the paths of this table are well-formed");
        let before = self.beside.map(Flow::of);
        let begins = if before.is_some() { Duration::from_secs(3) } else { Duration::ZERO };
        let flows = before.into_iter().chain([Flow::of(congestion).from(begins)]).collect::<Vec<_>>();
        let ours = flows.len() - 1;
        let rate = path.rate.max(1);
        let usage = Shared { seed, ..Shared::over(path, flows, self.time) }.run();
        Contestant {
            course: self,
            congestion,
            used: usage.rate(ours, self.counts_from, self.time) * 1_000 / rate,
            queue: usage.waited(begins, self.time, 0),
            sent_per_block: usage.sent_per_block(ours),
        }
    }
}

impl Contest {
    /// Runs each of the congestion controls over each of the paths, with chances from `seed`.
    #[must_use]
    pub fn of(courses: &[Course], congestions: &[Choice], seed: u64) -> Self {
        let pairs = courses.iter().flat_map(|course| congestions.iter().map(move |congestion| (course, congestion)));
        Contest { rows: pairs.map(|(course, congestion)| course.run(*congestion, seed)).collect() }
    }
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)?;
        self.beside.map_or(Ok(()), |other| write!(f, " beside {other}"))
    }
}

impl fmt::Display for Contest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<48} {:>8} {:>10} {:>11} {:>10} {:>11}",
            "path", "control", "line used", "queue, mean", "at most", "sent/block"
        )?;
        for row in &self.rows {
            let (course, congestion) = (row.course.to_string(), row.congestion.to_string());
            let used = format!("{}.{} %", row.used / 10, row.used % 10);
            let (mean, most) = (row.queue.0.as_secs_f64() * 1e3, row.queue.1.as_secs_f64() * 1e3);
            let sent = row.sent_per_block;
            writeln!(f, "{course:<48} {congestion:>8} {used:>10} {mean:>8.1} ms {most:>7.1} ms {sent:>11.3}")?;
        }
        Ok(())
    }
}
