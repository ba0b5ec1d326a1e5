//! Formats a summary as text for a screen, or as JSON.
#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::iter;

use serde_json::{Map, Value, json};

use super::tally::Tally;
use super::timeline::{Chart, Timeline, duration};
use crate::args::SummaryFormat;
use crate::clock;
use crate::escape;
use crate::terminal;

/// Rows of the bar chart.
const CHART_ROWS: usize = 4;

/// Columns between two tables beside each other.
const GAP: usize = 3;

/// Narrowest table that can stand beside another one.
const TABLE_WIDTH: usize = 44;

/// Width of the text where standard output is no terminal: the same everywhere.
const PIPE_WIDTH: usize = 100;

/// Width of the line with the period, below which a terminal wraps lines.
const LEAST_WIDTH: usize = 72;

/// Intervals of the JSON form.
const JSON_INTERVALS: usize = 200;

/// The counts of a summary.
pub struct Report<'s> {
    /// Number of events.
    pub events: u64,
    /// Names and numbers of kinds of events; no number where the plugin does not tell.
    pub kinds: [(&'static str, Option<u64>); 3],
    /// Events over time.
    pub timeline: &'s Timeline,
    /// Each field's name, values and number of events without a value.
    pub fields: Vec<(&'s str, &'s Tally, u64)>,
}

impl Report<'_> {
    /// Prints the report to standard output, with the `top` most frequent values of each field.
    pub fn print(&self, format: SummaryFormat, top: usize) -> io::Result<()> {
        let out = match format {
            SummaryFormat::Text => {
                let width = terminal::stdout_width().unwrap_or(PIPE_WIDTH);
                self.text(top, width.max(LEAST_WIDTH), terminal::stdout_has_color())
            }
            SummaryFormat::Json => self.json(top).to_string() + "\n",
        };
        let mut stdout = io::stdout().lock();
        stdout.write_all(out.as_bytes())?;
        stdout.flush()
    }

    fn text(&self, top: usize, width: usize, color: bool) -> String {
        let (bold, plain) = if color {
            ("\x1b[1m", "\x1b[0m")
        } else {
            ("", "")
        };
        let mut lines = Vec::new();
        let kinds: Vec<String> = self
            .kinds
            .iter()
            .filter_map(|(name, count)| Some(format!("{name} {}", (*count)?)))
            .collect();
        lines.push(format!(
            "{bold}Events{plain}  {}  ({})",
            self.events,
            kinds.join(", ")
        ));
        if let (Some((first, last)), Some(chart)) =
            (self.timeline.range(), self.timeline.chart(width))
        {
            lines.push(format!(
                "{bold}Period{plain}  {} to {}  ({})",
                time(first),
                time(last),
                duration(last - first)
            ));
            lines.push(String::new());
            lines.extend(draw(&chart));
        }
        let columns = ((width + GAP) / (TABLE_WIDTH + GAP)).clamp(1, 2);
        let table_width = (width + GAP) / columns - GAP;
        let tables: Vec<Vec<String>> = self
            .fields
            .iter()
            .map(|field| self.table(*field, top, table_width))
            .collect();
        for row in tables.chunks(columns) {
            lines.push(String::new());
            let height = row.iter().map(Vec::len).max().unwrap_or(0);
            for at in 0..height {
                let mut line = String::new();
                for (number, table) in row.iter().enumerate() {
                    let cell = table.get(at).map_or("", String::as_str);
                    if number > 0 {
                        line.extend(iter::repeat_n(' ', GAP));
                    }
                    if at == 0 {
                        line += bold;
                    }
                    line += cell;
                    line.extend(iter::repeat_n(' ', table_width - cell.chars().count()));
                    if at == 0 {
                        line += plain;
                    }
                }
                lines.push(line);
            }
        }
        let mut text = String::new();
        for line in lines {
            text += line.trim_end();
            text.push('\n');
        }
        text
    }

    /// The lines of a field's table, each at most `width` characters.
    fn table(
        &self,
        (name, tally, absent): (&str, &Tally, u64),
        top: usize,
        width: usize,
    ) -> Vec<String> {
        let number_width = self.events.max(tally.total()).to_string().len().max(5);
        // "  value  count  share %"
        let value_width = width.saturating_sub(number_width + 2 + 8);
        let distinct = match tally.distinct() {
            Some(distinct) => format!("{name}: {distinct} values"),
            None => format!("{name}: too many values to count exactly"),
        };
        let mut lines = vec![fit(&distinct, width)];
        let row = |value: &str, count: u64| {
            let value = fit(value, value_width);
            let pad = value_width - value.chars().count();
            let share = 100.0 * count as f64 / self.events.max(1) as f64;
            format!("{value}{:pad$}  {count:number_width$} {share:5.1} %", "")
        };
        let values = tally.top(top);
        let shown: u64 = values.iter().map(|(_, count)| count).sum();
        for (value, count) in values {
            lines.push(row(&readable(value), count));
        }
        if tally.total() > shown {
            lines.push(row("(others)", tally.total() - shown));
        }
        if absent > 0 {
            lines.push(row("(no value)", absent));
        }
        lines
    }

    fn json(&self, top: usize) -> Value {
        let mut kinds = Map::new();
        for (name, count) in self.kinds {
            kinds.insert(name.to_owned(), count.into());
        }
        let over_time = self.timeline.chart(JSON_INTERVALS).map(|chart| {
            let counts: Vec<Value> = chart
                .columns
                .iter()
                .enumerate()
                .filter(|(_, count)| **count > 0)
                .map(|(number, count)| {
                    let start = chart.start + number as u64 * chart.seconds;
                    json!({"time": time(start), "count": count})
                })
                .collect();
            json!({"seconds": chart.seconds, "counts": counts})
        });
        let fields: Map<String, Value> = self
            .fields
            .iter()
            .map(|(name, tally, absent)| {
                let values: Vec<Value> = tally
                    .top(top)
                    .into_iter()
                    .map(|(value, count)| {
                        json!({"value": String::from_utf8_lossy(value), "count": count})
                    })
                    .collect();
                let field = json!({
                    "values": values,
                    "distinct": tally.distinct(),
                    "total": tally.total(),
                    "no_value": absent,
                });
                ((*name).to_owned(), field)
            })
            .collect();
        let range = self.timeline.range();
        json!({
            "events": self.events,
            "kinds": kinds,
            "first": range.map(|(first, _)| time(first)),
            "last": range.map(|(_, last)| time(last)),
            "over_time": over_time,
            "by": fields,
        })
    }
}

