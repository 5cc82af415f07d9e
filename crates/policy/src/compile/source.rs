//! Where policies begin and end, and whether Cedar's parser may be given them.

use alloc::string::String;
use alloc::vec::Vec;

use super::bounds::{MAX_NESTING, MAX_OPERATORS, MAX_POLICY_BYTES};
use super::error::{Place, Reason};

/// A token of a policy, as Cedar's own lexer would cut it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token<'s> {
    /// Its first byte, from the start of the source.
    pub(super) at: usize,
    pub(super) text: &'s str,
}

/// The text of one policy with its tokens.
#[derive(Clone, Debug)]
pub(super) struct Chunk<'s> {
    /// The first byte of its first token.
    pub(super) at: usize,
    /// From there to its `;`, or to the end of the source.
    pub(super) text: &'s str,
    pub(super) tokens: Vec<Token<'s>>,
}

/// Cuts a source at each `;` outside strings and comments: Cedar has it at the end of policies only.
pub(super) fn chunks(source: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let mut tokens = Vec::new();
    for token in self::tokens(source) {
        tokens.push(token);
        if token.text == ";" {
            chunks.extend(chunk(source, core::mem::take(&mut tokens)));
        }
    }
    chunks.extend(chunk(source, tokens));
    chunks
}

/// The tokens of a text.
pub(super) fn tokens(source: &str) -> impl Iterator<Item = Token<'_>> {
    Lexer { source, at: 0 }
}

fn chunk<'s>(source: &'s str, tokens: Vec<Token<'s>>) -> Option<Chunk<'s>> {
    let (first, last) = (tokens.first()?, tokens.last()?);
    let text = source.get(first.at..last.at.checked_add(last.text.len())?)?;
    Some(Chunk {
        at: first.at,
        text,
        tokens,
    })
}

impl<'s> Chunk<'s> {
    /// The bounds that keep Cedar's recursion within a small stack; the place is a byte of the source.
    pub(super) fn bounded(&self) -> Result<(), (usize, Reason)> {
        if self.text.len() > MAX_POLICY_BYTES {
            return Err((
                self.at,
                Reason::PolicyTooLong {
                    len: self.text.len(),
                },
            ));
        }
        let (mut depth, mut operators, mut last) = (0usize, 0usize, "");
        for token in &self.tokens {
            match token.text {
                "(" | "[" | "{" => depth = depth.saturating_add(1),
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                "." if last == "context" => {}
                text if OPERATORS.contains(&text) => operators = operators.saturating_add(1),
                _ => {}
            }
            last = token.text;
            if depth > MAX_NESTING {
                return Err((token.at, Reason::TooDeep));
            }
        }
        match operators {
            count if count > MAX_OPERATORS => Err((self.at, Reason::TooManyOperators { count })),
            _ => Ok(()),
        }
    }

    /// Whether it is a template: nothing but a slot has a `?`.
    pub(super) fn has_slot(&self) -> bool {
        self.tokens.iter().any(|token| token.text == "?")
    }

    /// The tokens of the conditions, without the words and braces that open them.
    pub(super) fn conditions(&self) -> Vec<Token<'s>> {
        let opens = |token: &Token<'_>| matches!(token.text, "when" | "unless");
        let mut conditions: Vec<Token<'s>> = Vec::new();
        let mut rest = self.tokens.iter().skip_while(|token| !opens(token));
        while let Some(token) = rest.next() {
            if opens(token) {
                rest.next();
            } else {
                conditions.push(*token);
            }
        }
        conditions
    }

    /// The literal of the annotation `@id`, as written, for policies that Cedar could not parse.
    pub(super) fn written_id(&self) -> Option<&'s str> {
        let mut words = self.tokens.windows(4).filter_map(|four| match four {
            [at, id, open, literal] if (at.text, id.text, open.text) == ("@", "id", "(") => {
                literal.text.strip_prefix('"')?.strip_suffix('"')
            }
            _ => None,
        });
        words.next()
    }
}

/// What can follow one another without brackets, each making Cedar's tree one deeper.
const OPERATORS: [&str; 19] = [
    "&&", "||", "!", "+", "-", "*", "/", "%", ".", "::", "in", "has", "like", "is", "if", "then",
    "else", "when", "unless",
];

