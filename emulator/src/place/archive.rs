//! Files in memory, and the tar they are carried in.

use std::collections::BTreeMap;
use std::io::{Read, Write};

/// An archive in memory: path to content. Ordered, so the same files give the same bytes.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Packs files into a tar without times, owners or anything else of this host.
pub fn pack(files: &Files) -> Result<Vec<u8>, String> {
    pack_into(Vec::new(), files)
}

/// As [`pack`], straight to where the bytes are to be: in an emulated processor every copy counts.
pub fn pack_into<W: Write>(place: W, files: &Files) -> Result<W, String> {
    let mut archive = tar::Builder::new(place);
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        let added = archive.append_data(&mut header, path, content.as_slice());
        added.map_err(|e| format!("could not pack the file named {path:?}: {e}"))?;
    }
    archive
        .into_inner()
        .map_err(|e| format!("could not end the archive: {e}"))
}

/// Unpacks what [`pack`] made.
pub fn unpack(bytes: &[u8]) -> Result<Files, String> {
    unpack_from(bytes, bytes.len())
}

/// As [`unpack`], of so many bytes straight from where they are.
pub fn unpack_from(place: impl Read, length: usize) -> Result<Files, String> {
    let mut files = Files::new();
    let mut archive = tar::Archive::new(place);
    let entries = archive
        .entries()
        .map_err(|e| format!("could not read the archive: {e}"))?;
    for entry in entries {
        let mut entry =
            entry.map_err(|e| format!("could not read an entry of the archive: {e}"))?;
        let path = entry
            .path()
            .map_err(|e| format!("an entry's name is broken: {e}"))?
            .to_string_lossy()
            .into_owned();
        // The size is the archive's claim: it cannot hold more than it is long itself.
        let size = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        if size > length {
            return Err(format!(
                "{path:?} has {size} bytes, it says, in an archive of {length}: it is cut off"
            ));
        }
        let mut content = vec![0; size];
        entry
            .read_exact(&mut content)
            .map_err(|e| format!("could not read {path:?} from the archive: {e}"))?;
        files.insert(path, content);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_packed_is_unpacked(
            files in proptest::collection::btree_map("[a-z]{1,8}(/[a-z0-9.]{1,60}[a-z]){0,4}", proptest::collection::vec(any::<u8>(), 0..2000), 0..6)
        ) {
            prop_assert_eq!(unpack(&pack(&files).unwrap()).unwrap(), files);
        }

        #[test]
        fn broken_bytes_are_an_error_or_an_archive_but_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let _ = unpack(&bytes);
        }
    }

    #[test]
    fn the_same_files_give_the_same_bytes_and_a_cut_archive_is_refused() {
        let files = Files::from([("a/b".to_owned(), vec![1; 5000])]);
        let packed = pack(&files).unwrap();
        assert_eq!(packed, pack(&files).unwrap());
        assert!(unpack(&packed[..1024]).is_err());
    }

    #[test]
    fn a_path_that_leaves_the_archive_is_refused() {
        assert!(
            pack(&Files::from([("../x".to_owned(), Vec::new())]))
                .unwrap_err()
                .contains("../x")
        );
    }
}