/// The chart with its axis.
fn draw(chart: &Chart) -> Vec<String> {
    let mut lines = chart.rows(CHART_ROWS);
    let (start, end) = (
        time(chart.start),
        time(chart.start + (chart.columns.len() as u64 - 1) * chart.seconds),
    );
    let scale = format!(
        "a column: {}, highest: {}",
        duration(chart.seconds),
        chart.highest()
    );
    let used = start.len() + end.len() + 2;
    match chart.columns.len().checked_sub(used) {
        Some(space) if space >= scale.len() => {
            let space = space - scale.len();
            let (left, right) = (space / 2, space - space / 2);
            lines.push(format!("{start} {:left$}{scale}{:right$} {end}", "", ""));
        }
        _ => lines.push(fit(&format!("from {start}; {scale}"), LEAST_WIDTH)),
    }
    lines
}

fn time(second: u64) -> String {
    let mut text = Vec::new();
    clock::write_utc(&mut text, second.saturating_mul(1_000_000_000));
    String::from_utf8_lossy(&text).into_owned()
}

/// A value without control characters.
fn readable(value: &[u8]) -> String {
    let mut text = Vec::new();
    escape::plain(&mut text, value);
    String::from_utf8_lossy(&text).into_owned()
}

/// `text` in at most `width` characters; an ellipsis stands for the rest.
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    if width > 0 {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_to_its_width_by_characters() {
        assert_eq!(fit("maría", 5), "maría");
        assert_eq!(fit("maría", 4), "mar…");
        assert_eq!(fit("maría", 0), "");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut timeline = Timeline::new();
        let mut tally = Tally::default();
        for second in 0..5000u64 {
            timeline.add(second * second * 1_000_000_000);
            tally.add(format!("a value with\u{1b}[31m {second}").as_bytes());
        }
        let report = Report {
            events: 5000,
            kinds: [
                ("reads", Some(5000)),
                ("changes", None),
                ("failed", Some(0)),
            ],
            timeline: &timeline,
            fields: vec![("ct.user", &tally, 3), ("ct.name", &tally, 0)],
        };
        for width in [LEAST_WIDTH, 80, 93, 200] {
            for line in report.text(5, width, false).lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
                assert!(!line.contains('\u{1b}'));
            }
        }
    }
}
