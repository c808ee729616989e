//! TLS: who trusts the certificate gets answers, and nobody gets them without it.

mod support;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use support::*;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use vmscope_web::{ServeError, TlsFiles};

fn trusting(pem: Option<&str>) -> ureq::Agent {
    let mut tls = TlsConfig::builder();
    if let Some(pem) = pem {
        let certificate = Certificate::from_pem(pem.as_bytes()).unwrap();
        tls = tls.root_certs(RootCerts::new_with_certs(&[certificate]));
    }
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .tls_config(tls.build());
    config.build().into()
}

#[test]
fn who_trusts_the_certificate_gets_answers_and_nobody_without() {
    let (_folder, location) = demonstration();
    let folder = tempfile::tempdir().unwrap();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let files = TlsFiles {
        certificate: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
    };
    std::fs::write(&files.certificate, cert.pem()).unwrap();
    std::fs::write(&files.key, signing_key.serialize_pem()).unwrap();
    let bench = bench_with(&location, true, Some(files.clone()));
    let url = format!("https://localhost:{}/api/v1/mvpns", bench.address.port());
    let bearer = format!("Bearer {}", bench.red);
    let ask = |agent: ureq::Agent| agent.get(&url).header("Authorization", &bearer).call();
    let reply = Reply::of(ask(trusting(Some(&cert.pem()))).unwrap());
    assert_eq!(reply.status, 200);
    assert!(reply.header("strict-transport-security").is_some());
    // Who does not trust it says so, and nothing comes in the clear.
    assert!(ask(trusting(None)).is_err());
    assert!(agent().get(bench.url("/")).call().is_err());
    let logged_in = trusting(Some(&cert.pem()))
        .post(url.replace("mvpns", "session"))
        .header("Content-Type", "application/json")
        .send(format!("{{\"token\":\"{}\"}}", bench.red));
    let cookie = Reply::of(logged_in.unwrap());
    assert!(cookie.header("set-cookie").unwrap().ends_with("; Secure"));

    let swapped = TlsFiles {
        certificate: files.key.clone(),
        key: files.certificate.clone(),
    };
    assert!(matches!(swapped.config(), Err(ServeError::Tls { .. })));
    std::fs::remove_file(&files.key).unwrap();
    let refused = files.config().unwrap_err().to_string();
    assert!(refused.contains("key.pem"), "{refused}");
}
