//! What the fuzz targets share: how bytes become datagrams worth trying.

use arq::wire;
use multicast::call::wire as group;

/// The bytes with a right checksum behind them: without it nothing gets past the first line of the decoder.
#[must_use]
pub fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut datagram = bytes.to_vec();
    wire::seal(&mut datagram, 0);
    datagram
}

/// Datagrams of a transfer one after another: two bytes say how long each is.
pub fn split(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    pieces(bytes).map(sealed)
}

/// The same for datagrams of a group, whose checksum is another; raw lines are left as they are.
pub fn split_group(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    pieces(bytes).map(|piece| {
        let mut datagram = piece.to_vec();
        if group::is_framed(piece) {
            group::seal(&mut datagram);
        }
        datagram
    })
}

fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length) % 2_048).min(rest.len());
        let (datagram, rest) = rest.split_at(length);
        bytes = rest;
        Some(datagram)
    })
}
