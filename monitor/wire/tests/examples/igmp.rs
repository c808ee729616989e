use std::net::Ipv4Addr;

use vmscope_wire::{
    FloatCode, GroupRecord, IgmpPacket, IgmpRepr, Protocol, QueryV3, RecordType, Sources,
    checksum::Sum,
};

use crate::written;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);

/// A message with its checksum put in.
fn summed(mut message: Vec<u8>) -> Vec<u8> {
    let checksum = Sum::of(&message).checksum();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    message
}

fn read(message: &[u8]) -> vmscope_wire::Result<IgmpRepr<'_>> {
    IgmpPacket::new_checked(message).and_then(|packet| IgmpRepr::parse(&packet))
}

/// RFC 3376 §7.1.
#[test]
fn the_version_of_a_query_is_in_its_length_and_code() {
    let query =
        |code, length: usize| summed([&[0x11, code, 0, 0][..], &vec![0; length - 4]].concat());
    assert_eq!(read(&query(0, 8)), Ok(IgmpRepr::QueryV1));
    assert!(matches!(read(&query(100, 8)), Ok(IgmpRepr::QueryV2 { .. })));
    assert!(matches!(read(&query(100, 12)), Ok(IgmpRepr::QueryV3(_))));
    assert!(
        matches!(read(&query(100, 16)), Ok(IgmpRepr::QueryV3(_))),
        "more bytes are ignored"
    );
    for length in 9..12 {
        let error = read(&query(100, length)).expect_err("to be ignored");
        assert_eq!((error.protocol, error.field), (Protocol::Igmp, "length"));
    }
}

/// RFC 3376 §4.1.1: (mant | 0x10) << (exp + 3).
#[test]
fn floating_codes() {
    for (code, value) in [
        (0, 0),
        (127, 127),
        (128, 128),
        (0x8f, 248),
        (0x90, 256),
        (0xff, 31_744),
    ] {
        assert_eq!(FloatCode(code).value(), value, "{code:#x}");
    }
    for code in 0..=255 {
        assert_eq!(FloatCode::at_most(FloatCode(code).value()), FloatCode(code));
    }
    for (value, reached) in [
        (129, 128),
        (255, 248),
        (257, 256),
        (31_743, 30_720),
        (u32::MAX, 31_744),
    ] {
        assert_eq!(
            FloatCode::at_most(value).value(),
            reached,
            "at most {value}"
        );
    }
}

/// RFC 3376 §4.2: the bytes of an any-source join, as any router reads them.
#[test]
fn a_join_byte_for_byte() {
    let records = [GroupRecord::new(RecordType::ToExclude, GROUP, &[])];
    let report = IgmpRepr::ReportV3 {
        records: records[..].into(),
    };
    let bytes = written(report.buffer_len(), |b| report.emit(b));
    assert_eq!(
        bytes,
        [0x22, 0, 0xe9, 0xfb, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 1, 1]
    );
}

/// RFC 3376 §4.2.12: "unrecognized Record Type values MUST be silently ignored": by who acts on
/// them, so they are kept, and the records behind them are found.
#[test]
fn unknown_records_and_auxiliary_data_do_not_hide_what_follows() {
    let strange = GroupRecord {
        kind: RecordType::Unknown(99),
        group: GROUP,
        sources: Sources::from(&[GROUP, GROUP][..]),
        aux_data: b"whatever",
    };
    let records = [
        strange,
        GroupRecord::new(RecordType::Allow, GROUP, &[Ipv4Addr::LOCALHOST]),
    ];
    let report = IgmpRepr::ReportV3 {
        records: records[..].into(),
    };
    let bytes = written(report.buffer_len(), |b| report.emit(b));
    let Ok(IgmpRepr::ReportV3 { records: found }) = read(&bytes) else {
        panic!("not a report");
    };
    assert_eq!(found.iter().collect::<Vec<_>>(), records);
}

#[test]
fn counts_that_the_message_does_not_hold_are_refused() {
    let query = summed(vec![0x11, 100, 0, 0, 0, 0, 0, 0, 2, 125, 0, 2, 10, 0, 0, 1]);
    let error = read(&query).expect_err("one of two sources");
    assert_eq!(
        error.to_string(),
        "IGMP: sources at byte 12 needs 8 bytes, 4 are left"
    );

    let report = summed(vec![0x22, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0, 239, 1, 1, 1]);
    let error = read(&report).expect_err("one of two records");
    assert_eq!(
        error.to_string(),
        "IGMP: group record at byte 16 needs 8 bytes, 0 are left"
    );
}

#[test]
fn values_that_do_not_fit_are_not_written() {
    let query = QueryV3 {
        max_response_tenths: FloatCode(1),
        group: GROUP,
        suppress_router_side: false,
        robustness: 8,
        interval_seconds: FloatCode(125),
        sources: Sources::NONE,
    };
    let error = IgmpRepr::QueryV3(query)
        .emit(&mut [0; 64])
        .expect_err("three bits");
    assert_eq!(
        error.to_string(),
        "IGMP: QRV at byte 8 is 8, expected at most 7"
    );

    let record = GroupRecord {
        aux_data: b"odd",
        ..GroupRecord::new(RecordType::Allow, GROUP, &[])
    };
    let report = IgmpRepr::ReportV3 {
        records: std::slice::from_ref(&record).into(),
    };
    let error = report.emit(&mut [0; 64]).expect_err("whole words");
    assert_eq!(
        error.to_string(),
        "IGMP: auxiliary data at byte 9 is 3, expected a multiple of 4"
    );
}

/// RFC 2236 §3 and §9, RFC 3376 §4.1.12 and §4.2.14.
#[test]
fn messages_go_where_they_belong() {
    let all_systems = Ipv4Addr::new(224, 0, 0, 1);
    let tenths = 100.try_into().expect("not zero");
    let general = IgmpRepr::QueryV2 {
        max_response_tenths: tenths,
        group: Ipv4Addr::UNSPECIFIED,
    };
    assert_eq!(general.destination(), all_systems);
    assert_eq!(IgmpRepr::QueryV1.destination(), all_systems);
    let specific = IgmpRepr::QueryV2 {
        max_response_tenths: tenths,
        group: GROUP,
    };
    assert_eq!(specific.destination(), GROUP);
    assert_eq!(IgmpRepr::ReportV1 { group: GROUP }.destination(), GROUP);
    assert_eq!(IgmpRepr::ReportV2 { group: GROUP }.destination(), GROUP);
    assert_eq!(
        IgmpRepr::LeaveV2 { group: GROUP }.destination(),
        Ipv4Addr::new(224, 0, 0, 2)
    );
    let report = IgmpRepr::ReportV3 {
        records: [][..].into(),
    };
    assert_eq!(report.destination(), Ipv4Addr::new(224, 0, 0, 22));
}
