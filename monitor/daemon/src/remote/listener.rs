//! Connections from afar: accepted, encrypted, asked for a token, bounded in number and patience.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use vmscope_core::control::{Answer, ErrorCode, Outcome, Refusal, RemoteSpec, Reply};
use vmscope_web::TlsFiles;
use vmscope_web::token::TokenFile;

use super::{Login, Rights};
use crate::control_socket::{CLIENTS_MAX, Line, Lines, connection};
use crate::error::StartError;
use crate::mailbox::Mailbox;

/// How long somebody may take to say who it is, unless told.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a login at most.
const LOGIN_BYTES_MAX: usize = 1024;
/// A connection is asked for a sign of life after this silence, so often, and this often in vain; then it is over. What was
/// sent and not acknowledged may be outstanding for no longer.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(15), Duration::from_secs(5), 3);

/// A socket that listens, and whom it lets in.
pub struct Listener {
    listener: std::net::TcpListener,
    tls: TlsAcceptor,
    tokens: Arc<TokenFile>,
    /// Who has connected has so long to agree on a key, and so long again to say who it is.
    pub(super) patience: Duration,
}

impl Listener {
    /// Listens, once all that it needs is known to be there.
    pub fn bind(spec: &RemoteSpec) -> Result<Listener, StartError> {
        let failed = |problem: String| StartError::Remote {
            listen: spec.listen,
            problem,
        };
        let files = TlsFiles {
            certificate: spec.certificate.clone(),
            key: spec.key.clone(),
        };
        let tls = files.config().map_err(|error| failed(error.to_string()))?;
        let tokens =
            TokenFile::open(spec.tokens.clone()).map_err(|error| failed(error.to_string()))?;
        let listener = std::net::TcpListener::bind(spec.listen)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|error| failed(error.to_string()))?;
        Ok(Listener {
            listener,
            tls: TlsAcceptor::from(tls),
            tokens: Arc::new(tokens),
            patience: PATIENCE,
        })
    }

    /// Where it listens.
    #[cfg(test)]
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `closed` says to end, and then for as long as clients take to end.
    pub async fn serve(self, mailbox: Mailbox, closed: watch::Receiver<bool>) {
        let listener = match TcpListener::from_std(self.listener) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!("nobody is served from afar: {error}"),
        };
        let mut closing = closed.clone();
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                () = connection::until(&mut closing) => break,
                Some(_) = clients.join_next(), if !clients.is_empty() => {}
                accepted = listener.accept() => match accepted {
                    // One too many is not worth a handshake.
                    Ok(_) if clients.len() >= CLIENTS_MAX => {
                        tracing::warn!("{CLIENTS_MAX} clients from afar already: another is not served");
                    }
                    Ok((stream, from)) => {
                        let visit = Visit {
                            from,
                            patience: self.patience,
                            mailbox: mailbox.clone(),
                            closed: closed.clone(),
                        };
                        clients.spawn(visit.serve(stream, self.tls.clone(), Arc::clone(&self.tokens)));
                    }
                    Err(error) => {
                        tracing::warn!("cannot accept a client from afar: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        while clients.join_next().await.is_some() {}
    }
}

/// One connection.
struct Visit {
    from: SocketAddr,
    patience: Duration,
    mailbox: Mailbox,
    closed: watch::Receiver<bool>,
}

impl Visit {
    async fn serve(self, stream: TcpStream, tls: TlsAcceptor, tokens: Arc<TokenFile>) {
        let from = self.from;
        notice_death(&stream);
        let mut closed = self.closed.clone();
        let greeted = tokio::select! {
            greeted = tokio::time::timeout(self.patience, tls.accept(stream)) => greeted,
            () = connection::until(&mut closed) => return,
        };
        let stream = match greeted {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::warn!("no TLS with {from}: {error}"),
            Err(_) => return tracing::warn!("no TLS with {from}: it was silent"),
        };
        let (reader, mut writer) = tokio::io::split(stream);
        let mut lines = Lines::new(BufReader::new(reader));
        lines.limit(LOGIN_BYTES_MAX);
        let first = tokio::select! {
            first = tokio::time::timeout(self.patience, lines.next()) => first,
            () = connection::until(&mut closed) => return,
        };
        let (id, rights) = match first {
            Ok(Ok(line)) => read_login(&line, &tokens),
            Ok(Err(_)) => return,
            Err(_) => (0, None),
        };
        let Some(rights) = rights else {
            tracing::warn!("{from} is not let in: it showed no good token");
            // It may have gone already.
            let _ = say(&mut writer, &not_let_in(id)).await;
            let _ = writer.shutdown().await;
            return;
        };
        let welcome = Reply {
            id,
            outcome: Outcome::Ok(Answer::Done),
        };
        if say(&mut writer, &welcome).await.is_err() {
            return;
        }
        tracing::debug!("{from} is let in");
        lines.limit(crate::control_socket::LINE_BYTES_MAX);
        connection::converse(lines, writer, rights, self.mailbox, self.closed).await;
    }
}

fn read_login(line: &Line, tokens: &Arc<TokenFile>) -> (u64, Option<Rights>) {
    let Line::Text(text) = line else {
        return (0, None);
    };
    match serde_json::from_str::<Login>(text) {
        Ok(login) => (login.id, Rights::of(tokens, &login.token)),
        Err(_) => (0, None),
    }
}

/// One text for all cases: who has no token learns nothing.
fn not_let_in(id: u64) -> Reply {
    let refusal = Refusal::new(
        ErrorCode::Denied,
        "the first line showed no token that is good here",
        "say {\"id\":0,\"token\":\"…\"} first, with a token that `vmscope token new --provider` or `--peer` made",
    );
    Reply {
        id,
        outcome: Outcome::Error(refusal),
    }
}

async fn say(writer: &mut (impl AsyncWrite + Unpin), reply: &Reply) -> std::io::Result<()> {
    let line = connection::line_of(reply)?;
    writer.write_all(line.as_bytes()).await?;
    writer.flush().await
}

/// Ends the connection by itself when the other side is no longer there, though it never said so.
pub(super) fn notice_death(stream: &TcpStream) {
    let (after, every, times) = KEEPALIVE;
    let keepalive = TcpKeepalive::new()
        .with_time(after)
        .with_interval(every)
        .with_retries(times);
    let socket = SockRef::from(stream);
    let set = socket
        .set_tcp_keepalive(&keepalive)
        .and_then(|()| socket.set_tcp_user_timeout(Some(after + every * times)))
        .and_then(|()| socket.set_tcp_nodelay(true));
    if let Err(error) = set {
        tracing::warn!("a connection that dies will be noticed late: {error}");
    }
}
