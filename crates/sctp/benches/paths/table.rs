//! The results as Markdown, and into the document.

use std::path::Path;

use super::contenders::{ALL, Contender};
use super::rows::{Measured, Row};

/// Between these lines of the document the table stands.
const BEGIN: &str =
    "<!-- paths: begin, written by `cargo bench -p crowfly-sctp --bench paths -- --write` -->";
const END: &str = "<!-- paths: end -->";

/// Everything measured.
#[derive(Default)]
pub(crate) struct Table {
    lines: Vec<Line>,
    facts: Vec<Fact>,
}

struct Line {
    name: &'static str,
    goal: String,
    /// By contender, in their order.
    cells: Vec<String>,
}

/// A result that is no share of a link.
pub(crate) struct Fact {
    pub(crate) name: String,
    pub(crate) result: String,
    pub(crate) goal: String,
}

impl Table {
    pub(crate) fn add(&mut self, row: &Row, contender: &Contender, measured: &Measured) {
        if self.lines.last().is_none_or(|line| line.name != row.name) {
            let ping = row
                .ping_goal
                .map(|most| format!(", 64 B in {} ms", most.as_millis()));
            self.lines.push(Line {
                name: row.name,
                goal: format!("≥ {:.0} %{}", row.goal, ping.unwrap_or_default()),
                cells: vec!["–".to_owned(); ALL.len()],
            });
        }
        let percent = |share: f64| match share {
            share if share < 2.0 => format!("{share:.2}"),
            share => format!("{share:.1}"),
        };
        let mut cell = format!(
            "{} ({}) %",
            percent(measured.share),
            percent(measured.late_share)
        );
        if let Some([median, _, longest]) = measured.pings {
            cell += &format!(
                ", {} ms (longest {})",
                median.as_millis(),
                longest.as_millis()
            );
        }
        let at = ALL
            .iter()
            .position(|other| other == contender)
            .expect("one of them");
        self.lines.last_mut().expect("just added").cells[at] = cell;
    }

    pub(crate) fn fact(&mut self, fact: Fact) {
        println!("{:44} {}; {}", fact.name, fact.result, fact.goal);
        self.facts.push(fact);
    }

    pub(crate) fn markdown(&self) -> String {
        let titles = ALL
            .iter()
            .map(|contender| format!(" {} |", contender.title));
        let mut text = format!(
            "| link | goal |{}\n|---|---|{}\n",
            titles.collect::<String>(),
            "---|".repeat(ALL.len())
        );
        for line in &self.lines {
            text += &format!(
                "| {} | {} | {} |\n",
                line.name,
                line.goal,
                line.cells.join(" | ")
            );
        }
        text +=
            "\n| 100 Mbit, 20 ms, queue of one bandwidth-delay product | | goal |\n|---|---|---|\n";
        for fact in &self.facts {
            text += &format!("| {} | {} | {} |\n", fact.name, fact.result, fact.goal);
        }
        text
    }

    /// Replaces the table of the document.
    pub(crate) fn write(&self) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/performance.md");
        let text = std::fs::read_to_string(&path).expect("the document is there");
        let (before, rest) = text
            .split_once(BEGIN)
            .expect("the document has the first marker");
        let (_, after) = rest
            .split_once(END)
            .expect("the document has the second marker");
        let text = format!("{before}{BEGIN}\n\n{}\n{END}{after}", self.markdown());
        std::fs::write(&path, text).expect("the document can be written");
    }
}
