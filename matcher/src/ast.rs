//! What was written: expressions as flat trees.
//!
//! Owns:    `Expression`, its nodes and tests, and printing them back in canonical form.
//! Runs on: build time.            Plane: control.
//! Bounds:  by the length of the expression; children stand before their parents, so walks need no recursion.
//! Never:   evaluates anything, or holds a test that the grammar does not have.

use std::fmt;
use std::ops::Range;

use codecs::message::Header;

use crate::pattern::Pattern;

/// Headers that hold a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberHeader {
    /// Nanoseconds since the Unix epoch.
    Timestamp,
    /// Severity; 7 where absent.
    Severity,
    /// Process id; 0 where absent.
    Pid,
}

/// A value of a field: `Fields[name][index][array_index]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Selector {
    /// Name of the field.
    pub name: String,
    /// Which of the fields of that name.
    pub index: u64,
    /// Which value of that field.
    pub array_index: u64,
}

/// What a test looks at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Variable {
    /// A header of text or bytes.
    Text(Header),
    /// A header of a number.
    Number(NumberHeader),
    /// A value of a field.
    Field(Selector),
}

/// How a test compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `=~`
    Matches,
    /// `!~`
    NotMatches,
}

impl Relation {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Relation::Equal => "==",
            Relation::NotEqual => "!=",
            Relation::Less => "<",
            Relation::LessOrEqual => "<=",
            Relation::Greater => ">",
            Relation::GreaterOrEqual => ">=",
            Relation::Matches => "=~",
            Relation::NotMatches => "!~",
        }
    }

    /// Whether it wants a regular expression.
    pub const fn is_match(self) -> bool {
        matches!(self, Relation::Matches | Relation::NotMatches)
    }
}

/// What a test compares with.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A string.
    Text(String),
    /// A number, finite and not negative.
    Number(f64),
    /// A regular expression.
    Regex(Pattern),
    /// `TRUE` or `FALSE`.
    Bool(bool),
    /// `NIL`.
    Nil,
}

/// One test of one variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// What it looks at.
    pub variable: Variable,
    /// How it compares.
    pub relation: Relation,
    /// What it compares with.
    pub literal: Literal,
}

/// Number of a node in its expression.
pub type NodeId = u32;

/// A node of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// `TRUE` or `FALSE`.
    Constant(bool),
    /// A test, by its number.
    Test(u32),
    /// Joined by `&&`; two or more children.
    All(Children),
    /// Joined by `||`; two or more children.
    Any(Children),
}

/// The children of a node: a range of the expression's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Children {
    start: u32,
    len: u32,
}

/// A parsed expression.
///
/// Every child stands before its parent and the last node is the root, so that walking the nodes in order meets operands before
/// operators, however deep the expression is. Equality ignores where in the text the tests stood.
#[derive(Clone, Debug)]
pub struct Expression {
    nodes: Vec<Node>,
    children: Vec<NodeId>,
    tests: Vec<Test>,
    spans: Vec<Range<usize>>,
}

