//! Messages as tables of spans over one shared byte buffer.
//!
//! Owns:    `MessageTable` (bytes, heads, fields), `MessageRef` (view of one message) and `Draft` (the message being made).
//! Runs on: every shard.            Plane: data.
//! Bounds:  memory is taken when the table is made; a message that does not fit is refused with `Full`.
//! Never:   allocates after `new`, copies received bytes, or reads a clock.
//!
//! Layout of a table's bytes: `[ received ........ | arena ]`. The received region has a fixed size, is
//! filled by the input and never moves; values made here are appended to the arena. Every span of every message
//! counts from byte 0, so a view needs one slice and no case distinction.

mod plain;

pub use plain::Template;

use crate::error::{Damage, Full};
use crate::field::{Field, FieldRef, Span, Value, ValueType};
use crate::protobuf;

/// Severity of a message that does not say: syslog's debug, as Heka.
pub const SEVERITY_DEFAULT: i32 = 7;

/// The text and bytes headers of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Header {
    /// 16 bytes by convention.
    Uuid = 0,
    /// What kind of message.
    Type = 1,
    /// Who made it.
    Logger = 2,
    /// Its text.
    Payload = 3,
    /// Version of the format of the fields.
    EnvVersion = 4,
    /// Where it was made.
    Hostname = 5,
}

/// Number of text headers.
pub const HEADERS: usize = 6;

impl Header {
    /// All of them.
    pub const ALL: [Header; HEADERS] = [
        Header::Uuid,
        Header::Type,
        Header::Logger,
        Header::Payload,
        Header::EnvVersion,
        Header::Hostname,
    ];
}

const HAS_SEVERITY: u16 = 1 << 6;
const HAS_PID: u16 = 1 << 7;
const HAS_TIMESTAMP: u16 = 1 << 8;

/// Header values of one message, and where its fields stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Head {
    texts: [Span; HEADERS],
    /// Nanoseconds since the Unix epoch.
    pub timestamp: i64,
    severity: i32,
    pid: i32,
    pub(crate) fields_start: u32,
    pub(crate) fields_len: u32,
    /// The record as it was received (whole frame or line).
    pub record: Span,
    /// Encoded message, while it is what the head and fields say; empty once anything was changed.
    pub encoded: Span,
    present: u16,
    /// Number of the authenticated signer plus one; 0 for none. The numbering is the splitter's.
    pub signer: u8,
    /// How many injections lie behind the message.
    pub loops: u8,
}

impl Head {
    /// A head without any header.
    pub const EMPTY: Head = Head {
        texts: [Span::EMPTY; HEADERS],
        timestamp: 0,
        severity: SEVERITY_DEFAULT,
        pid: 0,
        fields_start: 0,
        fields_len: 0,
        record: Span::EMPTY,
        encoded: Span::EMPTY,
        present: 0,
        signer: 0,
        loops: 0,
    };

    /// Sets a text header to a span.
    #[inline]
    pub(crate) fn set_text(&mut self, header: Header, span: Span) {
        self.texts[header as usize] = span;
        self.present |= 1 << header as u16;
    }

    #[inline]
    pub(crate) fn set_severity(&mut self, severity: i32) {
        self.severity = severity;
        self.present |= HAS_SEVERITY;
    }

    #[inline]
    pub(crate) fn set_pid(&mut self, pid: i32) {
        self.pid = pid;
        self.present |= HAS_PID;
    }

    /// Sets the time.
    #[inline]
    pub(crate) fn set_timestamp(&mut self, nanoseconds: i64) {
        self.timestamp = nanoseconds;
        self.present |= HAS_TIMESTAMP;
    }

    /// Whether uuid and timestamp were set.
    #[inline]
    pub(crate) fn has_required(&self) -> bool {
        const REQUIRED: u16 = HAS_TIMESTAMP | 1 << Header::Uuid as u16;
        self.present & REQUIRED == REQUIRED
    }

    /// Severity; 7 where absent.
    #[inline]
    pub fn severity(&self) -> i32 {
        self.severity
    }

    /// Process id; 0 where absent.
    #[inline]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The span of a text header; `None` where it is absent.
    #[inline]
    pub fn text(&self, header: Header) -> Option<Span> {
        (self.present & 1 << header as u16 != 0).then(|| self.texts[header as usize])
    }
}

