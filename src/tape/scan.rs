//! Finds the end of one object and writes its tape on the way.

#[cfg(not(target_arch = "x86_64"))]
use super::block::Portable as Baseline;
#[cfg(target_arch = "x86_64")]
use super::block::Sse2 as Baseline;
#[cfg(target_arch = "x86_64")]
use super::block::{Avx2, Avx512};
use super::block::{BLOCK, Classify};
use super::{Container, TapeSpan, Tapes};

/// What stands at the place that was scanned.
#[derive(Clone, Copy, Debug)]
pub enum Scan {
    /// A container whose brackets balance: `len` bytes of text and its tape.
    Whole {
        /// Bytes from the opening to the closing bracket, both included.
        len: usize,
        /// Its tape.
        tape: TapeSpan,
        /// No string touches anything unquoted, and no opening bracket the end of a value. Where
        /// one does, a quote may be missing: then what should be inside of strings was read as
        /// outside, and the other way round. Or a bracket is not what it was.
        sound: bool,
    },
    /// The text ends, or the limit is reached, before the container does.
    Unfinished,
    /// A closing bracket of the wrong kind, this many bytes in.
    Mismatch(usize),
    /// More than [`MAX_CONTAINERS`] containers, the first too many this many bytes in.
    TooMany(usize),
}

/// Containers that one tape may have. Each is a byte or two of text and sixteen of tape, so that a text of nothing but
/// brackets would need so much more memory than it has bytes.
pub const MAX_CONTAINERS: usize = 4 << 20;

/// Scans containers with the fastest code that this machine runs.
#[derive(Clone, Copy, Debug)]
pub struct Scanner(Form);

/// Which instructions a scanner uses.
#[derive(Clone, Copy, Debug)]
enum Form {
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
            return Scanner(Form::Avx512);
        }
        Self::without_avx512()
    }
}

impl Scanner {
    /// The fastest scanner but for AVX-512, which not all machines have that run this.
    pub fn without_avx512() -> Self {
        #[cfg(target_arch = "x86_64")]
        if Avx2::available() {
            return Scanner(Form::Avx2);
        }
        Self::baseline()
    }

    /// A scanner that uses no instructions beyond the target's baseline.
    pub fn baseline() -> Self {
        Scanner(Form::Baseline)
    }

    /// Scans the container that `text` starts with, appending its tape to `tapes`; what is not
    /// [`Scan::Whole`] leaves `tapes` as it was.
    ///
    /// `text` must start with `{` or `[` and be shorter than 4 GiB; anything else is a
    /// [`Scan::Mismatch`] at 0.
    pub fn scan(self, text: &[u8], tapes: &mut Tapes) -> Scan {
        if !matches!(text.first(), Some(b'{' | b'[')) || u32::try_from(text.len()).is_err() {
            return Scan::Mismatch(0);
        }
        let (used, containers) = (tapes.used, tapes.containers.len());
        let result = match self.0 {
            Form::Baseline => scan_baseline(text, tapes),
            // SAFETY: this form is only chosen after `Avx2::available`.
            #[cfg(target_arch = "x86_64")]
            Form::Avx2 => unsafe { scan_avx2(text, tapes) },
            // SAFETY: this form is only chosen after `Avx512::available`.
            #[cfg(target_arch = "x86_64")]
            Form::Avx512 => unsafe { scan_avx512(text, tapes) },
        };
        match result {
            End::Whole { len, sound, plain } => Scan::Whole {
                len,
                sound,
                tape: TapeSpan {
                    entries: (used as u32, tapes.used as u32),
                    containers: (containers as u32, tapes.containers.len() as u32),
                    plain,
                },
            },
            other => {
                tapes.used = used;
                tapes.containers.truncate(containers);
                match other {
                    End::Mismatch(at) => Scan::Mismatch(at),
                    End::TooMany(at) => Scan::TooMany(at),
                    _ => Scan::Unfinished,
                }
            }
        }
    }
}

