//! What an ELF file needs in order to run, and the part of it that is loaded.

use object::Endianness;
use object::elf::{DT_NEEDED, DT_STRTAB, DynamicTag, FileHeader64, PT_DYNAMIC, PT_INTERP, PT_LOAD};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};

type Header = FileHeader64<Endianness>;

/// What a 64-bit ELF file asks of the system that runs it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The loader it names, e.g. `/lib64/ld-linux-x86-64.so.2`; none in a static executable or most libraries.
    pub interpreter: Option<String>,
    /// Sonames of the libraries it needs, in its order.
    pub libraries: Vec<String>,
}

/// True when `bytes` begin like an ELF file.
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// Reads the dynamic section. An error says what is wrong with the bytes.
pub fn needs(bytes: &[u8]) -> Result<Needs, String> {
    let (header, endian) = parse(bytes)?;
    let segments = header.program_headers(endian, bytes).map_err(text)?;
    let mut found = Needs::default();
    for segment in segments {
        if let Some(path) = segment.interpreter(endian, bytes).map_err(text)? {
            found.interpreter = Some(String::from_utf8_lossy(path).into_owned());
        }
        let Some(entries) = segment.dynamic(endian, bytes).map_err(text)? else {
            continue;
        };
        let value = |tag: DynamicTag| {
            entries
                .iter()
                .find(|e| e.tag(endian) == tag)
                .map(|e| e.d_val(endian))
        };
        let Some(strings) = value(DT_STRTAB) else {
            continue;
        };
        for entry in entries.iter().filter(|e| e.tag(endian) == DT_NEEDED) {
            let address = strings + entry.d_val(endian);
            let name = string_at(segments, endian, bytes, address).ok_or_else(|| {
                format!("a needed library's name at address {address:#x} is outside the file")
            })?;
            found.libraries.push(name);
        }
    }
    Ok(found)
}

/// The executable cut down to what a loader maps: the symbols and debug information behind it are left off, which is
/// most of a development build, and the section table with them.
pub fn loadable(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (header, endian) = parse(bytes)?;
    let mut end = header.e_phoff(endian)
        + u64::from(header.e_phnum(endian)) * u64::from(header.e_phentsize(endian));
    for segment in header.program_headers(endian, bytes).map_err(text)? {
        if matches!(segment.p_type(endian), PT_LOAD | PT_DYNAMIC | PT_INTERP) {
            end = end.max(
                segment
                    .p_offset(endian)
                    .saturating_add(segment.p_filesz(endian)),
            );
        }
    }
    let end = usize::try_from(end)
        .ok()
        .filter(|end| *end <= bytes.len())
        .ok_or("a segment lies outside the file")?;
    let mut cut = bytes[..end].to_vec();
    // Elf64_Ehdr: e_shoff at 40, e_shnum at 60, e_shstrndx at 62.
    cut[40..48].fill(0);
    cut[60..64].fill(0);
    Ok(cut)
}

/// Replaces the loader's path in an executable. The new path must not be longer than the old one.
pub fn set_interpreter(bytes: &mut [u8], path: &str) -> Result<(), String> {
    if let Some((at, name)) = interpreter_place(bytes, path)? {
        bytes[at..at + name.len()].copy_from_slice(&name);
    }
    Ok(())
}

/// Where in an executable its loader's path stands, and what must stand there instead for it to be `path`; none where it
/// names no loader.
pub fn interpreter_place(bytes: &[u8], path: &str) -> Result<Option<(usize, Vec<u8>)>, String> {
    let (header, endian) = parse(bytes)?;
    let segments = header.program_headers(endian, bytes).map_err(text)?;
    let Some(segment) = segments.iter().find(|s| s.p_type(endian) == PT_INTERP) else {
        return Ok(None);
    };
    let (start, size) = (
        segment.p_offset(endian) as usize,
        segment.p_filesz(endian) as usize,
    );
    if path.len() >= size {
        return Err(format!(
            "its loader's path has room for {} bytes only, not for {path}",
            size.saturating_sub(1)
        ));
    }
    let end = start.checked_add(size);
    end.and_then(|end| bytes.get(start..end))
        .ok_or("the loader's path lies outside the file")?;
    let mut name = path.as_bytes().to_vec();
    name.resize(size, 0);
    Ok(Some((start, name)))
}

fn parse(bytes: &[u8]) -> Result<(&Header, Endianness), String> {
    let header = Header::parse(bytes).map_err(text)?;
    let endian = header.endian().map_err(text)?;
    Ok((header, endian))
}

fn string_at(
    segments: &[object::elf::ProgramHeader64<Endianness>],
    endian: Endianness,
    bytes: &[u8],
    address: u64,
) -> Option<String> {
    let segment = segments.iter().find(|s| {
        s.p_type(endian) == PT_LOAD
            && (s.p_vaddr(endian)..s.p_vaddr(endian) + s.p_filesz(endian)).contains(&address)
    })?;
    let start =
        usize::try_from(address - segment.p_vaddr(endian) + segment.p_offset(endian)).ok()?;
    let rest = bytes.get(start..)?;
    let length = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..length]).into_owned())
}

fn text(error: object::read::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_executable() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn a_test_executable_needs_the_c_library_and_a_loader() {
        let needs = needs(&own_executable()).unwrap();
        assert!(
            needs.libraries.iter().any(|l| l == "libc.so.6"),
            "{needs:?}"
        );
        assert!(needs.interpreter.unwrap().contains("ld-linux"));
    }

    #[test]
    fn the_loadable_part_is_smaller_and_needs_the_same() {
        let whole = own_executable();
        let cut = loadable(&whole).unwrap();
        assert!(cut.len() < whole.len());
        assert_eq!(needs(&cut).unwrap(), needs(&whole).unwrap());
    }

    #[test]
    fn the_loadable_part_still_runs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cut");
        std::fs::write(&path, loadable(&own_executable()).unwrap()).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        let output = std::process::Command::new(&path)
            .arg("--list")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    #[test]
    fn a_loader_path_is_replaced_only_where_it_fits() {
        let mut bytes = own_executable();
        set_interpreter(&mut bytes, "/host/ld.so").unwrap();
        assert_eq!(
            needs(&bytes).unwrap().interpreter.as_deref(),
            Some("/host/ld.so")
        );
        let error = set_interpreter(&mut bytes, &"x".repeat(200)).unwrap_err();
        assert!(error.contains("room for"), "{error}");
    }

    #[test]
    fn what_is_no_elf_is_refused() {
        assert!(needs(b"#!/bin/sh\n").is_err());
        assert!(loadable(b"\x7fELF").is_err());
    }
}
