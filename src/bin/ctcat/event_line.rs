//! The line of an event for people: aligned, and on a terminal colored and cut to its width.
#![forbid(unsafe_code)]

use std::iter;

use cloudtrail::error::Result;
use cloudtrail::host::{Event, Plugin, Requests, ValueRef};

use crate::clock;
use crate::escape;
use crate::terminal;

/// Widths of the columns for region and service. Longer values move the rest of the line.
const REGION_WIDTH: usize = 14;
const SERVICE_WIDTH: usize = 14;

const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

/// Formats events as `<time> <region> <service> <user> via <address> <arrow> <operation> …`: unlike the plugin's own
/// one-line text, it names user and operation once.
pub struct EventLine {
    region: Requests,
    service: Requests,
    info: Requests,
    /// Decide about the color; `None` without colors.
    color: Option<ColorFields>,
    /// Characters after which a line is cut.
    width: Option<usize>,
    text: Vec<u8>,
}

struct ColorFields {
    read_only: Requests,
    error: Requests,
}

impl EventLine {
    /// `None` if the plugin lacks one of the fields. Lines are cut to the terminal's width if `cut`.
    pub fn new(plugin: &Plugin, cut: bool) -> Option<EventLine> {
        let request = |name| Requests::new(vec![plugin.request(name).ok()?]).ok();
        let color = match terminal::stdout_has_color() {
            true => Some(ColorFields {
                read_only: request("ct.readonly")?,
                error: request("ct.error")?,
            }),
            false => None,
        };
        Some(EventLine {
            region: request("ct.region")?,
            service: request("ct.shortsrc")?,
            info: request("ct.info")?,
            color,
            width: terminal::stdout_width().filter(|_| cut),
            text: Vec::new(),
        })
    }

    /// Appends the line of `event` without its end.
    ///
    /// # Errors
    /// A field cannot be extracted. The line then ends before it.
    pub fn write(&mut self, plugin: &Plugin, event: Event<'_>, out: &mut Vec<u8>) -> Result<()> {
        self.text.clear();
        clock::write_utc(&mut self.text, event.ts());
        let time_end = self.text.len();
        let text = &mut self.text;
        for (request, width) in [
            (&mut self.region, REGION_WIDTH),
            (&mut self.service, SERVICE_WIDTH),
        ] {
            text.push(b' ');
            let start = text.len();
            append(plugin, event, request, text)?;
            if text.len() == start {
                text.push(b'-');
            }
            let missing = width.saturating_sub(text.len() - start);
            text.extend(iter::repeat_n(b' ', missing));
        }
        text.push(b' ');
        append(plugin, event, &mut self.info, text)?;
        if let Some(width) = self.width {
            cut(text, width);
        }
        let Some(color) = &mut self.color else {
            out.extend_from_slice(text);
            return Ok(());
        };
        out.extend_from_slice(DIM.as_bytes());
        out.extend_from_slice(&text[..time_end.min(text.len())]);
        out.extend_from_slice(RESET.as_bytes());
        let color = color.of(plugin, event)?;
        out.extend_from_slice(color.as_bytes());
        out.extend_from_slice(&text[time_end.min(text.len())..]);
        if !color.is_empty() {
            out.extend_from_slice(RESET.as_bytes());
        }
        Ok(())
    }
}

impl ColorFields {
    /// Red for a failed call, yellow for a change, none for a read.
    fn of(&mut self, plugin: &Plugin, event: Event<'_>) -> Result<&'static str> {
        if plugin
            .extract(event, &mut self.error, false)?
            .field(0)
            .len()
            > 0
        {
            return Ok(RED);
        }
        let read_only = plugin.extract(event, &mut self.read_only, false)?;
        Ok(match read_only.field(0).next() {
            Some(ValueRef::Str(b"false")) => YELLOW,
            _ => "",
        })
    }
}

/// Appends the text of a field, escaped; nothing if it has no value.
fn append(
    plugin: &Plugin,
    event: Event<'_>,
    request: &mut Requests,
    out: &mut Vec<u8>,
) -> Result<()> {
    if let Some(ValueRef::Str(text)) = plugin.extract(event, request, false)?.field(0).next() {
        escape::plain(out, text);
    }
    Ok(())
}

/// Cuts `text`, which is UTF-8, to `width` characters; an ellipsis stands for the rest.
fn cut(text: &mut Vec<u8>, width: usize) {
    let starts = |byte: &u8| byte & 0xc0 != 0x80;
    let Some(width) = width.checked_sub(1) else {
        return text.clear();
    };
    let mut characters = text.iter().enumerate().filter(|(_, byte)| starts(byte));
    let Some((end, _)) = characters.nth(width) else {
        return;
    };
    if characters.next().is_some() {
        text.truncate(end);
        text.extend_from_slice("…".as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_cut_to_its_width_in_characters() {
        for (text, width, expected) in [
            ("maría", 5, "maría"),
            ("maría", 4, "mar…"),
            ("maría", 3, "ma…"),
            ("ab", 1, "…"),
            ("ab", 0, ""),
            ("", 3, ""),
        ] {
            let mut cut_text = text.as_bytes().to_vec();
            cut(&mut cut_text, width);
            assert_eq!(
                String::from_utf8_lossy(&cut_text),
                expected,
                "{text} {width}"
            );
        }
    }
}
