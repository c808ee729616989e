//! Packets that this crate did not write, or that another decoder has read: our reading must be tshark's.
//!
//! `captures/*.txt` hold one packet each with its provenance and tshark's fields; `captures/record.py` makes
//! them. Files named `ours-*` hold packets written here: `WIRE_WRITE=FILE cargo test -p vmscope-wire --test
//! captures` writes them for `record.py ours FILE`.

mod fields;
mod fixture;
mod generated;
mod ours;

/// The property tests' random messages. What else they draw there is not drawn here.
#[allow(dead_code)]
#[path = "../properties/pim.rs"]
mod pim;

use fields::fields_of;
use fixture::Fixture;
use vmscope_wire::{Ipv4Packet, LinkType, PimPacket, PimRepr};

#[test]
fn what_tshark_read_is_what_we_read() {
    let fixtures = Fixture::all();
    assert!(
        fixtures.len() >= 28 + 19 + 72,
        "only {} fixtures",
        fixtures.len()
    );
    for fixture in fixtures {
        let link = LinkType::from_dlt(fixture.link).expect("a link type that we read");
        let captured = link.open(&fixture.bytes).expect("a link header");
        let packet = captured.ipv4().expect("an IPv4 header").expect("IPv4");
        assert_eq!(fields_of(&packet), fixture.fields, "{}", fixture.name);
    }
}

#[test]
fn a_damaged_capture_does_not_read_the_same() {
    for fixture in Fixture::all() {
        let link = LinkType::from_dlt(fixture.link).expect("a link type that we read");
        let mut bytes = fixture.bytes.clone();
        let at = bytes.len() - link.open(&bytes).expect("a link header").payload.len() + 8;
        bytes[at] ^= 1; // TTL
        let captured = link.open(&bytes).expect("a link header");
        let packet = captured.ipv4().expect("an IPv4 header").expect("IPv4");
        assert_ne!(fields_of(&packet), fixture.fields, "{}", fixture.name);
        let fault = packet.verify_checksum().expect_err("a damaged header");
        assert_eq!(fault.field, "header checksum");
    }
}

#[test]
fn what_we_write_is_what_tshark_was_shown() {
    let packets = ours::packets();
    if let Ok(file) = std::env::var("WIRE_WRITE") {
        let hexadecimal =
            |bytes: &[u8]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        let ours = packets
            .iter()
            .map(|(name, bytes)| format!("ours-{name}:{}\n", hexadecimal(bytes)));
        let generated = generated::packets()
            .into_iter()
            .flat_map(|(name, packets)| {
                let line = move |bytes: Vec<u8>| format!("{name}:{}\n", hexadecimal(&bytes));
                packets.into_iter().map(line)
            });
        let lines: String = ours.chain(generated).collect();
        std::fs::write(file, lines).expect("a writable file");
        return;
    }
    let fixtures = Fixture::all();
    for (name, bytes) in packets {
        let name = format!("ours-{name}");
        let fixture = fixtures
            .iter()
            .find(|fixture| fixture.name == name)
            .expect(&name);
        assert_eq!(bytes, fixture.bytes, "{name}");
        for (field, verdict) in &fixture.fields {
            // 1 is good, 3 is "none"; what an ICMP error quotes is not verified.
            let good = !field.ends_with(".status") || verdict.iter().all(|v| v == "1" || v == "3");
            assert!(good, "{name}: tshark says {field} {verdict:?}");
        }
    }
}

/// Whatever the generator of random fields makes in another version: these were shown to tshark, and are written so.
#[test]
fn what_was_generated_is_written_as_it_was() {
    let mut kinds = std::collections::BTreeSet::new();
    let fixtures = Fixture::all().into_iter();
    for fixture in fixtures.filter(|fixture| fixture.name.starts_with("generated-")) {
        let packet = Ipv4Packet::new_checked(&fixture.bytes).expect("IPv4");
        let message = PimPacket::new_checked(packet.payload()).expect("PIM");
        let message = PimRepr::parse(&message).expect("a PIM message");
        kinds.insert(u8::from(message.kind()));
        let mut written = fixture.bytes.clone();
        written[20..].fill(0xa5);
        message.emit(&mut written[20..]).expect("room");
        assert_eq!(written, fixture.bytes, "{}: {message}", fixture.name);
    }
    let read_here: Vec<u8> = (0..=10).collect();
    assert!(kinds.range(0..=10).eq(&read_here), "{kinds:?}");
}
