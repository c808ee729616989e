//! What a row of the table of routes is: how it is asked, who may, what it answers.

use std::sync::Arc;

use axum::extract::{Extension, RawPathParams, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use vmscope_core::name::Name;
use vmscope_store::Reader;

use crate::access::Who;
use crate::app::App;
use crate::problem::Problem;
use crate::token::Scope;

/// A way to ask, from which both the router and its description are made.
pub struct Route {
    /// Only to be asked so.
    pub method: Method,
    /// Where; parts in braces vary.
    pub path: &'static str,
    /// What for, in a sentence.
    pub summary: &'static str,
    /// Who may.
    pub door: Door,
    /// What can be said along with the question: an object whose properties are the query's parameters.
    pub query: fn(&mut SchemaGenerator) -> Option<Schema>,
    /// What must be sent.
    pub body: fn(&mut SchemaGenerator) -> Option<Schema>,
    /// What comes back.
    pub answer: Answered,
    /// What does it.
    pub handler: MethodRouter<Arc<App>>,
}

/// Methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET, and HEAD.
    Get,
    /// POST.
    Post,
    /// DELETE.
    Delete,
}

impl Method {
    /// As OpenAPI writes it.
    pub fn word(self) -> &'static str {
        match self {
            Method::Get => "get",
            Method::Post => "post",
            Method::Delete => "delete",
        }
    }

    /// As the router wants it.
    pub fn filter(self) -> MethodFilter {
        match self {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Delete => MethodFilter::DELETE,
        }
    }
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Anybody: nothing is told that is not in the program itself.
    Open,
    /// Who has a token, where tokens are needed; what is answered depends on it.
    Known,
    /// Who has a provider's token, where tokens are needed.
    Provider,
}

/// What comes back if all is well.
#[derive(Clone, Copy)]
pub enum Answered {
    /// JSON of this shape.
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// Text of this media type.
    Text(&'static str),
    /// Nothing.
    Nothing,
}

/// A question, with all that is needed to answer it.
pub struct Ask<'a> {
    /// The database.
    pub reader: &'a Reader,
    /// What may be seen.
    pub scope: &'a Scope,
    parts: &'a [(String, String)],
}

impl<'a> Ask<'a> {
    /// A question without a path.
    pub fn new(reader: &'a Reader, scope: &'a Scope) -> Ask<'a> {
        Ask {
            reader,
            scope,
            parts: &[],
        }
    }

    /// The varying part of the path of this name.
    pub fn part(&self, name: &str) -> Result<&str, Problem> {
        let found = self.parts.iter().find(|(of, _)| of == name);
        found
            .map(|(_, value)| value.as_str())
            .ok_or_else(|| Problem::bad(format!("the path lacks its {name}"), "correct it"))
    }

    /// The MVPN in the path, which there is and which may be seen.
    pub fn mvpn(&self) -> Result<Name, Problem> {
        let text = self.part("mvpn")?;
        let unknown = || Problem::unknown("MVPN", text);
        let name = Name::new(text).map_err(|_| unknown())?;
        let there = self.scope.sees(text) && self.is_there(text)?;
        there.then_some(name).ok_or_else(unknown)
    }

    fn is_there(&self, mvpn: &str) -> Result<bool, Problem> {
        Ok(self
            .reader
            .mvpns()?
            .iter()
            .any(|of| of.mvpn.as_str() == mvpn))
    }
}

/// A route that asks the database and answers in JSON.
pub fn get<Q, A>(
    path: &'static str,
    summary: &'static str,
    answer: fn(&Ask<'_>, Q) -> Result<A, Problem>,
) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Serialize + JsonSchema + Send + 'static,
{
    guarded(Door::Known, path, summary, answer)
}

/// The same, for who has a provider's token.
pub fn get_as_provider<Q, A>(
    path: &'static str,
    summary: &'static str,
    answer: fn(&Ask<'_>, Q) -> Result<A, Problem>,
) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Serialize + JsonSchema + Send + 'static,
{
    guarded(Door::Provider, path, summary, answer)
}

fn guarded<Q, A>(
    door: Door,
    path: &'static str,
    summary: &'static str,
    answer: fn(&Ask<'_>, Q) -> Result<A, Problem>,
) -> Route
where
    Q: DeserializeOwned + JsonSchema + Send + 'static,
    A: Serialize + JsonSchema + Send + 'static,
{
    let handler = move |State(app): State<Arc<App>>,
                        Extension(who): Extension<Who>,
                        parts: RawPathParams,
                        uri: Uri| async move {
        let query: Q = match read_query(&uri) {
            Ok(query) => query,
            Err(problem) => return problem.into_response(),
        };
        let parts: Vec<(String, String)> = parts
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let asked = app.pool.ask(move |reader| {
            let ask = Ask {
                reader,
                scope: &who.scope,
                parts: &parts,
            };
            // Long answers are written here, too: it takes its time.
            answer(&ask, query).and_then(|answer| json(&answer))
        });
        match asked.await {
            Ok(body) => answered(body),
            Err(problem) => problem.into_response(),
        }
    };
    Route {
        method: Method::Get,
        path,
        summary,
        door,
        query: |generator| Some(generator.root_schema_for::<Q>()),
        body: |_| None,
        answer: Answered::Json(|generator| generator.subschema_for::<A>()),
        handler: on(MethodFilter::GET, handler),
    }
}

/// What a query string says. What is not known is refused: a misspelt restriction would widen the answer.
pub fn read_query<Q: DeserializeOwned>(uri: &Uri) -> Result<Q, Problem> {
    serde_urlencoded::from_str(uri.query().unwrap_or_default()).map_err(|error| {
        Problem::bad(
            format!("the question makes no sense: {error}"),
            "correct the part after the question mark; /openapi.json says what can stand there",
        )
    })
}

/// An answer as JSON.
pub fn json(answer: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(answer).map_err(|error| {
        tracing::error!("an answer has no form in JSON: {error}");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the answer has no form in JSON",
            "look at the log of `vmscope serve`, and report it",
        )
    })
}

/// JSON that is nobody's but who asked for it.
pub fn answered(body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
