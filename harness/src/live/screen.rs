//! The user's terminal: its size, and its raw mode for as long as a shell in the lab has it.

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use super::client::Sender;
use super::frame::Kind;
use super::request::{Size, Terminal, json};

/// A terminal in raw mode, until it is dropped.
pub struct Raw {
    before: Termios,
}

impl Raw {
    /// Every key goes to the lab; Ctrl-C too.
    pub fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin().as_fd())?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone has no mode.
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, &self.before);
    }
}

/// The terminal we are at.
pub fn terminal() -> Terminal {
    Terminal {
        kind: std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned()),
        size: size(),
    }
}

fn size() -> Size {
    // SAFETY: an all-zero winsize is valid; the call fills it in or leaves it.
    let found = unsafe {
        let mut found: libc::winsize = std::mem::zeroed();
        libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &mut found);
        found
    };
    match found.ws_row {
        0 => Size {
            rows: 24,
            columns: 80,
        },
        rows => Size {
            rows,
            columns: found.ws_col,
        },
    }
}

/// Tells the lab of every new size. Must be called before other threads are started: they must not take the signal.
pub fn follow_size(sender: Sender) {
    let changes = SigSet::from(Signal::SIGWINCH);
    if changes.thread_block().is_err() {
        return;
    }
    std::thread::spawn(move || {
        while changes.wait().is_ok() {
            sender.send(Kind::Resize, json(&size()));
        }
    });
}

/// Passes standard input on, until its end.
pub fn pass_input(sender: Sender) {
    std::thread::spawn(move || {
        let mut piece = vec![0; 16 << 10];
        loop {
            match io::stdin().read(&mut piece) {
                Ok(count @ 1..) => sender.send(Kind::Input, &piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return sender.send(Kind::InputEnd, []),
            }
        }
    });
}