enum End {
    Whole {
        len: usize,
        sound: bool,
        plain: bool,
    },
    Unfinished,
    Mismatch(usize),
    TooMany(usize),
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,pclmulqdq,bmi1,popcnt")]
fn scan_avx2(text: &[u8], tapes: &mut Tapes) -> End {
    scan_with::<Avx2>(text, tapes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,pclmulqdq,bmi1,popcnt")]
fn scan_avx512(text: &[u8], tapes: &mut Tapes) -> End {
    scan_with::<Avx512>(text, tapes)
}

fn scan_baseline(text: &[u8], tapes: &mut Tapes) -> End {
    scan_with::<Baseline>(text, tapes)
}

/// No container around this one.
const TOP: u32 = u32::MAX;

// Inlined into the three callers above, whose instruction set the block code then shares: a call
// across that border for every block would cost more than the block.
#[inline(always)]
fn scan_with<C: Classify>(text: &[u8], tapes: &mut Tapes) -> End {
    let (first_entry, first_container) = (tapes.used, tapes.containers.len());
    let mut current = TOP;
    let mut escape_carry = 0;
    let mut string_carry = 0;
    let mut scalar_carry = 0;
    let mut quote_carry = 0;
    let mut touching = 0;
    let mut odd = 0;
    let mut at = 0;
    let mut tail = [b' '; BLOCK];
    while at < text.len() {
        let block: &[u8; BLOCK] = match text[at..].first_chunk() {
            Some(block) => block,
            None => {
                let rest = &text[at..];
                tail[..rest.len()].copy_from_slice(rest);
                &tail
            }
        };
        // SAFETY: the callers name the instructions that `C` needs.
        let masks = unsafe { C::masks(block) };
        let quotes = masks.quote & !escaped(masks.backslash, &mut escape_carry);
        // Ones from each opening quote up to, but without, its closing one.
        // SAFETY: as above.
        let in_string = unsafe { C::prefix_xor(quotes) } ^ string_carry;
        string_carry = ((in_string as i64) >> 63) as u64;
        let scalar = !(in_string | quotes | masks.separator);
        let behind_scalar = scalar << 1 | scalar_carry;
        let behind_quote = quotes << 1 | quote_carry;
        let scalar_start = scalar & !behind_scalar;
        let touches = scalar & behind_quote | quotes & behind_scalar;
        let behind_value = behind_quote | behind_scalar;
        scalar_carry = scalar >> 63;
        quote_carry = quotes >> 63;
        let brackets = masks.bracket & !in_string;
        let mut marks = quotes | brackets | scalar_start;

        let mut left = brackets;
        while left != 0 {
            let bit = left.trailing_zeros();
            left &= left - 1;
            let below = marks & ((1 << bit) - 1);
            let entry = (tapes.used - first_entry) as u32 + below.count_ones();
            let bracket = block[bit as usize];
            if bracket & 2 != 0 {
                // `{` and `[`, which have a colon or a comma between them and a value
                touching |= behind_value & 1 << bit;
                let number = tapes.containers.len() - first_container;
                if number == MAX_CONTAINERS {
                    return End::TooMany(at + bit as usize);
                }
                tapes.containers.push(Container {
                    open: entry,
                    close: current,
                    after: u32::from(bracket),
                });
                current = number as u32;
                continue;
            }
            let after = (tapes.containers.len() - first_container) as u32;
            let container = &mut tapes.containers[first_container + current as usize];
            // Until it is closed, `after` holds the opening bracket, which is two below its partner.
            if container.after + 2 != u32::from(bracket) {
                return End::Mismatch(at + bit as usize);
            }
            let around = container.close;
            container.close = entry;
            container.after = after;
            current = around;
            if current == TOP {
                let inside = u64::MAX >> (63 - bit);
                marks &= inside;
                // SAFETY: as above.
                unsafe { write_entries::<C>(tapes, at as u32, marks) };
                return End::Whole {
                    len: at + bit as usize + 1,
                    sound: touching | (touches & inside) == 0,
                    plain: odd | (masks.odd & inside) == 0,
                };
            }
        }
        touching |= touches;
        odd |= masks.odd;
        // SAFETY: as above.
        unsafe { write_entries::<C>(tapes, at as u32, marks) };
        at += BLOCK;
    }
    End::Unfinished
}

/// Which characters stand behind an odd run of backslashes; `carry` tells it of the first
/// character of the next block.
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

/// Appends the place of every set bit.
///
/// # Safety
/// The processor has the instructions that `C` names.
#[inline(always)]
unsafe fn write_entries<C: Classify>(tapes: &mut Tapes, base: u32, marks: u64) {
    if tapes.entries.len() < tapes.used + BLOCK {
        let longer = (tapes.entries.len() * 2).max(4096).max(tapes.used + BLOCK);
        tapes.entries.resize(longer, 0);
    }
    let Some(out) = tapes.entries[tapes.used..].first_chunk_mut::<BLOCK>() else {
        return;
    };
    // What is written too much is overwritten next time.
    // SAFETY: passed on.
    unsafe { C::places(base, marks, out) };
    tapes.used += marks.count_ones() as usize;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that a scan gives, to be compared.
    fn scanned(scanner: Scanner, text: &[u8]) -> String {
        let mut tapes = Tapes::default();
        let scan = scanner.scan(text, &mut tapes);
        match scan {
            Scan::Whole { len, tape, .. } => {
                format!("{scan:?} {:?}", tapes.tape(tape, &text[..len]))
            }
            _ => format!("{scan:?}"),
        }
    }

    #[test]
    fn all_forms_scan_alike_wherever_a_block_ends() {
        let texts = [
            r#"{"a":"b\\","c":[1,-2.5e3,true,null],"d":{"e":"f\"g"},"h":""}tail"#,
            r#"{"a":"ключ\u0041"}"#,
            r#"{"a":"b"]"#,
            r#"{"a":"b"#,
            r#"[[[[{}]]],"x"y,"z"]"#,
        ];
        for text in texts {
            for shift in 0..2 * BLOCK {
                let mut moved = vec![text.as_bytes()[0]];
                moved.resize(1 + shift, b' ');
                moved.extend_from_slice(&text.as_bytes()[1..]);
                let baseline = scanned(Scanner::baseline(), &moved);
                for scanner in [Scanner::default(), Scanner::without_avx512()] {
                    assert_eq!(
                        scanned(scanner, &moved),
                        baseline,
                        "{text} moved by {shift}"
                    );
                }
            }
        }
    }
}
