//! What must hold for any bytes, protocol by protocol: nothing panics, every field of a view can be read,
//! and what parses is written and read back as the same. Checksums are put right once, so that random
//! bytes get past them. The fuzz targets and the property tests both run these.

use std::net::Ipv4Addr;

use vmscope_wire::{
    Content, Customer, EchoPacket, EchoRepr, EthernetPacket, EthernetRepr, Fault, GrePacket,
    GreRepr, IcmpPacket, IcmpRepr, IgmpPacket, IgmpRepr, Ipv4Packet, Ipv4Repr, LinkType,
    MdtJoinPacket, PimPacket, PimRepr, ProbePacket, ProbeRepr, Result, RtpPacket, RtpRepr,
    UdpPacket, UdpRepr, decapsulate, mdt_join, pim, tunnel,
};

const SRC: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);
const DST: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);

/// How often a checksum may have to be put right. Five may lie inside one another: outer, GRE, inner, GRE, customer or
/// UDP. GRE's covers all that is in it, so each one that is put right inside makes those of both GRE headers around it wrong
/// again, and the inner GRE's the outer's: up to ten.
const CHECKSUMS_MAX: usize = 12;

/// Reads `data`; as long as a checksum is what is wrong, puts it right and reads again.
fn read(data: &[u8], reader: impl Fn(&[u8]) -> Result<()>) {
    let mut data = data.to_vec();
    for _ in 0..=CHECKSUMS_MAX {
        let Err(error) = reader(&data) else {
            return;
        };
        assert!(!error.to_string().is_empty());
        let Fault::Checksum { expected, .. } = error.fault else {
            return;
        };
        data[error.offset..error.offset + 2].copy_from_slice(&expected.to_be_bytes());
    }
    panic!("a checksum that was put right is still wrong");
}

/// IPv4, whole and cut short.
pub fn ipv4(data: &[u8]) {
    let _ = Ipv4Packet::new_cut_short(data).map(|packet| format!("{:?}", packet.options()));
    read(data, |data| {
        let packet = Ipv4Packet::new_checked(data)?;
        let repr = Ipv4Repr::parse(&packet)?;
        assert!(!repr.to_string().is_empty());
        assert!(packet.options().all(|option| option.is_ok()));
        assert_eq!(packet.payload().len(), repr.payload_len);
        let mut buffer = vec![0xa5; repr.buffer_len()];
        repr.emit(&mut buffer, |payload| {
            payload.copy_from_slice(packet.payload());
            Ok(())
        })?;
        let again = Ipv4Packet::new_checked(&buffer)?;
        assert_eq!(Ipv4Repr::parse(&again)?, repr);
        assert_eq!(again.payload(), packet.payload());
        Ok(())
    });
}

/// UDP between two fixed addresses.
pub fn udp(data: &[u8]) {
    let _ = UdpPacket::new_cut_short(data).map(|packet| packet.verify_checksum(SRC, DST));
    read(data, |data| {
        let packet = UdpPacket::new_checked(data)?;
        let repr = UdpRepr::parse(&packet, SRC, DST)?;
        assert!(!repr.to_string().is_empty());
        let mut buffer = vec![0xa5; repr.buffer_len()];
        repr.emit(&mut buffer, SRC, DST, |payload| {
            payload.copy_from_slice(packet.payload());
            Ok(())
        })?;
        let again = UdpPacket::new_checked(&buffer)?;
        assert_eq!(UdpRepr::parse(&again, SRC, DST)?, repr);
        assert_eq!(again.payload(), packet.payload());
        Ok(())
    });
}

/// ICMP, and the packets that its errors quote.
pub fn icmp(data: &[u8]) {
    read(data, |data| {
        let packet = IcmpPacket::new_checked(data)?;
        let repr = IcmpRepr::parse(&packet)?;
        assert!(!repr.to_string().is_empty());
        let _ = repr.quoted_packet();
        let mut buffer = vec![0xa5; repr.buffer_len()];
        repr.emit(&mut buffer)?;
        let again = IcmpPacket::new_checked(&buffer)?;
        assert_eq!(IcmpRepr::parse(&again)?, repr);
        Ok(())
    });
}

/// IGMP, all versions.
pub fn igmp(data: &[u8]) {
    read(data, |data| {
        let packet = IgmpPacket::new_checked(data)?;
        let repr = IgmpRepr::parse(&packet)?;
        assert!(!repr.to_string().is_empty());
        if let IgmpRepr::ReportV3 { records } = repr {
            assert_eq!(records.iter().count(), records.len());
        }
        let mut buffer = vec![0xa5; repr.buffer_len()];
        repr.emit(&mut buffer)?;
        let again = IgmpPacket::new_checked(&buffer)?;
        assert_eq!(IgmpRepr::parse(&again)?, repr);
        Ok(())
    });
}

