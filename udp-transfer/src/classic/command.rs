//! The classic protocol's text: what a client asks, one command a datagram, and what a server answers.
//!
//! | question | answer |
//! |---|---|
//! | `LIST` | the file names, one a line |
//! | `!CONFIG :NAME :CLIENTS` | `Config set`, or what is wrong with it |
//! | `TRANSFER` | the file configured, in datagrams of up to 65,507 bytes, and nothing else |
//! | `SIZE :NAME` | `Size BYTES` (ours: a server of the original does not know it) |

use std::net::SocketAddr;

use crate::FileName;
use crate::catalogue::Listing;
use crate::file_name::NameError;

/// The most a UDP datagram over IPv4 carries: 65,535 bytes less the headers of IP (20) and UDP (8); RFC 768, RFC 791.
pub const LARGEST_DATAGRAM: usize = 65_507;

/// The longest command, in bytes: a name of 255 and the words around it. Anything longer is no command.
pub const LONGEST_COMMAND: usize = 512;

/// The most clients one configuration may announce, whatever a server serves at once.
pub const MOST_CLIENTS: u16 = 256;

/// What a server says to a configuration it takes.
pub const CONFIG_SET: &str = "Config set";

/// What a server says to what it does not understand: about as long as the shortest question, so that nobody gains by
/// having it sent to somebody else.
pub const UNKNOWN: &str = "Unknown command";

const ERROR: &str = "Error: ";
const SIZE: &str = "Size ";

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Which files are there?
    List,
    /// The next transfers to this host shall be of this file.
    Config {
        /// The file.
        name: FileName,
        /// How many clients will ask for it at once.
        clients: u16,
    },
    /// Send the configured file here.
    Transfer,
    /// How many bytes has this file? (Ours.)
    Size {
        /// The file.
        name: FileName,
    },
}

/// Why a datagram is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Nothing known begins like that.
    #[error("{UNKNOWN}")]
    Unknown,
    /// `!CONFIG` and something else after it.
    #[error("{ERROR}write !CONFIG :NAME :CLIENTS")]
    ConfigForm,
    /// `SIZE` and something else after it.
    #[error("{ERROR}write SIZE :NAME")]
    SizeForm,
    /// The name is none.
    #[error("{ERROR}{0}")]
    Name(#[from] NameError),
    /// The number of clients is none, or out of range.
    #[error("{ERROR}CLIENTS is a number from 1 to {MOST_CLIENTS}")]
    Clients,
}

impl Command {
    /// Reads a datagram. White space and line ends around it are passed over, and upper and lower case are alike, so
    /// that a person at `nc -u` is understood too.
    ///
    /// # Errors
    /// When it is no command, or one with something wrong in it.
    pub fn parse(datagram: &[u8]) -> Result<Self, Misfit> {
        if datagram.len() > LONGEST_COMMAND {
            return Err(Misfit::Unknown);
        }
        // Some clients end their text as C does.
        let text = std::str::from_utf8(datagram).map_err(|_| Misfit::Unknown)?;
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        let (word, rest) = text.split_at(text.find(|c: char| c.is_whitespace() || c == ':').unwrap_or(text.len()));
        let rest = rest.trim();
        match word.to_ascii_uppercase().as_str() {
            "LIST" if rest.is_empty() => Ok(Command::List),
            "TRANSFER" if rest.is_empty() => Ok(Command::Transfer),
            "!CONFIG" => parse_config(rest),
            "SIZE" => {
                let name = rest.strip_prefix(':').ok_or(Misfit::SizeForm)?;
                Ok(Command::Size { name: FileName::parse(name.trim())? })
            }
            _ => Err(Misfit::Unknown),
        }
    }

    /// The datagram that asks this.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Command::List => "LIST".to_owned(),
            Command::Config { name, clients } => format!("!CONFIG :{} :{clients}", name.as_str()),
            Command::Transfer => "TRANSFER".to_owned(),
            Command::Size { name } => format!("SIZE :{}", name.as_str()),
        }
    }

    /// The name events and logs call it by.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Command::List => "list",
            Command::Config { .. } => "config",
            Command::Transfer => "transfer",
            Command::Size { .. } => "size",
        }
    }
}

/// Reads `:NAME :CLIENTS`. A name may have colons and spaces of its own: the last colon begins the number.
///
/// # Errors
/// When it has another form, or the name or the number is none.
pub fn parse_name_and_clients(text: &str) -> Result<(FileName, u16), Misfit> {
    let rest = text.trim().strip_prefix(':').ok_or(Misfit::ConfigForm)?;
    let (name, clients) = rest.rsplit_once(':').ok_or(Misfit::ConfigForm)?;
    let name = FileName::parse(name.trim())?;
    match clients.trim().parse() {
        Ok(clients @ 1..=MOST_CLIENTS) => Ok((name, clients)),
        _ => Err(Misfit::Clients),
    }
}

