//! Lines of CloudWatch Logs export tasks: a time, a space and the record, or another log's text.

use super::state::{Context, RecordReader, StepResult, Window};
use super::{NotALog, RecordSink};

/// Whether `token` is a number, `true`, `false` or `null`, judging a number by its first byte.
pub(super) fn is_json_scalar(token: &[u8]) -> bool {
    matches!(
        token,
        b"true" | b"false" | b"null" | [b'-' | b'0'..=b'9', ..]
    )
}

impl RecordReader {
    /// Reads on in a line that starts with a time, up to the line's end or to an object.
    pub(super) fn line(
        &mut self,
        window: Window<'_>,
        at: usize,
        sink: &mut impl RecordSink,
    ) -> StepResult {
        let text = window.text;
        if self.context == Context::LineRest {
            let end = line_rest(&text[at..]).map_or(text.len(), |len| at + len);
            match text.get(end..end + 2) {
                Some(b"{\"") => self.context = Context::Top,
                _ if text.get(end) == Some(&b'\n') => self.context = Context::Top,
                // A brace at the end of the window.
                None if end == at && end < text.len() && !window.last => {
                    return StepResult::NeedMore;
                }
                _ => {}
            }
            return StepResult::Continue(match self.context {
                Context::LineRest => text.len().min(end.max(at + 1)),
                _ => end,
            });
        }
        match text[at] {
            b' ' | b'\t' | b'\r' => return StepResult::Continue(at + 1),
            b'{' => self.context = Context::Top,
            _ => {
                self.line_time = None;
                self.context = Context::LineRest;
                sink.not_a_log(NotALog::Text);
            }
        }
        StepResult::Continue(at)
    }
}

/// Offset of the line's end, or of a brace that may start an object.
fn line_rest(text: &[u8]) -> Option<usize> {
    memchr::memchr2_iter(b'{', b'\n', text)
        .find(|&at| text[at] == b'\n' || matches!(text.get(at + 1), Some(b'"') | None))
}
