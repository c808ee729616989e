//! Packets that this crate did not write, or that another decoder has read: our reading must be tshark's.
//!
//! `captures/*.txt` hold one packet each with its provenance and tshark's fields; `captures/record.py` makes
//! them. Files named `ours-*` hold packets written here: `WIRE_WRITE=FILE cargo test -p vmscope-wire --test
//! captures` writes them for `record.py ours FILE`.

mod fields;
mod fixture;
mod ours;

use fields::fields_of;
use fixture::Fixture;
use vmscope_wire::LinkType;

#[test]
fn what_tshark_read_is_what_we_read() {
    let fixtures = Fixture::all();
    assert!(fixtures.len() >= 28, "only {} fixtures", fixtures.len());
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
        let lines: String = packets
            .iter()
            .map(|(name, b)| format!("{name}:{}\n", hexadecimal(b)))
            .collect();
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