struct Lexer<'s> {
    source: &'s str,
    at: usize,
}

impl<'s> Iterator for Lexer<'s> {
    type Item = Token<'s>;

    fn next(&mut self) -> Option<Token<'s>> {
        loop {
            let rest = self.source.get(self.at..)?;
            let first = rest.chars().next()?;
            let len = token_len(rest, first);
            let at = self.at;
            self.at = at.checked_add(len)?;
            if !first.is_whitespace() && !rest.starts_with("//") {
                return Some(Token {
                    at,
                    text: rest.get(..len)?,
                });
            }
        }
    }
}

/// The length of the token, comment or white space that begins here; never 0.
fn token_len(rest: &str, first: char) -> usize {
    let run = |inside: fn(char) -> bool| rest.find(|c| !inside(c)).unwrap_or(rest.len());
    match first {
        c if c.is_whitespace() => run(char::is_whitespace),
        '/' if rest.starts_with("//") => rest.find(['\n', '\r']).unwrap_or(rest.len()),
        '"' => string_len(rest),
        'a'..='z' | 'A'..='Z' | '_' => run(|c| c.is_ascii_alphanumeric() || c == '_'),
        '0'..='9' => run(|c| c.is_ascii_digit()),
        _ => {
            let pairs = ["==", "!=", "<=", ">=", "&&", "||", "::"];
            pairs
                .iter()
                .find(|pair| rest.starts_with(**pair))
                .map_or(first.len_utf8(), |_| 2)
        }
    }
}

/// The length of a string literal with its quotes; to the end if it is not closed.
fn string_len(rest: &str) -> usize {
    let mut escaped = false;
    let close = rest.char_indices().skip(1).find(|&(_, c)| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    });
    close.map_or(rest.len(), |(at, _)| at.saturating_add(1))
}

/// Finds lines and columns of one source.
pub(super) struct Lines<'s> {
    file: &'s str,
    source: &'s str,
    /// Where lines begin, and places within long ones, so that no column is counted from far away.
    marks: Vec<Mark>,
}

/// A byte of which line and column are known.
#[derive(Clone, Copy)]
struct Mark {
    at: usize,
    line: u32,
    column: u32,
}

/// Characters from one mark to the next in a long line.
const MARKED_CHARS: u32 = 256;

impl<'s> Lines<'s> {
    pub(super) fn new(file: &'s str, source: &'s str) -> Self {
        let mut last = Mark {
            at: 0,
            line: 1,
            column: 1,
        };
        let mut marks = Vec::from([last]);
        let (mut line, mut column) = (1u32, 1u32);
        for (at, c) in source.char_indices() {
            if c == '\n' {
                (line, column) = (line.saturating_add(1), 1);
            } else {
                column = column.saturating_add(1);
            }
            if line != last.line || column.saturating_sub(last.column) >= MARKED_CHARS {
                let at = at.saturating_add(c.len_utf8());
                last = Mark { at, line, column };
                marks.push(last);
            }
        }
        Self {
            file,
            source,
            marks,
        }
    }

    /// The place of the token that begins at a byte.
    pub(super) fn place(&self, at: usize, policy: &str) -> Place {
        let source = self.source;
        let token = Lexer { source, at }.next().filter(|token| token.at == at);
        self.span(at, token.map_or(1, |token| token.text.len()), policy)
    }

    /// The place of so many bytes from one on, up to the end of its line.
    pub(super) fn span(&self, at: usize, len: usize, policy: &str) -> Place {
        let after = self.marks.partition_point(|mark| mark.at <= at);
        let mark = after.checked_sub(1).and_then(|mark| self.marks.get(mark));
        let (from, line, first) = mark.map_or((0, 1, 1), |mark| (mark.at, mark.line, mark.column));
        let before = self.source.get(from..at).unwrap_or_default();
        let meant = self.source.get(at..at.saturating_add(len));
        let meant = meant.and_then(|meant| meant.lines().next());
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Place {
            file: String::from(self.file),
            line,
            column: first.saturating_add(number(before.chars().count())),
            chars: number(meant.map_or(1, |meant| meant.chars().count().max(1))),
            policy: String::from(policy),
        }
    }
}
