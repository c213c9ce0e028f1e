//! Where a rule may hold: one bit a byte, found 64 bytes at a time by what the machine has.
#![expect(clippy::inline_always, reason = "vector units are on only within the function that asked for them")]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256i, __m512i};

use pulp::Arch;
#[cfg(target_arch = "x86_64")]
use pulp::{
    NullaryFnOnce, cast,
    x86::{V3, V4},
};

/// Bytes a mask covers.
pub const BLOCK: usize = 64;
/// Masks of a window: few enough to stay in the nearest cache, many enough that most texts are one window.
const MASKS: usize = 64;

/// Bytes at which a rule may hold: all that begin a protected span, a line break or a terminator. The last six
/// begin the terminators beyond ASCII: ؟ ۔ । … 。 ！ and ？
const CANDIDATES: &[u8] = b"\n`$\\<.!?\xD8\xDB\xE0\xE2\xE3\xEF";

/// A byte is a candidate where the entries of its low and its high four bits share a bit.
const NIBBLES: ([u8; 16], [u8; 16]) = {
    let (mut low, mut high, mut next, mut at) = ([0; 16], [0; 16], 1_u16, 0);
    while at < CANDIDATES.len() {
        let (left, right) = ((CANDIDATES[at] >> 4) as usize, (CANDIDATES[at] & 15) as usize);
        if high[left] == 0 {
            assert!(next < 256, "candidates have at most eight different high halves");
            high[left] = next as u8;
            next <<= 1;
        }
        low[right] |= high[left];
        at += 1;
    }
    (low, high)
};

/// Every way to read on this machine, the best first: results do not depend on which is taken.
#[cfg(test)]
pub fn ways() -> Vec<Arch> {
    #[cfg(target_arch = "x86_64")]
    let by_vectors = [V4::try_new().map(Arch::V4), V3::try_new().map(Arch::V3)];
    #[cfg(not(target_arch = "x86_64"))]
    let by_vectors: [Option<Arch>; 0] = [];
    by_vectors.into_iter().flatten().chain([Arch::Scalar]).collect()
}

/// The candidates among up to 4096 bytes of a text.
#[derive(Debug, Clone)]
pub struct Window {
    arch: Arch,
    masks: [u64; MASKS],
}

impl Window {
    /// Bytes a window covers.
    pub const SIZE: usize = BLOCK * MASKS;

    pub fn new(arch: Arch) -> Self {
        Self { arch, masks: [0; MASKS] }
    }

    /// Finds the candidates of at most `SIZE` bytes; gives whether all bytes are ASCII.
    pub fn read(&mut self, bytes: &[u8]) -> bool {
        let masks = &mut self.masks;
        match self.arch {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(simd) => simd.vectorize(On { simd, bytes, masks }),
            #[cfg(target_arch = "x86_64")]
            Arch::V3(simd) => simd.vectorize(On { simd, bytes, masks }),
            _ => fill(bytes, masks, &Scalar),
        }
    }

    /// The first candidate at or behind `at`, below `length`, the number of bytes read.
    #[inline]
    pub fn next(&self, at: usize, length: usize) -> Option<usize> {
        if at >= length {
            return None;
        }
        let mut word = at / BLOCK;
        let mut bits = self.masks[word] & (!0 << (at % BLOCK));
        while bits == 0 {
            word += 1;
            if word * BLOCK >= length {
                return None;
            }
            bits = self.masks[word];
        }
        Some(word * BLOCK + bits.trailing_zeros() as usize)
    }
}

/// Candidates of a block, and its bytes beyond ASCII.
type Bits = (u64, u64);

/// One way to classify a block. Its methods are inlined into a function that may use the vector units (closures
/// would not be).
trait Classify {
    fn block(&self, block: &[u8; BLOCK]) -> Bits;
}

#[inline(always)]
fn fill(bytes: &[u8], masks: &mut [u64; MASKS], by: &impl Classify) -> bool {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut beyond = 0;
    for (mask, block) in masks.iter_mut().zip(blocks) {
        let (candidates, high) = by.block(block);
        *mask = candidates;
        beyond |= high;
    }
    if !rest.is_empty() {
        // the last block over again, if there is one, is cheaper than a copy of the rest
        let (candidates, high) = if let Some(last) = bytes.last_chunk() {
            let (candidates, high) = by.block(last);
            (candidates >> (BLOCK - rest.len()), high)
        } else {
            let mut padded = [0; BLOCK];
            padded[..rest.len()].copy_from_slice(rest);
            by.block(&padded)
        };
        masks[blocks.len()] = candidates;
        beyond |= high;
    }
    beyond == 0
}

