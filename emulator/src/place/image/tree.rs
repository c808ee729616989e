//! The unpacked packages as one usr-merged tree, and the root archive collected from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::newc::Newc;
use super::{ImageError, elf, recipe};

/// Every file of every package, by its usr-merged path without a leading slash.
pub struct Tree {
    files: BTreeMap<String, Entry>,
}

struct Entry {
    package: String,
    kind: Kind,
}

enum Kind {
    File(PathBuf),
    Link(String),
}

/// A root archive and where its content came from.
pub struct Root {
    pub archive: Vec<u8>,
    pub contributors: BTreeSet<String>,
    pub modules: Vec<String>,
}

/// Where a library may lie; FRR keeps its own in a folder named by its executables' RUNPATH.
const LIBRARY_FOLDERS: &[&str] = &[
    "usr/lib/x86_64-linux-gnu",
    "usr/lib/x86_64-linux-gnu/frr",
    "usr/lib64",
    "usr/lib",
];

impl Tree {
    /// Indexes the folders `trees/PACKAGE`.
    pub fn index(trees: &Path) -> Result<Self, ImageError> {
        let mut tree = Self {
            files: BTreeMap::new(),
        };
        for package in list(trees)? {
            let name = package
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            tree.walk(&name, &package, "")?;
        }
        Ok(tree)
    }

    fn walk(&mut self, package: &str, folder: &Path, prefix: &str) -> Result<(), ImageError> {
        for path in list(folder)? {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let inside = if prefix.is_empty() {
                name
            } else {
                format!("{prefix}/{name}")
            };
            let kind = fs::symlink_metadata(&path)
                .map_err(|e| ImageError::io("read", &path, e))?
                .file_type();
            if kind.is_dir() {
                self.walk(package, &path, &inside)?;
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).map_err(|e| ImageError::io("read", &path, e))?;
                let target = absolute(&inside, &target.to_string_lossy());
                self.add(package, &inside, Kind::Link(target));
            } else if kind.is_file() {
                self.add(package, &inside, Kind::File(path));
            }
        }
        Ok(())
    }

    fn add(&mut self, package: &str, path: &str, kind: Kind) {
        self.files.entry(usr_merged(path)).or_insert(Entry {
            package: package.to_owned(),
            kind,
        });
    }

    /// The content of the file at `path`, links followed.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, ImageError> {
        let (_, file) = self.resolve(path)?;
        fs::read(file).map_err(|e| ImageError::io("read", file, e))
    }

    /// Follows links from `path`; returns the paths passed, the file's own last, and the file on disk.
    fn resolve(&self, path: &str) -> Result<(Vec<String>, &Path), ImageError> {
        let mut passed = vec![usr_merged(path)];
        while passed.len() < 16 {
            let here = &passed[passed.len() - 1];
            match self.files.get(here).map(|entry| &entry.kind) {
                Some(Kind::File(file)) => return Ok((passed, file)),
                Some(Kind::Link(target)) => passed.push(usr_merged(target)),
                None => return Err(ImageError::NoFile { path: here.clone() }),
            }
        }
        Err(ImageError::BadFile {
            path: path.to_owned(),
            reason: "its links go round in a circle".into(),
        })
    }

    /// Collects the recipe's files, the libraries they need, and the modules, into a newc archive.
    pub fn root_archive(&self, release: &str) -> Result<Root, ImageError> {
        let mut chosen: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut links: BTreeMap<String, String> = BTreeMap::new();
        let mut wanted: Vec<String> = recipe::FILES.iter().map(|f| (*f).to_owned()).collect();
        while let Some(path) = wanted.pop() {
            let (passed, file) = self.resolve(&path)?;
            for pair in passed.windows(2) {
                links.insert(pair[0].clone(), format!("/{}", pair[1]));
            }
            let own = passed[passed.len() - 1].clone();
            if chosen.contains_key(&own) {
                continue;
            }
            let content = fs::read(file).map_err(|e| ImageError::io("read", file, e))?;
            if elf::is_elf(&content) {
                let needs = elf::needs(&content);
                let needs = needs.map_err(|reason| ImageError::BadFile {
                    path: own.clone(),
                    reason,
                })?;
                wanted.extend(
                    needs
                        .interpreter
                        .map(|path| path.trim_start_matches('/').to_owned()),
                );
                for library in needs.libraries {
                    wanted.push(self.library(&library)?);
                }
            }
            chosen.insert(own, content);
        }
        let modules = self.modules(release)?;
        let mut list = String::new();
        for (path, content) in &modules {
            list.push_str(&format!("/{path}\n"));
            chosen.insert(path.clone(), content.clone());
        }
        let contributors = chosen
            .keys()
            .chain(links.keys())
            .filter_map(|p| self.files.get(p));
        let contributors = contributors.map(|entry| entry.package.clone()).collect();
        chosen.insert(recipe::MODULE_LIST.to_owned(), list.into_bytes());
        let archive = write_archive(&chosen, &links);
        let archive = archive.map_err(|e| ImageError::io("write", Path::new("root.cpio"), e))?;
        let modules = modules.iter().map(|(path, _)| module_name(path)).collect();
        Ok(Root {
            archive,
            contributors,
            modules,
        })
    }

    fn library(&self, soname: &str) -> Result<String, ImageError> {
        let mut places = LIBRARY_FOLDERS
            .iter()
            .map(|folder| format!("{folder}/{soname}"));
        let found = places.find(|path| self.files.contains_key(path));
        found.ok_or_else(|| ImageError::NoFile {
            path: soname.to_owned(),
        })
    }

    /// The recipe's modules and their dependencies, dependencies first.
    fn modules(&self, release: &str) -> Result<Vec<(String, Vec<u8>)>, ImageError> {
        let folder = format!("usr/lib/modules/{release}/kernel/");
        let inside = self
            .files
            .range(folder.clone()..)
            .take_while(|(path, _)| path.starts_with(&folder));
        let by_name: BTreeMap<String, &String> =
            inside.map(|(path, _)| (module_name(path), path)).collect();
        let mut ordered = Vec::new();
        let mut seen = BTreeSet::new();
        for name in recipe::MODULES {
            self.add_module(name, &by_name, &mut seen, &mut ordered)?;
        }
        Ok(ordered)
    }

    fn add_module(
        &self,
        name: &str,
        by_name: &BTreeMap<String, &String>,
        seen: &mut BTreeSet<String>,
        ordered: &mut Vec<(String, Vec<u8>)>,
    ) -> Result<(), ImageError> {
        let name = name.replace('-', "_");
        // What has no file is built in.
        let Some(path) = by_name.get(&name).filter(|_| seen.insert(name.clone())) else {
            return Ok(());
        };
        let content = self.read(path)?;
        for dependency in module_dependencies(&content) {
            self.add_module(&dependency, by_name, seen, ordered)?;
        }
        ordered.push(((*path).clone(), content));
        Ok(())
    }
}

