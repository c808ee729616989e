//! Our reading of a PIM message, in tshark's names and notation.

use std::net::IpAddr;

use vmscope_wire::pim::{
    Action, Bootstrap, CandidateRp, DfElection, Entry, GroupRange, Hello, HelloOption, JoinPrune,
    Register, StateRefresh,
};
use vmscope_wire::{PimPacket, PimRepr};

use super::{Context, Reading};

/// tshark puts the two families under two names, which mostly differ like this.
const IPV6: &str = "_ip6";

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value of no bytes is one that tshark misses.
fn shown(value: &[u8]) -> String {
    if value.is_empty() {
        "<MISSING>".to_owned()
    } else {
        hexadecimal(value)
    }
}

impl Reading {
    pub(super) fn pim(&mut self, bytes: &[u8]) {
        let message = PimPacket::new_checked(bytes).expect("PIM");
        self.add("pim.version", bytes[0] >> 4);
        self.add("pim.type", u8::from(message.kind()));
        self.add("pim.cksum", format!("{:#06x}", message.checksum()));
        let verified = message.verify_checksum().is_ok();
        self.status("pim.cksum.status", Context::Whole, verified);
        match PimRepr::parse(&message).expect("a PIM message") {
            PimRepr::Hello(hello) => self.hello(hello),
            PimRepr::Register(register) => self.register(register),
            PimRepr::RegisterStop(stop) => {
                self.group(stop.group);
                self.unicast("pim.source", stop.source);
            }
            PimRepr::JoinPrune(message) | PimRepr::Graft(message) | PimRepr::GraftAck(message) => {
                self.join_prune(message);
            }
            PimRepr::Bootstrap(bootstrap) => self.bootstrap(bootstrap),
            PimRepr::Assert(assert) => {
                self.group(assert.group);
                self.unicast("pim.source", assert.source);
                self.flag("pim.rpt", assert.is_rpt);
                self.add("pim.metric_pref", assert.preference);
                self.add("pim.metric", assert.metric);
            }
            PimRepr::CandidateRp(candidate) => self.candidate_rp(candidate),
            PimRepr::StateRefresh(refresh) => self.state_refresh(refresh),
            PimRepr::DfElection(election) => {
                let flags = message.flags();
                self.df_election(flags, election);
            }
            PimRepr::Unknown { .. } => {}
        }
    }

    fn native(&mut self, address: IpAddr) {
        self.add(
            "pim.addr_address_family",
            if address.is_ipv4() { 1 } else { 2 },
        );
        self.add("pim.addr_encoding_type", 0);
    }

    /// The address under the name of its family.
    fn ip(&mut self, name: &str, address: IpAddr) {
        let family = if address.is_ipv4() { "" } else { IPV6 };
        self.add(&format!("{name}{family}"), address);
    }

    fn unicast(&mut self, name: &str, address: IpAddr) {
        self.ip(name, address);
        self.native(address);
        let kind = if address.is_ipv4() {
            "pim.unicast"
        } else {
            "pim.unicast_ipv6"
        };
        self.add(kind, address);
    }

    /// tshark names a group twice: as what it is, and as an address.
    fn group(&mut self, group: GroupRange) {
        self.ip("pim.group", group.address);
        self.ip("pim.group", group.address);
        self.native(group.address);
        self.flag("pim.group_addr.flags.b", group.is_bidirectional);
        self.flag("pim.group_addr.flags.z", group.is_scope_zone);
        self.add("pim.mask_len", group.prefix_len);
    }

    /// tshark knows the options of its time, and shows the values of the others.
    fn hello(&mut self, hello: Hello<'_>) {
        for option in hello.options {
            self.add("pim.optiontype", u16::from(option.kind()));
            self.add("pim.optionlength", option_len(option));
            match option {
                HelloOption::Holdtime { seconds } => self.add("pim.holdtime", seconds),
                HelloOption::LanPruneDelay(delay) => {
                    self.flag("pim.t", delay.can_track_joins);
                    self.add("pim.propagation_delay", delay.propagation_delay_ms);
                    self.add("pim.override_interval", delay.override_interval_ms);
                }
                HelloOption::DrPriority(priority) => self.add("pim.dr_priority", priority),
                HelloOption::GenerationId(id) => self.add("pim.generation_id", id),
                HelloOption::StateRefresh {
                    version,
                    interval_seconds,
                } => {
                    self.add("pim.state_refresh_version", version);
                    self.add("pim.state_refresh_interval", interval_seconds);
                }
                HelloOption::AddressList(addresses) => {
                    for address in addresses {
                        self.unicast("pim.address_list", address);
                    }
                }
                HelloOption::InterfaceId { router, interface } => {
                    let value = [router.to_be_bytes(), interface.to_be_bytes()].concat();
                    self.add("pim.optionvalue", hexadecimal(&value));
                }
                HelloOption::Other { value, .. } if !value.is_empty() => {
                    self.add("pim.optionvalue", hexadecimal(value));
                }
                HelloOption::Bidirectional
                | HelloOption::JoinAttribute
                | HelloOption::EcmpRedirect
                | HelloOption::HierarchicalJoinAttribute
                | HelloOption::PackedAssert
                | HelloOption::Other { .. } => {}
            }
        }
    }

