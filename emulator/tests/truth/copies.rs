//! Several copies of the same bytes, or almost the same, on one wire at once: which left is found out, or told.

use crate::{
    fates::two,
    frames,
    lab::{Lab, MS, Out, SECOND, START, out},
};

const LANE: &str = "P-PE2/PE2";
/// In the padding of a probe.
const BIT: usize = 90 * 8;

fn lab(asked: &str) -> Lab {
    two("P-PE2", &format!("impair_to.PE2 = {{ {asked} }}"))
}

fn frame(number: u32) -> Vec<u8> {
    let payload = frames::probe_payload(1, 1, 1, number, false);
    let datagram = frames::udp([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 9, 9, &payload);
    frames::ethernet([2; 6], 0x0800, &datagram)
}

fn flipped(mut frame: Vec<u8>) -> Vec<u8> {
    frame[BIT / 8] ^= 1 << (BIT % 8);
    frame
}

/// 400 frames, each followed by a copy of the same bytes; the first of every fifth pair leaves differently.
fn pairs(asked: &str, transit_ns: u64, fifth: &[Out]) -> String {
    let mut lab = lab(asked);
    for number in 0..400 {
        let ns = START + SECOND + u64::from(number) * 20 * MS;
        let frame = frame(number);
        let first = match number % 5 {
            0 => fifth,
            _ => &[out(transit_ns)],
        };
        lab.cross(LANE, ns, &frame, first);
        lab.cross(LANE, ns + 2 * MS, &frame, &[out(transit_ns)]);
    }
    lab.complaints()
}

#[test]
fn a_flipped_copy_is_the_one_that_was_due() {
    let hurt = |transit_ns| Out {
        transit_ns,
        flip: Some(BIT),
    };
    let asked = "delay = \"5ms\", corrupt = \"10%\"";
    assert_eq!(pairs(asked, 5 * MS, &[hurt(5 * MS)]), "");
    let early = pairs(asked, 5 * MS, &[hurt(2 * MS)]);
    assert!(early.contains("80 of 800 frames took less"), "{early}");
}

#[test]
fn a_second_copy_is_not_a_frame_that_is_not_due() {
    let twice = [out(5 * MS), out(5 * MS + 500)];
    let asked = "delay = \"5ms\", duplicate = \"10%\"";
    assert_eq!(pairs(asked, 5 * MS, &twice), "");
    let unasked = pairs("delay = \"5ms\"", 5 * MS, &twice);
    assert!(unasked.contains("80 of 800 frames left twice"), "{unasked}");
}

#[test]
fn a_lost_copy_does_not_leave_with_a_later_one() {
    let asked = "delay = \"5ms\", jitter = \"1ms\", loss = \"10%\"";
    let mut lab = lab(asked);
    for number in 0..400 {
        let ns = START + SECOND + u64::from(number) * 40 * MS;
        let lost = number % 5 == 0;
        let first: &[Out] = if lost { &[] } else { &[out(5 * MS)] };
        lab.cross(LANE, ns, &frame(number), first);
        lab.cross(LANE, ns + 15 * MS, &frame(number), &[out(5 * MS)]);
    }
    assert_eq!(lab.complaints(), "");
}

/// A whole frame and one that was damaged before enter together; one pair in five leaves as two of the same.
fn images(asked: &str, whole: &[Out], damaged: &[Out]) -> String {
    let mut lab = lab(asked);
    for number in 0..400 {
        let ns = START + SECOND + u64::from(number) * 4 * MS;
        let as_sent = [out(20_000)];
        let (whole, damaged) = match number % 5 {
            0 => (whole, damaged),
            _ => (&as_sent[..], &as_sent[..]),
        };
        lab.cross(LANE, ns, &frame(number), whole);
        lab.cross(LANE, ns + 1_000, &flipped(frame(number)), damaged);
    }
    lab.complaints()
}

#[test]
fn a_flipped_bit_makes_one_frame_the_image_of_another() {
    let hurt = Out {
        transit_ns: 20_000,
        flip: Some(BIT),
    };
    let asked = "corrupt = \"10%\"";
    assert_eq!(images(asked, &[hurt], &[out(20_000)]), "");
    assert_eq!(images(asked, &[out(20_000)], &[hurt]), "");
    // The same frames leave, and corruption was not asked for.
    let unasked = images("delay = \"0ms\"", &[hurt], &[out(20_000)]);
    assert!(unasked.contains("80 of 800 frames left twice"), "{unasked}");
    assert!(unasked.contains("80 frames entered the wire and never left it"));
    // Losses and second copies that were asked for are likelier than so many imitations.
    let asked = "corrupt = \"0.001%\", duplicate = \"10%\", loss = \"10%\"";
    let twice = [out(20_000), out(21_000)];
    assert_eq!(images(asked, &[], &twice), "");
}
