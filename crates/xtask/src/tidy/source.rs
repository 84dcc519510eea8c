//! Blanks comments and the insides of strings in Rust and JavaScript, so that rules about code see code.
//!
//! A scanner, not a parser: it knows where comments, strings, template literals, regular expressions and lifetimes begin
//! and end, and nothing else.

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    JavaScript,
}

/// The source with every comment and string inside replaced by blanks; line breaks and columns (in characters) stay.
pub(crate) fn blank(source: &str, language: Language) -> String {
    let mut scanner = Scanner {
        rest: source.chars().collect(),
        at: 0,
        out: String::with_capacity(source.len()),
    };
    scanner.code(language, false);
    scanner.out
}

struct Scanner {
    rest: Vec<char>,
    at: usize,
    out: String,
}

impl Scanner {
    /// Code up to the end, or up to the `}` that closes a template literal's `${`.
    fn code(&mut self, language: Language, nested: bool) {
        let mut depth = 0;
        while let Some(next) = self.peek(0) {
            match (next, language) {
                ('/', _) if self.peek(1) == Some('/') => {
                    self.blank_while(|scanner| scanner.peek(0) != Some('\n'))
                }
                ('/', _) if self.peek(1) == Some('*') => self.block_comment(language),
                ('"', _) | ('\'', Language::JavaScript) => self.string(next),
                ('`', Language::JavaScript) => self.template(),
                ('/', Language::JavaScript) if self.expression_may_start() => {
                    self.regular_expression()
                }
                ('r', Language::Rust) if self.raw_string_hashes().is_some() => self.raw_string(),
                ('\'', Language::Rust) => self.character_or_lifetime(),
                ('{', _) => {
                    depth += 1;
                    self.keep();
                }
                ('}', _) if nested && depth == 0 => return,
                ('}', _) => {
                    depth -= 1;
                    self.keep();
                }
                _ => self.keep(),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn keep(&mut self) {
        self.out.extend(self.peek(0));
        self.at += 1;
    }

    fn blank(&mut self) {
        self.out
            .extend(self.peek(0).map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.at += 1;
    }

    fn blank_while(&mut self, more: impl Fn(&Scanner) -> bool) {
        while self.peek(0).is_some() && more(self) {
            self.blank();
        }
    }

    /// Rust's block comments nest, JavaScript's do not.
    fn block_comment(&mut self, language: Language) {
        let mut depth = 0;
        while self.peek(0).is_some() {
            let pair = (self.peek(0), self.peek(1));
            if pair == (Some('/'), Some('*')) && (language == Language::Rust || depth == 0) {
                depth += 1;
                self.blank();
            } else if pair == (Some('*'), Some('/')) {
                depth -= 1;
                self.blank();
            }
            self.blank();
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self, quote: char) {
        self.keep();
        while let Some(next) = self.peek(0) {
            if next == '\\' {
                self.blank();
            } else if next == quote {
                break;
            }
            self.blank();
        }
        self.keep();
    }

    fn template(&mut self) {
        self.keep();
        while let Some(next) = self.peek(0) {
            match next {
                '\\' => {
                    self.blank();
                    self.blank();
                }
                '`' => break,
                '$' if self.peek(1) == Some('{') => {
                    self.keep();
                    self.keep();
                    self.code(Language::JavaScript, true);
                    self.keep();
                }
                _ => self.blank(),
            }
        }
        self.keep();
    }

    /// A `/` divides after a value and starts a regular expression everywhere else.
    fn expression_may_start(&self) -> bool {
        let before = self.out.trim_end();
        let word = before
            .rsplit(|c: char| !c.is_alphanumeric())
            .next()
            .unwrap_or_default();
        if ["return", "typeof", "case", "of", "in", "await", "yield"].contains(&word) {
            return true;
        }
        !before.ends_with(|c: char| c.is_alphanumeric() || "_$)]}\"'`".contains(c))
    }

    fn regular_expression(&mut self) {
        self.keep();
        let mut class = false;
        while let Some(next) = self.peek(0) {
            match next {
                '\\' => self.blank(),
                '[' => class = true,
                ']' => class = false,
                '/' if !class => break,
                '\n' => return,
                _ => {}
            }
            self.blank();
        }
        self.keep();
    }

    /// The number of `#` when a raw string starts here.
    fn raw_string_hashes(&self) -> Option<usize> {
        // `for"` or `br"`: only the last matters, and `b` before it is fine.
        let before = self.at.checked_sub(1).and_then(|at| self.rest.get(at));
        if before.is_some_and(|c| (c.is_alphanumeric() || *c == '_') && *c != 'b') {
            return None;
        }
        let hashes = self.rest[self.at + 1..]
            .iter()
            .take_while(|c| **c == '#')
            .count();
        (self.peek(1 + hashes) == Some('"')).then_some(hashes)
    }

    fn raw_string(&mut self) {
        let hashes = self.raw_string_hashes().unwrap_or(0);
        (0..hashes + 2).for_each(|_| self.keep());
        self.blank_while(|scanner| {
            let end = (1..=hashes).all(|ahead| scanner.peek(ahead) == Some('#'));
            !(scanner.peek(0) == Some('"') && end)
        });
        (0..=hashes).for_each(|_| self.keep());
    }

    /// `'a'` and `'\n'` are characters, `'a` is a lifetime.
    fn character_or_lifetime(&mut self) {
        if self.peek(1) == Some('\\') || self.peek(2) == Some('\'') {
            self.string('\'');
        } else {
            self.keep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_keeps_code_and_blanks_the_rest() {
        let source = r###"
let a = "x // \" y"; // tail
let b = r#"a "quoted" b"#; /* one /* two */ three */ let c = '"'; let d: &'a str = b"z";
"###;
        let code = blank(source, Language::Rust);
        for word in ["let a", "let b", "let c", "let d: &'a str"] {
            assert!(code.contains(word), "{word} in {code}");
        }
        for word in ["tail", "quoted", "one", "three", "x //", "z"] {
            assert!(!code.contains(word), "{word} in {code}");
        }
        assert_eq!(code.chars().count(), source.chars().count());
    }

    #[test]
    fn javascript_keeps_code_and_blanks_the_rest() {
        let source = "const a = 'WebSocket'; // c1\nconst b = `t1 ${call(`t2 ${deep}`, { x: 1 })} t3`;\n\
                      const c = /re\"x[/]/.test(d) / 2; /* c2 */ const e = f / g; return /re2'/;";
        let code = blank(source, Language::JavaScript);
        for word in [
            "const a",
            "call(",
            "deep",
            "x: 1",
            ".test(d) / 2",
            "const e = f / g",
            "return /",
        ] {
            assert!(code.contains(word), "{word} in {code}");
        }
        for word in ["WebSocket", "c1", "t1", "t2", "t3", "re\"", "c2", "re2"] {
            assert!(!code.contains(word), "{word} in {code}");
        }
        assert_eq!(code.lines().count(), source.lines().count());
    }
}
