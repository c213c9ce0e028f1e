//! Where a rule may hold: one bit a byte, found 64 bytes at a time by what the machine has.
#![expect(clippy::inline_always, reason = "vector units are on only within the function that asked for them")]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256i, __m512i};

use std::hint::select_unpredictable;

use pulp::Arch;

use super::spaces;
#[cfg(target_arch = "x86_64")]
use pulp::{
    NullaryFnOnce, cast,
    x86::{V3, V4},
};

/// Bytes a mask covers.
pub const BLOCK: usize = 64;
/// Masks of a window: few enough to stay in the nearest cache, many enough that most texts are one window.
const MASKS: usize = 64;

/// Bytes at which a rule may hold: all that begin a protected span, a line break or a terminator. The last eight
/// begin what ends sentences beyond ASCII, from Armenian on: ։ ؟ ۔ । (and letters of Thai), ። (and letters of Burmese
/// and Khmer), … 。 and ！
const CANDIDATES: &[u8] = b"\n`$\\<.!?\xD6\xD8\xDB\xE0\xE1\xE2\xE3\xEF";

/// ASCII white space, each at the place of its low four bits; elsewhere what has other low bits.
const SPACES: [u8; 16] = *b" \x00\x00\x00\x00\x00\x00\x00\x00\t\n\x0B\x0C\r\x00\x00";

/// The greatest of the bytes that continue a character, as signed numbers.
const CONTINUES: i8 = -65;

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

/// What is known of up to 4096 bytes of a text.
#[derive(Debug, Clone)]
pub struct Window {
    pub arch: Arch,
    start: usize,
    length: usize,
    masks: Masks,
}

#[derive(Debug, Clone)]
struct Masks {
    candidates: [u64; MASKS],
    /// The blocks that hold candidates.
    filled: u64,
    /// ASCII white space.
    spaces: [u64; MASKS],
}

impl Window {
    /// Bytes a window covers.
    pub const SIZE: usize = BLOCK * MASKS;

    pub fn new(arch: Arch) -> Self {
        let masks = Masks { candidates: [0; MASKS], filled: 0, spaces: [0; MASKS] };
        Self { arch, start: 0, length: 0, masks }
    }

    /// Reads the bytes from `start` on, `SIZE` at most; gives whether all of them are ASCII.
    pub fn read(&mut self, text: &[u8], start: usize) -> bool {
        let bytes = &text[start..text.len().min(start + Self::SIZE)];
        (self.start, self.length) = (start, bytes.len());
        by_vectors(self.arch, Read { bytes, masks: &mut self.masks })
    }

    /// The end of the bytes read.
    pub fn end(&self) -> usize {
        self.start + self.length
    }

    /// The first candidate at or behind `at`, which is not before the window.
    #[inline]
    pub fn next(&self, at: usize) -> Option<usize> {
        let at = at - self.start;
        if at >= self.length {
            return None;
        }
        let word = at / BLOCK;
        let here = self.masks.candidates[word] & (!0 << (at % BLOCK));
        let others = self.masks.filled & (!1 << word);
        if here == 0 && others == 0 {
            return None;
        }
        // which of the two is as good as random
        let other = others.trailing_zeros() as usize % MASKS;
        let word = select_unpredictable(here == 0, other, word);
        let bits = select_unpredictable(here == 0, self.masks.candidates[other], here);
        Some(self.start + word * BLOCK + bits.trailing_zeros() as usize)
    }

    /// The end of the white space that starts at `at`, which is not before the window.
    #[inline]
    pub fn after_space(&self, text: &str, at: usize) -> usize {
        if at < self.end() {
            let (word, bit) = ((at - self.start) / BLOCK, (at - self.start) % BLOCK);
            let run = (self.masks.spaces[word] >> bit).trailing_ones() as usize;
            let end = at + run;
            // a run that may go on in the next block, or in white space beyond ASCII, is looked at below
            if bit + run < BLOCK && text.as_bytes().get(end).is_some_and(u8::is_ascii) {
                return end;
            }
        }
        spaces::after(text, at)
    }
}

/// Byte ends of the pieces of a text to code-point ends: what `str` slicing and tokenizers' offset mappings use.
pub fn to_code_points(arch: Arch, text: &str, ends: &mut [i64]) {
    by_vectors(arch, CodePoints { bytes: text.as_bytes(), ends });
}

/// A block's candidates, its white space, and its bytes beyond ASCII.
struct Bits {
    candidates: u64,
    spaces: u64,
    beyond: u64,
}