/// A message, borrowed from its table.
#[derive(Clone, Copy, Debug)]
pub struct MessageRef<'a> {
    bytes: &'a [u8],
    head: &'a Head,
    fields: &'a [Field],
}

impl<'a> MessageRef<'a> {
    /// A view over parts; the fields are this message's own.
    #[inline]
    pub fn new(bytes: &'a [u8], head: &'a Head, fields: &'a [Field]) -> Self {
        MessageRef {
            bytes,
            head,
            fields,
        }
    }

    /// A text header; empty where absent.
    #[inline]
    pub fn header(self, header: Header) -> &'a [u8] {
        self.head.texts[header as usize].of(self.bytes)
    }

    /// A text header; `None` where absent.
    #[inline]
    pub fn header_opt(self, header: Header) -> Option<&'a [u8]> {
        self.head.text(header).map(|span| span.of(self.bytes))
    }

    /// Uuid bytes, 16 by convention; empty where absent.
    #[inline]
    pub fn uuid(self) -> &'a [u8] {
        self.header(Header::Uuid)
    }

    /// Payload; empty where absent.
    #[inline]
    pub fn payload(self) -> &'a [u8] {
        self.header(Header::Payload)
    }

    /// Nanoseconds since the Unix epoch.
    #[inline]
    pub fn timestamp(self) -> i64 {
        self.head.timestamp
    }

    /// Nanoseconds since the Unix epoch; `None` where absent.
    pub fn timestamp_opt(self) -> Option<i64> {
        (self.head.present & HAS_TIMESTAMP != 0).then_some(self.head.timestamp)
    }

    /// Severity; 7 where absent.
    #[inline]
    pub fn severity(self) -> i32 {
        self.head.severity()
    }

    /// Severity; `None` where absent.
    pub fn severity_opt(self) -> Option<i32> {
        (self.head.present & HAS_SEVERITY != 0).then_some(self.head.severity)
    }

    /// Process id; 0 where absent.
    #[inline]
    pub fn pid(self) -> i32 {
        self.head.pid()
    }

    /// Process id; `None` where absent.
    pub fn pid_opt(self) -> Option<i32> {
        (self.head.present & HAS_PID != 0).then_some(self.head.pid)
    }

    /// Fields in order; names may repeat.
    #[inline]
    pub fn fields(self) -> impl ExactSizeIterator<Item = FieldRef<'a>> + Clone {
        let bytes = self.bytes;
        self.fields
            .iter()
            .map(move |field| FieldRef { bytes, field })
    }

    /// The `index`th field of that name.
    #[inline]
    pub fn field(self, name: &[u8], index: usize) -> Option<FieldRef<'a>> {
        self.fields()
            .filter(|field| field.name() == name)
            .nth(index)
    }

    /// The record as received; empty for a message made here.
    #[inline]
    pub fn record(self) -> &'a [u8] {
        self.head.record.of(self.bytes)
    }

    /// The encoded message as received, if it still says what this message says.
    #[inline]
    pub fn encoded(self) -> Option<&'a [u8]> {
        (!self.head.encoded.is_empty()).then(|| self.head.encoded.of(self.bytes))
    }

    /// The head.
    #[inline]
    pub fn head(self) -> &'a Head {
        self.head
    }

    /// The bytes that all spans point into.
    #[inline]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }
}

/// Sizes of a table, all taken at once when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLimits {
    /// Bytes of the received region.
    pub received_bytes: usize,
    /// Bytes of values made here.
    pub arena_bytes: usize,
    /// Messages.
    pub messages: usize,
    /// Fields of all messages together.
    pub fields: usize,
}

/// Messages that share one byte buffer.
#[derive(Debug)]
pub struct MessageTable {
    bytes: Vec<u8>,
    heads: Vec<Head>,
    fields: Vec<Field>,
    limits: TableLimits,
}

impl MessageTable {
    /// A table with all its memory. Pages that are never used are never touched.
    ///
    /// Panics above 2 GiB, where spans could no longer count.
    pub fn new(limits: TableLimits) -> Self {
        let total = limits.received_bytes + limits.arena_bytes;
        assert!(total <= i32::MAX as usize, "a table of {total} bytes");
        let mut bytes = vec![0; total];
        bytes.truncate(limits.received_bytes);
        MessageTable {
            bytes,
            heads: Vec::with_capacity(limits.messages),
            fields: Vec::with_capacity(limits.fields),
            limits,
        }
    }

