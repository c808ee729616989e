//! Small rings on this kernel: everything carries, a refusal names its object, and nothing is left. Needs root.
//!
//! ```text
//! R0 --- R1        one veth pair a link, or two that meet in the wire room
//!  \     /
//!    R2
//! ```

#[path = "ring/plan.rs"]
mod plan;

use std::{fs, net::Ipv4Addr, time::Duration};

use mvpnlab_emulator::{
    kernel::{Batch, Netns, link, qdisc},
    lab::{Lab, LabError, WIRE_ROOM, Wires},
    plan::{Cidr, Plan},
};
use plan::{Links, ring};

const ROUTERS: u16 = 3;
const PATIENCE: Duration = Duration::from_secs(5);

fn prefix(test: &str) -> String {
    // SAFETY: geteuid always succeeds.
    let root = unsafe { libc::geteuid() } == 0;
    assert!(root, "this test makes network namespaces: run it as root");
    format!("{test}{}-", std::process::id())
}

async fn up(prefix: &str, plan: &Plan) -> Result<Lab, LabError> {
    Lab::up_as(prefix, Wires::Plain, plan, &mut |_| {}).await
}

/// Names of namespaces with the prefix.
fn named(prefix: &str) -> Vec<String> {
    let entries = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(prefix)).collect()
}

async fn carries_and_goes(test: &str, links: Links) {
    let prefix = prefix(test);
    let lab = up(&prefix, &ring(ROUTERS, links)).await.expect("a ring");
    assert_eq!(named(&prefix).len(), usize::from(ROUTERS) + 1);
    assert_eq!(lab.echo(PATIENCE).expect("echoes"), usize::from(ROUTERS));
    drop(lab);
    assert_eq!(named(&prefix), Vec::<String>::new());
}

#[tokio::test]
async fn a_ring_of_wires_carries_and_leaves_nothing() {
    carries_and_goes("wires", Links::Wires).await;
}

#[tokio::test]
async fn a_ring_of_pairs_carries_and_leaves_nothing() {
    carries_and_goes("pairs", Links::Pairs).await;
}

/// The negative of the echo: without the wire, silence, and the error says between whom.
#[tokio::test]
async fn a_wire_that_is_down_gives_no_echo() {
    let prefix = prefix("cut");
    let plan = ring(ROUTERS, Links::Wires);
    let mut lab = up(&prefix, &plan).await.expect("a ring");
    lab.link_down("R1-R2").await.expect("down");
    let patience = Duration::from_millis(100);
    let error = lab.echo(patience).expect_err("no echo").to_string();
    assert!(
        error.starts_with("cannot have an echo from R1 answered by R2 (10.0.1.2): "),
        "{error}"
    );
    lab.link_up("R1-R2").await.expect("up");
    assert_eq!(lab.echo(PATIENCE).expect("echoes"), usize::from(ROUTERS));
}

/// Of three addresses the second is there already: the error is the second's, the third is there all the same.
#[tokio::test]
async fn an_error_in_a_batch_names_what_was_refused() {
    let prefix = prefix("batch");
    let namespace = Netns::create(&prefix, "a").expect("a namespace");
    let address = |last| Cidr {
        address: Ipv4Addr::new(10, 9, 0, last),
        prefix: 32,
    };
    let mut first = Batch::new();
    link::add_address(&mut first, &namespace, "lo", address(2)).expect("lo is there");
    first.send().await.expect("an address");

    let mut batch = Batch::new();
    for last in [1, 2, 3] {
        link::add_address(&mut batch, &namespace, "lo", address(last)).expect("lo is there");
    }
    let error = batch.send().await.expect_err("twice the same").to_string();
    assert_eq!(
        error,
        "cannot give lo the address 10.9.0.2/32 in a: File exists (os error 17)"
    );
    let mut again = Batch::new();
    link::add_address(&mut again, &namespace, "lo", address(3)).expect("lo is there");
    assert!(again.send().await.is_err(), "the third was made");
}

/// More requests than one datagram takes, and the very last is refused.
#[tokio::test]
async fn an_error_is_found_beyond_the_first_datagram() {
    let prefix = prefix("many");
    let namespace = Netns::create(&prefix, "a").expect("a namespace");
    let mut batch = Batch::new();
    for last in (1..=200).chain([7]) {
        let address = Cidr {
            address: Ipv4Addr::new(10, 9, 0, last),
            prefix: 32,
        };
        link::add_address(&mut batch, &namespace, "lo", address).expect("lo is there");
    }
    let error = batch.send().await.expect_err("twice the same").to_string();
    assert!(
        error.starts_with("cannot give lo the address 10.9.0.7/32 in a: "),
        "{error}"
    );
}

/// A filter that needs what is not there, in the middle of a batch for the second of two namespaces.
#[tokio::test]
async fn an_error_names_its_namespace() {
    let prefix = prefix("two");
    let names = ["a", "b"];
    let made = Netns::create_all(&prefix, &names).expect("namespaces");
    let [a, b] = &made[..] else {
        panic!("{made:?}")
    };
    let mut batch = Batch::new();
    link::up(&mut batch, b, "lo").expect("lo is there");
    qdisc::redirect(&mut batch, b, "lo", "lo", qdisc::CatchAll::U32).expect("lo is there");
    qdisc::redirect(&mut batch, b, "lo", "lo", qdisc::CatchAll::U32).expect("lo is there");
    link::up(&mut batch, a, "lo").expect("lo is there");
    let error = batch.send().await.expect_err("twice the same").to_string();
    assert!(error.starts_with("cannot join lo to lo in b: "), "{error}");
}

#[tokio::test]
async fn a_lab_that_cannot_be_built_leaves_nothing() {
    let prefix = prefix("half");
    let mut plan = ring(ROUTERS, Links::Wires);
    // The kernel refuses the second device of that name in R2, when all else is there.
    plan.wires[2].a.interface = "last".to_owned();
    let error = up(&prefix, &plan).await.expect_err("the name is taken");
    let error = error.to_string();
    assert!(
        error.starts_with("cannot create the pair w2a - last (R2) in wires: "),
        "{error}"
    );
    assert_eq!(named(&prefix), Vec::<String>::new());
}

/// What a killed lab left is in nobody's way.
#[tokio::test]
async fn leftovers_are_replaced() {
    let prefix = prefix("old");
    std::mem::forget(Netns::create(&prefix, WIRE_ROOM).expect("a namespace"));
    let lab = up(&prefix, &ring(ROUTERS, Links::Pairs)).await;
    let lab = lab.expect("a ring");
    assert_eq!(lab.echo(PATIENCE).expect("echoes"), usize::from(ROUTERS));
    drop(lab);
    assert_eq!(named(&prefix), Vec::<String>::new());
}

/// A hundred routers' worth of requests goes through a socket's default buffers without a loss.
#[tokio::test]
async fn a_large_ring_carries() {
    let prefix = prefix("large");
    let lab = up(&prefix, &ring(60, Links::Wires)).await.expect("a ring");
    assert_eq!(lab.echo(PATIENCE).expect("echoes"), 60);
}
