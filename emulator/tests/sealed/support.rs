//! What the tests share.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use mvpnlab_emulator::place::image::Image;
use mvpnlab_emulator::place::qemu::Qemu;
use mvpnlab_emulator::place::{Cache, Execution, Files, PlaceError, Sealed, Start};

/// The argument that makes this executable the full-disk test's child.
pub const FULL_DISK: &str = "full-disk-child";
/// Longer than anything here takes on a slow and busy machine.
pub const LONG: Duration = Duration::from_secs(240);

/// The place that most tests share, with the machine's own cache.
pub fn place() -> &'static Sealed {
    static PLACE: OnceLock<Sealed> = OnceLock::new();
    PLACE.get_or_init(|| {
        Sealed::open(&mut |line| println!("  {line}")).expect("a sealed place on this machine")
    })
}

/// A cache of its own that borrows the machine's image.
pub fn cache_at(folder: &Path) -> Cache {
    let image = place()
        .image()
        .folder()
        .parent()
        .expect("an image lies in a folder")
        .to_owned();
    std::os::unix::fs::symlink(image, folder.join("image")).expect("a link to the image");
    Cache::at(folder)
}

/// A place with a cache of its own: its labs are made apart from all others.
pub fn place_at(folder: &Path) -> Sealed {
    let cache = cache_at(folder);
    assert!(
        Image::cached(&cache).is_some(),
        "the image is borrowed, not built again"
    );
    let own = std::env::current_exe().expect("our own path");
    Sealed::with(&cache, Qemu::find().expect("QEMU"), &own, &mut |_| {})
        .expect("a place with a cache of its own")
}

/// Topology files that choose a program, with further entries.
pub fn topology(program: &str, entries: &[(&str, &str)]) -> Files {
    let mut files = Files::from([("program".to_owned(), program.as_bytes().to_vec())]);
    files.extend(
        entries
            .iter()
            .map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec())),
    );
    files
}

/// An execution with a long deadline.
pub fn execution<'a>(
    topology: &'a Files,
    job: &'a Files,
    seed: u64,
    start: Start,
) -> Execution<'a> {
    Execution {
        topology,
        job,
        seed,
        deadline: LONG,
        start,
        memory_mib: 512,
    }
}

/// Runs, dropping the log.
pub fn run(place: &Sealed, execution: &Execution) -> Result<Files, PlaceError> {
    place.execute(execution, &mut |_| {})
}
