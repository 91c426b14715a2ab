//! How far fetching is: bars on a terminal, elsewhere a plain line every few seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use labkit::units::show_bytes;

use crate::report::{ppm, show_percent};

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Show {
    /// Not at all.
    #[default]
    Nothing,
    /// A line on stderr every few seconds.
    Lines,
    /// One bar a client, on stderr.
    Bars,
}

/// The progress of several clients that fetch the same file.
#[derive(Debug)]
pub(crate) struct Progress {
    show: Show,
    size: Option<u64>,
    counters: Vec<Arc<AtomicU64>>,
    /// Where each has a size of its own.
    sizes: Vec<Arc<AtomicU64>>,
    bars: Vec<ProgressBar>,
}

impl Progress {
    /// Shows what `counters` count, of `size` bytes each, where that is known.
    pub(crate) fn new(show: Show, size: Option<u64>, counters: Vec<Arc<AtomicU64>>) -> Self {
        let all = MultiProgress::new();
        let bar = |client: usize| {
            let bar = match size {
                Some(size) => {
                    ProgressBar::new(size).with_style(style("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}"))
                }
                None => ProgressBar::no_length().with_style(style("{msg} {bytes} {bytes_per_sec}")),
            };
            all.add(bar.with_message(format!("client {client:>2}")))
        };
        let bars = if show == Show::Bars { (1..=counters.len()).map(bar).collect() } else { Vec::new() };
        Progress { show, size, counters, sizes: Vec::new(), bars }
    }

    /// Shows several files, each with its own size, which is known only once it is asked for. Of many, only the sum.
    pub(crate) fn of_files(show: Show, files: Vec<(String, Arc<AtomicU64>, Arc<AtomicU64>)>) -> Self {
        const MOST_BARS: usize = 10;
        let all = MultiProgress::new();
        let bars = if show == Show::Bars && files.len() <= MOST_BARS {
            let bar = |(name, ..): &(String, Arc<AtomicU64>, Arc<AtomicU64>)| {
                let bar = ProgressBar::new(0).with_style(style("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}"));
                all.add(bar.with_message(labkit::text::show(name.as_bytes(), 30)))
            };
            files.iter().map(bar).collect()
        } else {
            Vec::new()
        };
        let show = if show == Show::Bars && bars.is_empty() { Show::Lines } else { show };
        let (counters, sizes) = files.into_iter().map(|(_, counter, size)| (counter, size)).unzip();
        Progress { show, size: None, counters, sizes, bars }
    }

    /// How often to call [`Progress::tick`].
    pub(crate) fn interval(&self) -> Duration {
        if self.show == Show::Bars { Duration::from_millis(100) } else { Duration::from_secs(3) }
    }

    /// Shows where the counters stand.
    pub(crate) fn tick(&self) {
        match self.show {
            Show::Nothing => {}
            Show::Lines => tracing::info!("{}", self.line()),
            Show::Bars => {
                self.bars.iter().zip(&self.sizes).for_each(|(bar, size)| bar.set_length(read(size)));
                self.bars.iter().zip(&self.counters).for_each(|(bar, counter)| bar.set_position(read(counter)))
            }
        }
    }

    /// Takes the bars away.
    pub(crate) fn finish(&self) {
        self.bars.iter().for_each(ProgressBar::finish_and_clear);
    }

    fn line(&self) -> String {
        let bytes = self.counters.iter().map(read).fold(0, u64::saturating_add);
        if !self.sizes.is_empty() {
            let whole = self.counters.iter().zip(&self.sizes).filter(|(here, size)| read(here) == read(size)).count();
            return format!("{} here; {whole} of {} files", show_bytes(bytes), self.counters.len());
        }
        let clients = self.counters.len();
        match self.size {
            // Of an empty file there is no share to tell.
            Some(size @ 1..) => {
                let all = size.saturating_mul(clients as u64);
                format!(
                    "{} of {} ({}), clients: {clients}",
                    show_bytes(bytes),
                    show_bytes(all),
                    show_percent(ppm(bytes, all))
                )
            }
            Some(0) => format!("{} of 0 B, clients: {clients}", show_bytes(bytes)),
            None => format!("{}, clients: {clients}", show_bytes(bytes)),
        }
    }
}

fn read(counter: &Arc<AtomicU64>) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are well formed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_line_tells_bytes_and_share() {
        let counters = vec![Arc::new(AtomicU64::new(1 << 20)), Arc::new(AtomicU64::new(0))];
        let line = |size| Progress::new(Show::Lines, size, counters.clone()).line();
        assert_eq!(line(Some(1 << 20)), "1.00 MiB of 2.00 MiB (50.00 %), clients: 2");
        assert_eq!(line(None), "1.00 MiB, clients: 2");
        assert_eq!(line(Some(0)), "1.00 MiB of 0 B, clients: 2");
    }
}
