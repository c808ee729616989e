//! What a monitor makes of an MVPN's control plane, whatever is said there and in which order: nothing panics, nothing is
//! held beyond its time, and the changes that were told lead to what is so.
#![no_main]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use libfuzzer_sys::fuzz_target;
use vmscope_core::name::Name;
use vmscope_core::time::{Instant, Span};
use vmscope_core::view::{Key, State, View};
use vmscope_wire::checksum::Sum;
use vmscope_wire::ipv4;

fuzz_target!(|data: &[u8]| hear(data));

/// A message is its length, the seconds before it, who says it and how, and its bytes.
fn hear(mut data: &[u8]) {
    let Ok(name) = Name::new("red") else {
        return;
    };
    let mut view = View::new(name);
    let mut told: BTreeMap<Key, State> = BTreeMap::new();
    let mut now = Instant::from_ns(1);
    while let [length, seconds, who, rest @ ..] = data {
        let (message, behind) = rest.split_at(usize::from(*length).min(rest.len()));
        data = behind;
        now = now + Span::from_s(u64::from(*seconds));
        let packet = packet(*who, message);
        if let Ok(packet) = ipv4::Packet::new_checked(&packet) {
            view.handle_packet(now, Ipv4Addr::new(10, 2, 0, who & 3), &packet);
        }
        // What is to hold for no time at all, a Join with hold time zero, ends as soon as a driver looks.
        view.handle_timeout(now);
        judge(&mut view, &mut told, now);
    }
    view.stop(now);
    judge(&mut view, &mut told, now);
    assert!(view.is_empty() && told.is_empty());
}

fn judge(view: &mut View, told: &mut BTreeMap<Key, State>, now: Instant) {
    assert!(view.next_deadline().is_none_or(|at| at > now));
    while let Some(change) = view.poll_change() {
        let (before, after) = (change.before, change.after);
        if let Some(before) = before {
            assert_eq!(told.remove(&before.key), Some(before.state));
        }
        if let Some(after) = after {
            assert_eq!(told.insert(after.key, after.state), None);
        }
    }
    assert_eq!(told.len(), view.len());
    for record in view.records() {
        assert!(record.expires.is_none_or(|at| at > now));
        assert!(record.since <= record.refreshed && record.refreshed <= now);
        assert_eq!(told.get(&record.key), Some(&record.state));
    }
}

/// PIM, its checksum right; or, by a bit of the sender's number, an MDT Join in UDP.
fn packet(who: u8, message: &[u8]) -> Vec<u8> {
    let (protocol, payload) = match who & 0x80 {
        0 => {
            let mut pim = message.to_vec();
            if let Some(checksum) = pim.get_mut(2..4) {
                checksum.fill(0);
                let sum = Sum::of(&pim).checksum().to_be_bytes();
                pim[2..4].copy_from_slice(&sum);
            }
            (103, pim)
        }
        _ => {
            let length = (8 + message.len() as u16).to_be_bytes();
            let header = [[0x0c, 0xa0], [0x0c, 0xa0], length, [0, 0]].concat();
            (17, [&header[..], message].concat())
        }
    };
    let length = (20 + payload.len() as u16).to_be_bytes();
    let header = [
        [0x45, 0],
        length,
        [0, 0],
        [0, 0],
        [1, protocol],
        [0, 0],
        [172, 16],
        [1, who & 3],
        [224, 0],
        [0, 13],
    ];
    [&header.concat()[..], &payload].concat()
}
