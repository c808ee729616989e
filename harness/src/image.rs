//! `mvpnlab image`: the sealed lab's image built, shown, and its cache swept; and a shell in a sealed lab.

use std::fmt::Write as _;
use std::time::Duration;

use mvpnlab_emulator::place::image::Image;
use mvpnlab_emulator::place::warm::Store;
use mvpnlab_emulator::place::{Cache, DEFAULT_MEMORY_MIB, Execution, Files, Sealed, Start, shell};

use crate::run::{infrastructure, output};
use crate::verdict::Exit;

/// Real time a shell's commands may take.
const SHELL_DEADLINE: Duration = Duration::from_secs(600);

/// Builds the image when the cache has none and describes it; with `gc`, removes warm labs too.
pub fn command(gc: bool) -> Exit {
    let cache = Cache::from_environment();
    let image = match Image::open(&cache, &mut |line| output::say(line)) {
        Ok(image) => image,
        Err(error) => return infrastructure(&error),
    };
    let mut text = describe(&image);
    if gc {
        match Store::new(&cache).with_limit(0).collect_garbage(None) {
            Ok(swept) => {
                // Writing to a String cannot fail.
                let _ = write!(
                    text,
                    "\nremoved {} warm labs, {} MiB",
                    swept.removed,
                    swept.freed_bytes >> 20
                );
            }
            Err(error) => return infrastructure(&error),
        }
    }
    match output::print(&text) {
        Ok(()) => Exit::Pass,
        Err(error) => infrastructure(&error),
    }
}

fn describe(image: &Image) -> String {
    let manifest = &image.manifest;
    let mut text = format!(
        "image {}\nkernel {}\nin {}\n",
        manifest.id,
        manifest.kernel,
        image.folder().display()
    );
    for package in &manifest.packages {
        let _ = writeln!(text, "  {:<32} {}", package.name, package.version);
    }
    text.trim_end().to_owned()
}

/// Runs commands in a freshly booted sealed lab that holds nothing else.
pub fn shell(command: &[String]) -> Exit {
    let topology = shell::topology(None);
    let job = Files::from([(shell::SCRIPT.to_owned(), command.join(" ").into_bytes())]);
    let execution = Execution {
        topology: &topology,
        job: &job,
        seed: 1,
        deadline: SHELL_DEADLINE,
        start: Start::Warm,
        memory_mib: DEFAULT_MEMORY_MIB,
    };
    let log = &mut |line: &str| output::say(line);
    let output = Sealed::open(log).and_then(|sealed| sealed.execute(&execution, &mut |_| {}));
    match output {
        Ok(files) => {
            let text = files.get(shell::OUTPUT).map_or_else(String::new, |bytes| {
                String::from_utf8_lossy(bytes).into_owned()
            });
            let status = files.get(shell::STATUS).map_or(&b""[..], Vec::as_slice);
            match output::print(text.trim_end()) {
                Ok(()) if status == b"0" => Exit::Pass,
                Ok(()) => Exit::Fail,
                Err(error) => infrastructure(&error),
            }
        }
        Err(error) => infrastructure(&error),
    }
}
