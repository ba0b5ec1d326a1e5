//! Patterns of actions and resources, with `*` for any text and `?` for one character.
#![forbid(unsafe_code)]

/// Longest template, in bytes: one bit of a word for each position.
const LONGEST: usize = 63;

/// Longest action pattern with its runs of `*` reduced to one: a `*` before, between and after as many characters as a
/// template has.
pub(super) const PATTERN_BYTES: usize = 2 * LONGEST + 1;

/// Whether some text matches both `pattern` and `template`.
///
/// A template has at most 63 bytes; in it `~` is a text without colon and `#` one digit. Time is linear in the length of the pattern,
/// however many `*` it has: one bit for each position of the template that a text can have reached.
pub(super) fn overlaps(pattern: &[u8], template: &[u8]) -> bool {
    overlap(pattern.iter().copied(), template)
}

/// [`overlaps`] for a pattern with variables, such as `${aws:PrincipalAccount}`, which can be any text.
pub(super) fn overlaps_with_variables(pattern: &[u8], template: &[u8]) -> bool {
    overlap(without_variables(pattern), template)
}

/// The bytes of `pattern`, with `*` in place of each variable.
pub(super) fn without_variables(pattern: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = pattern;
    // Without a closing brace in the rest there is no variable in it; it is not searched again.
    let mut closed = true;
    std::iter::from_fn(move || {
        let (&first, tail) = rest.split_first()?;
        rest = tail;
        if closed && first == b'$' && tail.first() == Some(&b'{') {
            match memchr::memchr(b'}', tail) {
                Some(end) => {
                    rest = &tail[end + 1..];
                    return Some(b'*');
                }
                None => closed = false,
            }
        }
        Some(first)
    })
}

fn overlap(pattern: impl Iterator<Item = u8>, template: &[u8]) -> bool {
    debug_assert!(template.len() <= LONGEST, "too long for the bits of a word");
    let end = 1_u64 << template.len();
    let texts = bits(template, |byte| byte == b'~');
    // The text of a `~` may end at once.
    let close = |reached: u64| reached | (reached & texts) << 1;
    let mut reached = close(1);
    for byte in pattern {
        reached = match byte {
            b'*' => u64::MAX << reached.trailing_zeros() & (end << 1).wrapping_sub(1),
            _ => {
                let inside = if byte == b':' { 0 } else { texts };
                close(accepting(template, reached, byte) << 1 | reached & inside)
            }
        };
        if reached == 0 {
            return false;
        }
    }
    reached & end != 0
}

/// The positions in `reached` whose byte of the template can be `byte`, a character of a pattern other than `*`.
fn accepting(template: &[u8], reached: u64, byte: u8) -> u64 {
    let mut accepting = 0;
    let mut rest = reached;
    while rest != 0 {
        let at = rest.trailing_zeros();
        rest &= rest - 1;
        let accepts = match template.get(at as usize) {
            None | Some(b'~') => false,
            Some(_) if byte == b'?' => true,
            Some(b'#') => byte.is_ascii_digit(),
            Some(&expected) => expected == byte,
        };
        accepting |= u64::from(accepts) << at;
    }
    accepting
}

fn bits(template: &[u8], is_set: impl Fn(u8) -> bool) -> u64 {
    let set = |(at, &byte): (usize, &u8)| u64::from(is_set(byte)) << at;
    template.iter().enumerate().map(set).sum()
}

/// Writes `pattern` in lower case to `out`, with runs of `*` reduced to one. `None` if it is longer than any action.
pub(super) fn reduced<'o>(pattern: &[u8], out: &'o mut [u8; PATTERN_BYTES]) -> Option<&'o [u8]> {
    let mut len = 0;
    let mut last = 0;
    for &byte in pattern {
        if byte == b'*' && last == b'*' {
            continue;
        }
        last = byte;
        *out.get_mut(len)? = byte.to_ascii_lowercase();
        len += 1;
    }
    Some(&out[..len])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_texts_as_globs_do() {
        let text = b"iam:createuser";
        for pattern in [
            "iam:createuser",
            "*",
            "**",
            "*:*",
            "iam:*",
            "i?m:*",
            "*user",
            "iam:create*",
            "*create*",
            "?*?",
            "iam*r",
            "iam:createuser*",
            "*iam:createuser",
            "i*m*:*c*r*",
            "??????????????",
        ] {
            assert!(overlaps(pattern.as_bytes(), text), "{pattern}");
        }
        for pattern in [
            "",
            "iam",
            "iam:createuserx",
            "iam:createuse",
            "?",
            "*x*",
            "iam:?createuser",
            "s3:*",
            "iam:createuser?",
            "???????????????",
            "*usr",
            "a*",
            "iam:*createuserr",
        ] {
            assert!(!overlaps(pattern.as_bytes(), text), "{pattern}");
        }
    }

    #[test]
    fn patterns_overlap_templates_if_a_text_matches_both() {
        let template = b"arn:aws~:iam::############:user/~";
        for pattern in [
            "*",
            "arn:*",
            "arn:aws:iam::111122223333:user/*",
            "arn:aws-cn:iam::*:user/a",
            "arn:aws-*:iam::*:user/a",
            "arn:aws:iam::*:*",
            "arn:*:iam::1111????3333:u*/x",
            "*:user/*",
            "*/admin",
            "arn:aws:iam::111122223333:user/",
            "arn:aws:iam*",
        ] {
            assert!(overlaps(pattern.as_bytes(), template), "{pattern}");
        }
        for pattern in [
            "",
            "arn",
            "arn:aws:s3:::*",
            "arn:aws:iam::aws:user/x",
            "arn:aws:iam::*:role/*",
            "arn:aws:iam::*:user",
            "arn:aws:iam::11112222333:user/x",
            "*:group/?",
            "arn:aws:s3:::bucket/*",
            "arn:aws:*:*:111122223333:function:*",
            "arn:aws:iam::1111222233334:user/*",
        ] {
            assert!(!overlaps(pattern.as_bytes(), template), "{pattern}");
        }
    }

    #[test]
    fn reduced_patterns_match_the_same_texts() {
        let out = &mut [0; PATTERN_BYTES];
        assert_eq!(
            reduced(b"**IAM:***Create*User**", out),
            Some(&b"*iam:*create*user*"[..])
        );
        let stars = "*".repeat(10_000);
        assert_eq!(reduced(stars.as_bytes(), out), Some(&b"*"[..]));
        let all = "*?".repeat(LONGEST) + "*";
        assert_eq!(reduced(all.as_bytes(), out), Some(all.as_bytes()));
        assert_eq!(reduced("a".repeat(PATTERN_BYTES + 1).as_bytes(), out), None);
    }
}
