//! PostgreSQL.
//!
//! The client blocks its thread and must not be used on a thread of an asynchronous runtime.

use std::collections::HashMap;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use postgres::config::SslMode;
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::private::BytesMut;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, NoTls, Statement};

use super::{Purpose, Result, Row, Value, dialect};
use crate::error::{DatabaseError, StoreError};
use crate::location::Location;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A server that is gone without a word is noticed within about twice this.
const UNANSWERED_MAX: Duration = Duration::from_secs(10);

/// A connection.
pub(crate) struct Postgres {
    client: Client,
    statements: HashMap<String, Statement>,
    /// Numbers of statements that are told without waiting.
    prepared: HashMap<String, usize>,
    /// What waits to be told.
    told: String,
}

/// What waits to be told at most, in bytes.
const TOLD_MAX: usize = 65_536;

impl Postgres {
    pub(super) fn open(
        location: &Location,
        text: &str,
        purpose: Purpose,
    ) -> std::result::Result<Postgres, StoreError> {
        let cannot = |problem: String| StoreError::Connect {
            location: location.to_string(),
            problem,
        };
        let config = config(text).map_err(cannot)?;
        let client = config
            .connect(NoTls)
            .map_err(|error| cannot(DatabaseError::from(error).to_string()))?;
        let mut postgres = Postgres {
            client,
            statements: HashMap::new(),
            prepared: HashMap::new(),
            told: String::new(),
        };
        postgres
            .script(dialect::POSTGRES_GREETING)
            .map_err(|error| cannot(error.to_string()))?;
        match purpose {
            Purpose::Write { .. } => postgres.lock(location)?,
            Purpose::Read => postgres
                .script("SET default_transaction_read_only = on")
                .map_err(|error| cannot(error.to_string()))?,
        }
        Ok(postgres)
    }

    fn lock(&mut self, location: &Location) -> std::result::Result<(), StoreError> {
        let locked = self
            .script(dialect::POSTGRES_SCHEMA)
            .and_then(|()| self.script(dialect::POSTGRES_LOCK_PATIENCE))
            .and_then(|()| self.script(dialect::POSTGRES_WRITER_LOCK))
            .and_then(|()| self.script(dialect::POSTGRES_LOCKED));
        locked.map_err(|error| match &error {
            DatabaseError::Postgres(said) if said.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                StoreError::InUse(location.to_string())
            }
            DatabaseError::Postgres(_)
            | DatabaseError::Sqlite(_)
            | DatabaseError::Column(_)
            | DatabaseError::Unwritable(_) => StoreError::Migrate(error),
        })
    }

    /// Many statements in one message: to wait for each one's answer would take ten times as long.
    pub(super) fn tell(&mut self, sql: &str, values: &[Value]) -> Result<()> {
        let number = match self.prepared.get(sql) {
            Some(number) => *number,
            None => self.prepare_to_tell(sql)?,
        };
        let mut places = Vec::with_capacity(values.len());
        for value in values {
            places.push(literal(value)?);
        }
        self.told += &format!("EXECUTE told{number} ({});", places.join(","));
        match self.told.len() > TOLD_MAX {
            true => self.flush(),
            false => Ok(()),
        }
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        match self.told.is_empty() {
            true => Ok(()),
            false => Ok(self.client.batch_execute(&std::mem::take(&mut self.told))?),
        }
    }

    pub(super) fn roll_back(&mut self) -> Result<()> {
        self.told.clear();
        Ok(self.client.batch_execute("ROLLBACK")?)
    }

    fn prepare_to_tell(&mut self, sql: &str) -> Result<usize> {
        let number = self.prepared.len();
        let told = dialect::postgres_statement(sql);
        self.script(&format!("PREPARE told{number} AS {told}"))?;
        self.prepared.insert(sql.to_owned(), number);
        Ok(number)
    }

    pub(super) fn run(&mut self, sql: &str, values: &[Value]) -> Result<u64> {
        self.flush()?;
        let statement = self.statement(sql)?;
        Ok(self.client.execute(&statement, &borrowed(values))?)
    }

    pub(super) fn each(
        &mut self,
        sql: &str,
        values: &[Value],
        each: &mut dyn FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        self.flush()?;
        let statement = self.statement(sql)?;
        let columns: Rc<[String]> = statement
            .columns()
            .iter()
            .map(|column| column.name().to_owned())
            .collect();
        let mut rows = self.client.query_raw(&statement, values)?;
        while let Some(found) = rows.next()? {
            let mut row = Row {
                columns: Rc::clone(&columns),
                values: Vec::with_capacity(columns.len()),
            };
            for column in 0..columns.len() {
                row.values.push(value(&found, column)?);
            }
            each(&row)?;
        }
        Ok(())
    }

    pub(super) fn script(&mut self, sql: &str) -> Result<()> {
        self.flush()?;
        Ok(self.client.batch_execute(sql)?)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.client.is_closed()
    }

    fn statement(&mut self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(&dialect::postgres_statement(sql))?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

fn config(text: &str) -> std::result::Result<Config, String> {
    let mut config: Config = text
        .parse()
        .map_err(|error: postgres::Error| DatabaseError::from(error).to_string())?;
    if matches!(config.get_ssl_mode(), SslMode::Require) {
        return Err(
            "this monitor does not speak TLS to databases: use a Unix socket, the loopback or a tunnel, and leave out sslmode"
                .to_owned(),
        );
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_WITHIN);
    }
    config
        .application_name("vmscope")
        .tcp_user_timeout(UNANSWERED_MAX)
        .keepalives_idle(UNANSWERED_MAX);
    // Notices go nowhere: none of them is an error.
    config.notice_callback(|_| {});
    Ok(config)
}

