//! What others cause, told no more often than people read.

use std::time::Duration;

use events::Time;

/// How many lines are told in [`SPAN`]; what is beyond is counted.
const LINES: u32 = 10;
/// How long the count of lines is for.
const SPAN: Duration = Duration::from_secs(10);

/// Lets through so many lines at a time, and says with the next how many it kept.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seldom {
    began: Time,
    told: u32,
    kept: u64,
}

impl Seldom {
    /// The line, where it may be told now; where not, it is not even made.
    pub(crate) fn tell(&mut self, now: Time, line: impl FnOnce() -> String) -> Option<String> {
        if now - self.began >= SPAN {
            (self.began, self.told) = (now, 0);
        }
        if self.told >= LINES {
            self.kept += 1;
            return None;
        }
        self.told += 1;
        Some(match std::mem::take(&mut self.kept) {
            0 => line(),
            kept => format!("{} (and {kept} more before, not told)", line()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_in_a_few_lines_and_counted() {
        let (mut seldom, start) = (Seldom::default(), Time::ZERO + Duration::from_secs(100));
        let told = (0..1_000).filter_map(|_| seldom.tell(start, || "x".to_owned())).count();
        assert_eq!(told, 10);
        assert_eq!(seldom.tell(start + SPAN, || "y".to_owned()).unwrap(), "y (and 990 more before, not told)");
        assert_eq!(seldom.tell(start + SPAN, || "z".to_owned()).unwrap(), "z");
    }
}
