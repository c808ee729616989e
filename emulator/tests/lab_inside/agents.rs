//! Agents at routers, asked as a monitor asks: SNMP by hand, and what an exporter sends.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    thread::sleep,
    time::Duration,
};

use mvpnlab_emulator::{
    lab::{
        Lab,
        agents::{SNMP_PORT, flow_port},
    },
    scenario::Scenario,
};
use serde_json::json;
use socket2::SockRef;

const GET: u8 = 0xa0;
const GET_NEXT: u8 = 0xa1;
const UPTIME: [u8; 8] = [0x2b, 6, 1, 2, 1, 1, 3, 0];
/// ipMRoutePkts, of whichever route comes first.
const ROUTE_PACKETS: [u8; 10] = [0x2b, 6, 1, 2, 1, 83, 1, 1, 2, 1];
const TIMETICKS: u8 = 0x43;
const COUNTER32: u8 = 0x41;
/// How long agents may take to start, and an exporter to export.
const PATIENCE: Duration = Duration::from_secs(20);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 7, 7, 7);

/// An SNMP agent at P, and an exporter at PE2.
fn scenario() -> Result<Scenario, String> {
    let scenario = json!({
        "title": "agents", "duration": "10s", "nodes": {},
        "agent": [
            { "name": "counter", "at": "P", "snmp": {} },
            { "name": "exporter", "at": "PE2", "flow": { "link": "PE2-P" } },
        ],
    });
    serde_json::from_value(scenario).map_err(|e| e.to_string())
}

/// Both do their work; one that is killed does not, and does again.
pub fn answer_and_export(lab: &mut Lab) -> Result<(), String> {
    let scenario = scenario()?;
    lab.begin_agents(&scenario).map_err(|e| e.to_string())?;
    let outcome = snmp(lab).and_then(|()| flows(lab, flow_port(&scenario, "exporter")));
    let said = || {
        let logs = lab.agent_logs();
        let logs = logs.values().map(|log| String::from_utf8_lossy(log));
        logs.collect::<Vec<_>>().join("\n")
    };
    outcome.map_err(|error| format!("{error}; the agents said: {}", said()))
}

fn snmp(lab: &mut Lab) -> Result<(), String> {
    let router = lab
        .plan()
        .address_of_router("P")
        .ok_or("P has no address")?;
    let address = SocketAddrV4::new(router, SNMP_PORT);
    let socket = socket(lab, 0)?;
    let ask = |what: u8, oid: &[u8], patience| answered(&socket, address, (what, oid), patience);
    let (_, tag) = ask(GET, &UPTIME, PATIENCE).ok_or("no answer to sysUpTime")?;
    must(tag == TIMETICKS, format!("sysUpTime has tag {tag:#x}"))?;
    let column = [&ROUTE_PACKETS[..], &[8]].concat();
    let (oid, tag) = ask(GET_NEXT, &column, PATIENCE).ok_or("no answer to ipMRoutePkts")?;
    let is_there = oid.starts_with(&column) && oid.len() > column.len();
    must(is_there, format!("after ipMRoutePkts comes {oid:?}"))?;
    must(tag == COUNTER32, format!("ipMRoutePkts has tag {tag:#x}"))?;
    lab.agent_kill("counter").map_err(|e| e.to_string())?;
    let ask = |patience| answered(&socket, address, (GET, &UPTIME), patience);
    must(
        ask(Duration::from_secs(2)).is_none(),
        "a killed agent answers",
    )?;
    lab.agent_restart("counter").map_err(|e| e.to_string())?;
    must(ask(PATIENCE).is_some(), "a restarted agent does not answer")?;
    let known = lab.agent_kill("nobody").err().map(|e| e.to_string());
    must(
        known.is_some_and(|text| text.contains("counter, exporter")),
        "an unknown agent is killed",
    )
}

/// Asks again until there is an answer, or no more patience. A UDP socket must itself not stop at "port unreachable".
fn answered(
    socket: &UdpSocket,
    address: SocketAddrV4,
    (what, oid): (u8, &[u8]),
    patience: Duration,
) -> Option<(Vec<u8>, u8)> {
    let mut buffer = [0; 1500];
    for _ in 0..patience.as_millis() / 500 {
        let _ = socket.send_to(&question(what, oid), address);
        match socket.recv(&mut buffer) {
            Ok(length) => return binding(&buffer[..length]),
            Err(_) => sleep(Duration::from_millis(500)),
        }
    }
    None
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    // All of it is shorter than 128 bytes.
    [&[tag, content.len() as u8], content].concat()
}

/// SNMPv2c (RFC 3416 section 3): version, community, the question with one variable.
fn question(what: u8, oid: &[u8]) -> Vec<u8> {
    let variable = tlv(0x30, &[tlv(6, oid), tlv(5, &[])].concat());
    let numbers = [tlv(2, &[1]), tlv(2, &[0]), tlv(2, &[0])].concat();
    let body = tlv(what, &[numbers, tlv(0x30, &variable)].concat());
    tlv(0x30, &[tlv(2, &[1]), tlv(4, b"lab"), body].concat())
}

/// The answer's variable: its name, and its value's tag.
fn binding(answer: &[u8]) -> Option<(Vec<u8>, u8)> {
    // The list of variables is the last sequence of a sequence; in it, name and value.
    let at = answer
        .windows(2)
        .rposition(|two| two[0] == 6 && two[1] > 4)?;
    let length = usize::from(answer[at + 1]);
    let name = answer.get(at + 2..at + 2 + length)?;
    Some((name.to_vec(), *answer.get(at + 2 + length)?))
}

/// Twelve datagrams towards PE2; what is exported names their group, and packets that did not pass are not named.
fn flows(lab: &Lab, port: u16) -> Result<(), String> {
    let exports = socket(lab, port)?;
    // The exporter needs a moment to open its interface.
    sleep(Duration::from_secs(3));
    let wire = lab.plan().wire("PE2-P").ok_or("no link PE2-P")?.1;
    let source = wire.b.address.address;
    let sent = lab.enter("P", || -> io::Result<()> {
        let socket = UdpSocket::bind((source, 5000))?;
        SockRef::from(&socket).set_multicast_if_v4(&source)?;
        (0..12).try_for_each(|_| socket.send_to(&[0; 100], (GROUP, 5000)).map(drop))
    });
    sent.map_err(|e| e.to_string())?
        .map_err(|e| e.to_string())?;
    let mut buffer = [0; 1500];
    for _ in 0..PATIENCE.as_millis() / 500 {
        let Ok(length) = exports.recv(&mut buffer) else {
            continue;
        };
        let export = &buffer[..length];
        must(
            export.starts_with(&[0, 9]),
            "an export that is no NetFlow 9",
        )?;
        if export.windows(4).any(|four| four == GROUP.octets()) {
            return Ok(());
        }
    }
    Err("no export names the group".into())
}

fn socket(lab: &Lab, port: u16) -> Result<UdpSocket, String> {
    let made = lab.enter("MON", || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)));
    let socket = made
        .map_err(|e| e.to_string())?
        .map_err(|e| e.to_string())?;
    let timeout = socket.set_read_timeout(Some(Duration::from_millis(500)));
    timeout.map_err(|e| e.to_string())?;
    Ok(socket)
}

fn must(holds: bool, what: impl Into<String>) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.into()) }
}
