//! Samples, and the table they become.

use std::time::Duration;

/// Nanoseconds each.
#[derive(Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// What took `time` for `count` of it.
    pub fn add(&mut self, time: Duration, count: usize) {
        self.0.push(time.as_secs_f64() * 1e9 / count as f64);
        self.0.sort_by(f64::total_cmp);
    }

    fn at(&self, share: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * share).round() as usize]
    }

    fn median(&self) -> f64 {
        self.at(0.5)
    }
}

/// The competitors of one row; none: there is nothing to compare with.
pub struct Row<'a> {
    pub what: &'a str,
    pub raw: Option<&'a Samples>,
    pub nexus: &'a Samples,
    pub extism: Option<&'a Samples>,
}

/// Median, and in brackets where four fifths of the rounds lie.
pub fn print(rows: &[Row<'_>]) {
    println!("| what | raw wasmtime | Nexus | Extism | Nexus / raw | Nexus / Extism |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for row in rows {
        let ratio = |other: Option<&Samples>| match other {
            Some(other) => format!("{:.2}", row.nexus.median() / other.median()),
            None => "–".to_owned(),
        };
        println!(
            "| {} | {} | {} | {} | {} | {} |",
            row.what,
            cell(row.raw),
            cell(Some(row.nexus)),
            cell(row.extism),
            ratio(row.raw),
            ratio(row.extism)
        );
    }
}

fn cell(samples: Option<&Samples>) -> String {
    let Some(samples) = samples else {
        return "–".to_owned();
    };
    let (unit, divisor) = match samples.median() {
        ns if ns < 1e3 => ("ns", 1.0),
        ns if ns < 1e6 => ("µs", 1e3),
        _ => ("ms", 1e6),
    };
    let [low, middle, high] = [0.1, 0.5, 0.9].map(|share| short(samples.at(share) / divisor));
    format!("{middle} {unit} ({low}–{high})")
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value {
        v if v < 10.0 => format!("{v:.2}"),
        v if v < 100.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}
