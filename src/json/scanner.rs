//! The scanner: finds the end of a JSON object or array, and writes its tape in the same pass.
//!
//! It is stage 1 of Langdale & Lemire, *Parsing Gigabytes of JSON per Second* (2019, simdjson),
//! with two changes: it stops where the first container closes, and it writes closing quotes but
//! no commas and colons.
//!
//! 64 bytes at a time become bit masks, one bit a byte. Here with the first byte on the left, a
//! set bit as `#`:
//!
//! ```text
//! text         {"a":"x\"y","n":[17,null]}
//! quote        .#.#.#..#.#.#.#...........  every "
//! escaped      ........#.................  after an odd run of backslashes
//! quotes       .#.#.#....#.#.#...........  quote & !escaped
//! in_string    .##..#####..##............  prefix xor of quotes: ones from each opening quote up to its closing one
//! separator    #...#......#...##..#....##  , : brackets and white space, in strings too
//! scalar       .................##.####..  neither in a string nor quote nor separator
//! scalar_start .................#..#.....  scalar & !(scalar << 1)
//! brackets     #...............#.......##  brackets & !in_string
//! structurals  ##.#.#....#.#.#.##..#...##  quotes | brackets | scalar_start: the tape's entries
//! ```
//!
//! The last bit of `escaped`, `in_string`, `scalar` and `quotes` is carried into the next block.
//! Brackets are then walked one by one to match them; all `structurals` are written to the tape
//! without a branch for each. What depends on the instruction set is in [`simd`](super::simd).

#[cfg(target_arch = "x86_64")]
use super::simd::{Avx2, Avx512};
use super::simd::{BLOCK, Baseline, Simd};
use super::tape::Container;
use super::{TapeBuffer, TapeSpan};

/// Result of scanning the container that a text starts with.
#[derive(Clone, Copy, Debug)]
pub enum Scan {
    /// The brackets balance.
    Whole {
        /// Bytes from the opening to the closing bracket, both included.
        len: usize,
        /// Place of the tape.
        tape: TapeSpan,
        /// Whether there is a separator between all values: no string next to a string or scalar,
        /// no container directly after a value. If not, a quote or bracket may be damaged, and
        /// text inside strings was taken for text outside of them and vice versa.
        separated: bool,
    },
    /// The text ends before the container does.
    Unfinished,
    /// A closing bracket at this offset does not match the opening one.
    Mismatch(usize),
    /// The container at this offset is one more than allowed (4 Mi).
    TooManyContainers(usize),
}

/// Highest number of containers in one tape. An opening bracket is 1 byte of text but 16 bytes of
/// tape, so without a limit a text of brackets alone would need many times its size.
pub(crate) const MAX_CONTAINERS: usize = 4 << 20;

/// Scans containers with the best instruction set of this processor.
#[derive(Clone, Copy, Debug)]
pub struct Scanner(InstructionSet);

#[derive(Clone, Copy, Debug)]
enum InstructionSet {
    /// SSE2 on x86-64, NEON on AArch64, portable code elsewhere.
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Default for Scanner {
    fn default() -> Self {
        #[cfg(target_arch = "x86_64")]
        if Avx512::available() {
            return Scanner(InstructionSet::Avx512);
        }
        Self::without_avx512()
    }
}

impl Scanner {
    /// The best scanner of this processor but for AVX-512; for tests and benches.
    pub fn without_avx512() -> Self {
        #[cfg(target_arch = "x86_64")]
        if Avx2::available() {
            return Scanner(InstructionSet::Avx2);
        }
        Self::baseline()
    }

    /// The scanner that runs on every processor of this architecture; for tests and benches.
    pub fn baseline() -> Self {
        Scanner(InstructionSet::Baseline)
    }

