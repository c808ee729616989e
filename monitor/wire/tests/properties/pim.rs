//! Random PIM messages and MDT Joins that make sense. Their lists are leaked, a few hundred bytes a message, so
//! that a message borrows nothing that a test had to hold.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use vmscope_wire::MdtJoinTlv;
use vmscope_wire::PimRepr;
use vmscope_wire::pim::*;

/// At most `max` of them.
fn up_to<T: Clone + std::fmt::Debug + 'static>(
    max: usize,
    one: impl Strategy<Value = T>,
) -> impl Strategy<Value = &'static [T]> {
    vec(one, 0..=max).prop_map(|list| &*list.leak())
}

fn ipv4() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>().prop_map(Ipv4Addr::from)
}

fn ipv6() -> impl Strategy<Value = Ipv6Addr> {
    any::<u128>().prop_map(Ipv6Addr::from)
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![4 => ipv4().prop_map(IpAddr::from), 1 => ipv6().prop_map(IpAddr::from)]
}

fn range() -> impl Strategy<Value = GroupRange> {
    let any_range = (ip(), 0u8..=128, any::<(bool, bool)>()).prop_map(
        |(address, prefix_len, (is_bidirectional, is_scope_zone))| GroupRange {
            address,
            prefix_len: prefix_len.min(GroupRange::one(address).prefix_len),
            is_bidirectional,
            is_scope_zone,
        },
    );
    let all = GroupRange::new(Ipv4Addr::new(224, 0, 0, 0).into(), 4);
    prop_oneof![2 => ip().prop_map(GroupRange::one), 2 => any_range, 1 => Just(all)]
}

fn attribute() -> impl Strategy<Value = Attribute<'static>> {
    (any::<bool>(), 0u8..=63, up_to(6, any::<u8>())).prop_map(|(is_forwarded, kind, value)| {
        Attribute {
            is_forwarded,
            kind: AttributeType::from(kind),
            value,
        }
    })
}

fn source() -> impl Strategy<Value = Source<'static>> {
    let attributes = prop_oneof![3 => Just(&[][..]), 1 => up_to(3, attribute())];
    (ip(), any::<(bool, bool, bool)>(), attributes).prop_map(
        |(address, (is_sparse, is_wildcard, is_rpt), attributes)| Source {
            address,
            is_sparse,
            is_wildcard,
            is_rpt,
            attributes: attributes.into(),
        },
    )
}

fn group() -> impl Strategy<Value = Group<'static>> {
    let sources = || up_to(4, source());
    (range(), sources(), sources()).prop_map(|(group, joins, prunes)| Group {
        group,
        joins: joins.into(),
        prunes: prunes.into(),
    })
}

fn join_prune() -> impl Strategy<Value = JoinPrune<'static>> {
    (ip(), any::<u16>(), up_to(4, group())).prop_map(|(upstream, holdtime_seconds, groups)| {
        JoinPrune {
            upstream,
            holdtime_seconds,
            groups: groups.into(),
        }
    })
}

fn option() -> impl Strategy<Value = HelloOption<'static>> {
    let delay = (any::<bool>(), 0..=PROPAGATION_DELAY_MAX_MS, any::<u16>()).prop_map(
        |(can_track_joins, propagation_delay_ms, override_interval_ms)| LanPruneDelay {
            can_track_joins,
            propagation_delay_ms,
            override_interval_ms,
        },
    );
    let flag = prop::sample::select(vec![
        HelloOption::Bidirectional,
        HelloOption::JoinAttribute,
        HelloOption::EcmpRedirect,
        HelloOption::HierarchicalJoinAttribute,
        HelloOption::PackedAssert,
    ]);
    let kept = prop_oneof![Just(0u16), 3u16..=18, 27u16..=30, 33u16..=35, 41u16..];
    prop_oneof![
        any::<u16>().prop_map(|seconds| HelloOption::Holdtime { seconds }),
        delay.prop_map(HelloOption::LanPruneDelay),
        any::<u32>().prop_map(HelloOption::DrPriority),
        any::<u32>().prop_map(HelloOption::GenerationId),
        any::<(u8, u8)>().prop_map(|(version, interval_seconds)| HelloOption::StateRefresh {
            version,
            interval_seconds
        }),
        up_to(4, ip()).prop_map(|list| HelloOption::AddressList(list.into())),
        any::<(u32, u32)>()
            .prop_map(|(router, interface)| HelloOption::InterfaceId { router, interface }),
        flag,
        (kept, up_to(12, any::<u8>())).prop_map(|(kind, value)| HelloOption::Other {
            kind: OptionType::from(kind),
            value
        }),
    ]
}

fn hello() -> impl Strategy<Value = PimRepr<'static>> {
    up_to(8, option()).prop_map(|options| {
        PimRepr::Hello(Hello {
            options: options.into(),
        })
    })
}

fn register() -> impl Strategy<Value = PimRepr<'static>> {
    (any::<(bool, bool)>(), up_to(60, any::<u8>())).prop_map(|((is_border, is_null), packet)| {
        PimRepr::Register(Register {
            is_border,
            is_null,
            packet,
        })
    })
}

fn assert() -> impl Strategy<Value = PimRepr<'static>> {
    let metric = (any::<bool>(), 0..=PREFERENCE_MAX, any::<u32>());
    (range(), ip(), metric).prop_map(|(group, source, (is_rpt, preference, metric))| {
        PimRepr::Assert(Assert {
            group,
            source,
            is_rpt,
            preference,
            metric,
        })
    })
}

