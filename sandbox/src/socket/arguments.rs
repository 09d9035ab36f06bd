//! The arguments of a function that scripts call, with LuaSocket's texts where they are wrong.
//!
//! Owns:    `Given`, and how functions are made of it.
//! Runs on: the thread of an input or output.            Plane: data.
//! Bounds:  what Lua hands over.
//! Never:   waits.

use mlua::{
    AnyUserData, Lua, LuaString, MultiValue, Table, UserData, UserDataMethods, UserDataRefMut,
    Value,
};

/// A function for scripts.
pub(super) type Function = fn(&Given<'_>) -> mlua::Result<MultiValue>;

/// Puts a function into a table.
pub(super) fn add(
    lua: &Lua,
    table: &Table,
    name: &'static str,
    function: Function,
) -> mlua::Result<()> {
    let made = lua.create_function(move |lua, values: MultiValue| {
        function(&Given {
            lua,
            function: name,
            this: Value::Nil,
            values: values.into_iter().collect(),
        })
    })?;
    table.raw_set(name, made)
}

/// Makes methods of an object. They are called with any object, or none: each looks at it itself.
pub(super) fn add_methods<T: UserData, M: UserDataMethods<T>>(
    methods: &mut M,
    table: &'static [(&'static str, Function)],
) {
    for &(name, function) in table {
        methods.add_function(name, move |lua, values: MultiValue| {
            let mut values = values.into_iter();
            function(&Given {
                lua,
                function: name,
                this: values.next().unwrap_or(Value::Nil),
                values: values.collect(),
            })
        });
    }
}

/// Arguments, counted from 1; the object of a method is none of them.
pub(super) struct Given<'l> {
    pub(super) lua: &'l Lua,
    function: &'static str,
    this: Value,
    values: Vec<Value>,
}

impl Given<'_> {
    /// An argument; nil where there is none.
    pub(super) fn value(&self, at: usize) -> &Value {
        const NIL: &Value = &Value::Nil;
        self.values.get(at - 1).unwrap_or(NIL)
    }

    pub(super) fn has(&self, at: usize) -> bool {
        !self.value(at).is_nil()
    }

    /// The error about an argument.
    pub(super) fn refuse(&self, at: usize, why: &str) -> mlua::Error {
        let function = self.function;
        mlua::Error::runtime(format!("bad argument #{at} to '{function}' ({why})"))
    }

    /// The error about an argument of another type.
    pub(super) fn refuse_type(&self, at: usize, expected: &str) -> mlua::Error {
        let got = match self.values.get(at - 1) {
            None => "no value",
            Some(Value::Integer(_) | Value::Number(_)) => "number",
            Some(value) => value.type_name(),
        };
        self.refuse(at, &format!("{expected} expected, got {got}"))
    }

    /// The object of a method, if it is of that type.
    pub(super) fn object<T: UserData + 'static>(&self) -> Option<UserDataRefMut<T>> {
        match &self.this {
            Value::UserData(object) => object.borrow_mut::<T>().ok(),
            _ => None,
        }
    }

    /// The error about the object of a method.
    pub(super) fn refuse_object(&self, expected: &str) -> mlua::Error {
        let function = self.function;
        mlua::Error::runtime(format!(
            "calling '{function}' on bad self ({expected} expected)"
        ))
    }

    /// A text, or a number as text.
    pub(super) fn text(&self, at: usize) -> mlua::Result<LuaString> {
        match self.value(at) {
            Value::String(text) => Ok(text.clone()),
            number @ (Value::Integer(_) | Value::Number(_)) => {
                let text = self.lua.coerce_string(number.clone())?;
                text.ok_or_else(|| self.refuse_type(at, "string"))
            }
            _ => Err(self.refuse_type(at, "string")),
        }
    }

    pub(super) fn text_or_none(&self, at: usize) -> mlua::Result<Option<LuaString>> {
        match self.has(at) {
            true => self.text(at).map(Some),
            false => Ok(None),
        }
    }

    /// Names of hosts and services: whatever they are, they are asked for as UTF-8.
    pub(super) fn name(&self, at: usize) -> mlua::Result<String> {
        Ok(self.text(at)?.to_string_lossy())
    }

    /// One of a few words.
    pub(super) fn word<W: Copy>(
        &self,
        at: usize,
        default: W,
        words: &[(&'static str, W)],
    ) -> mlua::Result<W> {
        let Some(text) = self.text_or_none(at)? else {
            return Ok(default);
        };
        let text = text.to_string_lossy();
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meant)) => Ok(*meant),
            None => Err(self.refuse(at, &format!("invalid option '{text}'"))),
        }
    }

    /// A number, or a text that is one.
    pub(super) fn as_number(&self, at: usize) -> Option<f64> {
        match self.value(at) {
            Value::Integer(number) => Some(*number as f64),
            Value::Number(number) => Some(*number),
            Value::String(text) => crate::number::parse(&text.as_bytes()),
            _ => None,
        }
    }

    pub(super) fn number(&self, at: usize) -> mlua::Result<f64> {
        self.as_number(at)
            .ok_or_else(|| self.refuse_type(at, "number"))
    }

    pub(super) fn number_or(&self, at: usize, default: f64) -> mlua::Result<f64> {
        match self.has(at) {
            true => self.number(at),
            false => Ok(default),
        }
    }

    pub(super) fn boolean(&self, at: usize) -> mlua::Result<bool> {
        match self.value(at) {
            Value::Boolean(truth) => Ok(*truth),
            _ => Err(self.refuse_type(at, "boolean")),
        }
    }

    pub(super) fn table(&self, at: usize) -> mlua::Result<&Table> {
        match self.value(at) {
            Value::Table(table) => Ok(table),
            _ => Err(self.refuse_type(at, "table")),
        }
    }
}

/// How an object is printed.
pub(super) fn shown(class: &str, object: &AnyUserData) -> String {
    format!("{class}: {:?}", object.to_pointer())
}