    /// Forgets all messages and the arena; received bytes stay until overwritten.
    pub fn clear(&mut self) {
        self.heads.clear();
        self.fields.clear();
        self.bytes.truncate(self.limits.received_bytes);
    }

    /// The received region, for the input to fill.
    #[inline]
    pub fn received_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.limits.received_bytes]
    }

    /// All bytes: the received region, then the arena.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Sizes that it was made with.
    pub fn limits(&self) -> TableLimits {
        self.limits
    }

    /// Messages in it.
    #[inline]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether it has no message.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The message at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> MessageRef<'_> {
        let head = &self.heads[index];
        MessageRef {
            bytes: &self.bytes,
            head,
            fields: &self.fields[head.fields_start as usize..][..head.fields_len as usize],
        }
    }

    /// All messages in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = MessageRef<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Begins a message at the end, with no header set.
    #[inline]
    pub fn begin(&mut self) -> Result<Draft<'_>, Full> {
        if self.heads.len() == self.limits.messages {
            return Err(Full);
        }
        let index = self.heads.len();
        self.heads.push(Head {
            fields_start: self.fields.len() as u32,
            ..Head::EMPTY
        });
        Ok(Draft { table: self, index })
    }

    /// The message at `index`, to be changed.
    #[inline]
    pub fn draft(&mut self, index: usize) -> Draft<'_> {
        assert!(index < self.heads.len(), "no message {index} in the table");
        Draft { table: self, index }
    }

    /// Drops the messages from `len` on, with their fields and made values.
    pub fn rollback(&mut self, mark: Mark) {
        self.heads.truncate(mark.heads);
        self.fields.truncate(mark.fields);
        self.bytes.truncate(mark.bytes);
    }

    /// Drops the messages from `len` on. What they have in the arena, and their fields, take up room until the table is cleared.
    pub fn truncate(&mut self, len: usize) {
        self.heads.truncate(len);
    }

    /// Copies bytes into the arena.
    #[inline]
    pub fn store(&mut self, bytes: &[u8]) -> Result<Span, Full> {
        let start = self.bytes.len();
        let end = start + bytes.len();
        if end > self.limits.received_bytes + self.limits.arena_bytes {
            return Err(Full);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(Span::new(start, end))
    }

    /// Bytes that the arena still takes.
    #[inline]
    pub fn room(&self) -> usize {
        self.limits.received_bytes + self.limits.arena_bytes - self.bytes.len()
    }

    /// Where the table ends now, for `rollback`.
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark {
            heads: self.heads.len(),
            fields: self.fields.len(),
            bytes: self.bytes.len(),
        }
    }
}

/// A point to roll a table back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    heads: usize,
    fields: usize,
    bytes: usize,
}

/// A message as it was, for `Draft::restore`.
#[derive(Clone, Copy, Debug)]
pub struct Saved {
    head: Head,
    mark: Mark,
}

/// Text for a header or field: a span of the table, or bytes to copy into its arena.
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    /// Already in the table.
    At(Span),
    /// Copied into the arena.
    Copy(&'a [u8]),
}

impl From<Span> for Text<'_> {
    fn from(span: Span) -> Self {
        Text::At(span)
    }
}

impl<'a> From<&'a [u8]> for Text<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Text::Copy(bytes)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Text::Copy(text.as_bytes())
    }
}

/// A value for a new field.
#[derive(Clone, Copy, Debug)]
pub enum NewValue<'a> {
    /// Text.
    String(Text<'a>),
    /// Bytes.
    Bytes(Text<'a>),
    /// Integer.
    Integer(i64),
    /// Double.
    Double(f64),
    /// Truth value.
    Bool(bool),
}

/// A message that is being made or changed. Every setter forgets the encoded form.
#[derive(Debug)]
pub struct Draft<'t> {
    table: &'t mut MessageTable,
    index: usize,
}