/// One way to look at a block. Its methods are inlined into a function that may use the vector units (closures
/// would not be).
trait Classify {
    fn block(&self, block: &[u8; BLOCK]) -> Bits;
    /// Bytes that begin a character.
    fn points(&self, block: &[u8; BLOCK]) -> u64;
}

/// Work on blocks.
trait Task {
    type Output;
    fn run(self, by: &impl Classify) -> Self::Output;
}

fn by_vectors<T: Task>(arch: Arch, task: T) -> T::Output {
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(simd) => simd.vectorize(On { simd, task }),
        #[cfg(target_arch = "x86_64")]
        Arch::V3(simd) => simd.vectorize(On { simd, task }),
        _ => task.run(&Scalar),
    }
}

struct Read<'a> {
    bytes: &'a [u8],
    masks: &'a mut Masks,
}

impl Task for Read<'_> {
    type Output = bool;

    #[inline(always)]
    fn run(self, by: &impl Classify) -> bool {
        let Masks { candidates, filled, spaces } = self.masks;
        let (blocks, rest) = self.bytes.as_chunks::<BLOCK>();
        let mut beyond = 0;
        *filled = 0;
        for (at, block) in blocks.iter().enumerate().take(MASKS) {
            let bits = by.block(block);
            (candidates[at], spaces[at]) = (bits.candidates, bits.spaces);
            *filled |= u64::from(bits.candidates != 0) << at;
            beyond |= bits.beyond;
        }
        if !rest.is_empty() {
            // the last block over again, if there is one, is cheaper than a copy of the rest
            let (bits, shift) = match self.bytes.last_chunk() {
                Some(last) => (by.block(last), BLOCK - rest.len()),
                None => (by.block(&padded(rest)), 0),
            };
            candidates[blocks.len()] = bits.candidates >> shift;
            *filled |= u64::from(candidates[blocks.len()] != 0) << blocks.len();
            spaces[blocks.len()] = bits.spaces >> shift;
            beyond |= bits.beyond;
        }
        beyond == 0
    }
}

struct CodePoints<'a> {
    bytes: &'a [u8],
    ends: &'a mut [i64],
}

impl Task for CodePoints<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self, by: &impl Classify) {
        // a block's characters, and how many the blocks before it have
        let (mut masks, mut before) = ([0_u64; MASKS], [0; MASKS]);
        let (mut start, mut count, mut at) = (0, 0, 0);
        while at < self.ends.len() {
            let bytes = &self.bytes[start..self.bytes.len().min(start + Window::SIZE)];
            let (blocks, rest) = bytes.as_chunks::<BLOCK>();
            for ((mask, before), block) in masks.iter_mut().zip(before.iter_mut()).zip(blocks) {
                (*mask, *before) = (by.points(block), count);
                count += i64::from(mask.count_ones());
            }
            if blocks.len() < MASKS {
                (masks[blocks.len()], before[blocks.len()]) = (by.points(&padded(rest)), count);
            }
            while let Some(end) = self.ends.get_mut(at) {
                let (block, bit) = ((*end as usize - start) / BLOCK, *end as usize % BLOCK);
                if block >= MASKS {
                    break;
                }
                *end = before[block] + i64::from((masks[block] & !(!0 << bit)).count_ones());
                at += 1;
            }
            start += Window::SIZE;
        }
    }
}

fn padded(rest: &[u8]) -> [u8; BLOCK] {
    let mut padded = [0; BLOCK];
    padded[..rest.len()].copy_from_slice(rest);
    padded
}

struct Scalar;

impl Classify for Scalar {
    fn block(&self, block: &[u8; BLOCK]) -> Bits {
        let (low, high) = &NIBBLES;
        let bits = |holds: &dyn Fn(u8) -> bool| {
            block.iter().enumerate().fold(0, |bits, (at, byte)| bits | (u64::from(holds(*byte)) << at))
        };
        Bits {
            candidates: bits(&|byte| low[usize::from(byte & 15)] & high[usize::from(byte >> 4)] != 0),
            spaces: bits(&|byte| SPACES[usize::from(byte & 15)] == byte),
            beyond: bits(&|byte| !byte.is_ascii()),
        }
    }

    fn points(&self, block: &[u8; BLOCK]) -> u64 {
        block
            .iter()
            .enumerate()
            .fold(0, |bits, (at, byte)| bits | (u64::from(byte.cast_signed() > CONTINUES) << at))
    }
}

/// A task, with vector units on.
#[cfg(target_arch = "x86_64")]
struct On<S, T> {
    simd: S,
    task: T,
}

#[cfg(target_arch = "x86_64")]
impl<T: Task> NullaryFnOnce for On<V3, T> {
    type Output = T::Output;