/// PIM, all types.
pub fn pim(data: &[u8]) {
    read(data, |data| {
        let packet = PimPacket::new_checked(data)?;
        let repr = PimRepr::parse(&packet)?;
        assert!(!repr.to_string().is_empty() && !format!("{repr:?}").is_empty());
        match repr {
            PimRepr::JoinPrune(message) | PimRepr::Graft(message) | PimRepr::GraftAck(message) => {
                let sources = |group: pim::Group<'_>| group.joins.len() + group.prunes.len();
                let all: usize = message.groups.iter().map(sources).sum();
                assert_eq!(message.entries().count(), all);
            }
            PimRepr::Register(register) => {
                let _ = register.ipv4().map(|packet| packet.verify_checksum());
            }
            _ => {}
        }
        let mut buffer = vec![0xa5; repr.buffer_len()];
        repr.emit(&mut buffer)?;
        let again = PimPacket::new_checked(&buffer)?;
        assert_eq!(PimRepr::parse(&again)?, repr);
        Ok(())
    });
}

/// MDT Join. Reserved bytes apart, what is written is what was read.
pub fn mdt_join(data: &[u8]) {
    read(data, |data| {
        let packet = MdtJoinPacket::new_checked(data)?;
        let tlvs: Vec<_> = packet.tlvs().collect();
        assert!(tlvs.iter().all(|tlv| !tlv.to_string().is_empty()));
        assert_eq!(mdt_join::buffer_len(packet.tlvs()), data.len());
        let mut buffer = vec![0xa5; data.len()];
        assert_eq!(mdt_join::emit(packet.tlvs(), &mut buffer)?, data.len());
        assert!(MdtJoinPacket::new_checked(&buffer)?.tlvs().eq(tlvs));
        Ok(())
    });
}

/// GRE.
pub fn gre(data: &[u8]) {
    read(data, |data| {
        let packet = GrePacket::new_checked(data)?;
        let repr = GreRepr::parse(&packet)?;
        assert!(!repr.to_string().is_empty());
        let mut buffer = vec![0xa5; repr.buffer_len()];
        repr.emit(&mut buffer, |payload| {
            payload.copy_from_slice(packet.payload());
            Ok(())
        })?;
        let again = GrePacket::new_checked(&buffer)?;
        assert_eq!(GreRepr::parse(&again)?, repr);
        assert_eq!(again.payload(), packet.payload());
        Ok(())
    });
}

/// The headers of probes and echoes.
pub fn probe(data: &[u8]) {
    read(data, |data| {
        let packet = ProbePacket::new_checked(data)?;
        assert!(ProbePacket::is_claimed_by(data));
        let repr = ProbeRepr::parse(&packet);
        let mut buffer = vec![0xa5; data.len()];
        repr.emit(&mut buffer)?;
        assert_eq!(ProbeRepr::parse(&ProbePacket::new_checked(&buffer)?), repr);
        Ok(())
    });
    read(data, |data| {
        let packet = EchoPacket::new_checked(data)?;
        assert!(EchoPacket::is_claimed_by(data));
        let repr = EchoRepr::parse(&packet);
        assert_eq!(
            EchoRepr::parse(&EchoPacket::new_checked(&repr.to_bytes())?),
            repr
        );
        Ok(())
    });
}

/// RTP's header.
pub fn rtp(data: &[u8]) {
    read(data, |data| {
        let packet = RtpPacket::new_checked(data)?;
        assert_eq!(packet.csrcs().count(), usize::from(packet.csrc_count()));
        let _ = packet.payload();
        let repr = RtpRepr::parse(&packet);
        let mut buffer = vec![0xa5; repr.buffer_len()];
        repr.emit(&mut buffer)?;
        assert_eq!(RtpRepr::parse(&RtpPacket::new_checked(&buffer)?), repr);
        Ok(())
    });
}

/// The headers that captures put before packets.
pub fn link(data: &[u8]) {
    for link in [
        LinkType::Ethernet,
        LinkType::LinuxSll,
        LinkType::LinuxSll2,
        LinkType::Raw,
    ] {
        read(data, |data| {
            let captured = link.open(data)?;
            assert!(captured.payload.len() <= data.len());
            captured.ipv4().map(|_| ())
        });
    }
    read(data, |data| {
        let repr = EthernetRepr::parse(&EthernetPacket::new_checked(data)?);
        assert!(!repr.to_string().is_empty());
        Ok(())
    });
}

/// Tunnels and what comes through them, whole and cut short.
pub fn tunnel(data: &[u8]) {
    let _ = tunnel::decapsulate_cut_short(data).map(|packet| packet.content());
    read(data, |data| {
        let packet = decapsulate(data)?;
        match packet.content()? {
            Content::Mdt(Customer::Ipv4(customer)) => {
                assert!(customer.as_bytes().len() < packet.inner.as_bytes().len());
                Content::of(&customer).map(|_| ()).or(Ok(()))
            }
            content => {
                assert!(!format!("{content:?}").is_empty());
                Ok(())
            }
        }
    });
}
