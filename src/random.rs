//! The one door to randomness: the operating system's generator.

/// Bytes that nobody can guess. `None` where the system has no generator to offer.
pub fn bytes<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}

/// One byte, for jitter; not for secrets.
pub fn byte() -> u8 {
    bytes::<1>().map_or(128, |[b]| b)
}