    fn register(&mut self, register: Register<'_>) {
        self.flag("pim.register_flag.border", register.is_border);
        self.flag("pim.register_flag.null_register", register.is_null);
        self.ipv4(&register.ipv4().expect("an IPv4 packet"), Context::Whole);
    }

    fn join_prune(&mut self, message: JoinPrune<'_>) {
        self.unicast("pim.upstream_neighbor", message.upstream);
        self.add("pim.numgroups", message.groups.len());
        self.add("pim.holdtime", message.holdtime_seconds);
        for group in message.groups {
            self.group(group.group);
            self.add("pim.numjoins", group.joins.len());
            self.add("pim.numprunes", group.prunes.len());
            group.entries().for_each(|entry| self.entry(entry));
        }
    }

    fn entry(&mut self, entry: Entry<'_>) {
        let source = entry.source;
        let name = match entry.action {
            Action::Join => "pim.join_ip",
            Action::Prune => "pim.prune_ip",
        };
        let family = if source.address.is_ipv4() { "" } else { "6" };
        self.add(&format!("{name}{family}"), source.address);
        self.ip("pim.source", source.address);
        self.add(
            "pim.addr_address_family",
            if source.address.is_ipv4() { 1 } else { 2 },
        );
        self.add(
            "pim.addr_encoding_type",
            u8::from(!source.attributes.is_empty()),
        );
        self.flag("pim.source_addr.flags.s", source.is_sparse);
        self.flag("pim.source_addr.flags.w", source.is_wildcard);
        self.flag("pim.source_addr.flags.r", source.is_rpt);
        self.add(
            "pim.mask_len",
            if source.address.is_ipv4() { 32 } else { 128 },
        );
        let len = source.attributes.len();
        for (index, attribute) in source.attributes.iter().enumerate() {
            self.flag("pim.source_ja.flags.f", attribute.is_forwarded);
            self.flag("pim.source_ja.flags.e", index + 1 == len);
            self.add("pim.source_ja.flags.attr_type", u8::from(attribute.kind));
            self.add("pim.source_ja.length", attribute.value.len());
            self.add("pim.source_ja.value", shown(attribute.value));
        }
    }

    fn bootstrap(&mut self, bootstrap: Bootstrap<'_>) {
        self.add(
            "pim.fragment_tag",
            format!("{:#06x}", bootstrap.fragment_tag),
        );
        self.add("pim.hash_mask_len", bootstrap.hash_mask_len);
        self.add("pim.bsr_priority", bootstrap.priority);
        self.unicast("pim.bsr", bootstrap.bsr);
        for range in bootstrap.ranges {
            self.group(range.group);
            self.add("pim.rp_count", range.rp_count);
            self.add("pim.frp_count", range.rps.len());
            for rp in range.rps {
                self.unicast("pim.rp", rp.address);
                self.add("pim.holdtime", rp.holdtime_seconds);
                self.add("pim.priority", rp.priority);
            }
        }
    }

    fn candidate_rp(&mut self, candidate: CandidateRp<'_>) {
        self.add("pim.prefix_count", candidate.groups.len());
        self.add("pim.priority", candidate.priority);
        self.add("pim.holdtime", candidate.holdtime_seconds);
        self.unicast("pim.rp", candidate.rp);
        candidate.groups.iter().for_each(|group| self.group(group));
    }

    fn state_refresh(&mut self, refresh: StateRefresh) {
        self.group(refresh.group);
        self.unicast("pim.source", refresh.source);
        self.unicast("pim.originator", refresh.originator);
        self.flag("pim.rpt", false);
        self.add("pim.metric_pref", refresh.preference);
        self.add("pim.metric", refresh.metric);
        self.add("pim.mask_len", refresh.prefix_len);
        self.add("pim.ttl", refresh.ttl);
        self.flag("pim.prune_indicator", refresh.is_pruned);
        self.flag("pim.prune_now", refresh.prune_now);
        self.flag("pim.assert_override", refresh.assert_override);
        self.add("pim.interval", refresh.interval_seconds);
    }

    /// tshark 4.0 tells the subtype, but leaves unread what follows in a Backoff and a Pass: see
    /// `examples/pim.rs` for that.
    fn df_election(&mut self, flags: u8, election: DfElection) {
        self.add("pim.df_elect.subtype", flags >> 4);
        self.add("pim.df_elect.rsvd", flags & 0x0f);
        self.unicast("pim.rp", election.rp);
        self.add("pim.metric_pref", election.sender.preference);
        self.add("pim.metric", election.sender.metric);
    }
}

/// The length of an option's value: what it takes to write it without its type and length.
fn option_len(option: HelloOption<'_>) -> usize {
    let options = [option];
    let hello = Hello {
        options: options[..].into(),
    };
    PimRepr::Hello(hello).buffer_len() - 8
}
