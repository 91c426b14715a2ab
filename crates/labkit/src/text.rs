//! Text from strangers, made safe to show: no peer moves our cursor, colours our screen or forges a line of our log.

use std::ops::RangeInclusive;

/// `bytes` as text on one line, at most `limit` characters: control characters and broken UTF-8 are escaped, and what
/// is cut off is said.
#[must_use]
pub fn show(bytes: &[u8], limit: usize) -> String {
    let mut shown = String::new();
    let mut room = limit;
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if !take_one(&mut room) {
                return cut(shown, bytes.len());
            }
            if is_harmless(character) { shown.push(character) } else { shown.extend(character.escape_default()) }
        }
        for byte in chunk.invalid() {
            if !take_one(&mut room) {
                return cut(shown, bytes.len());
            }
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown
}

/// Bytes in hexadecimal, at most `limit` of them, two digits each: `0f 1e 2d`.
#[must_use]
pub fn hex(bytes: &[u8], limit: usize) -> String {
    let shown: Vec<String> = bytes.iter().take(limit).map(|byte| format!("{byte:02x}")).collect();
    let shown = shown.join(" ");
    if bytes.len() > limit { cut(shown, bytes.len()) } else { shown }
}

fn take_one(room: &mut usize) -> bool {
    let some = *room > 0;
    *room = room.saturating_sub(1);
    some
}

fn cut(shown: String, bytes: usize) -> String {
    format!("{shown}… ({bytes} bytes in all)")
}

/// Not a control character, and none of those that turn the direction of text or are not seen (a forger's tools).
fn is_harmless(character: char) -> bool {
    !character.is_control() && !HIDDEN.iter().any(|range| range.contains(&character))
}

/// Characters that are not seen, or turn the direction of what stands around them: the line separators, and what Unicode 16
/// calls `Default_Ignorable_Code_Point`, but for the selectors of an emoji's form.
const HIDDEN: [RangeInclusive<char>; 17] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{13430}'..='\u{1343f}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_left_alone() {
        for plain in ["Grüße, server3 ✓", "Olá, ninguém?", "سلام", "שלום", "한국어", "☎️ \u{a0}x"]
        {
            assert_eq!(show(plain.as_bytes(), 80), plain);
        }
    }

    #[test]
    fn what_could_fool_a_terminal_is_escaped() {
        assert_eq!(show(b"a\x1b[2Jb\nc\td\xff\xc3", 80), "a\\u{1b}[2Jb\\nc\\td\\xff\\xc3");
        assert_eq!(show("a\u{202e}b".as_bytes(), 80), "a\\u{202e}b");
        assert_eq!(
            show("\u{61c}\u{ad}\u{3164}\u{206a}\u{e0100}".as_bytes(), 80),
            r"\u{61c}\u{ad}\u{3164}\u{206a}\u{e0100}"
        );
    }

    #[test]
    fn gigabytes_are_cut_and_said() {
        assert_eq!(show(&[b'a'; 1000], 3), "aaa… (1000 bytes in all)");
        assert_eq!(hex(&[0x0f, 0x1e, 0x2d], 2), "0f 1e… (3 bytes in all)");
        assert_eq!(hex(&[0x0f], 2), "0f");
    }
}
