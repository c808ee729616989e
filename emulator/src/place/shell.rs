//! A program for experiments: runs a shell script in the sealed lab, with FRR, pimd, ip, tc,
//! tcpdump and busybox at hand.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Files, PROGRAM_ENTRY, Program};

/// The name to put into the topology's [`PROGRAM_ENTRY`].
pub const NAME: &str = "shell";
/// The job's entry with the script to run. Other entries are placed under `/job`.
pub const SCRIPT: &str = "script";
/// The output's entry with all the script wrote.
pub const OUTPUT: &str = "output";
/// The output's entry with the script's exit status, in decimal.
pub const STATUS: &str = "status";

/// See the module.
#[derive(Debug, Default)]
pub struct Shell;

/// The topology's files that choose this program. A script in `build` runs before the lab is kept warm.
pub fn topology(build: Option<&str>) -> Files {
    let mut files = Files::from([(PROGRAM_ENTRY.to_owned(), NAME.into())]);
    files.extend(build.map(|script| (SCRIPT.to_owned(), script.into())));
    files
}

impl Program for Shell {
    fn build(&mut self, topology: &Files, log: &mut dyn FnMut(&str)) -> Result<(), String> {
        link_applets()?;
        match topology.get(SCRIPT) {
            None => Ok(()),
            Some(script) => match run(script, log)? {
                (_, Some(0)) => Ok(()),
                (_, status) => Err(format!("the script ended with {status:?}")),
            },
        }
    }

    fn run(&mut self, job: &Files, log: &mut dyn FnMut(&str)) -> Result<Files, String> {
        let script = job.get(SCRIPT).ok_or("the job holds no script")?;
        for (path, content) in job.iter().filter(|(path, _)| path.as_str() != SCRIPT) {
            let path = Path::new("/job").join(path);
            let folder = path.parent().unwrap_or(Path::new("/"));
            let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, content));
            written.map_err(|e| format!("could not write {}: {e}", path.display()))?;
        }
        let (output, status) = run(script, log)?;
        let status = status.map_or("killed".to_owned(), |code| code.to_string());
        Ok(Files::from([
            (OUTPUT.to_owned(), output.into()),
            (STATUS.to_owned(), status.into()),
        ]))
    }
}

fn run(script: &[u8], log: &mut dyn FnMut(&str)) -> Result<(String, Option<i32>), String> {
    fs::write("/tmp/script", script).map_err(|e| format!("could not write the script: {e}"))?;
    // Not busybox's own shell: it prefers its applets to the image's ip and tc.
    let mut child = Command::new("/usr/bin/dash")
        .args(["-c", "exec 2>&1; . /tmp/script"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("could not start dash: {e}"))?;
    let mut output = String::new();
    for line in BufReader::new(child.stdout.take().ok_or("the shell has no output")?).split(b'\n') {
        let line = line.map_err(|e| format!("could not read the script's output: {e}"))?;
        let line = String::from_utf8_lossy(&line);
        log(&line);
        output.push_str(&line);
        output.push('\n');
    }
    let status = child
        .wait()
        .map_err(|e| format!("could not wait for the shell: {e}"))?;
    Ok((output, status.code()))
}

/// Makes busybox's applets callable by name where the image has no program of that name.
pub fn link_applets() -> Result<(), String> {
    let list = Command::new("/usr/bin/busybox").arg("--list").output();
    let list = list.map_err(|e| format!("could not ask busybox for its applets: {e}"))?;
    for applet in String::from_utf8_lossy(&list.stdout).lines() {
        let taken = ["/usr/bin", "/usr/sbin"]
            .iter()
            .any(|folder| Path::new(folder).join(applet).exists());
        if !taken {
            symlink("busybox", Path::new("/usr/bin").join(applet))
                .map_err(|e| format!("could not link {applet}: {e}"))?;
        }
    }
    Ok(())
}
