//! The lab's end of its line to the host: two byte streams through the shared memory, and, in virtual time, the bell.

use super::doorbell::Doorbell;
use super::qemu::Pace;
use super::shared_memory::{Stream, Window};

/// See the module.
pub struct Line<'a> {
    window: &'a Window,
    /// None in a native lab: there is no machine to stop.
    bell: Option<&'a Doorbell>,
    pace: Pace,
}

impl<'a> Line<'a> {
    /// The line through a window.
    pub fn new(window: &'a Window, bell: Option<&'a Doorbell>, pace: Pace) -> Self {
        Self { window, bell, pace }
    }

    /// Whose time the lab lives in.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Whether the lab is in this host's own kernel.
    pub fn is_native(&self) -> bool {
        self.bell.is_none()
    }

    /// What has come from the host.
    pub fn receive(&self) -> Vec<u8> {
        self.window.receive(Stream::ToGuest)
    }

    /// Gives the host as much as there is room for; returns how much that was.
    pub fn send(&self, bytes: &[u8]) -> usize {
        self.window.send(Stream::ToHost, bytes)
    }

    /// A line for whoever watches the lab.
    pub fn log(&self, text: &str) {
        self.window.append_log(text);
    }

    /// In virtual time: lets time stand still for the host to take what was sent. With nothing left to do it stands until
    /// the host has something to say; when `busy`, the host lets it go on at once.
    pub fn stand_still(&self, busy: bool) {
        if let (Some(bell), Pace::Virtual) = (self.bell, self.pace) {
            self.window.set_busy(busy);
            bell.ring();
        }
    }
}
