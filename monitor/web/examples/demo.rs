//! Writes a database to look at the page with: `cargo run --release -p vmscope-web --example demo -- DATABASE`, then
//! `vmscope serve --database DATABASE`.

#[path = "../tests/support/demo.rs"]
#[allow(dead_code)]
mod demo;

use vmscope_store::Location;

fn main() {
    let Some(place) = std::env::args_os().nth(1) else {
        eprintln!("demo: name the database to write: demo DATABASE");
        std::process::exit(2);
    };
    let now = vmscope_web::now().as_nanosecond();
    demo::write(
        &Location::new(place),
        i64::try_from(now).unwrap_or(i64::MAX),
    );
}
