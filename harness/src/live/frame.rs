//! What client, keeper and desk say to each other: frames of bytes, each on a client's channel.
//!
//! A frame is 9 bytes of head (channel and length, 32 bits, little-endian; kind, one byte) and its content.

use std::collections::VecDeque;

/// Longest content: longer streams are cut into several frames.
pub const CONTENT_MAX: usize = 64 << 10;
/// Whoever announces more is not one of us.
const REFUSED: usize = 16 << 20;
const HEAD_BYTES: usize = 9;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To the lab: a [`super::request::Request`] as JSON; opens the channel.
    Request,
    /// To the lab: standard input.
    Input,
    /// To the lab: the end of standard input.
    InputEnd,
    /// To the lab: the terminal's size, as JSON.
    Resize,
    /// To the lab: whoever asked is gone.
    HangUp,
    /// From the lab: standard output, or a file.
    Output,
    /// From the lab: standard error.
    ErrorOutput,
    /// From the lab: a line for whoever waits.
    Progress,
    /// From the lab: a [`super::request::Reply`] as JSON; closes the channel.
    Reply,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Request,
        Self::Input,
        Self::InputEnd,
        Self::Resize,
        Self::HangUp,
        Self::Output,
        Self::ErrorOutput,
        Self::Progress,
        Self::Reply,
    ];
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Whose it is: 0 between a client and the keeper, which knows clients by their connections.
    pub channel: u32,
    /// What it holds.
    pub kind: Kind,
    /// The content.
    pub content: Vec<u8>,
}

impl Frame {
    /// A frame with content.
    pub fn new(channel: u32, kind: Kind, content: impl Into<Vec<u8>>) -> Self {
        Self {
            channel,
            kind,
            content: content.into(),
        }
    }

    /// Appends it to a stream.
    pub fn emit(&self, stream: &mut impl Extend<u8>) {
        let length = u32::try_from(self.content.len()).unwrap_or(u32::MAX);
        stream.extend(self.channel.to_le_bytes());
        stream.extend(length.to_le_bytes());
        stream.extend([self.kind as u8]);
        stream.extend(self.content.iter().copied());
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.content.len());
        self.emit(&mut bytes);
        bytes
    }
}

/// The stream makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what was received is not mvpnlab's: a frame of kind {kind} and {length} bytes")]
pub struct Nonsense {
    kind: u8,
    length: usize,
}

/// Takes frames out of a stream that comes in pieces.
#[derive(Debug, Default)]
pub struct Parser {
    received: VecDeque<u8>,
}

impl Parser {
    /// Takes a piece.
    pub fn handle(&mut self, bytes: &[u8]) {
        self.received.extend(bytes);
    }

    /// The next whole frame.
    pub fn poll(&mut self) -> Result<Option<Frame>, Nonsense> {
        let mut head = [0; HEAD_BYTES];
        if self.received.len() < HEAD_BYTES {
            return Ok(None);
        }
        for (to, from) in head.iter_mut().zip(&self.received) {
            *to = *from;
        }
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let length = word(4) as usize;
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == head[8]);
        let Some(kind) = kind.filter(|_| length <= REFUSED) else {
            return Err(Nonsense {
                kind: head[8],
                length,
            });
        };
        if self.received.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        self.received.drain(..HEAD_BYTES);
        Ok(Some(Frame {
            channel: word(0),
            kind,
            content: self.received.drain(..length).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let kind = (0..Kind::ALL.len()).prop_map(|at| Kind::ALL[at]);
        let content = prop::collection::vec(any::<u8>(), 0..50);
        let frame = (any::<u32>(), kind, content).prop_map(|(c, k, b)| Frame::new(c, k, b));
        prop::collection::vec(frame, 0..8)
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_they_are_cut(frames in frames(), cut in 1usize..40) {
            let mut bytes = Vec::new();
            frames.iter().for_each(|frame| frame.emit(&mut bytes));
            let (mut parser, mut found) = (Parser::default(), Vec::new());
            for piece in bytes.chunks(cut) {
                parser.handle(piece);
                while let Some(frame) = parser.poll().unwrap() {
                    found.push(frame);
                }
            }
            prop_assert_eq!(found, frames);
        }

        #[test]
        fn nonsense_is_an_error_or_waited_out(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut parser = Parser::default();
            parser.handle(&bytes);
            while let Ok(Some(_)) = parser.poll() {}
        }
    }
}