impl Draft<'_> {
    /// Its index in the table.
    #[inline]
    pub fn index(&self) -> usize {
        self.index
    }

    /// What it says so far.
    #[inline]
    pub fn view(&self) -> MessageRef<'_> {
        self.table.get(self.index)
    }

    /// The table's bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.table.bytes
    }

    /// The table, for decoders that append further messages.
    pub fn table(&mut self) -> &mut MessageTable {
        self.table
    }

    #[inline]
    fn head(&mut self) -> &mut Head {
        let head = &mut self.table.heads[self.index];
        head.encoded = Span::EMPTY;
        head
    }

    /// Copies bytes into the arena.
    #[inline]
    pub fn store(&mut self, bytes: &[u8]) -> Result<Span, Full> {
        self.table.store(bytes)
    }

    /// Copies ranges of the table, one behind the other, into the arena.
    pub fn gather(&mut self, parts: &[Span]) -> Result<Span, Full> {
        let start = self.table.bytes.len();
        let len: usize = parts.iter().map(|part| part.len as usize).sum();
        if start + len > self.table.limits.received_bytes + self.table.limits.arena_bytes {
            return Err(Full);
        }
        for part in parts {
            self.table
                .bytes
                .extend_from_within(part.start as usize..part.end());
        }
        Ok(Span::new(start, start + len))
    }

    /// A span for text, copying it into the arena if it is not in the table yet.
    #[inline]
    pub fn place(&mut self, text: Text<'_>) -> Result<Span, Full> {
        match text {
            Text::At(span) => Ok(span),
            Text::Copy(bytes) => self.store(bytes),
        }
    }

    /// Sets a text header.
    #[inline]
    pub fn set<'a>(&mut self, header: Header, text: impl Into<Text<'a>>) -> Result<(), Full> {
        let span = self.place(text.into())?;
        self.head().set_text(header, span);
        Ok(())
    }

    /// Sets the time, nanoseconds since the Unix epoch.
    #[inline]
    pub fn set_timestamp(&mut self, nanoseconds: i64) {
        self.head().set_timestamp(nanoseconds);
    }

    /// Sets the severity.
    #[inline]
    pub fn set_severity(&mut self, severity: i32) {
        self.head().set_severity(severity);
    }

    /// Sets the process id.
    #[inline]
    pub fn set_pid(&mut self, pid: i32) {
        self.head().set_pid(pid);
    }

    /// Notes the record that the message came from.
    #[inline]
    pub fn set_record(&mut self, record: Span) {
        self.table.heads[self.index].record = record;
    }

    /// Notes the authenticated signer: its number plus one, 0 for none.
    #[inline]
    pub fn set_signer(&mut self, signer: u8) {
        self.table.heads[self.index].signer = signer;
    }

    /// Notes how many injections lie behind it.
    #[inline]
    pub fn set_loops(&mut self, loops: u8) {
        self.table.heads[self.index].loops = loops;
    }

    /// Appends a field with one value.
    pub fn add_field<'a>(
        &mut self,
        name: impl Into<Text<'a>>,
        value: NewValue<'a>,
        representation: Option<Text<'a>>,
    ) -> Result<(), Full> {
        let name = self.place(name.into())?;
        let representation = match representation {
            Some(text) => Some(self.place(text)?),
            None => None,
        };
        let (value_type, first) = match value {
            NewValue::String(text) => (ValueType::String, Field::pack_span(self.place(text)?)),
            NewValue::Bytes(text) => (ValueType::Bytes, Field::pack_span(self.place(text)?)),
            NewValue::Integer(value) => (ValueType::Integer, value as u64),
            NewValue::Double(value) => (ValueType::Double, value.to_bits()),
            NewValue::Bool(value) => (ValueType::Bool, u64::from(value)),
        };
        self.push_field(Field {
            name,
            representation,
            body: Span::EMPTY,
            first,
            count: 1,
            value_type,
        })
    }

    /// Appends a field with any number of values of one type.
    ///
    /// Panics if the values differ in type: that is an error of the caller.
    pub fn add_array<'a>(
        &mut self,
        name: impl Into<Text<'a>>,
        value_type: ValueType,
        values: &[Value<'_>],
        representation: Option<Text<'a>>,
    ) -> Result<(), Full> {
        let name = self.place(name.into())?;
        let representation = match representation {
            Some(text) => Some(self.place(text)?),
            None => None,
        };
        let start = self.table.bytes.len();
        let limit = self.table.limits.received_bytes + self.table.limits.arena_bytes;
        if start + protobuf::values_len(value_type, values) > limit {
            return Err(Full);
        }
        protobuf::write_values(value_type, values, &mut self.table.bytes);
        let body = Span::new(start, self.table.bytes.len());
        let field =
            protobuf::array_field(&self.table.bytes, body, name, representation, value_type);
        self.push_field(field)
    }

    /// Appends a field whose spans are already in the table.
    pub fn push_field(&mut self, field: Field) -> Result<(), Full> {
        self.own_fields()?;
        if self.table.fields.len() == self.table.limits.fields {
            return Err(Full);
        }
        self.table.fields.push(field);
        self.head().fields_len += 1;
        Ok(())
    }

    /// Puts another field in the place of the one at `position`; its spans are already in the table.
    pub fn replace_field(&mut self, position: usize, field: Field) {
        let head = self.head();
        assert!(position < head.fields_len as usize, "no field {position}");
        let at = head.fields_start as usize + position;
        self.table.fields[at] = field;
    }

    /// Removes the field at `position`, keeping the order of the rest.
    pub fn remove_field(&mut self, position: usize) {
        let head = &mut self.table.heads[self.index];
        let len = head.fields_len as usize;
        assert!(position < len, "no field {position}");
        let start = head.fields_start as usize;
        head.fields_len -= 1;
        head.encoded = Span::EMPTY;
        self.table.fields[start..start + len].copy_within(position + 1.., position);
    }

    /// Moves the message's fields to the end of the table unless they stand there already.
    fn own_fields(&mut self) -> Result<(), Full> {
        let head = &self.table.heads[self.index];
        let (start, len) = (head.fields_start as usize, head.fields_len as usize);
        let end = self.table.fields.len();
        if start + len == end {
            return Ok(());
        }
        if end + len > self.table.limits.fields {
            return Err(Full);
        }
        self.table.fields.extend_from_within(start..start + len);
        self.table.heads[self.index].fields_start = end as u32;
        Ok(())
    }

    /// Replaces the message by the protobuf message at `encoded`, whose spans then point into it.
    ///
    /// Record, signer and loop count stay. On `Err` the message is unchanged.
    #[inline]
    pub fn index_protobuf(&mut self, encoded: Span) -> Result<(), IndexError> {
        let table = &mut *self.table;
        let fields_start = table.fields.len();
        let head = &mut table.heads[self.index];
        let begun = Head {
            fields_start: fields_start as u32,
            record: head.record,
            signer: head.signer,
            loops: head.loops,
            ..Head::EMPTY
        };
        // Copying a head that was just written in small pieces stalls: it is written in place, and an old one saved only where it says more.
        let bare = head.present == 0 && head.fields_len == 0 && head.encoded.is_empty();
        let old = if bare { None } else { Some(*head) };
        *head = begun;
        let fields_max = table.limits.fields;
        let indexed = protobuf::index(&table.bytes, encoded, head, &mut table.fields, fields_max);
        if indexed.is_ok() {
            head.fields_len = (table.fields.len() - fields_start) as u32;
            head.encoded = encoded;
        } else {
            *head = old.unwrap_or(begun);
            table.fields.truncate(fields_start);
        }
        indexed
    }

    /// The message as it is now, for `restore`.
    pub fn save(&self) -> Saved {
        Saved {
            head: self.table.heads[self.index],
            mark: self.table.mark(),
        }
    }

    /// Undoes what was set, added or appended to the table since `save`; removed fields do not come back.
    pub fn restore(&mut self, saved: &Saved) {
        self.table.rollback(saved.mark);
        self.table.heads[self.index] = saved.head;
    }

    /// Takes the message out of the table again. Only the last message can be discarded.
    pub fn discard(self) {
        assert_eq!(
            self.index + 1,
            self.table.heads.len(),
            "only the last message can be discarded"
        );
        let head = self.table.heads.pop().expect("the draft's own message");
        if (head.fields_start + head.fields_len) as usize == self.table.fields.len() {
            self.table.fields.truncate(head.fields_start as usize);
        }
    }
}

/// Why a record could not be indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexError {
    /// The record is not a message: drop it.
    Damage(Damage),
    /// The table has no room: close it and try the record in a fresh one.
    Full,
}

impl From<Damage> for IndexError {
    fn from(damage: Damage) -> Self {
        IndexError::Damage(damage)
    }
}

impl From<Full> for IndexError {
    fn from(_: Full) -> Self {
        IndexError::Full
    }
}
