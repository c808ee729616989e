//! The host's executables in the guest: they run there under the host's own loader and libraries, whatever
//! distribution the host is, beside the image's programs which keep theirs.
//!
//! In the guest everything of the host lies under `/host`. An executable names its loader by an absolute path, so the
//! copy in the guest gets another path in the same place; its libraries are found through `LD_LIBRARY_PATH`.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::archive::Files;
use super::error::PlaceError;
use super::image::elf;
use super::image::newc::Newc;

/// Where the host's things lie in the guest.
pub const HOST: &str = "/host";
/// The loader's path in the guest, shorter than any loader's path on a host.
pub const LOADER: &str = "/host/ld.so";
/// What a host executable's environment must hold in the guest.
pub const LIBRARY_PATH: (&str, &str) = ("LD_LIBRARY_PATH", "/host/lib");
/// The guest's init.
pub const INIT: &str = "/host/bin/mvpnlab";

/// Collects an executable of this host for a job: `bin/NAME` and, for each library, `lib/SONAME`.
///
/// Symbols and debug information stay behind. See [`install`] for the other side.
///
/// # Errors
/// [`PlaceError::Executable`] when it is no executable of this host or a library is not found.
pub fn collect(executable: &Path) -> Result<Files, PlaceError> {
    let bad = |reason: String| PlaceError::Executable {
        path: executable.to_owned(),
        reason,
    };
    let name = executable
        .file_name()
        .ok_or_else(|| bad("it has no file name".into()))?
        .to_string_lossy()
        .into_owned();
    let bytes = fs::read(executable).map_err(|e| PlaceError::io("read", executable, e))?;
    let needs = elf::needs(&bytes).map_err(bad)?;
    let mut files = Files::from([(format!("bin/{name}"), elf::loadable(&bytes).map_err(bad)?)]);
    let Some(loader) = needs.interpreter else {
        return Ok(files);
    };
    files.insert(
        "ld.so".into(),
        fs::read(&loader).map_err(|e| PlaceError::io("read", &loader, e))?,
    );
    for (soname, path) in libraries(Path::new(&loader), executable).map_err(bad)? {
        let bytes = fs::read(&path).map_err(|e| PlaceError::io("read", &path, e))?;
        files.insert(format!("lib/{soname}"), elf::loadable(&bytes).map_err(bad)?);
    }
    Ok(files)
}