    #[inline(always)]
    fn call(self) -> T::Output {
        let table = |half: [u8; 16]| self.simd.avx2._mm256_broadcastsi128_si256(cast(half));
        let tables = [NIBBLES.0, NIBBLES.1, SPACES].map(table);
        self.task.run(&OnV3 { simd: self.simd, tables })
    }
}

#[cfg(target_arch = "x86_64")]
struct OnV3 {
    simd: V3,
    tables: [__m256i; 3],
}

#[cfg(target_arch = "x86_64")]
impl OnV3 {
    #[inline(always)]
    fn half(&self, bytes: __m256i) -> [u32; 3] {
        let (avx, avx2) = (self.simd.avx, self.simd.avx2);
        let nibble = avx._mm256_set1_epi8(15);
        let right = avx2._mm256_and_si256(bytes, nibble);
        let left = avx2._mm256_and_si256(avx2._mm256_srli_epi16::<4>(bytes), nibble);
        let low = avx2._mm256_shuffle_epi8(self.tables[0], right);
        let high = avx2._mm256_shuffle_epi8(self.tables[1], left);
        let none = avx2._mm256_cmpeq_epi8(avx2._mm256_and_si256(low, high), avx._mm256_setzero_si256());
        let space = avx2._mm256_cmpeq_epi8(avx2._mm256_shuffle_epi8(self.tables[2], right), bytes);
        [
            !avx2._mm256_movemask_epi8(none) as u32,
            avx2._mm256_movemask_epi8(space) as u32,
            avx2._mm256_movemask_epi8(bytes) as u32,
        ]
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn joined(left: u32, right: u32) -> u64 {
    u64::from(left) | (u64::from(right) << 32)
}

#[cfg(target_arch = "x86_64")]
impl Classify for OnV3 {
    #[inline(always)]
    fn block(&self, block: &[u8; BLOCK]) -> Bits {
        let [left, right]: [[u8; 32]; 2] = cast(*block);
        let (left, right) = (self.half(cast(left)), self.half(cast(right)));
        Bits {
            candidates: joined(left[0], right[0]),
            spaces: joined(left[1], right[1]),
            beyond: joined(left[2], right[2]),
        }
    }

    #[inline(always)]
    fn points(&self, block: &[u8; BLOCK]) -> u64 {
        let [left, right]: [[u8; 32]; 2] = cast(*block);
        let (avx2, last) = (self.simd.avx2, self.simd.avx._mm256_set1_epi8(CONTINUES));
        let (left, right) =
            (avx2._mm256_cmpgt_epi8(cast(left), last), avx2._mm256_cmpgt_epi8(cast(right), last));
        joined(avx2._mm256_movemask_epi8(left) as u32, avx2._mm256_movemask_epi8(right) as u32)
    }
}

#[cfg(target_arch = "x86_64")]
impl<T: Task> NullaryFnOnce for On<V4, T> {
    type Output = T::Output;

    #[inline(always)]
    fn call(self) -> T::Output {
        let table = |half: [u8; 16]| self.simd.avx512f._mm512_broadcast_i32x4(cast(half));
        let tables = [NIBBLES.0, NIBBLES.1, SPACES].map(table);
        self.task.run(&OnV4 { simd: self.simd, tables })
    }
}

#[cfg(target_arch = "x86_64")]
struct OnV4 {
    simd: V4,
    tables: [__m512i; 3],
}

#[cfg(target_arch = "x86_64")]
impl Classify for OnV4 {
    #[inline(always)]
    fn block(&self, block: &[u8; BLOCK]) -> Bits {
        let (avx512f, avx512bw) = (self.simd.avx512f, self.simd.avx512bw);
        let (bytes, nibble) = (cast(*block), avx512f._mm512_set1_epi8(15));
        let right = avx512f._mm512_and_si512(bytes, nibble);
        let left = avx512f._mm512_and_si512(avx512bw._mm512_srli_epi16::<4>(bytes), nibble);
        let low = avx512bw._mm512_shuffle_epi8(self.tables[0], right);
        let high = avx512bw._mm512_shuffle_epi8(self.tables[1], left);
        Bits {
            candidates: avx512bw._mm512_test_epi8_mask(low, high),
            spaces: avx512bw
                ._mm512_cmpeq_epi8_mask(avx512bw._mm512_shuffle_epi8(self.tables[2], right), bytes),
            beyond: avx512bw._mm512_movepi8_mask(bytes),
        }
    }

    #[inline(always)]
    fn points(&self, block: &[u8; BLOCK]) -> u64 {
        let last = self.simd.avx512f._mm512_set1_epi8(CONTINUES);
        self.simd.avx512bw._mm512_cmpgt_epi8_mask(cast(*block), last)
    }
}
