//! What is derived from the command line's own description: completions for shells, and manual pages.

use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory as _};

use crate::cli::Cli;
use crate::run::{infrastructure, output};
use crate::verdict::Exit;

const NAME: &str = "mvpnlab";

/// Prints a shell's completion script.
pub fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut for_people(), NAME, &mut script);
    match output::print(String::from_utf8_lossy(&script).trim_end()) {
        Ok(()) => Exit::Pass,
        Err(error) => infrastructure(&error),
    }
}

/// Without the commands that processes of ours call: completion scripts do not heed that they are hidden.
fn for_people() -> Command {
    let all = Cli::command();
    let shown = all
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    Command::new(NAME)
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(shown.cloned())
}

/// Writes `mvpnlab.1`, `mvpnlab-run.1` and so on into a folder.
pub fn pages(folder: &Path) -> Exit {
    let written =
        fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command(), folder));
    match written {
        Ok(()) => Exit::Pass,
        Err(error) => infrastructure(&because(folder, &error)),
    }
}

fn because(folder: &Path, error: &io::Error) -> String {
    format!(
        "cannot write manual pages into {}: {error}; name a folder that can be written to",
        folder.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_for_people_has_a_page_and_others_have_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(pages(folder.path()), Exit::Pass);
        for command in Cli::command().get_subcommands() {
            let page = folder
                .path()
                .join(format!("{NAME}-{}.1", command.get_name()));
            assert_eq!(page.exists(), !command.is_hide_set(), "{}", page.display());
        }
        let run = fs::read_to_string(folder.path().join("mvpnlab-run.1")).unwrap();
        assert!(run.contains("seed") && run.contains("Scenario files"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(pages(&file.path().join("below")), Exit::Infrastructure);
    }

    #[test]
    fn completions_know_the_commands_for_people_and_no_others() {
        let mut script = Vec::new();
        let bash = clap_complete::Shell::Bash;
        clap_complete::generate(bash, &mut for_people(), NAME, &mut script);
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("replay") && script.contains("--seeds"));
        assert!(!script.contains("guest") && !script.contains("keep)"));
    }
}
