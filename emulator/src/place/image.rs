//! The sealed lab's image: a stock kernel and a small root of stock programs, from Debian packages by download and
//! extraction. Built once, kept in the cache, and named by the hash of its content.

pub mod elf;
pub mod newc;
pub mod recipe;

mod packages;
mod tree;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cache::{Cache, Lock};
use packages::Apt;
pub use packages::Package;
use tree::Tree;

/// An image that is complete on disk.
#[derive(Debug, Clone)]
pub struct Image {
    folder: PathBuf,
    /// What it is made of.
    pub manifest: Manifest,
}

/// What an image is made of; `manifest.json` beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// SHA-256 over kernel and root archive: the image id that stands in every report.
    pub id: String,
    /// The kernel's release, e.g. `6.1.0-56-cloud-amd64`.
    pub kernel: String,
    /// Modules loaded at boot, in order.
    pub modules: Vec<String>,
    /// Packages that gave files, by name.
    pub packages: Vec<Package>,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum ImageError {
    #[error(
        "building the sealed lab's image needs `{tool}`, which is not on PATH; install it (Debian or Ubuntu: `apt-get install apt dpkg`), or copy a built image's folder `image` from another machine's cache"
    )]
    NoApt { tool: &'static str },
    #[error(
        "this host is not a Debian 12, and the key that signs Debian's archive is not at {path}; install it with `apt-get install debian-archive-keyring`"
    )]
    NoKeyring { path: &'static str },
    #[error(
        "apt knows no package `{name}`; run `apt-get update`, and check that its sources include Debian 12's `main`"
    )]
    NoPackage { name: String },
    #[error("`{command}` failed: {said}; check the network and apt's sources, then try again")]
    Tool { command: String, said: String },
    #[error(
        "package {name} was downloaded with SHA-256 {found}, its index says {expected}; run `apt-get update` and try again"
    )]
    Checksum {
        name: String,
        found: String,
        expected: String,
    },
    #[error(
        "the packages hold no `{path}`; the image's recipe does not fit these package versions"
    )]
    NoFile { path: String },
    #[error("{path} cannot be used in the image: {reason}")]
    BadFile { path: String, reason: String },
    #[error(
        "no space left while writing {path}; free some, or point MVPNLAB_CACHE at a larger disk"
    )]
    NoSpace { path: PathBuf },
    #[error(
        "could not {what} {path}: {source}; check that MVPNLAB_CACHE (or ~/.cache) is writable"
    )]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl ImageError {
    pub(super) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull => Self::NoSpace {
                path: path.to_owned(),
            },
            _ => Self::Io {
                what,
                path: path.to_owned(),
                source,
            },
        }
    }
}

impl Image {
    /// The cached image, or a new one: about half a minute with a network. `progress` gets a line per step.
    pub fn open(cache: &Cache, progress: &mut dyn FnMut(&str)) -> Result<Self, ImageError> {
        if let Some(image) = Self::cached(cache) {
            return Ok(image);
        }
        let folder = folder(cache);
        let lock_path = cache.lock_path("image");
        let _lock =
            Lock::exclusive(&lock_path).map_err(|e| ImageError::io("lock", &lock_path, e))?;
        // Another process may have built it while this one waited.
        if let Some(image) = Self::cached(cache) {
            return Ok(image);
        }
        let parent = cache.folder("image");
        fs::create_dir_all(&parent).map_err(|e| ImageError::io("create", &parent, e))?;
        let scratch = tempfile::Builder::new()
            .prefix(".building-")
            .tempdir_in(&parent);
        let scratch = scratch.map_err(|e| ImageError::io("create a folder in", &parent, e))?;
        let manifest = build(scratch.path(), progress)?;
        let finished = scratch.path().join("image");
        fs::rename(&finished, &folder)
            .map_err(|e| ImageError::io("move the new image to", &folder, e))?;
        progress(&format!(
            "image {} is ready in {}",
            &manifest.id[..12],
            folder.display()
        ));
        Ok(Self { folder, manifest })
    }

    /// The cached image, if it is there; asks neither apt nor the network.
    pub fn cached(cache: &Cache) -> Option<Self> {
        let folder = folder(cache);
        let manifest = fs::read(folder.join("manifest.json")).ok()?;
        let manifest = serde_json::from_slice(&manifest).ok()?;
        let image = Self { folder, manifest };
        (image.kernel().exists() && image.root().exists()).then_some(image)
    }

