//! Finds, downloads and unpacks Debian packages with apt's own tools. Nothing is installed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ImageError;
use super::hex;

/// One package that gave files to the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Debian's name for it.
    pub name: String,
    /// Debian's version.
    pub version: String,
    /// SHA-256 of the `.deb`, computed after the download and equal to the archive's index.
    pub sha256: String,
    #[serde(skip)]
    depends: Vec<String>,
    #[serde(skip)]
    is_library: bool,
}

/// How apt is asked: through the host's own sources on Debian 12, else through private sources of Debian 12.
pub struct Apt {
    options: Vec<String>,
}

const RELEASE: &str = "bookworm";
const MIRROR: &str = "http://deb.debian.org/debian";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

impl Apt {
    /// Prepares apt; `scratch` holds the private lists when the host is not a Debian 12.
    pub fn open(scratch: &Path) -> Result<Self, ImageError> {
        for tool in ["apt-get", "apt-cache", "dpkg-deb"] {
            if !super::super::probe::on_path(tool) {
                return Err(ImageError::NoApt { tool });
            }
        }
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let is = |key: &str, value: &str| {
            release
                .lines()
                .any(|l| l.replace('"', "") == format!("{key}={value}"))
        };
        if is("ID", "debian") && is("VERSION_CODENAME", RELEASE) {
            return Ok(Self {
                options: Vec::new(),
            });
        }
        Self::private(scratch)
    }

