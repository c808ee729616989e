//! Reading a scenario file, and saying exactly where it is wrong.
//!
//! `[[at]]` and `[[expect]]` put their action's or check's own fields beside its name. Serde's tagged and flattened
//! enums could read that, but lose every span and the check for unknown fields on the way. So the tables are
//! rewritten before serde sees them: `do = "link-down", link = "A-B"` becomes `do = { link-down = { link = "A-B" } }`,
//! each part keeping the place where it stood in the file.

use std::ops::Range;

use serde::Deserialize;
use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{Problem, Scenario, ScenarioError, validate};

impl Scenario {
    /// Reads and checks a scenario; `file` only names it in errors.
    ///
    /// # Errors
    /// The first mistake of syntax or type, else all impossible references and contradictions,
    /// each with line, column and remedy.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        read(text).map_err(|problems| ScenarioError {
            file: file.to_owned(),
            problems,
        })
    }
}

fn read(text: &str) -> Result<Scenario, Vec<Problem>> {
    let document = DeTable::parse(text).map_err(|e| vec![explain(text, &e)])?;
    let places = Places {
        text,
        root: document.clone(),
    };
    let lifted = lift_document(text, document).map_err(|problem| vec![problem])?;
    let scenario = Scenario::deserialize(toml::Deserializer::from(lifted))
        .map_err(|e| vec![explain(text, &e)])?;
    let problems = validate::problems(&scenario, &places);
    if problems.is_empty() {
        Ok(scenario)
    } else {
        Err(problems)
    }
}

/// Where each value stands in the file.
pub(super) struct Places<'t> {
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

impl Places<'_> {
    /// A problem at `"link.3.ends"`: keys and indices with dots between. Where the path ends in a field that the file
    /// leaves out, the table that lacks it is shown; a path that ends in `:` shows the key instead of its value.
    pub(super) fn problem(&self, path: &str, what: String, remedy: String) -> Problem {
        Problem::at(self.text, self.span(path), what, remedy)
    }

    fn span(&self, path: &str) -> Option<Range<usize>> {
        let (path, wants_key) = path
            .strip_suffix(':')
            .map_or((path, false), |path| (path, true));
        let mut steps = path.split('.');
        let (mut key, mut value) = self.root.get_ref().get_key_value(steps.next()?)?;
        for step in steps {
            let next = match value.get_ref() {
                DeValue::Table(table) => table.get_key_value(step),
                DeValue::Array(array) => step
                    .parse()
                    .ok()
                    .and_then(|i: usize| array.get(i))
                    .map(|item| (key, item)),
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_) => None,
            };
            let Some(found) = next else { break };
            (key, value) = found;
        }
        Some(if wants_key { key.span() } else { value.span() })
    }
}

fn lift_document<'t>(
    text: &str,
    document: Spanned<DeTable<'t>>,
) -> Result<Spanned<DeTable<'t>>, Problem> {
    let span = document.span();
    let mut root = document.into_inner();
    lift_array(text, &mut root, "at", lift_event)?;
    lift_array(text, &mut root, "expect", lift_expectation)?;
    Ok(Spanned::new(span, root))
}

type Lift = for<'t> fn(&str, DeTable<'t>, Range<usize>) -> Result<DeTable<'t>, Problem>;

/// Rewrites each table of `[[key]]`; anything that is not such an array is left for serde to refuse.
fn lift_array<'t>(
    text: &str,
    root: &mut DeTable<'t>,
    key: &str,
    lift: Lift,
) -> Result<(), Problem> {
    let Some((name, entry)) = root.remove_entry(key) else {
        return Ok(());
    };
    let span = entry.span();
    let value = match entry.into_inner() {
        DeValue::Array(items) => {
            let lifted = items.into_iter().map(|item| {
                let span = item.span();
                match item.into_inner() {
                    DeValue::Table(table) => Ok(Spanned::new(
                        span.clone(),
                        DeValue::Table(lift(text, table, span)?),
                    )),
                    other => Ok(Spanned::new(span, other)),
                }
            });
            DeValue::Array(lifted.collect::<Result<_, Problem>>()?)
        }
        other => other,
    };
    root.insert(name, Spanned::new(span, value));
    Ok(())
}

/// `{time, do = "x", …}` becomes `{time, do = {x = {…}}}`.
fn lift_event<'t>(
    text: &str,
    mut table: DeTable<'t>,
    span: Range<usize>,
) -> Result<DeTable<'t>, Problem> {
    let time = table.remove_entry("time");
    let (key, variant) = lift_variant(text, table, span.clone(), "do", "do = \"link-down\"")?;
    let mut event: DeTable<'t> = time.into_iter().collect();
    event.insert(key, Spanned::new(span, DeValue::Table(variant)));
    Ok(event)
}

