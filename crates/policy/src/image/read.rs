//! Little-endian reads at computed places. What lies outside the bytes reads as `None`.

/// The bytes as `N` words, if they are just that long.
#[inline]
pub(crate) fn words<const N: usize>(bytes: &[u8]) -> Option<[u32; N]> {
    let (chunks, rest) = bytes.as_chunks::<4>();
    let chunks: &[[u8; 4]; N] = chunks.try_into().ok()?;
    rest.is_empty().then(|| chunks.map(u32::from_le_bytes))
}

/// Records of `BYTES` bytes.
pub(crate) type Table<'a, const BYTES: usize> = &'a [[u8; BYTES]];

/// Record `index` of a table.
#[inline]
pub(crate) fn record<const BYTES: usize>(
    table: Table<'_, BYTES>,
    index: u32,
) -> Option<&[u8; BYTES]> {
    table.get(usize::try_from(index).ok()?)
}

/// Word `index` of a table of words.
#[inline]
pub(crate) fn word(table: Table<'_, 4>, index: u32) -> Option<u32> {
    record(table, index).map(|bytes| u32::from_le_bytes(*bytes))
}

/// Quad word `index` of a table of quad words.
#[inline]
pub(crate) fn quad(table: Table<'_, 8>, index: u32) -> Option<u64> {
    record(table, index).map(|bytes| u64::from_le_bytes(*bytes))
}

/// The string at byte `at` of a string heap: its length in two bytes, then its bytes.
#[inline]
pub(crate) fn string(heap: &[u8], at: u32) -> Option<&[u8]> {
    let at = usize::try_from(at).ok()?;
    let (len, rest) = heap.get(at..)?.split_first_chunk::<2>()?;
    rest.get(..usize::from(u16::from_le_bytes(*len)))
}
