//! Tokens to an expression.
//!
//! Owns:    the grammar above the tokens: operands, `&&` before `||`, parentheses, which tests exist.
//! Runs on: build time.            Plane: control.
//! Bounds:  `EXPRESSION_BYTES_MAX`; time and memory linear in the length, a few bytes per open parenthesis.
//! Never:   recurses, or accepts an expression whose tail it did not read.

use std::ops::Range;

use crate::EXPRESSION_BYTES_MAX;
use crate::ast::{Expression, Literal, NodeId, Relation, Test, Variable};
use crate::error::{Error, ErrorKind};
use crate::lexer::{Kind, Lexer, Token};

/// An open parenthesis (or the whole expression): where its operands begin on the two stacks.
struct Frame {
    open: u32,
    any: u32,
    all: u32,
}

struct Parser<'e> {
    lexer: Lexer<'e>,
    expression: Expression,
    frames: Vec<Frame>,
    /// Finished operands of `||`, of all open frames.
    any: Vec<NodeId>,
    /// Operands of the `&&` being read, of all open frames.
    all: Vec<NodeId>,
}

impl Expression {
    /// Reads an expression.
    ///
    /// Errors: anything that the grammar does not have, anywhere in the text; the first from the left.
    pub fn parse(text: &str) -> Result<Expression, Error> {
        if text.len() > EXPRESSION_BYTES_MAX {
            let message = format!(
                "expression too long: {} bytes, limit {EXPRESSION_BYTES_MAX}",
                text.len()
            );
            return Err(Error::new(
                ErrorKind::TooLong,
                text,
                EXPRESSION_BYTES_MAX..text.len(),
                message,
            ));
        }
        if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
            let error = Error::new(
                ErrorKind::Empty,
                text,
                0..text.len(),
                "the expression is empty",
            );
            return Err(error.help("write `TRUE` to accept every message"));
        }
        let parser = Parser {
            lexer: Lexer::new(text),
            expression: Expression::unfinished(),
            frames: vec![Frame {
                open: 0,
                any: 0,
                all: 0,
            }],
            any: Vec::new(),
            all: Vec::new(),
        };
        parser.run()
    }
}

