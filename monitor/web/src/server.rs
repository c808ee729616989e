//! Connections: accepted, encrypted, bounded in number and patience.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::access::Access;
use crate::app::{App, STREAMS_MAX};
use crate::events::News;
use crate::pool::Pool;
use crate::settings::{ServeError, Settings};
use crate::{openapi, routes};

/// Connections at most; others wait to be accepted.
const CONNECTIONS_MAX: usize = 512;
/// Who has connected has so long to agree on a key, and to say what they want.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a request's head at most.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// After a failure to accept, such as want of descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    app: Arc<App>,
}

impl Server {
    /// Listens, once all that it needs is known to be there.
    pub async fn bind(settings: Settings) -> Result<Server, ServeError> {
        settings.check()?;
        let tls = match &settings.tls {
            Some(files) => Some(TlsAcceptor::from(files.config()?)),
            None => None,
        };
        let access = match settings.tokens {
            Some(path) => Access::by_tokens(path)?,
            None => Access::Open,
        };
        let pool = Pool::new(settings.database);
        try_out(&pool).await?;
        let listen = settings.listen;
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|source| ServeError::Listen { listen, source })?;
        let app = Arc::new(App {
            pool,
            access,
            over_tls: tls.is_some(),
            news: News::default(),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            requests: AtomicU64::new(0),
            openapi: openapi::describe(&routes::table()).to_string(),
        });
        // What is new is what comes after this.
        app.news.look_once(&app.pool).await;
        Ok(Server {
            listener,
            tls,
            router: routes::router(Arc::clone(&app)),
            app,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for ever.
    pub async fn run(self) {
        let app = Arc::clone(&self.app);
        let news = tokio::spawn(async move { app.news.look(Arc::clone(&app.pool)).await });
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        while let Ok(place) = Arc::clone(&room).acquire_owned().await {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}; tried again");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let (tls, router) = (self.tls.clone(), self.router.clone());
            tokio::spawn(async move {
                let _place = place;
                converse(stream, tls, router).await;
            });
        }
        news.abort();
    }
}

/// Whether the database can be read at all.
async fn try_out(pool: &Arc<Pool>) -> Result<(), ServeError> {
    let pool = Arc::clone(pool);
    let opened = tokio::task::spawn_blocking(move || pool.open().map(|_| ()));
    match opened.await {
        Ok(opened) => Ok(opened?),
        Err(panicked) => Err(ServeError::Runtime(std::io::Error::other(panicked))),
    }
}

async fn converse(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router) {
    // Events are small, and must not wait for one another.
    let _ = stream.set_nodelay(true);
    match tls {
        None => speak(stream, router).await,
        Some(tls) => match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
            Ok(Ok(stream)) => speak(stream, router).await,
            Ok(Err(error)) => tracing::debug!("no TLS with a client: {error}"),
            Err(_) => tracing::debug!("no TLS with a client: it was silent"),
        },
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router) {
    let spoken = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = spoken.await {
        tracing::debug!("a connection has ended: {error}");
    }
}