/// Asks the loader which libraries it would map; nothing of the executable is run.
fn libraries(loader: &Path, executable: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let output = Command::new(loader).arg("--list").arg(executable).output();
    let output =
        output.map_err(|e| format!("its loader {} does not start: {e}", loader.display()))?;
    if !output.status.success() {
        return Err(format!(
            "its loader says: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    let mut found = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        // "	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f...)"
        let Some((soname, rest)) = line.trim().split_once(" => ") else {
            continue;
        };
        let path = rest.split(" (0x").next().unwrap_or(rest);
        if path == "not found" {
            return Err(format!("its library {soname} is not installed"));
        }
        // The loader itself is listed too, under its absolute path.
        if !soname.starts_with('/') {
            found.push((soname.to_owned(), PathBuf::from(path)));
        }
    }
    Ok(found)
}

/// An initramfs with the guest's init and all it needs, to follow the image's own.
///
/// # Errors
/// As [`collect`].
pub fn initramfs(executable: &Path) -> Result<Vec<u8>, PlaceError> {
    let bad = |reason: String| PlaceError::Executable {
        path: executable.to_owned(),
        reason,
    };
    let mut cpio = Newc::new(Vec::new());
    let mut write = || -> Result<(), PlaceError> {
        let io = |e| PlaceError::io("pack", executable, e);
        for folder in ["host", "host/bin", "host/lib"] {
            cpio.directory(folder, 0o755).map_err(io)?;
        }
        for (path, mut bytes) in collect(executable)? {
            let path = match path.strip_prefix("bin/") {
                Some(_) => {
                    elf::set_interpreter(&mut bytes, LOADER).map_err(bad)?;
                    INIT.trim_start_matches('/').to_owned()
                }
                None => format!("host/{path}"),
            };
            cpio.file(&path, 0o755, &bytes).map_err(io)?;
        }
        Ok(())
    };
    write()?;
    cpio.finish()
        .map_err(|e| PlaceError::io("pack", executable, e))
}

/// How our own executable is started again from here: in the guest with the host's libraries, natively as it is.
///
/// # Errors
/// The kernel does not say where it is.
pub fn own_command() -> Result<Vec<String>, String> {
    if Path::new(LOADER).exists() {
        let (name, value) = LIBRARY_PATH;
        let words = ["/usr/bin/busybox", "env", &format!("{name}={value}"), INIT];
        return Ok(words.map(str::to_owned).to_vec());
    }
    let own =
        std::env::current_exe().map_err(|e| format!("could not find this executable: {e}"))?;
    Ok(vec![own.display().to_string()])
}

/// Unpacks what [`collect`] put into a job and says how to start `bin/NAME`: in the guest under the host's loader,
/// in a native lab (`folder` being a folder of the lab's own) as it is.
///
/// # Errors
/// What could not be found in the job or written.
pub fn install(job: &Files, name: &str, folder: &Path) -> Result<Command, String> {
    let sealed = Path::new(LOADER).exists();
    let bytes = job
        .get(&format!("bin/{name}"))
        .ok_or_else(|| format!("the job holds no bin/{name}"))?;
    let target = folder.join(name);
    // A lab has one job: what is there is it, and perhaps it runs, so that it cannot be written again.
    if !target.exists() {
        write(job, bytes, &target, sealed)?;
    }
    let mut command = Command::new(&target);
    if sealed {
        command.env(LIBRARY_PATH.0, LIBRARY_PATH.1);
    }
    Ok(command)
}

fn write(job: &Files, bytes: &[u8], target: &Path, sealed: bool) -> Result<(), String> {
    let folder = target.parent().unwrap_or(target);
    fs::create_dir_all(folder)
        .map_err(|e| format!("could not create {}: {e}", folder.display()))?;
    let mut loader = None;
    if sealed {
        loader = elf::interpreter_place(bytes, LOADER)?;
        for (path, library) in job.iter().filter(|(path, _)| path.starts_with("lib/")) {
            let path = Path::new(HOST).join(path);
            if !path.exists() {
                fs::write(&path, library)
                    .map_err(|e| format!("could not write {}: {e}", path.display()))?;
            }
        }
    }
    // The name of the loader is put over the other one in the file: in memory it would take a copy of it all.
    let written = File::create(target).and_then(|mut file| {
        file.write_all(bytes)?;
        match &loader {
            Some((at, name)) => file.write_all_at(name, *at as u64),
            None => Ok(()),
        }
    });
    written.map_err(|e| format!("could not write {}: {e}", target.display()))?;
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(target, executable)
        .map_err(|e| format!("could not make {} executable: {e}", target.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executable_comes_with_its_loader_and_libraries() {
        let files = collect(&std::env::current_exe().unwrap()).unwrap();
        let names: Vec<_> = files.keys().map(String::as_str).collect();
        assert!(
            names.contains(&"ld.so") && names.contains(&"lib/libc.so.6"),
            "{names:?}"
        );
        assert!(names[0].starts_with("bin/mvpnlab_emulator-"), "{names:?}");
    }

    #[test]
    fn what_is_no_executable_is_refused() {
        let error = collect(Path::new("/etc/hostname")).unwrap_err();
        assert!(matches!(error, PlaceError::Executable { .. }), "{error}");
    }

    #[test]
    fn a_collected_executable_runs_where_it_is_installed() {
        let own = std::env::current_exe().unwrap();
        let job = collect(&own).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let name = own.file_name().unwrap().to_string_lossy();
        let output = install(&job, &name, folder.path())
            .unwrap()
            .arg("--list")
            .output()
            .unwrap();
        assert!(output.status.success());
        assert!(
            install(&job, "other", folder.path())
                .unwrap_err()
                .contains("bin/other")
        );
    }
}