impl Parser<'_> {
    fn run(mut self) -> Result<Expression, Error> {
        loop {
            let token = self.lexer.next()?;
            let operand = match token.kind {
                Kind::Open => {
                    self.frames.push(Frame {
                        open: token.span.start as u32,
                        any: self.any.len() as u32,
                        all: self.all.len() as u32,
                    });
                    continue;
                }
                Kind::Bool(value) => self.expression.push_constant(value),
                Kind::Text(header) => self.test(Variable::Text(header), token.span)?,
                Kind::Number(header) => self.test(Variable::Number(header), token.span)?,
                Kind::Field(selector) => self.test(Variable::Field(selector), token.span)?,
                _ => return Err(self.no_operand(&token)),
            };
            self.all.push(operand);
            if self.after_operand()? {
                return Ok(self.expression);
            }
        }
    }

    /// Reads what follows an operand; whether that was the end.
    fn after_operand(&mut self) -> Result<bool, Error> {
        loop {
            let token = self.lexer.next()?;
            match token.kind {
                Kind::And => return Ok(false),
                Kind::Or => {
                    self.close_all();
                    return Ok(false);
                }
                Kind::Close if self.frames.len() > 1 => {
                    let node = self.close_frame();
                    self.all.push(node);
                }
                Kind::Close => {
                    let message = "this parenthesis closes nothing";
                    return Err(self
                        .lexer
                        .error(ErrorKind::Parenthesis, token.span, message));
                }
                Kind::End if self.frames.len() > 1 => {
                    let open = self.frames[self.frames.len() - 1].open as usize;
                    let message = "this parenthesis is never closed";
                    return Err(self
                        .lexer
                        .error(ErrorKind::Parenthesis, open..open + 1, message));
                }
                Kind::End => {
                    self.close_frame();
                    return Ok(true);
                }
                _ => return Err(self.no_operator(&token)),
            }
        }
    }

    /// Ends the run of `&&` in the innermost frame; its result becomes an operand of `||`.
    fn close_all(&mut self) {
        let frame = &self.frames[self.frames.len() - 1];
        let node = self.expression.push_all(&self.all[frame.all as usize..]);
        self.all.truncate(frame.all as usize);
        self.any.push(node);
    }

    /// Ends the innermost frame; its node.
    fn close_frame(&mut self) -> NodeId {
        self.close_all();
        match self.frames.pop() {
            Some(frame) => {
                let node = self.expression.push_any(&self.any[frame.any as usize..]);
                self.any.truncate(frame.any as usize);
                node
            }
            None => unreachable!("the outermost frame is closed once, at the end"),
        }
    }

    /// Reads relation and literal of a test whose variable stood at `at`.
    fn test(&mut self, variable: Variable, at: Range<usize>) -> Result<NodeId, Error> {
        let token = self.lexer.next()?;
        let Kind::Relation(relation) = token.kind else {
            let expected = relations_of(&variable);
            let message = format!(
                "expected {expected} after `{variable}`, found {}",
                self.named(&token)
            );
            return Err(self.lexer.error(ErrorKind::Syntax, token.span, message));
        };
        if relation.is_match() && matches!(variable, Variable::Number(_)) {
            let message = format!(
                "`{variable}` is a number and has no `{}`",
                relation.as_str()
            );
            let error = self.lexer.error(ErrorKind::Syntax, token.span, message);
            return Err(error.help("compare numbers with == != < <= > >="));
        }
        let token = self.literal_token(&variable, relation)?;
        let end = token.span.end;
        let literal = match (&variable, relation.is_match(), token.kind) {
            (Variable::Text(_) | Variable::Field(_), true, Kind::RegexLiteral(pattern)) => {
                Literal::Regex(pattern)
            }
            (Variable::Text(_) | Variable::Field(_), false, Kind::StringLiteral(text)) => {
                Literal::Text(text)
            }
            (Variable::Number(_) | Variable::Field(_), false, Kind::NumberLiteral(number)) => {
                Literal::Number(number)
            }
            (Variable::Field(_), false, Kind::Bool(value)) if relation == Relation::Equal => {
                Literal::Bool(value)
            }
            (Variable::Field(_), false, Kind::Nil)
                if matches!(relation, Relation::Equal | Relation::NotEqual) =>
            {
                Literal::Nil
            }
            (_, _, kind) => {
                let token = Token {
                    kind,
                    span: token.span,
                };
                return Err(self.wrong_literal(&variable, relation, &token));
            }
        };
        let test = Test {
            variable,
            relation,
            literal,
        };
        Ok(self.expression.push_test(test, at.start..end))
    }

    /// Reads the token after a relation.
    fn literal_token(&mut self, variable: &Variable, relation: Relation) -> Result<Token, Error> {
        self.lexer.next().map_err(|error| {
            if error.kind() != ErrorKind::Word || matches!(variable, Variable::Number(_)) {
                return error;
            }
            // A bare word where a string belongs is the commonest mistake here.
            let word = &self.lexer.text()[error.span()];
            let help = match error.suggestion() {
                Some(known) if known.starts_with("write `") => known.to_owned(),
                _ => format!(
                    "strings stand in quotes: {variable} {} \"{word}\"",
                    relation.as_str()
                ),
            };
            error.help(help)
        })
    }

    fn wrong_literal(&self, variable: &Variable, relation: Relation, token: &Token) -> Error {
        let written = &self.lexer.text()[token.span.clone()];
        let expected = match (variable, relation) {
            (_, Relation::Matches | Relation::NotMatches) => "a regular expression between slashes",
            (Variable::Text(_), _) => "a string in quotes",
            (Variable::Number(_), _) => "a number",
            (Variable::Field(_), Relation::Equal) => "a string, a number, TRUE, FALSE or NIL",
            (Variable::Field(_), Relation::NotEqual) => "a string, a number or NIL",
            (Variable::Field(_), _) => "a string or a number",
        };
        let message = format!(
            "expected {expected} after `{variable} {}`, found {}",
            relation.as_str(),
            self.named(token)
        );
        let error = self
            .lexer
            .error(ErrorKind::Syntax, token.span.clone(), message);
        match (&token.kind, variable) {
            (Kind::RegexLiteral(_), Variable::Text(_) | Variable::Field(_)) => {
                error.help("regular expressions are tested with `=~` or `!~`")
            }
            (Kind::StringLiteral(text), _) if relation.is_match() => {
                let pattern = crate::lexer::clipped(text).replace('/', "\\/");
                error.help(format!("write /{pattern}/ for a regular expression"))
            }
            (Kind::StringLiteral(text), Variable::Number(_)) if text.parse::<f64>().is_ok() => {
                error.help(format!("write the number without quotes: {text}"))
            }
            (Kind::NumberLiteral(_), Variable::Text(_)) if !relation.is_match() => {
                error.help(format!("`{variable}` is text: write \"{written}\""))
            }
            (Kind::Nil, Variable::Text(_)) => error.help(format!(
                "only fields can be NIL; an absent {variable} reads as \"\""
            )),
            (Kind::Nil, Variable::Number(_)) => error.help("only fields can be NIL"),
            (Kind::Bool(value), Variable::Field(_)) if relation == Relation::NotEqual => error
                .help(format!(
                    "write `== {}`",
                    if *value { "FALSE" } else { "TRUE" }
                )),
            _ => error,
        }
    }

    /// The error for a token where a test or a parenthesis should begin.
    fn no_operand(&self, token: &Token) -> Error {
        let message = format!(
            "expected a test, TRUE, FALSE or `(`, found {}",
            self.named(token)
        );
        let error = self
            .lexer
            .error(ErrorKind::Syntax, token.span.clone(), message);
        match token.kind {
            Kind::StringLiteral(_) | Kind::NumberLiteral(_) | Kind::RegexLiteral(_) => {
                error.help("the variable stands first: `Type == \"x\"`")
            }
            _ => error,
        }
    }

    /// The error for a token where `&&`, `||` or the end should stand.
    fn no_operator(&self, token: &Token) -> Error {
        let close = if self.frames.len() > 1 {
            "`)`"
        } else {
            "the end"
        };
        let message = format!(
            "expected `&&`, `||` or {close}, found {}",
            self.named(token)
        );
        let error = self
            .lexer
            .error(ErrorKind::Syntax, token.span.clone(), message);
        match token.kind {
            Kind::Text(_) | Kind::Number(_) | Kind::Field(_) | Kind::Bool(_) | Kind::Open => {
                error.help("join two tests with `&&` (and) or `||` (or)")
            }
            _ => error,
        }
    }

    fn named(&self, token: &Token) -> String {
        match token.kind {
            Kind::End => "the end".to_owned(),
            _ => format!(
                "`{}`",
                crate::lexer::clipped(&self.lexer.text()[token.span.clone()])
            ),
        }
    }
}

fn relations_of(variable: &Variable) -> &'static str {
    match variable {
        Variable::Number(_) => "one of == != < <= > >=",
        Variable::Text(_) | Variable::Field(_) => "one of == != < <= > >= =~ !~",
    }
}
