//! Databases of both kinds to test with: files, and a PostgreSQL server of our own.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use vmscope_store::Location;

/// PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;

/// The test's body runs on each.
pub fn on_both(body: impl Fn(&Location)) {
    let folder = tempfile::tempdir().unwrap();
    body(&Location::new(folder.path().join("results.sqlite")));
    body(&Server::start().location("public"));
}

/// A server that ends with the value.
pub struct Server {
    folder: TempDir,
    programs: PathBuf,
    running: Option<Child>,
}

impl Server {
    /// A new server with an empty database.
    pub fn start() -> Server {
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut server = Server {
            folder,
            programs: programs(),
            running: None,
        };
        let made = server
            .command("initdb")
            .args([
                "--username=vmscope",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-sync",
                "--pgdata",
            ])
            .arg(server.data())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "initdb: {said}");
        server.resume();
        server
    }

    /// Starts it again where it stood.
    pub fn resume(&mut self) {
        assert!(self.running.is_none());
        let mut child = self
            .command("postgres")
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"])
            .arg(self.folder.path())
            .arg("-D")
            .arg(self.data())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        self.running = Some(child);
        let mut all = String::new();
        while !all.contains("ready to accept connections") {
            let read = said.read_line(&mut all).unwrap();
            assert!(read > 0, "the server did not start: {all}");
        }
        // What it says further must go somewhere.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    }

    /// Ends it; whoever is connected loses the connection.
    pub fn stop(&mut self) {
        let Some(mut child) = self.running.take() else {
            return;
        };
        // By its number; SIGINT is its "fast shutdown".
        let told = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(told.unwrap().success());
        child.wait().unwrap();
    }

    /// A schema of the server's database.
    pub fn location(&self, schema: &str) -> Location {
        Location::new(self.text(schema))
    }

    /// The server's database, without a schema.
    pub fn whole(&self) -> Location {
        Location::new(format!(
            "postgres:///postgres?user=vmscope&host={}",
            self.folder.path().display()
        ))
    }

    /// A connection of the test's own.
    pub fn client(&self) -> postgres::Client {
        postgres::Client::connect(&self.text("public"), postgres::NoTls).unwrap()
    }

    fn text(&self, schema: &str) -> String {
        format!(
            "postgres:///postgres?user=vmscope&host={}&options=-csearch_path%3D{schema}",
            self.folder.path().display()
        )
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command
                    .args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")])
                    .args(["--clear-groups", "--pdeathsig=INT", "--"])
                    .arg(path);
                command
            }
            false => Command::new(path),
        };
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Where the server's programs are; Debian keeps them off the PATH.
fn programs() -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let places = debian.flatten().map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = places
        .chain(std::env::split_paths(&path))
        .find(|place| has(place, "initdb") && has(place, "postgres"));
    found.expect("this test needs the programs of a PostgreSQL server (initdb, postgres), and there are none: run ci/setup, or install the package postgresql")
}

fn has(place: &Path, program: &str) -> bool {
    place.join(program).exists()
}
