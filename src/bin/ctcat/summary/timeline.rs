//! Counts events over time in bounded memory, and draws them.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

/// Occupied intervals beyond which intervals are merged in pairs.
const MAX_INTERVALS: usize = 4096;

/// Durations that a column of the chart may have, in seconds: those that people think in.
const COLUMN_SECONDS: [u64; 19] = [
    1,
    5,
    10,
    30,
    60,
    300,
    600,
    1800,
    3600,
    7200,
    21_600,
    43_200,
    86_400,
    172_800,
    604_800,
    2_592_000,
    7_776_000,
    31_536_000,
    315_360_000,
];

/// Bars of eight heights.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Number of events by time.
pub struct Timeline {
    /// Length of an interval in seconds.
    seconds: u64,
    /// Events by interval, of those that have any. The key is the interval's start divided by its length.
    counts: BTreeMap<u64, u64>,
    /// Seconds of the first and the last event.
    range: Option<(u64, u64)>,
}

/// Events over time in columns of equal duration.
pub struct Chart {
    /// Duration of a column in seconds.
    pub seconds: u64,
    /// Start of the first column, in seconds since 1970.
    pub start: u64,
    /// Events of each column.
    pub columns: Vec<u64>,
}

impl Timeline {
    pub fn new() -> Timeline {
        Timeline {
            seconds: 1,
            counts: BTreeMap::new(),
            range: None,
        }
    }

    /// Counts an event of this time, in nanoseconds since 1970.
    pub fn add(&mut self, ts: u64) {
        let second = ts / 1_000_000_000;
        let (first, last) = self.range.unwrap_or((second, second));
        self.range = Some((first.min(second), last.max(second)));
        *self.counts.entry(second / self.seconds).or_default() += 1;
        if self.counts.len() > MAX_INTERVALS {
            self.seconds *= 2;
            let mut merged = BTreeMap::new();
            for (interval, count) in &self.counts {
                *merged.entry(interval / 2).or_default() += count;
            }
            self.counts = merged;
        }
    }

    /// Seconds of the first and the last event.
    pub fn range(&self) -> Option<(u64, u64)> {
        self.range
    }

    /// The events in at most `width` columns; `None` without events.
    pub fn chart(&self, width: usize) -> Option<Chart> {
        let (first, last) = self.range?;
        let columns = |seconds| last / seconds - first / seconds + 1;
        let seconds = COLUMN_SECONDS
            .into_iter()
            .find(|&seconds| seconds >= self.seconds && columns(seconds) <= width.max(1) as u64);
        // Centuries: the times are invalid, but one column shows the number of events.
        let seconds = seconds.unwrap_or(u64::MAX);
        let start = first / seconds;
        let mut chart = Chart {
            seconds,
            start: start * seconds,
            columns: vec![0; columns(seconds) as usize],
        };
        for (interval, count) in &self.counts {
            // An interval belongs to the column of its start, or of the first event.
            let column = (interval * self.seconds / seconds).max(start) - start;
            chart.columns[column as usize] += count;
        }
        Some(chart)
    }
}

impl Chart {
    /// Events of the highest column.
    pub fn highest(&self) -> u64 {
        self.columns.iter().copied().max().unwrap_or(0)
    }

    /// The bars in `height` rows, the highest row first.
    pub fn rows(&self, height: usize) -> Vec<String> {
        let highest = self.highest().max(1) as u128;
        let eighths = |count: u64| {
            // Rounded up: a column with an event is never empty.
            (u128::from(count) * 8 * height as u128).div_ceil(highest) as usize
        };
        let bar = |count, row: usize| match eighths(count).saturating_sub(8 * row) {
            0 => ' ',
            filled => BARS[filled.min(8) - 1],
        };
        (0..height)
            .rev()
            .map(|row| {
                let row: String = self.columns.iter().map(|&count| bar(count, row)).collect();
                row.trim_end().to_owned()
            })
            .collect()
    }
}

/// A duration in its largest units: `5 min`, `2 d 3 h`.
pub fn duration(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (unit, name) in UNITS {
        let count = rest / unit;
        rest %= unit;
        if count > 0 {
            parts.push(format!("{count} {name}"));
        }
    }
    parts.truncate(2);
    match parts.is_empty() {
        true => "0 s".to_owned(),
        false => parts.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(seconds: impl IntoIterator<Item = u64>) -> Timeline {
        let mut timeline = Timeline::new();
        for second in seconds {
            timeline.add(second * 1_000_000_000 + 5);
        }
        timeline
    }

    #[test]
    fn columns_have_the_least_usual_duration_that_fits() {
        let timeline = timeline([3600, 3601, 3660, 7190]);
        let chart = timeline.chart(60).expect("a chart");
        assert_eq!((chart.seconds, chart.start), (60, 3600));
        assert_eq!(chart.columns.len(), 60);
        assert_eq!(
            (chart.columns[0], chart.columns[1], chart.columns[59]),
            (2, 1, 1)
        );
        let chart = timeline.chart(59).expect("a chart");
        assert_eq!((chart.seconds, chart.columns.len()), (300, 12));
        assert_eq!(chart.highest(), 3);
    }

    #[test]
    fn no_event_is_lost_by_merging_and_memory_stays_bounded() {
        let timeline = timeline((0..3 * MAX_INTERVALS as u64).map(|n| n * 977));
        assert!(timeline.counts.len() <= MAX_INTERVALS);
        for width in [1, 7, 80, 500] {
            let chart = timeline.chart(width).expect("a chart");
            assert!(chart.columns.len() <= width);
            assert_eq!(chart.columns.iter().sum::<u64>(), 3 * MAX_INTERVALS as u64);
        }
    }

    #[test]
    fn times_centuries_apart_give_one_column() {
        let mut timeline = timeline([0]);
        timeline.add(u64::MAX);
        let chart = timeline.chart(10).expect("a chart");
        assert_eq!(chart.columns.iter().sum::<u64>(), 2);
    }

    #[test]
    fn bars_are_proportional_and_never_empty_for_an_event() {
        let chart = Chart {
            seconds: 1,
            start: 0,
            columns: vec![0, 1, 500, 1000],
        };
        assert_eq!(chart.rows(2), ["   █", " ▁██"]);
    }

    #[test]
    fn durations_have_two_units_at_most() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (3600, "1 h"),
            (90_061, "1 d 1 h"),
            (300, "5 min"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