impl Expression {
    /// An expression under construction: it has no root yet.
    pub(crate) fn unfinished() -> Expression {
        Expression {
            nodes: Vec::new(),
            children: Vec::new(),
            tests: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// Appends a constant.
    pub(crate) fn push_constant(&mut self, value: bool) -> NodeId {
        self.push(Node::Constant(value))
    }

    /// Appends a test that was written at `span`.
    pub(crate) fn push_test(&mut self, test: Test, span: Range<usize>) -> NodeId {
        self.tests.push(test);
        self.spans.push(span);
        self.push(Node::Test(self.tests.len() as u32 - 1))
    }

    /// Joins nodes by `&&`; a single one stays as it is.
    pub(crate) fn push_all(&mut self, children: &[NodeId]) -> NodeId {
        match children {
            [only] => *only,
            _ => {
                let children = self.adopt(children);
                self.push(Node::All(children))
            }
        }
    }

    /// Joins nodes by `||`; a single one stays as it is.
    pub(crate) fn push_any(&mut self, children: &[NodeId]) -> NodeId {
        match children {
            [only] => *only,
            _ => {
                let children = self.adopt(children);
                self.push(Node::Any(children))
            }
        }
    }

    fn adopt(&mut self, children: &[NodeId]) -> Children {
        let start = self.children.len() as u32;
        self.children.extend_from_slice(children);
        Children {
            start,
            len: children.len() as u32,
        }
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() as NodeId - 1
    }

    /// All nodes, children before parents; never empty.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The root's number.
    pub fn root(&self) -> NodeId {
        self.nodes.len() as NodeId - 1
    }

    /// The numbers of a node's children, in the order written.
    pub fn children(&self, children: Children) -> &[NodeId] {
        &self.children[children.start as usize..][..children.len as usize]
    }

    /// The tests, in the order written.
    pub fn tests(&self) -> &[Test] {
        &self.tests
    }

    /// Where test number `test` stood in the text, bytes.
    pub fn span(&self, test: u32) -> Range<usize> {
        self.spans[test as usize].clone()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.nodes == other.nodes && self.children == other.children && self.tests == other.tests
    }
}

/// What is left to print.
enum Piece {
    Text(&'static str),
    Node(NodeId),
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = vec![Piece::Node(self.root())];
        while let Some(piece) = rest.pop() {
            let node = match piece {
                Piece::Text(text) => {
                    f.write_str(text)?;
                    continue;
                }
                Piece::Node(node) => self.nodes[node as usize],
            };
            let (children, joint) = match node {
                Node::Constant(value) => {
                    f.write_str(if value { "TRUE" } else { "FALSE" })?;
                    continue;
                }
                Node::Test(test) => {
                    write!(f, "{}", self.tests[test as usize])?;
                    continue;
                }
                Node::All(children) => (children, " && "),
                Node::Any(children) => (children, " || "),
            };
            for (position, child) in self.children(children).iter().enumerate().rev() {
                let inner = self.nodes[*child as usize];
                let bare = match inner {
                    Node::Constant(_) | Node::Test(_) => true,
                    Node::All(_) => matches!(node, Node::Any(_)),
                    Node::Any(_) => false,
                };
                if bare {
                    rest.push(Piece::Node(*child));
                } else {
                    rest.extend([Piece::Text(")"), Piece::Node(*child), Piece::Text("(")]);
                }
                if position > 0 {
                    rest.push(Piece::Text(joint));
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.variable,
            self.relation.as_str(),
            self.literal
        )
    }
}

/// A text header's name in expressions.
pub(crate) const fn header_name(header: Header) -> &'static str {
    match header {
        Header::Uuid => "Uuid",
        Header::Type => "Type",
        Header::Logger => "Logger",
        Header::Payload => "Payload",
        Header::EnvVersion => "EnvVersion",
        Header::Hostname => "Hostname",
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Variable::Text(header) => f.write_str(header_name(*header)),
            Variable::Number(NumberHeader::Timestamp) => f.write_str("Timestamp"),
            Variable::Number(NumberHeader::Severity) => f.write_str("Severity"),
            Variable::Number(NumberHeader::Pid) => f.write_str("Pid"),
            Variable::Field(selector) => write!(f, "{selector}"),
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields[{}]", self.name)?;
        if self.index != 0 || self.array_index != 0 {
            write!(f, "[{}]", self.index)?;
        }
        if self.array_index != 0 {
            write!(f, "[{}]", self.array_index)?;
        }
        Ok(())
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Literal::Text(text) => f.write_str(&quoted(text)),
            Literal::Number(number) => {
                let plain = number.to_string();
                // The lexer reads digits, `.`, `e`, `+` and `-`; long numbers are shorter with an exponent.
                if plain.len() > 24 {
                    write!(f, "{number:e}")
                } else {
                    f.write_str(&plain)
                }
            }
            Literal::Regex(pattern) => write!(f, "/{}/", escaped_slashes(pattern.source())),
            Literal::Bool(true) => f.write_str("TRUE"),
            Literal::Bool(false) => f.write_str("FALSE"),
            Literal::Nil => f.write_str("NIL"),
        }
    }
}

/// A string literal that reads back as `text`.
///
/// A backslash keeps the character after it unless that is the quote, so text with a backslash before one kind of quote can only
/// be written in the other kind.
pub(crate) fn quoted(text: &str) -> String {
    in_quotes(text, '"')
        .or_else(|| in_quotes(text, '\''))
        .unwrap_or_else(|| format!("\"{text}\""))
}

fn in_quotes(text: &str, quote: char) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\\' {
            let kept = rest.next().filter(|kept| *kept != quote)?;
            out.extend([c, kept]);
        } else {
            if c == quote {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out.push(quote);
    Some(out)
}

/// A pattern with its slashes escaped, leaving pairs that begin with a backslash alone.
pub(crate) fn escaped_slashes(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                out.push(c);
                out.extend(rest.next());
            }
            '/' => out.push_str("\\/"),
            _ => out.push(c),
        }
    }
    out
}
