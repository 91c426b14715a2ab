//! Durations and sizes as people write and read them.

use std::time::Duration;

/// Longer than any run makes sense, and short enough that no sum of times overflows.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Reads `500ms`, `10s`, `2m`, `1h 30m`; a bare number is seconds. For clap's `value_parser`.
///
/// # Errors
/// When it is no duration, negative, or over a year.
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed = match text.trim().parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds)
            .map_err(|_| "a duration is a number of seconds from 0 up".to_owned())?,
        Err(_) => humantime::parse_duration(text.trim())
            .map_err(|error| format!("{error}; durations look like 500ms, 10s, 2m"))?,
    };
    if parsed > LONGEST { Err("at most a year".to_owned()) } else { Ok(parsed) }
}

/// The same, but more than zero.
///
/// # Errors
/// Those of [`duration`], and zero.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be more than zero".to_owned()),
        some => Ok(some),
    }
}

/// Reads a size in bytes: `65536`, `64KiB`, `8 MiB`, `1G`; K, M and G alone are 1024 too. For clap's `value_parser`.
///
/// # Errors
/// When it is no whole number with such a unit, or too large to count.
pub fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        other => return Err(format!("'{other}' is no unit of size; sizes look like 65536, 64KiB, 8MiB, 1GiB")),
    };
    let number: u64 = digits.parse().map_err(|_| "sizes look like 65536, 64KiB, 8MiB, 1GiB".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "more bytes than can be counted".to_owned())
}

/// Reads a rate in bit/s: `64K`, `10M`, `1G`; K, M and G are powers of 1000, as everywhere rates are written. For
/// clap's `value_parser`.
///
/// # Errors
/// When it is no whole number with such a unit, zero, or too large to count.
pub fn bitrate(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let factor = match unit {
        "" => 1,
        "K" | "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        other => return Err(format!("'{other}' is no unit of rate; rates are bit/s and look like 64K, 10M, 1G")),
    };
    let number: u64 = digits.parse().map_err(|_| "rates are bit/s and look like 64K, 10M, 1G".to_owned())?;
    match number.checked_mul(factor) {
        Some(0) => Err("must be more than zero".to_owned()),
        Some(rate) => Ok(rate),
        None => Err("more bits than can be counted".to_owned()),
    }
}

/// A duration with three digits and its unit: `812 µs`, `1.50 ms`, `12.3 s`.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        0.0 => "0 s".to_owned(),
        s if s < 1e-6 => format!("{:.0} ns", s * 1e9),
        s if s < 1e-3 => three_digits(s * 1e6, "µs"),
        s if s < 1.0 => three_digits(s * 1e3, "ms"),
        s => three_digits(s, "s"),
    }
}

/// A rate with three digits and its unit, in powers of 1000: `812 bit/s`, `10.0 Mbit/s`.
#[must_use]
pub fn show_bitrate(bits: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = bits as f64;
    match value {
        v if v < 999.5 => format!("{bits} bit/s"),
        v if v < 999.5e3 => three_digits(v / 1e3, "kbit/s"),
        v if v < 999.5e6 => three_digits(v / 1e6, "Mbit/s"),
        v => three_digits(v / 1e9, "Gbit/s"),
    }
}

/// A number of bytes with its unit, in powers of 1024: `19 B`, `1.50 KiB`, `100 MiB`.
#[must_use]
pub fn show_bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    three_digits(value, UNITS[unit])
}

fn three_digits(value: f64, unit: &str) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2} {unit}"),
        v if v < 99.95 => format!("{v:.1} {unit}"),
        v => format!("{v:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in
            [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("1h 30m", 5_400_000), ("0.25", 250), ("0", 0)]
        {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "-1", "soon", "NaN", "inf", "1e300", "400000000s", "10 parsecs"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(positive_duration("0s").is_err());
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, expected) in
            [("0", 0), ("65536", 65_536), ("64KiB", 65_536), ("8 MiB", 8 << 20), ("1G", 1 << 30), ("19 B", 19)]
        {
            assert_eq!(bytes(text).unwrap(), expected, "{text}");
        }
        for text in ["", "-1", "1.5K", "KiB", "64kb", "99999999999999999999", "18446744073709551615K"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_are_powers_of_1000() {
        for (text, expected) in [("1", 1), ("64K", 64_000), (" 10M ", 10_000_000), ("1G", 1_000_000_000)] {
            assert_eq!(bitrate(text).unwrap(), expected, "{text}");
        }
        for text in ["", "0", "0M", "-1", "1.5M", "10m", "10Mbit", "99999999999G"] {
            assert!(bitrate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn three_digits_and_a_unit() {
        for (nanos, shown) in
            [(0, "0 s"), (999, "999 ns"), (1_500, "1.50 µs"), (12_340_000, "12.3 ms"), (99_960_000_000, "100 s")]
        {
            assert_eq!(show_duration(Duration::from_nanos(nanos)), shown);
        }
        for (bits, shown) in
            [(999, "999 bit/s"), (1_500, "1.50 kbit/s"), (9_999_999, "10.0 Mbit/s"), (1 << 32, "4.29 Gbit/s")]
        {
            assert_eq!(show_bitrate(bits), shown);
        }
        for (bytes, shown) in
            [(19, "19 B"), (1023, "1023 B"), (1536, "1.50 KiB"), (104_857_600, "100 MiB"), (u64::MAX, "16.0 EiB")]
        {
            assert_eq!(show_bytes(bytes), shown);
        }
    }
}
