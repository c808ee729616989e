//! What goes into statements and comes out of rows.

use std::rc::Rc;

use super::Result;
use crate::error::DatabaseError;

/// A value of either database.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
}

/// The values of a statement, each by its `From`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::database::Value::from($value)),*] };
}
pub(crate) use values;

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value)
    }
}

/// Databases' integers are signed; nothing counted here comes near the limit.
impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Value {
        Value::Int(value.into())
    }
}

impl From<u16> for Value {
    fn from(value: u16) -> Value {
        Value::Int(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Int(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Real(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Value {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Value {
        Value::Text(value)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// A row of an answer.
pub(crate) struct Row {
    pub(super) columns: Rc<[String]>,
    pub(super) values: Vec<Value>,
}

impl Row {
    /// The number of a column.
    pub(crate) fn column(&self, name: &str) -> Result<usize> {
        let found = self.columns.iter().position(|column| column == name);
        found.ok_or_else(|| DatabaseError::Column(format!("no column {name}")))
    }

    pub(crate) fn maybe_int(&self, column: usize) -> Result<Option<i64>> {
        match self.values.get(column) {
            Some(Value::Null) => Ok(None),
            Some(Value::Int(value)) => Ok(Some(*value)),
            other => Err(self.odd(column, "an integer", other)),
        }
    }

    pub(crate) fn int(&self, column: usize) -> Result<i64> {
        self.maybe_int(column)?
            .ok_or_else(|| self.odd(column, "an integer", Some(&Value::Null)))
    }

    pub(crate) fn count(&self, column: usize) -> Result<u64> {
        let value = self.int(column)?;
        u64::try_from(value).map_err(|_| self.odd(column, "a count", Some(&Value::Int(value))))
    }

    pub(crate) fn number<T: TryFrom<i64>>(&self, column: usize) -> Result<T> {
        let value = self.int(column)?;
        T::try_from(value)
            .map_err(|_| self.odd(column, "a smaller number", Some(&Value::Int(value))))
    }

    pub(crate) fn flag(&self, column: usize) -> Result<bool> {
        Ok(self.int(column)? != 0)
    }

    pub(crate) fn maybe_real(&self, column: usize) -> Result<Option<f64>> {
        match self.values.get(column) {
            Some(Value::Null) => Ok(None),
            Some(Value::Real(value)) => Ok(Some(*value)),
            other => Err(self.odd(column, "a real number", other)),
        }
    }

    pub(crate) fn maybe_text(&self, column: usize) -> Result<Option<&str>> {
        match self.values.get(column) {
            Some(Value::Null) => Ok(None),
            Some(Value::Text(value)) => Ok(Some(value)),
            other => Err(self.odd(column, "text", other)),
        }
    }

    pub(crate) fn text(&self, column: usize) -> Result<&str> {
        self.maybe_text(column)?
            .ok_or_else(|| self.odd(column, "text", Some(&Value::Null)))
    }

    fn odd(&self, column: usize, wanted: &str, found: Option<&Value>) -> DatabaseError {
        let name = self.columns.get(column).map_or("?", String::as_str);
        DatabaseError::Column(format!(
            "column {name} should hold {wanted}, and holds {found:?}"
        ))
    }
}