fn write_archive(
    files: &BTreeMap<String, Vec<u8>>,
    links: &BTreeMap<String, String>,
) -> std::io::Result<Vec<u8>> {
    let mut cpio = Newc::new(Vec::new());
    let mut folders: BTreeSet<String> = recipe::DIRECTORIES
        .iter()
        .map(|d| (*d).to_owned())
        .collect();
    for path in files.keys().chain(links.keys()) {
        folders.extend(
            Path::new(path)
                .ancestors()
                .skip(1)
                .map(|p| p.to_string_lossy().into_owned()),
        );
    }
    // A folder sorts before what is in it.
    for folder in folders.iter().filter(|f| !f.is_empty()) {
        cpio.directory(folder, 0o755)?;
    }
    for (link, target) in recipe::LINKS {
        cpio.symlink(link, target)?;
    }
    cpio.character_device("dev/console", 0o600, 5, 1)?;
    for (path, content) in files {
        let executable = elf::is_elf(content) && !path.ends_with(".ko");
        cpio.file(path, if executable { 0o755 } else { 0o644 }, content)?;
    }
    for (link, target) in links {
        cpio.symlink(link, target)?;
    }
    for (path, content) in recipe::TEXTS {
        cpio.file(path, 0o644, content.as_bytes())?;
    }
    cpio.finish()
}

/// Reads `depends=a,b` out of a module's `.modinfo`: zero-terminated `key=value` strings.
fn module_dependencies(module: &[u8]) -> Vec<String> {
    use object::{Object, ObjectSection};
    let Ok(file) = object::File::parse(module) else {
        return Vec::new();
    };
    let info = file
        .section_by_name(".modinfo")
        .and_then(|s| s.data().ok())
        .unwrap_or_default();
    let mut depends = info
        .split(|byte| *byte == 0)
        .filter_map(|entry| entry.strip_prefix(b"depends="));
    let names = depends
        .next()
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    names
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

/// `bin/ip` and `usr/bin/ip` are the same file on Debian 12, whichever of the two a package ships.
fn usr_merged(path: &str) -> String {
    let path = path.trim_start_matches('/');
    let top = path.split('/').next().unwrap_or_default();
    if ["bin", "sbin", "lib", "lib64"].contains(&top) {
        format!("usr/{path}")
    } else {
        path.to_owned()
    }
}

/// Where a link at `from` points, without `..`.
fn absolute(from: &str, target: &str) -> String {
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => from.split('/').collect(),
    };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let entries = fs::read_dir(folder).map_err(|e| ImageError::io("list", folder, e))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_usr_merged_once() {
        assert_eq!(usr_merged("/bin/ip"), "usr/bin/ip");
        assert_eq!(usr_merged("usr/bin/ip"), "usr/bin/ip");
        assert_eq!(usr_merged("etc/lib"), "etc/lib");
    }

    #[test]
    fn links_are_followed_from_where_they_lie() {
        assert_eq!(
            absolute("usr/lib/liba.so", "liba.so.1"),
            "usr/lib/liba.so.1"
        );
        assert_eq!(
            absolute("usr/lib/liba.so", "../lib64/liba.so.1"),
            "usr/lib64/liba.so.1"
        );
        assert_eq!(absolute("lib64/ld.so", "/lib/x/ld.so"), "lib/x/ld.so");
    }

    #[test]
    fn a_tree_follows_links_and_refuses_circles_and_gaps() {
        let dir = tempfile::tempdir().unwrap();
        let lib = dir.path().join("libx/lib");
        fs::create_dir_all(&lib).unwrap();
        fs::write(lib.join("x.so.1"), "content").unwrap();
        std::os::unix::fs::symlink("x.so.1", lib.join("x.so")).unwrap();
        std::os::unix::fs::symlink("b", lib.join("a")).unwrap();
        std::os::unix::fs::symlink("a", lib.join("b")).unwrap();
        let tree = Tree::index(dir.path()).unwrap();
        assert_eq!(tree.read("usr/lib/x.so").unwrap(), b"content");
        assert!(matches!(
            tree.read("usr/lib/a"),
            Err(ImageError::BadFile { .. })
        ));
        assert!(matches!(
            tree.read("usr/lib/none"),
            Err(ImageError::NoFile { .. })
        ));
    }

    #[test]
    fn a_module_is_named_by_its_file() {
        assert_eq!(
            module_name("usr/lib/modules/6/kernel/net/act-mirred.ko.xz"),
            "act_mirred"
        );
    }
}
