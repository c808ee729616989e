//! Lines of bounded length from a stream.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// Longest line accepted, bytes: a whole configuration of 16,000 tunnels fits into it.
pub const LINE_BYTES_MAX: usize = 8 << 20;

/// One line, or why there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A line without its end.
    Text(String),
    /// A line longer than is accepted, which was skipped.
    TooLong,
    /// A line that is not UTF-8, which was skipped.
    NotText,
    /// The stream is over.
    End,
}

/// Reads lines. A read that is abandoned halfway loses nothing.
pub struct Lines<R> {
    stream: R,
    line: Vec<u8>,
    skipping: bool,
    bytes_max: usize,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// Lines of a stream.
    pub fn new(stream: R) -> Lines<R> {
        Lines {
            stream,
            line: Vec::new(),
            skipping: false,
            bytes_max: LINE_BYTES_MAX,
        }
    }

    /// Lines accepted from now on may have so many bytes.
    pub fn limit(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// The next line.
    pub async fn next(&mut self) -> io::Result<Line> {
        loop {
            let available = self.stream.fill_buf().await?;
            if available.is_empty() {
                return Ok(Line::End);
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            if self.line.len() + part.len() > self.bytes_max {
                self.skipping = true;
                self.line.clear();
            }
            if !self.skipping {
                self.line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.stream.consume(used);
            if end.is_some() {
                return Ok(self.finished());
            }
        }
    }

    fn finished(&mut self) -> Line {
        if std::mem::take(&mut self.skipping) {
            return Line::TooLong;
        }
        String::from_utf8(std::mem::take(&mut self.line)).map_or(Line::NotText, Line::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(bytes: &[u8]) -> Vec<Line> {
        let mut lines = Lines::new(bytes);
        let mut read = Vec::new();
        loop {
            match lines.next().await.unwrap() {
                Line::End => return read,
                line => read.push(line),
            }
        }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn lines_come_one_by_one_and_a_torn_last_one_does_not() {
        let text = |t: &str| Line::Text(t.to_owned());
        assert_eq!(
            block_on(all(b"a\n\nbc\nrest")),
            [text("a"), text(""), text("bc")]
        );
    }

    #[test]
    fn a_line_too_long_is_skipped_and_the_next_is_read() {
        let mut bytes = vec![b'x'; LINE_BYTES_MAX + 1];
        bytes.extend_from_slice(b"\nafter\n");
        assert_eq!(
            block_on(all(&bytes)),
            [Line::TooLong, Line::Text("after".to_owned())]
        );
        let mut bytes = vec![b'x'; LINE_BYTES_MAX];
        bytes.push(b'\n');
        assert!(matches!(&block_on(all(&bytes))[..], [Line::Text(_)]));
    }

    #[test]
    fn what_is_not_text_is_skipped() {
        assert_eq!(
            block_on(all(b"\xff\xfe\nok\n")),
            [Line::NotText, Line::Text("ok".to_owned())]
        );
    }
}
