//! The daemons' own command sockets, as vtysh speaks to them: a command ends with a zero byte, its output with
//! three, and one byte of status follows.

use std::{io, path::Path, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

/// Status of a command that was carried out (CMD_SUCCESS).
const SUCCESS: u8 = 0;
/// What follows a command's output.
const END_OF_OUTPUT: [u8; 3] = [0; 3];
/// A daemon that says nothing for so long, in the lab's time, hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Carries out commands one after another on one connection; returns their outputs.
pub async fn commands(socket: &Path, commands: &[&str]) -> io::Result<Vec<String>> {
    let mut stream = UnixStream::connect(socket).await?;
    let mut outputs = Vec::with_capacity(commands.len());
    for command in commands {
        let output = timeout(PATIENCE, one(&mut stream, command)).await;
        outputs.push(output.map_err(|_| io::Error::other(format!("no answer to {command:?}")))??);
    }
    Ok(outputs)
}

/// One command's output.
pub async fn command(socket: &Path, text: &str) -> io::Result<String> {
    let outputs = commands(socket, &["enable", text]).await?;
    Ok(outputs.into_iter().next_back().unwrap_or_default())
}

async fn one(stream: &mut UnixStream, command: &str) -> io::Result<String> {
    stream.write_all(command.as_bytes()).await?;
    stream.write_all(&[0]).await?;
    let mut bytes = Vec::new();
    loop {
        if let Some((output, status)) = split(&bytes) {
            let output = String::from_utf8_lossy(output).into_owned();
            return match status {
                SUCCESS => Ok(output),
                status => Err(io::Error::other(format!(
                    "{command:?} was refused ({status}): {}",
                    output.trim()
                ))),
            };
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the daemon hung up on {command:?}"),
            ));
        }
    }
}

/// Output and status, once all is there.
fn split(bytes: &[u8]) -> Option<(&[u8], u8)> {
    let (body, status) = bytes.split_at_checked(bytes.len().checked_sub(1)?)?;
    Some((body.strip_suffix(&END_OF_OUTPUT)?, status[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_with_its_status() {
        assert_eq!(split(b"{}\n\0\0\0\x00"), Some((&b"{}\n"[..], 0)));
        assert_eq!(split(b"no\n\0\0\0\x02"), Some((&b"no\n"[..], 2)));
        assert_eq!(split(b"\0\0\0\0"), Some((&b""[..], 0)));
    }

    #[test]
    fn less_is_not_an_answer() {
        for part in [&b""[..], b"{", b"{}\n\0", b"{}\n\0\0", b"{}\n\0\0\0"] {
            assert_eq!(split(part), None, "{part:?}");
        }
    }
}
