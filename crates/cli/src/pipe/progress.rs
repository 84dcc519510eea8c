//! How much went through, on stderr, where that is a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior};

const EVERY: Duration = Duration::from_millis(500);

/// A line that is written over.
#[derive(Debug)]
pub(super) struct Progress {
    interval: Option<Interval>,
    began: Instant,
}

impl Progress {
    pub(super) fn start() -> Self {
        let interval = io::stderr().is_terminal().then(|| {
            let mut interval = tokio::time::interval(EVERY);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        Self {
            interval,
            began: Instant::now(),
        }
    }

    /// Until it is time to show it again; never where nobody looks.
    pub(super) async fn tick(&mut self) {
        match &mut self.interval {
            Some(interval) => drop(interval.tick().await),
            None => std::future::pending().await,
        }
    }

    pub(super) fn show(&self, sent: u64, received: u64) {
        let rate = (sent + received) as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let (sent, received, rate) = (bytes(sent as f64), bytes(received as f64), bytes(rate));
        let _ = write!(
            io::stderr().lock(),
            "\r\u{1b}[Ksent {sent}, received {received}, {rate}/s"
        );
    }

    /// A line for people, in place of this one.
    pub(super) fn line(&self, text: &str) {
        if self.interval.is_some() {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
        crate::output::line(text);
    }

    pub(super) fn end(&self, sent: u64, received: u64) {
        if self.interval.is_some() {
            self.show(sent, received);
            let _ = writeln!(io::stderr().lock());
        }
    }
}

/// In units of a thousand.
fn bytes(count: f64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut count = count;
    let mut unit = 0;
    while count >= 999.5 && unit + 1 < units.len() {
        count /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && count < 99.95);
    format!("{count:.digits$} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_sizes_in_few_digits() {
        let said: Vec<String> = [0.0, 999.0, 1_000.0, 99_960.0, 1_234_567.0, 5e12]
            .map(bytes)
            .into();
        assert_eq!(
            said,
            ["0 B", "999 B", "1.0 kB", "100 kB", "1.2 MB", "5.0 TB"]
        );
    }
}