fn state_refresh() -> impl Strategy<Value = PimRepr<'static>> {
    let numbers = (0..=PREFERENCE_MAX, any::<(u32, u8, u8, u8)>());
    (range(), ip(), ip(), numbers, any::<(bool, bool, bool)>()).prop_map(
        |(group, source, originator, (preference, numbers), flags)| {
            PimRepr::StateRefresh(StateRefresh {
                group,
                source,
                originator,
                preference,
                metric: numbers.0,
                prefix_len: numbers.1,
                ttl: numbers.2,
                is_pruned: flags.0,
                prune_now: flags.1,
                assert_override: flags.2,
                interval_seconds: numbers.3,
            })
        },
    )
}

fn rp() -> impl Strategy<Value = Rp> {
    (ip(), any::<(u16, u8)>()).prop_map(|(address, (holdtime_seconds, priority))| Rp {
        address,
        holdtime_seconds,
        priority,
    })
}

fn bootstrap() -> impl Strategy<Value = PimRepr<'static>> {
    let rp_range =
        (range(), any::<u8>(), up_to(3, rp())).prop_map(|(group, rp_count, rps)| RpRange {
            group,
            rp_count,
            rps: rps.into(),
        });
    (any::<(bool, u16, u8, u8)>(), ip(), up_to(3, rp_range)).prop_map(
        |((no_forward, fragment_tag, hash_mask_len, priority), bsr, ranges)| {
            PimRepr::Bootstrap(Bootstrap {
                no_forward,
                fragment_tag,
                hash_mask_len,
                priority,
                bsr,
                ranges: ranges.into(),
            })
        },
    )
}

fn candidate_rp() -> impl Strategy<Value = PimRepr<'static>> {
    (any::<(u8, u16)>(), ip(), up_to(4, range())).prop_map(
        |((priority, holdtime_seconds), rp, groups)| {
            PimRepr::CandidateRp(CandidateRp {
                priority,
                holdtime_seconds,
                rp,
                groups: groups.into(),
            })
        },
    )
}

fn df_election() -> impl Strategy<Value = PimRepr<'static>> {
    let metric =
        || any::<(u32, u32)>().prop_map(|(preference, metric)| DfMetric { preference, metric });
    let step = prop_oneof![
        Just(DfStep::Offer),
        Just(DfStep::Winner),
        (ip(), metric(), any::<u16>()).prop_map(|(offering, offer, interval_ms)| {
            DfStep::Backoff {
                offering,
                offer,
                interval_ms,
            }
        }),
        (ip(), metric()).prop_map(|(winner, offer)| DfStep::Pass { winner, offer }),
    ];
    (ip(), metric(), step)
        .prop_map(|(rp, sender, step)| PimRepr::DfElection(DfElection { rp, sender, step }))
}

/// Types that are not read; an election's step, and a form of Assert, that are not.
fn unknown() -> impl Strategy<Value = PimRepr<'static>> {
    let head = prop_oneof![
        (11u8..=15, any::<u8>()),
        (Just(10), prop_oneof![0u8..0x10, 0x50u8..]),
        (Just(5), any::<u8>().prop_map(|flags| flags | 1)),
    ];
    (head, up_to(40, any::<u8>())).prop_map(|((kind, flags), body)| PimRepr::Unknown {
        kind: PimType::from(kind),
        flags,
        body,
    })
}

/// One kind of message after the other, by name.
pub fn pim_by_kind() -> Vec<(&'static str, BoxedStrategy<PimRepr<'static>>)> {
    let stop = (range(), ip()).prop_map(|(group, source)| RegisterStop { group, source });
    vec![
        ("hello", hello().boxed()),
        ("register", register().boxed()),
        (
            "register-stop",
            stop.prop_map(PimRepr::RegisterStop).boxed(),
        ),
        (
            "join-prune",
            join_prune().prop_map(PimRepr::JoinPrune).boxed(),
        ),
        ("bootstrap", bootstrap().boxed()),
        ("assert", assert().boxed()),
        ("graft", join_prune().prop_map(PimRepr::Graft).boxed()),
        (
            "graft-ack",
            join_prune().prop_map(PimRepr::GraftAck).boxed(),
        ),
        ("candidate-rp", candidate_rp().boxed()),
        ("state-refresh", state_refresh().boxed()),
        ("df-election", df_election().boxed()),
        ("unknown", unknown().boxed()),
    ]
}

/// Any message.
pub fn pim() -> impl Strategy<Value = PimRepr<'static>> {
    let kinds = pim_by_kind().into_iter().map(|(_, strategy)| strategy);
    prop::strategy::Union::new(kinds)
}

/// The TLVs of an MDT Join, at least one.
pub fn mdt_join() -> impl Strategy<Value = Vec<MdtJoinTlv<'static>>> {
    let unknown = (
        prop_oneof![Just(0u8), 2u8..=3, 5u8..],
        up_to(20, any::<u8>()),
    );
    let tlv = prop_oneof![
        (ipv4(), ipv4(), ipv4()).prop_map(|(source, group, mdt_group)| MdtJoinTlv::Ipv4 {
            source,
            group,
            mdt_group
        }),
        (ipv6(), ipv6(), ipv4()).prop_map(|(source, group, mdt_group)| MdtJoinTlv::Ipv6 {
            source,
            group,
            mdt_group
        }),
        unknown.prop_map(|(kind, value)| MdtJoinTlv::Unknown { kind, value }),
    ];
    vec(tlv, 1..=6)
}