/// `{check = "x", …}` becomes `{x = {…}}`.
fn lift_expectation<'t>(
    text: &str,
    table: DeTable<'t>,
    span: Range<usize>,
) -> Result<DeTable<'t>, Problem> {
    lift_variant(text, table, span, "check", "check = \"fates\"").map(|(_, variant)| variant)
}

type Key<'t> = Spanned<DeString<'t>>;

fn lift_variant<'t>(
    text: &str,
    mut table: DeTable<'t>,
    span: Range<usize>,
    tag: &str,
    example: &str,
) -> Result<(Key<'t>, DeTable<'t>), Problem> {
    let Some((key, name)) = table.remove_entry(tag) else {
        let remedy = format!("add what it is, as in `{example}`");
        return Err(Problem::at(
            text,
            Some(span),
            format!("missing field `{tag}`"),
            remedy,
        ));
    };
    let name_span = name.span();
    match name.into_inner() {
        DeValue::String(name) => {
            let mut variant = DeTable::new();
            variant.insert(
                Spanned::new(name_span, name),
                Spanned::new(span, DeValue::Table(table)),
            );
            Ok((key, variant))
        }
        other => {
            let what = format!(
                "`{tag}` is {}, but must be a name in quotes",
                with_article(other.type_str())
            );
            Err(Problem::at(
                text,
                Some(name_span),
                what,
                format!("as in `{example}`"),
            ))
        }
    }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}

/// Turns the reader's message into what is wrong and what to do about it.
fn explain(text: &str, error: &toml::de::Error) -> Problem {
    let message = error.message().trim();
    let (what, remedy) = unknown_word(message)
        .or_else(|| unexpected_keys(message, error.span().and_then(|span| text.get(span))))
        .or_else(|| missing_field(message))
        .or_else(|| wrong_type(message))
        .unwrap_or_else(|| (message.to_owned(), String::new()));
    Problem::at(text, error.span(), what, remedy)
}

/// ``unknown field `los`, expected one of `loss`, …`` and the same with `variant`.
fn unknown_word(message: &str) -> Option<(String, String)> {
    let rest = message.strip_prefix("unknown ")?;
    let (noun, rest) = rest.split_once(" `")?;
    let (word, expected) = rest.split_once('`')?;
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let noun = if noun == "variant" { "name" } else { noun };
    Some((
        format!("unknown {noun} `{word}`"),
        did_you_mean(word, &known),
    ))
}

/// `unexpected keys in table: los, available keys: loss, …`; the marked text is the first of those keys.
fn unexpected_keys(message: &str, marked: Option<&str>) -> Option<(String, String)> {
    let rest = message.strip_prefix("unexpected keys in table: ")?;
    let (found, known) = rest.split_once(", available keys: ")?;
    let word = marked.unwrap_or_else(|| found.split(", ").next().unwrap_or(found));
    let known: Vec<&str> = known.split(", ").filter(|name| !name.is_empty()).collect();
    Some((
        format!("unknown field `{word}`"),
        did_you_mean(word, &known),
    ))
}

fn missing_field(message: &str) -> Option<(String, String)> {
    let field = message.strip_prefix("missing field `")?.strip_suffix('`')?;
    Some((
        message.to_owned(),
        format!("add `{field} = …` to this table"),
    ))
}

fn wrong_type(message: &str) -> Option<(String, String)> {
    if message == "invalid IPv4 address syntax" {
        return Some((
            message.to_owned(),
            "four numbers in quotes, as in \"239.1.1.1\"".to_owned(),
        ));
    }
    let (found, wanted) = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))?
        .split_once(", expected ")?;
    let remedy = match (found, wanted) {
        ("map", "a sequence") => {
            "there can be several of these: write the header in double brackets, `[[…]]`"
        }
        (_, "u8") => "a whole number between 0 and 255",
        (_, "u16") => "a whole number between 0 and 65535",
        (_, "u32" | "u64") => "a whole number, not negative",
        _ if wanted.contains("as in \"") => "write it in quotes, with its unit",
        _ => "",
    };
    Some((
        format!("found {found}, expected {wanted}"),
        remedy.to_owned(),
    ))
}

/// The closest of the known words, and else all of them.
pub(super) fn did_you_mean(word: &str, known: &[&str]) -> String {
    match closest(word, known) {
        Some(best) => format!("did you mean `{best}`?"),
        None if known.is_empty() => "no fields are known here".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// Close enough to be a slip of the fingers: a third of the letters, at least one, at most three.
fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    let distance = |candidate: &str| {
        strsim::damerau_levenshtein(&word.to_lowercase(), &candidate.to_lowercase())
    };
    let best = known
        .iter()
        .copied()
        .min_by_key(|candidate| distance(candidate))?;
    (distance(best) <= allowed).then_some(best)
}
