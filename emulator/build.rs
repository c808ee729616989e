//! Builds `gate/gate.rs`, which is loaded into QEMU, into a shared object that the library carries with it.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fmt, fs, process};

fn main() {
    println!("cargo:rerun-if-changed=gate/gate.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        give_up("labs need Linux");
    }
    let object = PathBuf::from(variable("OUT_DIR")).join("gate.so");
    if variable("CARGO_CFG_TARGET_ARCH") != "x86_64" {
        // The sealed lab is an x86-64 machine, and refuses executables for others: nothing is to be loaded.
        return fs::write(&object, []).unwrap_or_else(|error| give_up(error));
    }
    let status = Command::new(variable("RUSTC"))
        .args(["gate/gate.rs", "--edition=2024", "--crate-name=gate"])
        .args(["--crate-type=cdylib", "--target", &variable("TARGET")])
        .args(["-Copt-level=2", "-Cpanic=abort", "-Cstrip=symbols", "-o"])
        .arg(&object)
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => give_up(format_args!("building gate/gate.rs ended with {status}")),
        Err(error) => give_up(format_args!("cannot start rustc for gate/gate.rs: {error}")),
    }
}

fn variable(name: &str) -> String {
    env::var(name)
        .unwrap_or_else(|error| give_up(format_args!("cargo did not set {name}: {error}")))
}

fn give_up(reason: impl fmt::Display) -> ! {
    eprintln!("{reason}");
    process::exit(1)
}