/// A value as it stands in a statement. Quotes are all that must be escaped, for the greeting says that backslashes are
/// letters.
fn literal(value: &Value) -> Result<String> {
    Ok(match value {
        Value::Null => "NULL".to_owned(),
        Value::Int(value) => format!("'{value}'"),
        Value::Real(value) => format!("'{value:?}'"),
        Value::Text(text) if text.contains('\0') => {
            return Err(DatabaseError::Unwritable(
                "PostgreSQL has no text with a zero byte in it".to_owned(),
            ));
        }
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
    })
}

fn borrowed(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect()
}

fn value(row: &postgres::Row, column: usize) -> Result<Value> {
    let found = match *row.columns()[column].type_() {
        Type::INT8 => row.try_get::<_, Option<i64>>(column)?.map(Value::Int),
        Type::INT4 => row
            .try_get::<_, Option<i32>>(column)?
            .map(|value| Value::Int(value.into())),
        Type::BOOL => row
            .try_get::<_, Option<bool>>(column)?
            .map(|value| Value::Int(value.into())),
        Type::FLOAT8 => row.try_get::<_, Option<f64>>(column)?.map(Value::Real),
        Type::TEXT | Type::VARCHAR | Type::NAME | Type::UNKNOWN => {
            row.try_get::<_, Option<String>>(column)?.map(Value::Text)
        }
        ref other => {
            return Err(DatabaseError::Column(format!(
                "column {} has the type {other}, which is none of ours",
                row.columns()[column].name()
            )));
        }
    };
    Ok(found.unwrap_or(Value::Null))
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self, kind) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Int(value), &Type::INT4) => i32::try_from(*value)?.to_sql(kind, out),
            (Value::Int(value), &Type::FLOAT8) => (*value as f64).to_sql(kind, out),
            (Value::Int(value), &Type::INT8) => value.to_sql(kind, out),
            (Value::Real(value), &Type::FLOAT8) => value.to_sql(kind, out),
            (Value::Text(value), &Type::TEXT | &Type::VARCHAR) => value.to_sql(kind, out),
            (value, kind) => Err(format!("{value:?} is no {kind}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_end_its_literal() {
        let told = |text: &str| literal(&Value::from(text)).unwrap();
        assert_eq!(told("it's"), "'it''s'");
        assert_eq!(
            told("'); DROP TABLE event; --"),
            "'''); DROP TABLE event; --'"
        );
        assert_eq!(told("\\'"), "'\\'''");
        assert!(literal(&Value::from("a\0b")).is_err());
    }

    #[test]
    fn numbers_are_told_in_full() {
        let told = |value: Value| literal(&value).unwrap();
        assert_eq!(told(i64::MIN.into()), "'-9223372036854775808'");
        assert_eq!(told(0.1.into()), "'0.1'");
        assert_eq!(told(None::<i64>.into()), "NULL");
    }
}