    /// Scans the container that `text` starts with and appends its tape to `tapes`. Any result but
    /// [`Scan::Whole`] leaves `tapes` unchanged.
    ///
    /// A `text` that does not start with `{` or `[`, or has 4 GiB or more, gives
    /// [`Scan::Mismatch`] at 0.
    pub fn scan(self, text: &[u8], tapes: &mut TapeBuffer) -> Scan {
        if !matches!(text.first(), Some(b'{' | b'[')) || u32::try_from(text.len()).is_err() {
            return Scan::Mismatch(0);
        }
        let (used, containers) = (tapes.used, tapes.containers.len());
        let scan = match self.0 {
            InstructionSet::Baseline => scan_baseline(text, tapes),
            // SAFETY: `scan_avx2` needs the features that its attribute names. This variant is
            // constructed in `without_avx512` alone, after `Avx2::available` detected all of them.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => unsafe { scan_avx2(text, tapes) },
            // SAFETY: `scan_avx512` needs the features that its attribute names. This variant is
            // constructed in `default` alone, after `Avx512::available` detected all of them.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => unsafe { scan_avx512(text, tapes) },
        };
        if !matches!(scan, Scan::Whole { .. }) {
            tapes.used = used;
            tapes.containers.truncate(containers);
        }
        scan
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,pclmulqdq,bmi1,popcnt")]
fn scan_avx2(text: &[u8], tapes: &mut TapeBuffer) -> Scan {
    // SAFETY: `Avx2` names AVX2, PCLMULQDQ, BMI1 and POPCNT, which the attribute above enables.
    unsafe { scan_with::<Avx2>(text, tapes) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,pclmulqdq,bmi1,popcnt")]
fn scan_avx512(text: &[u8], tapes: &mut TapeBuffer) -> Scan {
    // SAFETY: `Avx512` names AVX-512 F, BW and VBMI2 and the features of `Avx2`, all of which the
    // attribute above enables.
    unsafe { scan_with::<Avx512>(text, tapes) }
}

fn scan_baseline(text: &[u8], tapes: &mut TapeBuffer) -> Scan {
    // SAFETY: `Baseline` is SSE2 on x86-64 and NEON on AArch64, of which they are a part, and elsewhere needs nothing.
    unsafe { scan_with::<Baseline>(text, tapes) }
}

/// Stands for the parent of the outermost container.
const NO_PARENT: u32 = u32::MAX;

/// The scan, for any instruction set.
///
/// Inlined into the three functions above, so that it is compiled with their target features. A
/// call between functions of different features cannot be inlined, and costs more than a block.
///
/// # Safety
/// The processor must have the instructions that `S` names.
#[inline(always)]
unsafe fn scan_with<S: Simd>(text: &[u8], tapes: &mut TapeBuffer) -> Scan {
    let (first_entry, first_container) = (tapes.used, tapes.containers.len());
    // Innermost container that is open.
    let mut current = NO_PARENT;
    let mut escape_carry = 0;
    let mut string_carry = 0;
    let mut scalar_carry = 0;
    let mut quote_carry = 0;
    // Not zero once a value without a separator, or a byte that is not plain, was seen.
    let mut unseparated = 0;
    let mut non_plain = 0;
    let mut at = 0;
    let mut padded = [b' '; BLOCK];
    while at < text.len() {
        let block: &[u8; BLOCK] = match text[at..].first_chunk() {
            Some(block) => block,
            None => {
                let rest = &text[at..];
                padded[..rest.len()].copy_from_slice(rest);
                &padded
            }
        };
        // SAFETY: `classify` needs the instructions of `S`, which this function's caller guarantees.
        let masks = unsafe { S::classify(block) };
        let quotes = masks.quote & !escaped(masks.backslash, &mut escape_carry);
        // SAFETY: `prefix_xor` needs the instructions of `S`, which this function's caller guarantees.
        let in_string = unsafe { S::prefix_xor(quotes) } ^ string_carry;
        string_carry = ((in_string as i64) >> 63) as u64;
        let scalar = !(in_string | quotes | masks.separator);
        let follows_scalar = scalar << 1 | scalar_carry;
        let follows_quote = quotes << 1 | quote_carry;
        let scalar_start = scalar & !follows_scalar;
        let adjacent = scalar & follows_quote | quotes & follows_scalar;
        let follows_value = follows_quote | follows_scalar;
        scalar_carry = scalar >> 63;
        quote_carry = quotes >> 63;
        let brackets = masks.bracket & !in_string;
        let mut structurals = quotes | brackets | scalar_start;

        let mut remaining = brackets;
        while remaining != 0 {
            let bit = remaining.trailing_zeros();
            remaining &= remaining - 1;
            let before = structurals & ((1 << bit) - 1);
            let entry = (tapes.used - first_entry) as u32 + before.count_ones();
            let bracket = block[bit as usize];
            // Bit 1 distinguishes `{` (0x7b) and `[` (0x5b) from `}` (0x7d) and `]` (0x5d).
            if bracket & 2 != 0 {
                unseparated |= follows_value & 1 << bit;
                let number = tapes.containers.len() - first_container;
                if number == MAX_CONTAINERS {
                    return Scan::TooManyContainers(at + bit as usize);
                }
                // While it is open, `close` has its parent and `next` its bracket.
                tapes.containers.push(Container {
                    open: entry,
                    close: current,
                    next: u32::from(bracket),
                });
                current = number as u32;
                continue;
            }
            let next = (tapes.containers.len() - first_container) as u32;
            let container = &mut tapes.containers[first_container + current as usize];
            // In ASCII a closing bracket is its opening one plus 2.
            if container.next + 2 != u32::from(bracket) {
                return Scan::Mismatch(at + bit as usize);
            }
            let parent = container.close;
            container.close = entry;
            container.next = next;
            current = parent;
            if current == NO_PARENT {
                let inside = u64::MAX >> (63 - bit);
                structurals &= inside;
                // SAFETY: `write_entries` needs the instructions of `S`, which this function's
                // caller guarantees.
                unsafe { write_entries::<S>(tapes, at as u32, structurals) };
                return Scan::Whole {
                    len: at + bit as usize + 1,
                    separated: unseparated | (adjacent & inside) == 0,
                    tape: TapeSpan {
                        entries: (first_entry as u32, tapes.used as u32),
                        containers: (first_container as u32, tapes.containers.len() as u32),
                        plain: non_plain | (masks.non_plain & inside) == 0,
                    },
                };
            }
        }
        unseparated |= adjacent;
        non_plain |= masks.non_plain;
        // SAFETY: `write_entries` needs the instructions of `S`, which this function's caller
        // guarantees.
        unsafe { write_entries::<S>(tapes, at as u32, structurals) };
        at += BLOCK;
    }
    Scan::Unfinished
}

/// The characters that are escaped: each that follows an odd run of backslashes. `carry` is
/// 1 if that is the first one of the block.
///
/// Visits the backslashes, which are rare, one by one; simdjson's additions cost the same for every block.
#[inline(always)]
fn escaped(mut backslashes: u64, carry: &mut u64) -> u64 {
    let mut escaped = *carry;
    backslashes &= !escaped;
    *carry = 0;
    while backslashes != 0 {
        let bit = backslashes.trailing_zeros();
        if bit == 63 {
            *carry = 1;
            break;
        }
        escaped |= 2 << bit;
        backslashes &= !(3 << bit);
    }
    escaped
}

/// Appends `base` plus its position for each set bit to the entries.
///
/// # Safety
/// The processor must have the instructions that `S` names.
#[inline(always)]
unsafe fn write_entries<S: Simd>(tapes: &mut TapeBuffer, base: u32, structurals: u64) {
    if tapes.entries.len() < tapes.used + BLOCK {
        let longer = (tapes.entries.len() * 2).max(4096).max(tapes.used + BLOCK);
        tapes.entries.resize(longer, 0);
    }
    let Some(out) = tapes.entries[tapes.used..].first_chunk_mut::<BLOCK>() else {
        return;
    };
    // SAFETY: `flatten_bits` needs the instructions of `S`, which this function's caller guarantees.
    unsafe { S::flatten_bits(base, structurals, out) };
    // The next call overwrites the rest.
    tapes.used += structurals.count_ones() as usize;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that a scan gives, as text.
    fn scanned(scanner: Scanner, text: &[u8]) -> String {
        let mut tapes = TapeBuffer::default();
        let scan = scanner.scan(text, &mut tapes);
        match scan {
            Scan::Whole { len, tape, .. } => {
                format!("{scan:?} {:?}", tapes.tape(tape, &text[..len]))
            }
            _ => format!("{scan:?}"),
        }
    }

    #[test]
    fn all_instruction_sets_scan_alike_wherever_a_block_ends() {
        let texts = [
            r#"{"a":"b\\","c":[1,-2.5e3,true,null],"d":{"e":"f\"g"},"h":""}tail"#,
            r#"{"a":"ключ\u0041"}"#,
            r#"{"a":"b"]"#,
            r#"{"a":"b"#,
            r#"[[[[{}]]],"x"y,"z"]"#,
        ];
        for text in texts {
            for shift in 0..2 * BLOCK {
                let mut shifted = vec![text.as_bytes()[0]];
                shifted.resize(1 + shift, b' ');
                shifted.extend_from_slice(&text.as_bytes()[1..]);
                let baseline = scanned(Scanner::baseline(), &shifted);
                for scanner in [Scanner::default(), Scanner::without_avx512()] {
                    assert_eq!(
                        scanned(scanner, &shifted),
                        baseline,
                        "{text} shifted by {shift}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_tape_has_the_elements_of_the_documented_example() {
        let mut tapes = TapeBuffer::default();
        let scan = Scanner::default().scan(br#"{"id":"a1","n":[7,true]}"#, &mut tapes);
        assert!(matches!(scan, Scan::Whole { len: 24, .. }), "{scan:?}");
        let entries = [0, 1, 4, 6, 9, 11, 13, 15, 16, 18, 22, 23];
        assert_eq!(tapes.entries[..tapes.used], entries);
        let container = |open, close, next| Container { open, close, next };
        let containers = [container(0, 11, 2), container(7, 10, 2)];
        assert_eq!(tapes.containers, containers);
    }
}
