//! The console: the command line's verbs one after another, for those who would have used telnet.

use clap::{CommandFactory, Parser};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};

use crate::ask;
use crate::cli::{ConsoleCommand, ConsoleLine, Errand, Verb};
use crate::client::{Client, ClientError, Place};
use crate::exit::Exit;

/// Reads and runs lines until `exit` or the end of input.
pub fn run(place: &Place, json: bool) -> Exit {
    let mut client = match Client::connect(place) {
        Ok(client) => client,
        Err(error) => return unable(&error),
    };
    let mut editor = match Editor::<Verbs, DefaultHistory>::new() {
        Ok(editor) => editor,
        Err(error) => {
            eprintln!("vmscope: cannot read lines: {error}");
            return Exit::Unable;
        }
    };
    editor.set_helper(Some(Verbs::of(&ConsoleLine::command())));
    loop {
        match editor.readline("vmscope> ") {
            Ok(line) => {
                // A line that cannot be remembered can still be run.
                let _ = editor.add_history_entry(line.as_str());
                match run_line(&line, &mut client, place, json) {
                    Ok(GoOn::Yes) => {}
                    Ok(GoOn::No) => return Exit::Done,
                    Err(error) => return unable(&error),
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Exit::Done,
            Err(error) => {
                eprintln!("vmscope: cannot read a line: {error}");
                return Exit::Unable;
            }
        }
    }
}

fn unable(error: &ClientError) -> Exit {
    eprintln!("vmscope: {error}");
    Exit::Unable
}

enum GoOn {
    Yes,
    No,
}

fn run_line(
    line: &str,
    client: &mut Client,
    place: &Place,
    json: bool,
) -> Result<GoOn, ClientError> {
    let words: Vec<&str> = line.split_whitespace().collect();
    if words.is_empty() {
        return Ok(GoOn::Yes);
    }
    match ConsoleLine::try_parse_from(&words).map(|line| line.command) {
        Ok(ConsoleCommand::Exit) => return Ok(GoOn::No),
        Ok(ConsoleCommand::Ask(verb)) => return run_verb(verb, client, place, json),
        // Help, or what is wrong with the line.
        Err(words) => eprintln!("{words}"),
    }
    Ok(GoOn::Yes)
}

fn run_verb(
    verb: Verb,
    client: &mut Client,
    place: &Place,
    json: bool,
) -> Result<GoOn, ClientError> {
    let ends = matches!(verb, Verb::Shutdown);
    match verb.errand() {
        Ok(Errand::Ask(operation)) => {
            let exit = ask::ask(client, operation, json)?;
            return Ok(if ends && exit == Exit::Done {
                GoOn::No
            } else {
                GoOn::Yes
            });
        }
        // A stream of events gets a connection of its own; a database needs none.
        Ok(
            errand @ (Errand::Watch(_) | Errand::Read(_) | Errand::Recall(_) | Errand::Alarms(_)),
        ) => {
            let _ = ask::carry_out(errand, place, json);
        }
        Err(problem) => eprintln!("vmscope: {problem}"),
    }
    Ok(GoOn::Yes)
}

/// Completion of verbs, from the grammar itself.
struct Verbs {
    /// Words that lead to a verb, and the verbs below.
    below: Vec<(Vec<String>, Vec<String>)>,
}

impl Verbs {
    fn of(command: &clap::Command) -> Verbs {
        let mut below = Vec::new();
        gather(command, &[], &mut below);
        Verbs { below }
    }

    fn completions(&self, line: &str) -> (usize, Vec<String>) {
        let start = line.rfind(char::is_whitespace).map_or(0, |at| at + 1);
        let path: Vec<&str> = line[..start].split_whitespace().collect();
        let verbs = self
            .below
            .iter()
            .find(|(p, _)| p.iter().map(String::as_str).eq(path.iter().copied()));
        let fitting = verbs.into_iter().flat_map(|(_, verbs)| verbs);
        (
            start,
            fitting
                .filter(|verb| verb.starts_with(&line[start..]))
                .cloned()
                .collect(),
        )
    }
}

fn gather(command: &clap::Command, path: &[String], below: &mut Vec<(Vec<String>, Vec<String>)>) {
    let mut verbs: Vec<String> = command
        .get_subcommands()
        .map(|c| c.get_name().to_owned())
        .collect();
    if path.is_empty() {
        verbs.push("help".to_owned());
    }
    below.push((path.to_vec(), verbs));
    for verb in command.get_subcommands() {
        let path = [path, &[verb.get_name().to_owned()]].concat();
        gather(verb, &path, below);
    }
}

impl Completer for Verbs {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, verbs) = self.completions(&line[..at]);
        let pair = |verb: String| Pair {
            replacement: format!("{verb} "),
            display: verb,
        };
        Ok((start, verbs.into_iter().map(pair).collect()))
    }
}

impl Hinter for Verbs {
    type Hint = String;
}
impl Highlighter for Verbs {}
impl Validator for Verbs {}
impl Helper for Verbs {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_completed_from_the_grammar() {
        let verbs = Verbs::of(&ConsoleLine::command());
        let complete = |line: &str| verbs.completions(line);
        assert_eq!(complete("tun"), (0, vec!["tunnel".to_owned()]));
        assert_eq!(complete("tunnel a"), (7, vec!["add".to_owned()]));
        assert_eq!(
            complete("stats "),
            (
                6,
                ["tunnel", "group", "pairs", "overhead"]
                    .map(str::to_owned)
                    .into()
            )
        );
        assert_eq!(complete("nonsense "), (9, vec![]));
        assert!(complete("").1.contains(&"help".to_owned()));
    }

    #[test]
    fn help_is_no_verb_of_the_monitor() {
        assert!(ConsoleLine::try_parse_from(["help"]).is_err());
        assert!(ConsoleLine::try_parse_from(["quit"]).is_ok());
        assert!(ConsoleLine::try_parse_from(["daemon", "--config", "x"]).is_err());
    }
}