    /// Removes all images but the current one, and what interrupted builds left; returns how many folders went.
    ///
    /// # Errors
    /// When the cache cannot be listed or a folder not be removed.
    pub fn collect_garbage(cache: &Cache) -> Result<usize, ImageError> {
        let lock_path = cache.lock_path("image");
        let _lock =
            Lock::exclusive(&lock_path).map_err(|e| ImageError::io("lock", &lock_path, e))?;
        let (parent, current) = (cache.folder("image"), folder(cache));
        if !parent.exists() {
            return Ok(0);
        }
        let listing = fs::read_dir(&parent).map_err(|e| ImageError::io("list", &parent, e))?;
        let mut removed = 0;
        for path in listing
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| *path != current)
        {
            fs::remove_dir_all(&path).map_err(|e| ImageError::io("remove", &path, e))?;
            removed += 1;
        }
        Ok(removed)
    }

    /// The kernel, a bzImage.
    pub fn kernel(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    /// The root, an uncompressed newc archive: under TCG unpacking is what costs.
    pub fn root(&self) -> PathBuf {
        self.folder.join("root.cpio")
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The cache keeps one image per recipe; newer packages come in when the recipe's format is raised or the folder goes.
fn folder(cache: &Cache) -> PathBuf {
    let text = format!(
        "{} {} {:?} {:?} {:?} {:?} {:?} {:?}",
        recipe::FORMAT,
        recipe::KERNEL_META_PACKAGE,
        recipe::PACKAGES,
        recipe::FILES,
        recipe::MODULES,
        recipe::DIRECTORIES,
        recipe::LINKS,
        recipe::TEXTS,
    );
    cache
        .folder("image")
        .join(&hex(&Sha256::digest(text.as_bytes()))[..16])
}

fn build(scratch: &Path, progress: &mut dyn FnMut(&str)) -> Result<Manifest, ImageError> {
    progress("image: asking apt which packages are needed");
    let apt = Apt::open(scratch)?;
    let kernel_name = apt.first_dependency(recipe::KERNEL_META_PACKAGE)?;
    let kernel = apt
        .show(std::slice::from_ref(&kernel_name))?
        .remove(&kernel_name);
    let kernel = kernel.ok_or_else(|| ImageError::NoPackage {
        name: kernel_name.clone(),
    })?;
    let mut packages = apt.with_libraries(recipe::PACKAGES)?;
    packages.push(kernel);

    progress(&format!(
        "image: downloading and unpacking {} packages, nothing is installed",
        packages.len()
    ));
    let trees = scratch.join("trees");
    apt.fetch(&packages, &scratch.join("downloads"), &trees)?;

    progress("image: collecting programs, their libraries and the kernel's modules");
    let finished = scratch.join("image");
    fs::create_dir_all(&finished).map_err(|e| ImageError::io("create", &finished, e))?;
    let release = kernel_name.trim_start_matches("linux-image-").to_owned();
    let tree = Tree::index(&trees)?;
    let vmlinuz = tree.read(&format!("boot/vmlinuz-{release}"))?;
    let root = tree.root_archive(&release)?;

    let id = hex(&Sha256::new()
        .chain_update(&vmlinuz)
        .chain_update(&root.archive)
        .finalize());
    packages.retain(|p| p.name == kernel_name || root.contributors.contains(&p.name));
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    let manifest = Manifest {
        id,
        kernel: release,
        modules: root.modules,
        packages,
    };
    let json = serde_json::to_vec_pretty(&manifest).map_err(|e| ImageError::BadFile {
        path: "manifest.json".into(),
        reason: e.to_string(),
    })?;
    for (name, content) in [
        ("vmlinuz", &vmlinuz),
        ("root.cpio", &root.archive),
        ("manifest.json", &json),
    ] {
        let path = finished.join(name);
        fs::write(&path, content).map_err(|e| ImageError::io("write", &path, e))?;
    }
    Ok(manifest)
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_every_image_but_the_current_one() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        assert_eq!(Image::collect_garbage(&cache).unwrap(), 0);
        let current = folder(&cache);
        for path in [
            current.clone(),
            current.with_file_name("older"),
            current.with_file_name(".building-x"),
        ] {
            fs::create_dir_all(path.join("inside")).unwrap();
        }
        assert_eq!(Image::collect_garbage(&cache).unwrap(), 2);
        assert!(current.exists());
    }

    #[test]
    fn half_an_image_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path());
        let manifest = Manifest {
            id: "1".into(),
            kernel: "6".into(),
            modules: Vec::new(),
            packages: Vec::new(),
        };
        fs::create_dir_all(folder(&cache)).unwrap();
        fs::write(
            folder(&cache).join("manifest.json"),
            serde_json::to_vec(&manifest).unwrap(),
        )
        .unwrap();
        assert!(Image::cached(&cache).is_none());
        for name in ["vmlinuz", "root.cpio"] {
            fs::write(folder(&cache).join(name), "").unwrap();
        }
        assert_eq!(Image::cached(&cache).unwrap().manifest, manifest);
    }
}
