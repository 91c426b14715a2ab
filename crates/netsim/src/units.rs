//! Chances, times, rates and sizes as people write them, to and from text without loss.

use std::fmt;
use std::time::Duration;

use crate::Chance;

/// Times, shortest unit first, in nanoseconds.
const TIMES: [(&str, u64); 5] =
    [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000)];
/// Rates in bits per second. Like every rate in networking, in steps of 1 000.
const RATES: [(&str, u64); 4] = [("bit", 1), ("kbit", 1_000), ("mbit", 1_000_000), ("gbit", 1_000_000_000)];
/// Sizes in bytes.
const SIZES: [(&str, u64); 5] = [("B", 1), ("kB", 1_000), ("MB", 1_000_000), ("KiB", 1 << 10), ("MiB", 1 << 20)];

/// `5%`, `0.1%` or a fraction such as `0.05`.
pub(crate) fn chance(text: &str) -> Option<Chance> {
    let (number, whole) = match text.strip_suffix('%') {
        Some(percent) => (percent, 10_000),
        None => (text, 1_000_000),
    };
    let parts = decimal(number, whole)?;
    u32::try_from(parts).ok().filter(|&parts| parts <= 1_000_000).map(Chance::from_ppm)
}

/// `20ms`, `1.5s`, `2m`.
pub(crate) fn time(text: &str) -> Option<Duration> {
    with_unit(text, &TIMES).map(Duration::from_nanos)
}

/// `10mbit`, `500kbit`.
pub(crate) fn rate(text: &str) -> Option<u64> {
    with_unit(text, &RATES)
}

/// `64KiB`, `37500B`.
pub(crate) fn size(text: &str) -> Option<u64> {
    with_unit(text, &SIZES)
}

/// A number and one of `units`, in the unit of one.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(split)?;
    let &(_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    decimal(number, scale)
}

/// `number`, which may have decimals, times `scale`; none when it is malformed, too large, or finer than one.
fn decimal(number: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if number.ends_with('.') || whole.is_empty() || !(whole.bytes().chain(fraction.bytes())).all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let mut value = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    let mut place = scale;
    for digit in fraction.bytes() {
        let digit = u64::from(digit - b'0');
        if digit > 0 && !place.is_multiple_of(10) {
            return None;
        }
        place /= 10;
        value = value.checked_add(digit * place)?;
    }
    Some(value)
}

/// Shows a value in the largest unit that divides it, so that reading it back gives the same value.
struct InUnits<'a>(u64, &'a [(&'a str, u64)]);

impl fmt::Display for InUnits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InUnits(value, units) = *self;
        let mut best = units.first().copied().unwrap_or(("", 1));
        for &(unit, scale) in units {
            if value > 0 && value.is_multiple_of(scale) && scale > best.1 {
                best = (unit, scale);
            }
        }
        write!(f, "{}{}", value / best.1, best.0)
    }
}

pub(crate) fn show_time(time: Duration) -> impl fmt::Display {
    InUnits(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), &TIMES)
}

pub(crate) fn show_rate(rate: u64) -> impl fmt::Display {
    InUnits(rate, &RATES)
}

pub(crate) fn show_size(size: u64) -> impl fmt::Display {
    InUnits(size, &SIZES)
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:04}", self.ppm() % 10_000);
        let decimals = decimals.trim_end_matches('0');
        let point = if decimals.is_empty() { "" } else { "." };
        write!(f, "{}{point}{decimals}%", self.ppm() / 10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read_exactly() {
        assert_eq!(chance("5%"), Some(Chance::from_percent(5)));
        assert_eq!(chance("0.1%"), Some(Chance::from_ppm(1_000)));
        assert_eq!(chance("0.05"), Some(Chance::from_percent(5)));
        assert_eq!(time("1.5s"), Some(Duration::from_millis(1_500)));
        assert_eq!(time("2m"), Some(Duration::from_secs(120)));
        assert_eq!(rate("2.5mbit"), Some(2_500_000));
        assert_eq!(size("64KiB"), Some(65_536));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in ["", "%", "101%", "-1%", "1e3", ".5", "5.", "0.00001%", "٣%"] {
            assert_eq!(chance(text), None, "{text}");
        }
        for text in ["", "5", "ms", "5 ms", "5MS", "0.5ns", "99999999999999999999s"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn the_shortest_exact_form_is_shown() {
        assert_eq!(Chance::from_ppm(1_000).to_string(), "0.1%");
        assert_eq!(Chance::from_percent(100).to_string(), "100%");
        assert_eq!(show_time(Duration::from_millis(1_500)).to_string(), "1500ms");
        assert_eq!(show_size(37_500).to_string(), "37500B");
        assert_eq!(show_time(Duration::ZERO).to_string(), "0ns");
    }
}
