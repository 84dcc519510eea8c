//! Medians side by side, as Markdown.

use std::fmt;

use crate::Stack;

pub struct Table {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(stacks: &[Stack]) -> Self {
        let mut heads = vec![String::new()];
        heads.extend(stacks.iter().map(|stack| stack.word().to_owned()));
        if stacks.len() > 1 {
            heads.push("first : last".to_owned());
        }
        Self {
            heads,
            rows: Vec::new(),
        }
    }

    /// A row of medians and the ratio of the first to the last.
    pub fn row<T>(
        &mut self,
        name: &str,
        rounds: &[Vec<T>],
        figure: impl Fn(&T) -> f64,
        decimals: usize,
    ) {
        let medians: Vec<f64> = rounds
            .iter()
            .map(|rounds| median(rounds.iter().map(&figure).collect()))
            .collect();
        let mut cells = vec![name.to_owned()];
        cells.extend(medians.iter().map(|median| format!("{median:.decimals$}")));
        if let [first, .., last] = medians[..] {
            cells.push(format!("{:.2}", first / last));
        }
        self.rows.push(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| {} |", self.heads.join(" | "))?;
        writeln!(f, "|{}", "---|".repeat(self.heads.len()))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}
