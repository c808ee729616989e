//! `vmscope serve` and `vmscope token`.

use std::path::Path;

use jiff::SignedDuration;
use vmscope_core::time::Span;
use vmscope_store::Location;
use vmscope_web::token::{Scope, TokenError, Tokens, secret};
use vmscope_web::{ServeError, Server, Settings, TlsFiles};

use crate::cli::{CertificateArgs, ServeArgs, TokenVerb};
use crate::exit::Exit;
use crate::remote::write_certificate;

/// Serves the page until it is told to end.
pub fn run(arguments: ServeArgs) -> Exit {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    let listen = arguments.listen;
    match serve(settings(arguments)) {
        Ok(()) => Exit::Done,
        Err(error @ ServeError::Exposed { .. }) => fail(&error, Exit::Usage),
        Err(error) => {
            tracing::debug!("nothing is served on {listen}");
            fail(&error, Exit::Unable)
        }
    }
}

fn settings(arguments: ServeArgs) -> Settings {
    let files = arguments.tls_certificate.zip(arguments.tls_key);
    Settings {
        database: Location::new(arguments.database),
        listen: arguments.listen,
        tls: files.map(|(certificate, key)| TlsFiles { certificate, key }),
        tokens: arguments.tokens,
    }
}

fn serve(settings: Settings) -> Result<(), ServeError> {
    let scheme = if settings.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let open = settings.tokens.is_none();
    // One thread for the connections: what takes long, the database and its answers, has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?;
    let served = runtime.block_on(async {
        let server = Server::bind(settings).await?;
        let address = server.address().map_err(ServeError::Runtime)?;
        tracing::info!("the page is at {scheme}://{address}/");
        if open {
            tracing::info!(
                "everybody on this host sees everything: --tokens lets in only who has one"
            );
        }
        tokio::select! {
            () = server.run() => {}
            () = told_to_end() => tracing::info!("told to end"),
        }
        Ok(())
    });
    // Streams of events would go on for ever, and questions to the database change nothing.
    runtime.shutdown_background();
    served
}

async fn told_to_end() {
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    match terminate {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

/// Makes, lists or revokes tokens.
pub fn token(verb: TokenVerb) -> Exit {
    match carry_out(verb) {
        Ok(text) => {
            print!("{text}");
            Exit::Done
        }
        Err(error) => fail(&error, Exit::Unable),
    }
}

fn carry_out(verb: TokenVerb) -> Result<String, TokenError> {
    match verb {
        TokenVerb::New {
            tokens: path,
            label,
            mvpns,
            provider,
            peer,
            expires_in,
        } => {
            let scope = match (provider, peer) {
                (true, _) => Scope::Provider,
                (false, true) => Scope::Peer,
                (false, false) => Scope::Mvpns(mvpns.into_iter().collect()),
            };
            let now = vmscope_web::now();
            let mut tokens = Tokens::read_or_empty(&path)?;
            let expires = expires_in.and_then(|span| now.checked_add(duration(span)).ok());
            let text = tokens.add(secret(), &label, scope, now, expires)?;
            tokens.write(&path)?;
            Ok(format!("{text}\n"))
        }
        TokenVerb::List { tokens: path } => list(&path),
        TokenVerb::Revoke {
            tokens: path,
            label,
        } => {
            let mut tokens = Tokens::read(&path)?;
            tokens.revoke(&label)?;
            tokens.write(&path)?;
            Ok(format!("{label} is let in no longer\n"))
        }
    }
}

fn duration(span: Span) -> SignedDuration {
    SignedDuration::from_nanos(i64::try_from(span.as_ns()).unwrap_or(i64::MAX))
}

fn list(path: &Path) -> Result<String, TokenError> {
    let tokens = Tokens::read(path)?.tokens;
    let lines = tokens.iter().map(|token| {
        let scope = match &token.scope {
            Scope::Provider => "everything".to_owned(),
            Scope::Peer => "another monitor's".to_owned(),
            Scope::Mvpns(own) => {
                let names: Vec<String> = own.iter().map(|name| name.to_string()).collect();
                names.join(", ")
            }
        };
        let end = match token.expires {
            Some(end) => format!("until {end:.0}"),
            None => "for ever".to_owned(),
        };
        format!(
            "{}: {scope}; since {:.0}, {end}\n",
            token.label, token.created
        )
    });
    Ok(lines.collect())
}

/// Makes a certificate and its key.
pub fn certificate(arguments: &CertificateArgs) -> Exit {
    match write_certificate(arguments.name.as_str(), &arguments.out) {
        Ok((certificate, key)) => {
            println!(
                "{}: give it to whoever is to connect\n{}: keep it to yourself",
                certificate.display(),
                key.display()
            );
            Exit::Done
        }
        Err(error) => fail(&error, Exit::Unable),
    }
}

fn fail(error: &dyn std::error::Error, exit: Exit) -> Exit {
    eprintln!("vmscope: {error}");
    exit
}
