//! Writes a cpio archive in the "newc" format, the one an initramfs is made of.
//!
//! Source: Documentation/driver-api/early-userspace/buffer-format.rst of the Linux kernel. Times are zero and inode
//! numbers count up, so the same entries give the same bytes.

use std::io::{self, Write};

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;
const TRAILER: &str = "TRAILER!!!";

/// A newc archive being written. Paths are relative (`usr/bin/ip`); parents must be added before their children.
pub struct Newc<W: Write> {
    out: W,
    written: u64,
    inode: u32,
}

impl<W: Write> Newc<W> {
    /// Starts an archive.
    pub fn new(out: W) -> Self {
        Self {
            out,
            written: 0,
            inode: 0,
        }
    }

    /// Adds a directory with permission bits `mode`.
    pub fn directory(&mut self, path: &str, mode: u32) -> io::Result<()> {
        self.entry(path, DIRECTORY | mode, (0, 0), &[])
    }

    /// Adds a regular file with permission bits `mode`.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.entry(path, REGULAR | mode, (0, 0), content)
    }

    /// Adds a symbolic link at `path` that points to `target`.
    pub fn symlink(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.entry(path, SYMLINK | 0o777, (0, 0), target.as_bytes())
    }

    /// Adds a character device node; the kernel makes it, so no privilege is needed to write one.
    pub fn character_device(
        &mut self,
        path: &str,
        mode: u32,
        major: u32,
        minor: u32,
    ) -> io::Result<()> {
        self.entry(path, CHARACTER_DEVICE | mode, (major, minor), &[])
    }

    /// Ends the archive and pads it to 512 bytes, so that another one may follow in the same file.
    pub fn finish(mut self) -> io::Result<W> {
        self.inode = 0;
        self.entry(TRAILER, 0, (0, 0), &[])?;
        self.pad(512)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn entry(
        &mut self,
        path: &str,
        mode: u32,
        device: (u32, u32),
        content: &[u8],
    ) -> io::Result<()> {
        let size = u32::try_from(content.len()).map_err(|_| {
            io::Error::other(format!(
                "{path} is {} bytes: newc holds at most 4 GiB a file",
                content.len()
            ))
        })?;
        let links = if mode & DIRECTORY == DIRECTORY { 2 } else { 1 };
        let name_size = path.len() as u32 + 1;
        // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
        let fields = [
            self.inode, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_size, 0,
        ];
        let mut header = String::from("070701");
        for field in fields {
            header.push_str(&format!("{field:08x}"));
        }
        self.write(header.as_bytes())?;
        self.write(path.as_bytes())?;
        self.write(&[0])?;
        self.pad(4)?;
        self.write(content)?;
        self.pad(4)?;
        self.inode += 1;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self, to: u64) -> io::Result<()> {
        let missing = (to - self.written % to) % to;
        self.write(&vec![0; missing as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut cpio = Newc::new(Vec::new());
        cpio.directory("etc", 0o755).unwrap();
        cpio.file("etc/motd", 0o644, b"hello").unwrap();
        cpio.symlink("bin", "usr/bin").unwrap();
        cpio.character_device("console", 0o600, 5, 1).unwrap();
        cpio.finish().unwrap()
    }

    /// A reader of our own, from the format's description.
    fn read(archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        let mut at = 0;
        loop {
            assert_eq!(&archive[at..at + 6], b"070701", "magic at {at}");
            let field = |n: usize| {
                let text = std::str::from_utf8(&archive[at + 6 + n * 8..at + 14 + n * 8]).unwrap();
                u32::from_str_radix(text, 16).unwrap()
            };
            let (mode, size, name_size) = (field(1), field(6) as usize, field(11) as usize);
            let name = std::str::from_utf8(&archive[at + 110..at + 110 + name_size - 1]).unwrap();
            let data = (at + 110 + name_size).next_multiple_of(4);
            if name == TRAILER {
                return entries;
            }
            entries.push((name.to_owned(), mode, archive[data..data + size].to_vec()));
            at = (data + size).next_multiple_of(4);
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let entries = read(&sample());
        let expected = [
            ("etc", 0o040_755, &b""[..]),
            ("etc/motd", 0o100_644, b"hello"),
            ("bin", 0o120_777, b"usr/bin"),
            ("console", 0o020_600, b""),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(n, m, c)| ((*n).to_owned(), *m, c.to_vec()))
            .collect();
        assert_eq!(entries, expected);
    }

    #[test]
    fn an_archive_ends_on_a_block_and_repeats_to_the_byte() {
        assert_eq!(sample().len() % 512, 0);
        assert_eq!(sample(), sample());
    }
}
