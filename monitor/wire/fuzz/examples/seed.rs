//! Writes the recorded packets as first inputs: `corpus/link` gets the frame, `corpus/ipv4` and
//! `corpus/tunnel` its packet, the others what the packet carries.

use std::fs;
use std::path::Path;

use vmscope_wire::{IpProtocol, Ipv4Packet, LinkType};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(here.join("../tests/captures"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let text = fs::read_to_string(&path)?;
            // With its link type a packet begins; some files have several.
            for (number, fixture) in text.split("\nlink ").skip(1).enumerate() {
                seed(
                    here,
                    &format!("{name}-{number}"),
                    &format!("link {fixture}"),
                )?;
            }
        }
    }
    Ok(())
}

fn seed(here: &Path, name: &str, fixture: &str) -> Result<(), Box<dyn std::error::Error>> {
    let values = |key: &str| -> Vec<String> {
        let lines = fixture.lines().filter_map(|line| line.strip_prefix(key));
        lines
            .flat_map(str::split_whitespace)
            .map(str::to_owned)
            .collect()
    };
    let byte = |hex: &String| u8::from_str_radix(hex, 16);
    let frame = values("bytes ")
        .iter()
        .map(byte)
        .collect::<Result<Vec<u8>, _>>()?;
    let link = values("link ").concat().parse()?;
    let link = LinkType::from_dlt(link).ok_or("a link type that is not read")?;
    write(here, "link", name, &frame)?;
    let Some(packet) = link.open(&frame)?.ipv4()? else {
        return Ok(());
    };
    packets(here, name, &packet)
}

/// The packet, what it carries, and so on inwards.
fn packets(
    here: &Path,
    name: &str,
    packet: &Ipv4Packet<'_>,
) -> Result<(), Box<dyn std::error::Error>> {
    write(here, "ipv4", name, packet.as_bytes())?;
    let target = match packet.protocol() {
        IpProtocol::Udp => "udp",
        IpProtocol::Icmp => "icmp",
        IpProtocol::Igmp => "igmp",
        IpProtocol::Gre => "gre",
        IpProtocol::Pim => "pim",
        IpProtocol::Tcp | IpProtocol::Unknown(_) => return Ok(()),
    };
    write(here, target, name, packet.payload())?;
    if packet.protocol() == IpProtocol::Pim {
        write(here, "view", name, &conversation(packet.payload()))?;
    }
    if packet.protocol() == IpProtocol::Udp {
        let payload = packet.payload().get(8..).unwrap_or_default();
        write(here, "probe", name, payload)?;
        write(here, "rtp", name, payload)?;
        write(here, "mdt_join", name, payload)?;
    }
    if packet.protocol() == IpProtocol::Gre {
        write(here, "tunnel", name, packet.as_bytes())?;
        let gre = vmscope_wire::GrePacket::new_checked(packet.payload())?;
        packets(
            here,
            &format!("{name}-inner"),
            &Ipv4Packet::new_checked(gre.payload())?,
        )?;
    }
    Ok(())
}

/// A Hello, and five seconds later the message of the same PE: as `view` reads it.
fn conversation(message: &[u8]) -> Vec<u8> {
    let hello = [0x20, 0, 0, 0, 0, 1, 0, 2, 0, 105, 0, 20, 0, 4, 0, 0, 0, 7];
    let length = message.len().min(255);
    let said = |length: usize| [length as u8, 5, 1];
    [
        &said(hello.len())[..],
        &hello,
        &said(length),
        &message[..length],
    ]
    .concat()
}

fn write(here: &Path, target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let directory = here.join("corpus").join(target);
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(name), bytes)
}
