//! Multicast routes for an SNMP agent that knows none: net-snmp's `pass_persist` protocol (snmpd.conf(5)), answered from
//! the kernel's forwarding cache. Nothing is kept: every question reads the kernel.

use std::{
    fs,
    io::{self, BufRead, Write},
    net::Ipv4Addr,
};

use crate::kernel::mroute::{self, Mroute};

/// ipMRouteEntry of IPMROUTE-STD-MIB (RFC 2932); below it column, group, source, mask.
pub const BASE: &str = ".1.3.6.1.2.1.83.1.1.2.1";
/// Columns: ipMRouteUpTime (here of the machine: when it was read), ipMRoutePkts, ipMRouteOctets.
const COLUMNS: [u32; 3] = [6, 8, 10];
const HOST_MASK: Ipv4Addr = Ipv4Addr::BROADCAST;

/// An object below [`BASE`], and how the protocol writes its value.
type Object = (Vec<u32>, String);

/// Answers for as long as the agent asks.
///
/// # Errors
/// The agent is gone in the middle of a line.
pub fn serve(questions: impl BufRead, answers: impl Write) -> io::Result<()> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    converse(questions, answers, || {
        let routes = mroute::parse(&read("/proc/net/ip_mr_vif"), &read("/proc/net/ip_mr_cache"));
        objects(&routes, ticks(&read("/proc/uptime")))
    })
}

/// `get` and `getnext` are followed by a line with the object's number.
fn converse(
    questions: impl BufRead,
    mut answers: impl Write,
    objects: impl Fn() -> Vec<Object>,
) -> io::Result<()> {
    let mut lines = questions.lines();
    while let Some(verb) = lines.next() {
        let answer = match verb?.trim() {
            "PING" => "PONG".to_owned(),
            "get" => {
                let wanted = lines.next().transpose()?.as_deref().and_then(below_base);
                found(
                    objects()
                        .into_iter()
                        .find(|(oid, _)| Some(oid) == wanted.as_ref()),
                )
            }
            "getnext" => {
                let after = lines.next().transpose()?.as_deref().and_then(below_base);
                found(
                    objects()
                        .into_iter()
                        .find(|(oid, _)| Some(oid) > after.as_ref()),
                )
            }
            _ => "NONE".to_owned(),
        };
        writeln!(answers, "{answer}")?;
        answers.flush()?;
    }
    Ok(())
}

fn found(object: Option<Object>) -> String {
    object.map_or("NONE".to_owned(), |(oid, value)| {
        let oid: String = oid.iter().map(|part| format!(".{part}")).collect();
        format!("{BASE}{oid}\n{value}")
    })
}

/// What follows the base; of the base itself, nothing.
fn below_base(oid: &str) -> Option<Vec<u32>> {
    let rest = oid.trim().strip_prefix(BASE)?;
    let parts = rest.split('.').filter(|part| !part.is_empty());
    parts.map(|part| part.parse().ok()).collect()
}

/// In the order of their numbers. The MIB's counters are of 32 bits, and wrap.
fn objects(routes: &[Mroute], ticks: u64) -> Vec<Object> {
    let column = |column: u32| {
        routes.iter().map(move |route| {
            let value = match column {
                6 => format!("timeticks\n{}", ticks as u32),
                8 => format!("counter\n{}", route.packets as u32),
                _ => format!("counter\n{}", route.bytes as u32),
            };
            let index = [route.group, route.source, HOST_MASK];
            let index = index.iter().flat_map(|address| address.octets());
            let oid = std::iter::once(column).chain(index.map(u32::from));
            (oid.collect(), value)
        })
    };
    let mut objects: Vec<Object> = COLUMNS.into_iter().flat_map(column).collect();
    objects.sort();
    objects
}

/// Hundredths of a second, of `"12.34 56.78"`.
fn ticks(uptime: &str) -> u64 {
    let first = uptime.split_whitespace().next().unwrap_or_default();
    first.replace('.', "").parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(questions: &str) -> String {
        let route = |group, packets| Mroute {
            source: Ipv4Addr::new(10, 77, 0, 2),
            group,
            incoming: None,
            outgoing: Vec::new(),
            packets,
            bytes: packets * 100,
            wrong_if: 0,
        };
        let routes = [
            route(Ipv4Addr::new(239, 5, 5, 5), 20),
            route(Ipv4Addr::new(239, 5, 5, 6), (1 << 32) + 7),
        ];
        let mut answers = Vec::new();
        converse(questions.as_bytes(), &mut answers, || {
            objects(&routes, ticks("12.34 5.6\n"))
        })
        .unwrap();
        String::from_utf8(answers).unwrap()
    }

    #[test]
    fn a_route_is_found_by_group_source_and_mask() {
        let index = "239.5.5.5.10.77.0.2.255.255.255.255";
        let question = format!("PING\nget\n{BASE}.8.{index}\n");
        assert_eq!(
            asked(&question),
            format!("PONG\n{BASE}.8.{index}\ncounter\n20\n")
        );
        let question = format!("get\n{BASE}.6.{index}\nget\n{BASE}.8.1\nset\nget\n.1.3\n");
        let expected = format!("{BASE}.6.{index}\ntimeticks\n1234\nNONE\nNONE\nNONE\n");
        assert_eq!(asked(&question), expected);
    }

    #[test]
    fn a_walk_passes_every_object_once_and_ends() {
        let mut oid = BASE.to_owned();
        let mut walked = Vec::new();
        loop {
            let answer = asked(&format!("getnext\n{oid}\n"));
            if answer == "NONE\n" {
                break;
            }
            let lines: Vec<&str> = answer.lines().collect();
            oid = lines[0].to_owned();
            walked.push(lines[2].to_owned());
        }
        assert_eq!(walked, ["1234", "1234", "20", "7", "2000", "700"]);
    }
}