fn parse_config(rest: &str) -> Result<Command, Misfit> {
    let (name, clients) = parse_name_and_clients(rest)?;
    Ok(Command::Config { name, clients })
}

/// Whether a datagram from `from` may be answered at all, by a server whose own port is `local_port`.
///
/// A source address can be forged. Port 0 is nobody; our own port is a server, perhaps ourselves; below 1024 are
/// services that answer whatever they hear (echo, chargen, time), and two that answer each other never stop.
#[must_use]
pub fn may_be_answered(from: SocketAddr, local_port: u16) -> bool {
    from.port() >= 1024 && from.port() != local_port && !from.ip().to_canonical().is_multicast()
}

/// Whether a datagram reads like a server's answer: those are never answered.
#[must_use]
pub fn is_answer(datagram: &[u8]) -> bool {
    [CONFIG_SET, UNKNOWN, ERROR, SIZE].iter().any(|answer| datagram.starts_with(answer.as_bytes()))
}

/// The answer to `LIST`: one name a line, in one datagram. What does not fit is counted in a last line.
#[must_use]
pub fn list_answer(listing: &Listing) -> String {
    /// Room for the last line, with any number in it.
    const ROOM: usize = LARGEST_DATAGRAM - 64;
    let mut text = String::new();
    for (index, name) in listing.names.iter().enumerate() {
        if text.len() + name.as_str().len() + 1 > ROOM {
            let cut = if listing.is_cut { "at least " } else { "" };
            return text + &format!("... and {cut}{} more\n", listing.names.len() - index);
        }
        text.push_str(name.as_str());
        text.push('\n');
    }
    if listing.is_cut {
        text.push_str("... and more\n");
    }
    text
}

/// The answer to `SIZE`.
#[must_use]
pub fn size_answer(size: u64) -> String {
    format!("{SIZE}{size}")
}

/// The answer to a question about a file that cannot be served.
#[must_use]
pub fn error_answer(reason: &str) -> String {
    format!("{ERROR}{reason}")
}

/// Reads the answer to `SIZE`. Whatever else a server says there, it does not tell a size.
#[must_use]
pub fn read_size(answer: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(answer).ok()?.trim().strip_prefix(SIZE)?;
    // Exactly what `size_answer` writes: no sign, no leading zeros.
    digits.parse().ok().filter(|size: &u64| size.to_string() == digits)
}

