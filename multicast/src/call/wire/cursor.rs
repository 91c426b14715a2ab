//! Reading fields from bytes nobody has vouched for.

use super::DecodeError;

/// Takes fields off the front of a slice; never looks beyond its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::TooShort)?;
        self.0 = rest;
        Ok(*field)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (field, rest) = self.0.split_at_checked(length).ok_or(DecodeError::TooShort)?;
        self.0 = rest;
        Ok(field)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number that is not zero.
    pub(super) fn positive(&mut self) -> Result<u32, DecodeError> {
        match self.u32()? {
            0 => Err(DecodeError::BadField("number")),
            some => Ok(some),
        }
    }

    /// Bytes with their length before them, at most `limit`.
    pub(super) fn text(&mut self, limit: usize) -> Result<Vec<u8>, DecodeError> {
        let length = usize::from(self.u16()?);
        if length > limit {
            return Err(DecodeError::BadField("length"));
        }
        self.bytes(length).map(<[u8]>::to_vec)
    }

    /// Everything that is left must be zero.
    pub(super) fn padding(&mut self) -> Result<(), DecodeError> {
        let rest = std::mem::take(&mut self.0);
        if rest.iter().all(|&byte| byte == 0) { Ok(()) } else { Err(DecodeError::BadField("padding")) }
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::TooLong) }
    }
}