    fn private(scratch: &Path) -> Result<Self, ImageError> {
        if !Path::new(KEYRING).exists() {
            return Err(ImageError::NoKeyring { path: KEYRING });
        }
        let at = |name: &str| scratch.join("apt").join(name);
        for dir in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(at(dir)).map_err(|e| ImageError::io("create", &at(dir), e))?;
        }
        let sources = format!(
            "deb [arch=amd64 signed-by={KEYRING}] {MIRROR} {RELEASE} main\n\
             deb [arch=amd64 signed-by={KEYRING}] {MIRROR}-security {RELEASE}-security main\n"
        );
        for (name, content) in [("sources.list", sources.as_str()), ("status", "")] {
            fs::write(at(name), content).map_err(|e| ImageError::io("write", &at(name), e))?;
        }
        let option = |key: &str, name: &str| format!("{key}={}", at(name).display());
        let options = vec![
            option("Dir::Etc::sourcelist", "sources.list"),
            "Dir::Etc::sourceparts=-".to_owned(),
            option("Dir::State::lists", "lists"),
            option("Dir::State::status", "status"),
            option("Dir::Cache", "archives"),
            option("Dir::Cache::archives", "archives"),
            "APT::Architecture=amd64".to_owned(),
        ];
        let apt = Self { options };
        apt.run("apt-get", &["update"], scratch)?;
        Ok(apt)
    }

    /// The package that `meta` depends on first: the real kernel behind the meta-package.
    pub fn first_dependency(&self, meta: &str) -> Result<String, ImageError> {
        let packages = self.show(&[meta.to_owned()])?;
        let found = packages.get(meta).and_then(|p| p.depends.first().cloned());
        found.ok_or_else(|| ImageError::NoPackage {
            name: meta.to_owned(),
        })
    }

    /// The packages named, and the library packages they depend on, directly or through other library packages.
    pub fn with_libraries(&self, roots: &[&str]) -> Result<Vec<Package>, ImageError> {
        let mut found: BTreeMap<String, Package> = BTreeMap::new();
        let mut asked: BTreeSet<String> = BTreeSet::new();
        let mut wanted: BTreeSet<String> = roots.iter().map(|r| (*r).to_owned()).collect();
        while !wanted.is_empty() {
            let batch: Vec<String> = wanted.iter().cloned().collect();
            asked.append(&mut wanted);
            let mut shown = self.show(&batch)?;
            shown.retain(|name, package| package.is_library || roots.contains(&name.as_str()));
            for package in shown.values() {
                wanted.extend(
                    package
                        .depends
                        .iter()
                        .filter(|d| !asked.contains(*d))
                        .cloned(),
                );
            }
            found.extend(shown);
        }
        for root in roots {
            if !found.contains_key(*root) {
                return Err(ImageError::NoPackage {
                    name: (*root).to_owned(),
                });
            }
        }
        Ok(found.into_values().collect())
    }

    /// The newest version of each package that exists; virtual packages are silently absent.
    pub fn show(&self, names: &[String]) -> Result<BTreeMap<String, Package>, ImageError> {
        let mut arguments = vec!["show", "--no-all-versions"];
        arguments.extend(names.iter().map(String::as_str));
        let listing = match self.run("apt-cache", &arguments, Path::new("/")) {
            Ok(listing) => listing,
            Err(ImageError::Tool { .. }) if names.len() == 1 => {
                return Err(ImageError::NoPackage {
                    name: names[0].clone(),
                });
            }
            Err(other) => return Err(other),
        };
        Ok(parse_listing(&listing))
    }

    /// Downloads `packages` into `downloads` and unpacks each one into `trees/NAME`.
    pub fn fetch(
        &self,
        packages: &[Package],
        downloads: &Path,
        trees: &Path,
    ) -> Result<(), ImageError> {
        fs::create_dir_all(downloads).map_err(|e| ImageError::io("create", downloads, e))?;
        let names: Vec<String> = packages
            .iter()
            .map(|p| format!("{}={}", p.name, p.version))
            .collect();
        let mut arguments = vec!["download", "-q"];
        arguments.extend(names.iter().map(String::as_str));
        self.run("apt-get", &arguments, downloads)?;
        for package in packages {
            let file = downloaded(downloads, package)?;
            let content = fs::read(&file).map_err(|e| ImageError::io("read", &file, e))?;
            let digest = hex(&Sha256::digest(&content));
            if digest != package.sha256 {
                return Err(ImageError::Checksum {
                    name: package.name.clone(),
                    found: digest,
                    expected: package.sha256.clone(),
                });
            }
            let tree = trees.join(&package.name);
            fs::create_dir_all(&tree).map_err(|e| ImageError::io("create", &tree, e))?;
            let paths = [
                file.to_string_lossy().into_owned(),
                tree.to_string_lossy().into_owned(),
            ];
            self.run("dpkg-deb", &["-x", &paths[0], &paths[1]], downloads)?;
        }
        Ok(())
    }

    fn run(&self, tool: &str, arguments: &[&str], folder: &Path) -> Result<String, ImageError> {
        let mut command = Command::new(tool);
        command
            .current_dir(folder)
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive");
        if tool.starts_with("apt") {
            command.args(self.options.iter().flat_map(|o| ["-o", o.as_str()]));
        }
        let output = command.args(arguments).output();
        let output = output.map_err(|e| ImageError::io("start", Path::new(tool), e))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(ImageError::Tool {
                command: format!("{tool} {}", arguments.join(" ")),
                said,
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn downloaded(downloads: &Path, package: &Package) -> Result<PathBuf, ImageError> {
    // apt writes NAME_VERSION_ARCH.deb, with the epoch's colon as %3a.
    let stem = format!("{}_{}_", package.name, package.version.replace(':', "%3a"));
    let listing = fs::read_dir(downloads).map_err(|e| ImageError::io("list", downloads, e))?;
    let mut files = listing.filter_map(Result::ok).map(|entry| entry.path());
    let found = files.find(|p| {
        p.file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with(&stem))
    });
    found.ok_or_else(|| ImageError::NoPackage {
        name: package.name.clone(),
    })
}

/// Reads apt-cache's stanzas. Of alternatives (`a | b`) the first counts.
fn parse_listing(listing: &str) -> BTreeMap<String, Package> {
    let mut packages = BTreeMap::new();
    for stanza in listing.split("\n\n") {
        let field = |key: &str| {
            let prefix = format!("{key}: ");
            stanza
                .lines()
                .find_map(|line| line.strip_prefix(prefix.as_str()))
                .unwrap_or_default()
        };
        let name = field("Package").to_owned();
        if name.is_empty() || field("SHA256").is_empty() {
            continue;
        }
        let dependencies = [field("Pre-Depends"), field("Depends")].join(",");
        let first_word = |d: &str| {
            d.split([' ', '|', ':', '('])
                .find(|w| !w.is_empty())
                .map(str::to_owned)
        };
        let package = Package {
            version: field("Version").to_owned(),
            sha256: field("SHA256").to_owned(),
            is_library: field("Section") == "libs",
            depends: dependencies.split(',').filter_map(first_word).collect(),
            name: name.clone(),
        };
        packages.entry(name).or_insert(package);
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "Package: frr\nVersion: 8.4.4-1\nDepends: iproute2, libc6 (>= 2.34), libcap2:any | libcap3\n\
        Pre-Depends: adduser\nSHA256: 37f5\nDescription: routing\n more text\n\nPackage: libc6\nSection: libs\nVersion: 2.36\nSHA256: ab\n\n\
        Package: virtual-only\n";

    #[test]
    fn a_listing_gives_versions_checksums_and_first_alternatives() {
        let packages = parse_listing(LISTING);
        assert_eq!(packages.keys().collect::<Vec<_>>(), ["frr", "libc6"]);
        assert!(packages["libc6"].is_library && !packages["frr"].is_library);
        assert_eq!(
            packages["frr"].depends,
            ["adduser", "iproute2", "libc6", "libcap2"]
        );
        assert_eq!(
            (
                packages["frr"].version.as_str(),
                packages["frr"].sha256.as_str()
            ),
            ("8.4.4-1", "37f5")
        );
    }
}
