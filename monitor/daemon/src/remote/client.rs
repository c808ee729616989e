//! The command line's connection to a monitor elsewhere.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use vmscope_core::control::{Outcome, Reply};

use super::trust::{Trust, is_stranger};
use super::{Login, read_token};

/// To connect, and to be let in.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a monitor elsewhere is, and how it and we prove who we are.
#[derive(Debug, Clone)]
pub struct Wire {
    /// HOST:PORT.
    pub address: String,
    /// Its certificate, PEM.
    pub certificate: PathBuf,
    /// The file with the token it knows us by.
    pub token_file: PathBuf,
}

/// A connection that has been let in.
pub type Encrypted = StreamOwned<ClientConnection, TcpStream>;

impl Wire {
    /// Connects, makes sure that the other side is whom we expect, and logs in.
    pub fn connect(&self) -> io::Result<Encrypted> {
        let config = Trust::read(&self.certificate).and_then(Trust::config);
        let config = config.map_err(io::Error::other)?;
        let token = read_token(&self.token_file).map_err(io::Error::other)?;
        let stream = self.reach()?;
        let host = ServerName::IpAddress(stream.peer_addr()?.ip().into());
        let connection = ClientConnection::new(config, host).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, stream);
        stream
            .conn
            .complete_io(&mut stream.sock)
            .map_err(|error| match is_stranger(&error) {
                true => io::Error::other(format!(
                    "its certificate is another than the one in {}",
                    self.certificate.display()
                )),
                false => error,
            })?;
        log_in(&mut stream, token)?;
        // From here on a monitor may have nothing to say for long.
        stream.sock.set_read_timeout(None)?;
        Ok(stream)
    }

    fn reach(&self) -> io::Result<TcpStream> {
        let mut latest = io::Error::other("the name has no address");
        for address in self.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(PATIENCE))?;
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Err(error) => latest = error,
            }
        }
        Err(latest)
    }
}

/// The monitor says nothing behind its reply before it is asked: no byte is read too many.
fn log_in(stream: &mut Encrypted, token: String) -> io::Result<()> {
    stream.write_all(Login { id: 0, token }.line()?.as_bytes())?;
    stream.flush()?;
    let mut line = String::new();
    if BufReader::new(stream).read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match serde_json::from_str::<Reply>(&line)?.outcome {
        Outcome::Ok(_) => Ok(()),
        Outcome::Error(refusal) => Err(io::Error::other(refusal.to_string())),
    }
}
