//! What of a message decides who accepts it: messages that agree in that have the same answer.
//!
//! Owns:    `Looks`.
//! Runs on: made at build time; every shard compares heads.            Plane: data.
//! Bounds:  a comparison of two heads looks at no text.
//! Never:   says that an answer repeats where it might not; that it does not, it may say at any time.

use codecs::message::{Head, Header, MessageTable};

use crate::ast::NumberHeader;
use crate::predicate::{Check, Subject};

/// Everything that the expressions of a set look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looks {
    /// Headers of text, by bit.
    texts: u8,
    severity: bool,
    pid: bool,
    signer: bool,
    /// Something that hardly two messages of a batch have in common, or that is not worth comparing.
    own: bool,
}

impl Looks {
    pub(crate) fn of(checks: &[Check]) -> Looks {
        let mut looks = Looks::default();
        for check in checks {
            match check.subject() {
                Subject::Signer => looks.signer = true,
                Subject::Number(NumberHeader::Severity) => looks.severity = true,
                Subject::Number(NumberHeader::Pid) => looks.pid = true,
                Subject::Text(Header::Uuid | Header::Payload)
                | Subject::Number(NumberHeader::Timestamp)
                | Subject::Field(_) => looks.own = true,
                Subject::Text(header) => looks.texts |= 1 << header as u8,
            }
        }
        looks
    }

    /// How many messages from `first` on certainly have one answer: at least that one.
    #[inline]
    pub fn repeats(&self, table: &MessageTable, first: usize) -> usize {
        if self.own {
            return 1;
        }
        let len = table.len() - first;
        if *self == Looks::default() {
            return len;
        }
        let head = table.get(first).head();
        let same = |index: &usize| self.repeat(head, table.get(first + index).head());
        1 + (1..len).take_while(same).count()
    }

    /// Whether the answer for a message is certainly that for another one of the same table.
    #[inline]
    fn repeat(&self, before: &Head, head: &Head) -> bool {
        if self.severity && before.severity() != head.severity()
            || self.pid && before.pid() != head.pid()
            || self.signer && before.signer != head.signer
        {
            return false;
        }
        let mut texts = self.texts;
        while texts != 0 {
            let header = Header::ALL[texts.trailing_zeros() as usize];
            if before.text(header) != head.text(header) {
                return false;
            }
            texts &= texts - 1;
        }
        true
    }
}
