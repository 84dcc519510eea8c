//! Rules for the documents: what they link to is there.

use std::collections::HashSet;

use super::Violation;
use super::files::File;

/// Relative links of Markdown files lead to tracked files or folders, and their anchors to headings.
pub(crate) fn links(files: &[File]) -> Vec<Violation> {
    let paths: HashSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| file.is_markdown()) {
        for (number, link) in relative_links(&file.text) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                Some(file.path.clone())
            } else {
                resolve(&file.path, path)
            };
            let there = target.as_deref().is_some_and(|target| {
                paths.contains(target)
                    || paths
                        .iter()
                        .any(|path| path.starts_with(&format!("{target}/")))
            });
            if !there {
                violations.push(file.violation(number, format!("`{link}` leads nowhere")));
                continue;
            }
            let document = files
                .iter()
                .find(|other| Some(&other.path) == target.as_ref() && other.is_markdown());
            if let Some(document) = document.filter(|_| !anchor.is_empty())
                && !anchors(&document.text).any(|known| known == anchor)
            {
                violations.push(file.violation(number, format!("`{link}`: no such heading")));
            }
        }
    }
    violations
}

/// Targets of `[text](target)` and `<img src="target">` outside code, those with a scheme left out.
fn relative_links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for (opening, closing) in [("](", ')'), ("src=\"", '"'), ("srcset=\"", '"')] {
            for (at, _) in line.match_indices(opening) {
                let in_code = line[..at].matches('`').count() % 2 == 1;
                let target = line[at + opening.len()..]
                    .split([closing, ' '])
                    .next()
                    .unwrap_or_default();
                if !in_code && !target.contains(':') && !target.is_empty() {
                    links.push((number, target));
                }
            }
        }
    }
    links
}

fn resolve(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            other => parts.push(other),
        }
    }
    Some(parts.join("/"))
}

/// Headings as the anchors that readers of Markdown make of them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .filter_map(|line| {
            line.trim_start_matches('#')
                .strip_prefix(' ')
                .filter(|_| line.starts_with('#'))
        })
        .map(|heading| {
            let kept = heading.trim().to_lowercase();
            kept.chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_links_are_found() {
        let files = |text: &str| {
            vec![
                File::new("docs/a.md", text),
                File::new("README.md", "# Read me\n## What it does, and how\n"),
                File::new("docs/x/b.rs", ""),
            ]
        };
        for bad in [
            "[a](b.md)",
            "[a](../../README.md)",
            "[a](../README.md#nothing)",
            "[a](#here)",
            "<img src=\"a.png\">",
        ] {
            assert_eq!(links(&files(bad)).len(), 1, "{bad}");
        }
        let good = [
            "[a](../README.md)",
            "[a](../README.md#what-it-does-and-how)",
            "[a](x)",
            "[a](https://b.c/d)",
            "`[a](b.md)`",
        ];
        for good in good {
            assert_eq!(links(&files(good)), [], "{good}");
        }
    }
}