/// Whether this is the answer to a configuration that was taken.
#[must_use]
pub fn is_config_set(answer: &[u8]) -> bool {
    answer.trim_ascii().get(..CONFIG_SET.len()).is_some_and(|start| start.eq_ignore_ascii_case(CONFIG_SET.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> FileName {
        FileName::parse(text).unwrap()
    }

    fn config(file: &str, clients: u16) -> Command {
        Command::Config { name: name(file), clients }
    }

    #[test]
    fn the_commands_of_the_original_are_understood() {
        for (text, command) in [
            ("LIST", Command::List),
            ("LIST\r\n", Command::List),
            ("list\0\0", Command::List),
            ("TRANSFER", Command::Transfer),
            (" transfer \n", Command::Transfer),
            ("!CONFIG :video.mp4 :5", config("video.mp4", 5)),
            ("!config  :video.mp4   :5\n", config("video.mp4", 5)),
            ("!CONFIG:video.mp4:10", config("video.mp4", 10)),
            ("!CONFIG :my video.mp4 :1", config("my video.mp4", 1)),
            ("!CONFIG :a:b :c.txt :256", config("a:b :c.txt", 256)),
            ("!CONFIG :LIST :1", config("LIST", 1)),
            ("SIZE :Grüße ✓", Command::Size { name: name("Grüße ✓") }),
        ] {
            assert_eq!(Command::parse(text.as_bytes()), Ok(command), "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, misfit) in [
            ("", Misfit::Unknown),
            ("HELLO", Misfit::Unknown),
            ("LIST all", Misfit::Unknown),
            ("LISTS", Misfit::Unknown),
            ("TRANSFER :a", Misfit::Unknown),
            ("!CONFIG", Misfit::ConfigForm),
            ("!CONFIG video.mp4 5", Misfit::ConfigForm),
            ("!CONFIG :video.mp4", Misfit::ConfigForm),
            ("!CONFIG :video.mp4 :", Misfit::Clients),
            ("!CONFIG :video.mp4 :0", Misfit::Clients),
            ("!CONFIG :video.mp4 :257", Misfit::Clients),
            ("!CONFIG :video.mp4 :-1", Misfit::Clients),
            ("!CONFIG :video.mp4 :99999999999999999999", Misfit::Clients),
            ("!CONFIG : :5", Misfit::Name(NameError::Empty)),
            ("!CONFIG :../../etc/passwd :5", Misfit::Name(NameError::Separator)),
            ("!CONFIG :.. :5", Misfit::Name(NameError::Folder)),
            ("!CONFIG :a\nb :5", Misfit::Name(NameError::Control)),
            ("SIZE", Misfit::SizeForm),
            ("SIZE a", Misfit::SizeForm),
            ("SIZE :/etc/passwd", Misfit::Name(NameError::Separator)),
        ] {
            assert_eq!(Command::parse(text.as_bytes()), Err(misfit), "{text:?}");
        }
        assert_eq!(Command::parse(b"LIST\xff"), Err(Misfit::Unknown));
        assert_eq!(Command::parse(&[b' '; 70_000]), Err(Misfit::Unknown));
        assert_eq!(Misfit::ConfigForm.to_string(), "Error: write !CONFIG :NAME :CLIENTS");
    }

    #[test]
    fn no_answer_is_ever_answered_and_no_service_that_would_answer_ours() {
        for answer in
            [CONFIG_SET, UNKNOWN, &Misfit::Clients.to_string(), &size_answer(7), &error_answer("no such file")]
        {
            assert!(is_answer(answer.as_bytes()), "{answer}");
        }
        assert!(!is_answer(b"LIST"));
        for (from, may) in [
            ("127.0.0.1:40000", true),
            ("127.0.0.1:0", false),
            ("127.0.0.1:7", false),
            ("127.0.0.1:6969", false),
            ("224.1.1.1:40000", false),
            ("[::1]:40000", true),
            ("[ff02::1]:40000", false),
        ] {
            assert_eq!(may_be_answered(from.parse().unwrap(), 6969), may, "{from}");
        }
    }

    #[test]
    fn a_list_is_one_datagram_and_says_what_did_not_fit() {
        let names = |count: usize| (0..count).map(|n| name(&format!("{n:0>250}"))).collect();
        assert_eq!(list_answer(&Listing { names: vec![name("a"), name("b c")], ..Listing::default() }), "a\nb c\n");
        assert_eq!(list_answer(&Listing::default()), "");
        let answer = list_answer(&Listing { names: names(1_000), ..Listing::default() });
        assert!(answer.len() <= LARGEST_DATAGRAM);
        let shown = answer.lines().count() - 1;
        assert_eq!(answer.lines().last().unwrap(), format!("... and {} more", 1_000 - shown));
        let cut = Listing { names: names(1_000), is_cut: true, passed_over: 0 };
        assert!(list_answer(&cut).lines().last().unwrap().starts_with("... and at least "));
    }

    #[test]
    fn only_a_size_is_a_size() {
        assert_eq!(read_size(size_answer(u64::MAX).as_bytes()), Some(u64::MAX));
        assert_eq!(read_size(b"Size 0\n"), Some(0));
        for other in ["", "Size ", "Size -1", "Size +1", "Size 007", "Size 1 MB", "Unknown command", "12"] {
            assert_eq!(read_size(other.as_bytes()), None, "{other}");
        }
        assert_eq!(read_size(b"Size \xff"), None);
    }

    #[test]
    fn a_configuration_is_taken_however_that_is_written() {
        for answer in ["Config set", "config set\r\n", "Config set.", "CONFIG SET: a.bin"] {
            assert!(is_config_set(answer.as_bytes()), "{answer}");
        }
        for answer in ["", "Config", "Error: no such file", "No config set"] {
            assert!(!is_config_set(answer.as_bytes()), "{answer}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_command_or_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(command) = Command::parse(&bytes) {
                prop_assert_eq!(Command::parse(command.to_text().as_bytes()), Ok(command));
            }
            let _ = (is_answer(&bytes), read_size(&bytes), is_config_set(&bytes));
        }

        #[test]
        fn any_text_after_a_command_word_is_a_command_or_a_reason(
            word in prop_oneof![Just("LIST"), Just("!CONFIG"), Just("TRANSFER"), Just("SIZE")],
            rest in ".{0,80}",
        ) {
            let text = format!("{word}{rest}");
            match Command::parse(text.as_bytes()) {
                Ok(command) => prop_assert_eq!(Command::parse(command.to_text().as_bytes()), Ok(command)),
                Err(misfit) => prop_assert!(misfit.to_string().len() < 80, "answers are short"),
            }
        }

        #[test]
        fn every_command_survives_its_text(file in "[^/\\\\\\p{Cc}\u{2028}\u{2029}]{1,60}", clients in 1..=MOST_CLIENTS) {
            if let Ok(name) = FileName::parse(&file) {
                for command in [Command::Config { name: name.clone(), clients }, Command::Size { name }] {
                    prop_assert_eq!(Command::parse(command.to_text().as_bytes()), Ok(command));
                }
            }
        }
    }
}
