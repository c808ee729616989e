//! The real daemon asked from afar by the real command line.

mod support;

use std::path::Path;
use std::process::Output;

use support::daemon::{Daemon, vmscope};
use support::{config, tap};

const LISTEN: &str = "127.0.0.1:8471";

fn done(arguments: &[&str]) -> String {
    let output = vmscope().args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a certificate, and a token of this kind in a file of its name.
fn prepare(folder: &Path) {
    let text = folder.to_str().unwrap();
    done(&["certificate", "--name", "m2", "--out", text]);
    done(&["certificate", "--name", "other", "--out", text]);
    let tokens = folder.join("tokens.toml");
    for kind in ["provider", "peer"] {
        let (tokens, option) = (tokens.to_str().unwrap(), format!("--{kind}"));
        let token = done(&["token", "new", "--tokens", tokens, "--label", kind, &option]);
        std::fs::write(folder.join(kind), token).unwrap();
    }
}

fn afar(folder: &Path, certificate: &str, token: &str, verb: &str) -> Output {
    vmscope()
        .args(["--connect", LISTEN, "--certificate"])
        .arg(folder.join(certificate))
        .arg("--token-file")
        .arg(folder.join(token))
        .arg(verb)
        .output()
        .unwrap()
}

#[test]
fn who_has_a_token_asks_from_afar_and_nobody_else() {
    let _tap = tap::enter_new_network();
    tap::bring_up_loopback();
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    prepare(folder);
    let remote = format!(
        "[remote]\nlisten = \"{LISTEN}\"\ncertificate = \"{0}/m2.pem\"\nkey = \"{0}/m2-key.pem\"\ntokens = \"{0}/tokens.toml\"\n",
        folder.display()
    );
    let mut daemon = Daemon::start(folder, &config(folder, 1, &remote));
    let here = daemon.cli("tunnel list");
    assert!(here.status.success());

    let status = afar(folder, "m2.pem", "provider", "status");
    assert!(status.status.success(), "{status:?}");
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let stranger = afar(folder, "other.pem", "provider", "status");
    assert_eq!(stranger.status.code(), Some(3));
    assert!(
        said(&stranger).contains("its certificate is another"),
        "{stranger:?}"
    );
    // PM-15: a peer's token cannot so much as end the monitor, and what is no token cannot ask.
    let peer = afar(folder, "m2.pem", "peer", "shutdown");
    assert_eq!(peer.status.code(), Some(1));
    assert!(said(&peer).contains("this token is a peer's"), "{peer:?}");
    let nobody = afar(folder, "m2.pem", "m2.pem", "shutdown");
    assert_eq!(nobody.status.code(), Some(3), "{nobody:?}");
    assert!(daemon.cli("status").status.success());

    assert!(
        afar(folder, "m2.pem", "provider", "shutdown")
            .status
            .success()
    );
    assert_eq!(daemon.wait(), Some(0));
}
