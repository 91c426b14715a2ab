//! What was received, held against the source, byte by byte.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;

/// How a received file compares with the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// The same bytes.
    Same,
    /// Parts of it: what came is right, and where it belongs or, in the classic protocol, in the right order.
    Parts,
    /// Other bytes.
    Different,
    /// Nothing was received.
    Nothing,
}

const BUFFER: usize = 1 << 20;

/// Compares all of `got` with all of `source`.
///
/// # Errors
/// When one of them cannot be read.
pub fn whole(source: &Path, got: &Path) -> io::Result<Compared> {
    compare(source, got, false)
}

/// The same where blocks may be missing: nothing was written at their place, so there are zeros.
///
/// # Errors
/// When one of them cannot be read.
pub fn with_holes(source: &Path, got: &Path) -> io::Result<Compared> {
    compare(source, got, true)
}

fn compare(source: &Path, got: &Path, may_have_holes: bool) -> io::Result<Compared> {
    let (mut source, mut got) = (File::open(source)?, File::open(got)?);
    let (mut ours, mut theirs) = (vec![0; BUFFER], vec![0; BUFFER]);
    let mut compared = Compared::Same;
    loop {
        let (wanted, there) = (fill(&mut source, &mut ours)?, fill(&mut got, &mut theirs)?);
        let (ours, theirs) = (&ours[..wanted], &theirs[..there]);
        if ours != theirs {
            let only_zeros_differ = ours.iter().zip(theirs).all(|(ours, theirs)| ours == theirs || *theirs == 0);
            if !may_have_holes || there > wanted || !only_zeros_differ {
                return Ok(Compared::Different);
            }
            compared = Compared::Parts;
        }
        if wanted < BUFFER {
            return Ok(compared);
        }
    }
}

/// Whether `got` is the source without some of its pieces of `length` bytes, the others in order: what the classic
/// protocol makes of a loss.
///
/// # Errors
/// When one of them cannot be read.
pub fn pieces(source: &Path, got: &Path, length: usize) -> io::Result<Compared> {
    let (mut source, mut got) = (File::open(source)?, File::open(got)?);
    let (mut ours, mut theirs) = (vec![0; length], vec![0; length]);
    let mut compared = Compared::Same;
    let mut came = fill(&mut got, &mut theirs)?;
    if came == 0 {
        return Ok(Compared::Nothing);
    }
    loop {
        let piece = fill(&mut source, &mut ours)?;
        match (piece, came) {
            (0, 0) => return Ok(compared),
            // More than was sent, or not what was sent.
            (0, _) => return Ok(Compared::Different),
            _ if came > 0 && ours[..piece] == theirs[..came] => came = fill(&mut got, &mut theirs)?,
            _ => compared = Compared::Parts,
        }
    }
}

/// As many bytes as there are, up to the buffer's length.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(source: &[u8], got: &[u8]) -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("source"), folder.path().join("got"));
        std::fs::write(&one, source).unwrap();
        std::fs::write(&other, got).unwrap();
        (folder, one, other)
    }

    #[test]
    fn the_same_bytes_are_the_same_and_one_other_is_not() {
        let mut long: Vec<u8> = (0..2 * BUFFER + 5).map(|n| u8::try_from(n % 251 + 1).unwrap()).collect();
        let (_folder, source, got) = files(&long, &long);
        assert_eq!(
            (whole(&source, &got).unwrap(), with_holes(&source, &got).unwrap()),
            (Compared::Same, Compared::Same)
        );
        long[BUFFER + 3] = 0;
        std::fs::write(&got, &long).unwrap();
        assert_eq!(whole(&source, &got).unwrap(), Compared::Different);
        assert_eq!(with_holes(&source, &got).unwrap(), Compared::Parts, "a zero where something was is a hole");
        long[BUFFER + 3] = 255;
        std::fs::write(&got, &long).unwrap();
        assert_eq!(with_holes(&source, &got).unwrap(), Compared::Different);
        long.truncate(BUFFER + 2);
        std::fs::write(&got, &long).unwrap();
        assert_eq!(whole(&source, &got).unwrap(), Compared::Different);
        assert_eq!(with_holes(&source, &got).unwrap(), Compared::Parts);
    }

    #[test]
    fn a_file_of_full_buffers_ends_where_the_source_does() {
        let one = vec![7; BUFFER];
        let (_folder, source, got) = files(&one, &one);
        assert_eq!(whole(&source, &got).unwrap(), Compared::Same);
        std::fs::write(&got, vec![7; BUFFER + 1]).unwrap();
        assert_eq!(with_holes(&source, &got).unwrap(), Compared::Different);
    }

    #[test]
    fn pieces_may_be_missing_but_not_change_or_come_twice() {
        for (got, compared) in [
            ("aabbccd", Compared::Same),
            ("aaccd", Compared::Parts),
            ("aabbcc", Compared::Parts),
            ("d", Compared::Parts),
            ("", Compared::Nothing),
            ("aaccbb", Compared::Different),
            ("aaaabbccd", Compared::Different),
            ("aabbcx", Compared::Different),
            ("aabbccdd", Compared::Different),
        ] {
            let (_folder, source, path) = files(b"aabbccd", got.as_bytes());
            assert_eq!(pieces(&source, &path, 2).unwrap(), compared, "{got}");
        }
    }
}
