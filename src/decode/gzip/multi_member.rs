//! Reader for gzip files of any number of members, in any state.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};

use super::MEMBER_START;

/// Base-2 logarithm of deflate's window.
const WINDOW_BITS: u8 = 15;

/// Reads the text of all members, one after the other.
///
/// # Errors
/// Damage and truncation give one error, after all text before them; then the reader is at its end.
pub struct MultiMemberReader<R> {
    file: R,
    member: Decompress,
    state: MemberState,
}

enum MemberState {
    /// In a member.
    InMember,
    /// Behind a member's trailer.
    BetweenMembers,
    /// Behind all that can be read, with the error not yet returned.
    End(Option<io::Error>),
}

impl<R: BufRead> MultiMemberReader<R> {
    /// A reader at the start of the first member.
    pub fn new(file: R) -> Self {
        MultiMemberReader {
            file,
            member: Decompress::new_gzip(WINDOW_BITS),
            state: MemberState::InMember,
        }
    }

    /// Inflates some of the member's data into `out`; returns the bytes written, which may be 0.
    fn inflate(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let input = self.file.fill_buf()?;
        let at_end = input.is_empty();
        let (total_in, total_out) = (self.member.total_in(), self.member.total_out());
        let status = self.member.decompress(input, out, FlushDecompress::None);
        let read = (self.member.total_in() - total_in) as usize;
        let written = (self.member.total_out() - total_out) as usize;
        self.file.consume(read);
        // Also with an error, text may have been written before it.
        match status {
            // The library's texts name its own states.
            Err(_) => {
                let error = "invalid deflate data, or a wrong checksum or length";
                let error = io::Error::new(io::ErrorKind::InvalidData, error);
                self.state = MemberState::End(Some(error));
            }
            Ok(Status::StreamEnd) => self.state = MemberState::BetweenMembers,
            Ok(Status::Ok | Status::BufError) if read == 0 && written == 0 && at_end => {
                let error = io::Error::new(io::ErrorKind::UnexpectedEof, "the file is cut off");
                self.state = MemberState::End(Some(error));
            }
            Ok(Status::Ok | Status::BufError) => {}
        }
        Ok(written)
    }

    /// Starts the next member, or ends at the end of the file or at data that is not gzip.
    fn next_member(&mut self) -> io::Result<()> {
        loop {
            let rest = self.file.fill_buf()?;
            self.state = match rest {
                [] => MemberState::End(None),
                [first, ..] if *first == MEMBER_START[0] => {
                    self.member = Decompress::new_gzip(WINDOW_BITS);
                    MemberState::InMember
                }
                // Some writers pad with zeros, others end each member with a line break.
                [first, ..] if is_padding(first) => {
                    let padding = rest.iter().take_while(|byte| is_padding(byte)).count();
                    self.file.consume(padding);
                    continue;
                }
                _ => MemberState::End(Some(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the data after the last member is not gzip",
                ))),
            };
            return Ok(());
        }
    }
}

/// Whether a byte between members means nothing.
fn is_padding(byte: &u8) -> bool {
    matches!(byte, 0 | b'\n' | b'\r')
}

impl<R: BufRead> Read for MultiMemberReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            match &mut self.state {
                MemberState::InMember => {
                    let written = self.inflate(out)?;
                    if written > 0 {
                        return Ok(written);
                    }
                }
                MemberState::BetweenMembers => self.next_member()?,
                MemberState::End(error) => return error.take().map_or(Ok(0), Err),
            }
        }
    }
}
