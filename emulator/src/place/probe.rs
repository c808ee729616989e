//! What this host can do, and what to do about what it cannot. Facts are probed, never guessed from names.

mod kernel;

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::cache::Cache;
use super::image::Image;
use super::qemu::Qemu;

/// A fact about this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What was looked for.
    pub name: String,
    /// What was found.
    pub found: String,
    /// Whether that will do.
    pub fit: Fit,
    /// The place that needs it.
    pub needed_by: Needed,
    /// What to do when it will not do.
    pub remedy: String,
}

/// Whether what was found will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// It will do.
    Yes,
    /// It will not.
    No,
    /// It could not be found out without more privilege.
    Unknown,
}

/// Who needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Needed {
    /// The sealed place.
    Sealed,
    /// The native place.
    Native,
    /// Nobody today; good to know.
    Nobody,
}

impl Fact {
    fn new(name: &str, needed_by: Needed, found: Result<String, String>, remedy: &str) -> Self {
        let (fit, found) = match found {
            Ok(found) => (Fit::Yes, found),
            Err(found) => (Fit::No, found),
        };
        Self {
            name: name.to_owned(),
            found,
            fit,
            needed_by,
            remedy: remedy.to_owned(),
        }
    }
}

/// All facts: the sealed place's first. Takes a fraction of a second, changes nothing and needs no privilege.
pub fn facts(cache: &Cache) -> Vec<Fact> {
    let mut facts = sealed(cache);
    facts.extend(native());
    facts.push(kvm());
    facts
}

fn sealed(cache: &Cache) -> Vec<Fact> {
    let mut facts = Vec::new();
    let qemu = Qemu::find()
        .map(|qemu| qemu.version)
        .map_err(|error| error.to_string());
    facts.push(Fact::new(
        "QEMU",
        Needed::Sealed,
        qemu,
        "apt-get install qemu-system-x86",
    ));
    let image = Image::cached(cache);
    let found = match &image {
        Some(image) => Ok(format!(
            "{} (kernel {})",
            image.manifest.id, image.manifest.kernel
        )),
        None => Err(format!("none yet in {}", cache.root().display())),
    };
    facts.push(Fact::new(
        "image",
        Needed::Sealed,
        found,
        "mvpnlab image (any run builds it too)",
    ));
    // What only building an image needs is no fault of a host that has one.
    let needed_by = if image.is_some() {
        Needed::Nobody
    } else {
        Needed::Sealed
    };
    for tool in ["apt-get", "apt-cache", "dpkg-deb"] {
        facts.push(program(tool, needed_by, "apt-get install apt dpkg"));
    }
    facts.push(space(cache));
    facts
}

fn program(name: &str, needed_by: Needed, remedy: &str) -> Fact {
    let found = find(name)
        .map(|path| path.display().to_string())
        .ok_or_else(|| "not on PATH".to_owned());
    Fact::new(name, needed_by, found, remedy)
}

/// An image and a few warm labs take this much.
const ENOUGH_MIB: u64 = 2048;

fn space(cache: &Cache) -> Fact {
    let existing = cache
        .root()
        .ancestors()
        .find(|folder| folder.exists())
        .unwrap_or(Path::new("/"));
    let found = match nix::sys::statvfs::statvfs(existing) {
        Ok(disk) => {
            let mib = disk.blocks_available().saturating_mul(disk.fragment_size()) >> 20;
            let text = format!("{mib} MiB free for {}", cache.root().display());
            if mib >= ENOUGH_MIB {
                Ok(text)
            } else {
                Err(text)
            }
        }
        Err(errno) => Err(format!("{}: {errno}", existing.display())),
    };
    Fact::new(
        "disk space",
        Needed::Sealed,
        found,
        "free 2 GiB, or point MVPNLAB_CACHE at a larger disk",
    )
}

/// What the native place needs of this host.
pub fn native() -> Vec<Fact> {
    let root = match nix::unistd::geteuid().is_root() {
        true => Ok("root".to_owned()),
        false => Err("not root".to_owned()),
    };
    let mut facts = vec![Fact::new("privilege", Needed::Native, root, "run as root")];
    for daemon in ["zebra", "staticd", "ospfd", "pimd"] {
        let path = Path::new("/usr/lib/frr").join(daemon);
        let found = if path.exists() {
            Ok(path.display().to_string())
        } else {
            Err("not installed".to_owned())
        };
        facts.push(Fact::new(
            &format!("FRR {daemon}"),
            Needed::Native,
            found,
            "apt-get install frr",
        ));
    }
    let multicast = match Path::new("/proc/net/ip_mr_vif").exists() {
        true => Ok("yes".to_owned()),
        false => Err("no /proc/net/ip_mr_vif".to_owned()),
    };
    let remedy = "a kernel with CONFIG_IP_MROUTE and CONFIG_IP_PIMSM_V2";
    facts.push(Fact::new(
        "multicast routing",
        Needed::Native,
        multicast,
        remedy,
    ));
    facts.extend(kernel::features());
    facts
}

/// Virtual time does without KVM, so whether it boots anything is not tried: a KVM that does not can hang a host's QEMU.
fn kvm() -> Fact {
    let path = Path::new("/dev/kvm");
    let access = nix::unistd::AccessFlags::R_OK | nix::unistd::AccessFlags::W_OK;
    let found = match (path.exists(), nix::unistd::access(path, access)) {
        (false, _) => "no /dev/kvm".to_owned(),
        (true, Err(_)) => "/dev/kvm is there, but not for this user".to_owned(),
        (true, Ok(())) => {
            "/dev/kvm is there (not tried: labs in virtual time do not use it)".to_owned()
        }
    };
    Fact::new("KVM", Needed::Nobody, Ok(found), "")
}

/// Where a program lies on PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// True when a program is on PATH.
pub fn on_path(program: &str) -> bool {
    find(program).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fact_that_does_not_fit_has_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let facts = facts(&Cache::at(dir.path()));
        let names: Vec<&str> = facts.iter().map(|fact| fact.name.as_str()).collect();
        for name in [
            "QEMU",
            "image",
            "disk space",
            "privilege",
            "netem",
            "gre",
            "KVM",
        ] {
            assert!(names.contains(&name), "{names:?}");
        }
        for fact in facts.iter().filter(|fact| fact.fit != Fit::Yes) {
            assert!(!fact.remedy.is_empty(), "{fact:?}");
        }
        let image = facts.iter().find(|fact| fact.name == "image").unwrap();
        assert_eq!(image.fit, Fit::No, "an empty cache has no image");
    }

    #[test]
    fn programs_are_found_on_the_path_or_not() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program-anywhere"));
    }
}