struct Scalar;

impl Classify for Scalar {
    fn block(&self, block: &[u8; BLOCK]) -> Bits {
        let (low, high) = &NIBBLES;
        block.iter().enumerate().fold((0, 0), |(candidates, beyond), (at, &byte)| {
            let holds = low[usize::from(byte & 15)] & high[usize::from(byte >> 4)] != 0;
            (candidates | u64::from(holds) << at, beyond | u64::from(byte >> 7) << at)
        })
    }
}

/// What a call with vector units on works on.
#[cfg(target_arch = "x86_64")]
struct On<'a, S> {
    simd: S,
    bytes: &'a [u8],
    masks: &'a mut [u64; MASKS],
}

#[cfg(target_arch = "x86_64")]
impl NullaryFnOnce for On<'_, V3> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        let table = |half: [u8; 16]| self.simd.avx2._mm256_broadcastsi128_si256(cast(half));
        let tables = (table(NIBBLES.0), table(NIBBLES.1));
        fill(self.bytes, self.masks, &OnV3 { simd: self.simd, tables })
    }
}

#[cfg(target_arch = "x86_64")]
struct OnV3 {
    simd: V3,
    tables: (__m256i, __m256i),
}

#[cfg(target_arch = "x86_64")]
impl OnV3 {
    #[inline(always)]
    fn half(&self, bytes: __m256i) -> (u32, u32) {
        let (avx, avx2) = (self.simd.avx, self.simd.avx2);
        let nibble = avx._mm256_set1_epi8(15);
        let low = avx2._mm256_and_si256(bytes, nibble);
        let high = avx2._mm256_and_si256(avx2._mm256_srli_epi16::<4>(bytes), nibble);
        let (low, high) =
            (avx2._mm256_shuffle_epi8(self.tables.0, low), avx2._mm256_shuffle_epi8(self.tables.1, high));
        let none = avx2._mm256_cmpeq_epi8(avx2._mm256_and_si256(low, high), avx._mm256_setzero_si256());
        (!avx2._mm256_movemask_epi8(none) as u32, avx2._mm256_movemask_epi8(bytes) as u32)
    }
}

#[cfg(target_arch = "x86_64")]
impl Classify for OnV3 {
    #[inline(always)]
    fn block(&self, block: &[u8; BLOCK]) -> Bits {
        let [left, right]: [[u8; 32]; 2] = cast(*block);
        let (left, right) = (self.half(cast(left)), self.half(cast(right)));
        let joined = |left: u32, right: u32| u64::from(left) | u64::from(right) << 32;
        (joined(left.0, right.0), joined(left.1, right.1))
    }
}

#[cfg(target_arch = "x86_64")]
impl NullaryFnOnce for On<'_, V4> {
    type Output = bool;

    #[inline(always)]
    fn call(self) -> bool {
        let table = |half: [u8; 16]| self.simd.avx512f._mm512_broadcast_i32x4(cast(half));
        let tables = (table(NIBBLES.0), table(NIBBLES.1));
        fill(self.bytes, self.masks, &OnV4 { simd: self.simd, tables })
    }
}

#[cfg(target_arch = "x86_64")]
struct OnV4 {
    simd: V4,
    tables: (__m512i, __m512i),
}

#[cfg(target_arch = "x86_64")]
impl Classify for OnV4 {
    #[inline(always)]
    fn block(&self, block: &[u8; BLOCK]) -> Bits {
        let (avx512f, avx512bw) = (self.simd.avx512f, self.simd.avx512bw);
        let (bytes, nibble) = (cast(*block), avx512f._mm512_set1_epi8(15));
        let low = avx512f._mm512_and_si512(bytes, nibble);
        let high = avx512f._mm512_and_si512(avx512bw._mm512_srli_epi16::<4>(bytes), nibble);
        let (low, high) = (
            avx512bw._mm512_shuffle_epi8(self.tables.0, low),
            avx512bw._mm512_shuffle_epi8(self.tables.1, high),
        );
        (avx512bw._mm512_test_epi8_mask(low, high), avx512bw._mm512_movepi8_mask(bytes))
    }
}
