//! Packets in, by libpcap: both directions, each with the kernel's stamp.
//!
//! Our own outgoing frames are captured too, stamped where they leave: so both ends of a
//! delay come from one clock at one tap.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use pcap::{Active, Capture as Pcap, Error as PcapError, Linktype, Precision};
use vmscope_core::session::Direction;

use crate::error::StartError;
use crate::interface::{Interface, MacAddress};

/// The kernel's ring of captured packets, bytes: at half a million a second, for as long as a host that others share may keep
/// us waiting, 30 ms.
const RING_BYTES: i32 = 32 << 20;
/// Bytes of an Ethernet header with two VLAN tags, beyond the MTU.
const LINK_BYTES_MAX: u32 = 22;
/// Longest frame captured: checksums are verified, so all of it is needed.
const SNAP_BYTES_MAX: u32 = 9_216;
/// Frames that the ring has room for, at least: libpcap gives each two kibibytes where the MTU is an Ethernet's.
pub const RING_FRAMES: u64 = RING_BYTES as u64 / 2_048;
/// Frames read at once before the filter is there.
const DRAINED_AT_ONCE: usize = 1_024;
/// A filter that nothing passes.
const NOTHING: &str = "less 1";
/// Bytes of an Ethernet header.
const ETHERNET_BYTES: usize = 14;
/// Where an Ethernet header holds its destination.
const DESTINATION: std::ops::Range<usize> = 0..6;
/// In an address's first byte: multicast or broadcast (IEEE 802 section 8.2).
const GROUP_BIT: u8 = 1;
/// Where an Ethernet header holds its source.
const SOURCE: std::ops::Range<usize> = 6..12;
/// EtherType of IPv4.
const IPV4: [u8; 2] = [0x08, 0x00];

/// A captured IPv4 datagram.
#[derive(Debug, Clone, Copy)]
pub struct Captured<'a> {
    /// The kernel's stamp, nanoseconds of CLOCK_REALTIME.
    pub stamp_ns: i64,
    /// From the IPv4 header on, as far as captured.
    pub datagram: &'a [u8],
    /// Whether we sent it.
    pub direction: Direction,
}

/// Counters of the capture since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CaptureCounters {
    /// Packets that passed the filter.
    pub received: u64,
    /// Of those, packets dropped because the ring was full.
    pub dropped: u64,
}

/// A live capture.
pub struct Capture {
    pcap: Pcap<Active>,
    interface: String,
    mac: MacAddress,
    snap_bytes: u32,
    counters: CaptureCounters,
    /// libpcap's counters wrap at 32 bits.
    last_stat: (u32, u32),
}

impl Capture {
    /// Opens the capture with a filter that passes nothing until [`Capture::set_filter`].
    pub fn open(interface: &Interface) -> Result<Capture, StartError> {
        let failed = |attempted| {
            let interface = interface.name.clone();
            move |source: PcapError| match &source {
                PcapError::PcapError(words) if is_about_permission(words) => {
                    StartError::Privilege {
                        attempted: "capture packets",
                    }
                }
                _ => StartError::Capture {
                    attempted,
                    interface,
                    source,
                },
            }
        };
        let snap_bytes = (interface.mtu_bytes + LINK_BYTES_MAX).min(SNAP_BYTES_MAX);
        let pcap = Pcap::from_device(interface.name.as_str())
            .map_err(failed("open a capture"))?
            .snaplen(snap_bytes.cast_signed())
            .buffer_size(RING_BYTES)
            .immediate_mode(true)
            .precision(Precision::Nano)
            .open()
            .and_then(Pcap::setnonblock)
            .map_err(failed("open a capture"))?;
        check_link_type(&pcap, interface)?;
        let mut capture = Capture {
            pcap,
            interface: interface.name.clone(),
            mac: interface.mac,
            snap_bytes,
            counters: CaptureCounters::default(),
            last_stat: (0, 0),
        };
        capture.set_filter(NOTHING)?;
        // What came before the filter was there is nobody's business.
        while capture.read(DRAINED_AT_ONCE, |_| {})? > 0 {}
        Ok(capture)
    }

    /// How packets are captured, in words.
    pub fn description(&self) -> String {
        format!(
            "libpcap on {}: nanosecond kernel stamps, both directions, ring of {} MiB, {} bytes a frame",
            self.interface,
            RING_BYTES >> 20,
            self.snap_bytes
        )
    }

    /// Replaces the filter. The kernel does so in one step: no packet is lost in between.
    ///
    /// libpcap's own way attaches a filter that drops everything, drains the socket, and then
    /// attaches the new one; probes that arrive meanwhile would be taken for lost.
    pub fn set_filter(&mut self, expression: &str) -> Result<(), StartError> {
        let program =
            self.pcap
                .compile(expression, true)
                .map_err(|source| StartError::Capture {
                    attempted: "compile the filter",
                    interface: self.interface.clone(),
                    source,
                })?;
        let instructions = program.get_instructions();
        let length = u16::try_from(instructions.len()).map_err(|_| StartError::Socket {
            attempted: "attach the capture filter",
            source: std::io::Error::other("it is too long for the kernel"),
        })?;
        let attached = libc::sock_fprog {
            len: length,
            // bpf_insn and sock_filter are the same 8 bytes; the kernel only reads them.
            filter: instructions.as_ptr().cast_mut().cast(),
        };
        // SAFETY: the program lives until the call is over, and `len` is its length.
        let result = unsafe {
            libc::setsockopt(
                self.pcap.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                std::ptr::from_ref(&attached).cast(),
                size_of::<libc::sock_fprog>() as libc::socklen_t,
            )
        };
        match result {
            0 => Ok(()),
            _ => Err(StartError::Socket {
                attempted: "attach the capture filter",
                source: std::io::Error::last_os_error(),
            }),
        }
    }

    /// Hands at most `most` frames' datagrams to `take`, in the order in which they came, as they lie in the ring; how many
    /// frames there were. Fewer than `most`: then nothing waits any more. Never waits itself.
    pub fn read(
        &mut self,
        most: usize,
        mut take: impl FnMut(Captured<'_>),
    ) -> Result<usize, StartError> {
        let mac = self.mac;
        let read = self.pcap.dispatch(Some(most), |packet| {
            // With nanosecond precision, libpcap keeps nanoseconds in the field for microseconds.
            let stamp = packet.header.ts;
            let stamp_ns = stamp.tv_sec * 1_000_000_000 + stamp.tv_usec;
            if let Some((direction, datagram)) = datagram_of(packet.data, mac) {
                take(Captured {
                    stamp_ns,
                    datagram,
                    direction,
                });
            }
        });
        read.map_err(|source| StartError::Capture {
            attempted: "read packets",
            interface: self.interface.clone(),
            source,
        })
    }

    /// Counters, up to date.
    pub fn counters(&mut self) -> CaptureCounters {
        if let Ok(stat) = self.pcap.stats() {
            let (received, dropped) = self.last_stat;
            self.counters.received += u64::from(stat.received.wrapping_sub(received));
            self.counters.dropped += u64::from(stat.dropped.wrapping_sub(dropped));
            self.last_stat = (stat.received, stat.dropped);
        }
        self.counters
    }
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pcap.as_fd()
    }
}

fn is_about_permission(words: &str) -> bool {
    words.contains("permission") || words.contains("Operation not permitted")
}

fn check_link_type(pcap: &Pcap<Active>, interface: &Interface) -> Result<(), StartError> {
    match pcap.get_datalink() {
        Linktype::ETHERNET => Ok(()),
        other => Err(StartError::LinkType {
            interface: interface.name.clone(),
            found: other.get_name().unwrap_or_else(|_| other.0.to_string()),
        }),
    }
}

/// The IPv4 datagram in an Ethernet frame, and who sent it: nobody else sends with our address. What comes in must be
/// for us or for a group; the capture sees the rest too, which a host does not receive.
fn datagram_of(frame: &[u8], mac: MacAddress) -> Option<(Direction, &[u8])> {
    let (header, datagram) = frame.split_at_checked(ETHERNET_BYTES)?;
    let to = &header[DESTINATION];
    let direction = if header[SOURCE] == mac {
        Direction::Outgoing
    } else if to == mac || to[0] & GROUP_BIT != 0 {
        Direction::Incoming
    } else {
        return None;
    };
    header.ends_with(&IPV4).then_some((direction, datagram))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use vmscope_core::config::Config;
    use vmscope_core::session::{Options, Session};
    use vmscope_core::spec::PROBE_PORT;
    use vmscope_core::time::Instant;
    use vmscope_wire::inner::{Addressing, Inner};
    use vmscope_wire::probe::Repr as ProbeRepr;
    use vmscope_wire::tunnel::{Outer, encapsulate, encapsulated_len};

    #[test]
    fn only_ipv4_is_handed_on_with_its_direction() {
        let ours = [2, 0, 0, 0, 0, 1];
        let to = |destination: [u8; 6], source: [u8; 6], kind: [u8; 2]| {
            [&destination[..], &source, &kind, &[0x45, 1]].concat()
        };
        let frame = |source, kind| to(if source == ours { [8; 6] } else { ours }, source, kind);
        let read = |frame: &[u8]| datagram_of(frame, ours).map(|(d, bytes)| (d, bytes.to_vec()));
        assert_eq!(
            read(&frame(ours, IPV4)),
            Some((Direction::Outgoing, vec![0x45, 1]))
        );
        assert_eq!(
            read(&frame([8; 6], IPV4)),
            Some((Direction::Incoming, vec![0x45, 1]))
        );
        assert_eq!(
            read(&to([1, 0, 0x5e, 1, 1, 1], [8; 6], IPV4)),
            Some((Direction::Incoming, vec![0x45, 1]))
        );
        assert_eq!(
            read(&to([2, 0, 0, 0, 0, 9], [8; 6], IPV4)),
            None,
            "for another host"
        );
        assert_eq!(read(&frame(ours, [0x86, 0xdd])), None);
        assert_eq!(read(&[0; 5]), None);
    }

    #[test]
    fn lack_of_permission_is_recognised_in_libpcaps_words() {
        assert!(is_about_permission(
            "eth0: You don't have permission to perform this capture on that device"
        ));
        assert!(!is_about_permission("eth0: That device is not up"));
    }

    /// A probe that came back from a router.
    fn probe_from(router: Ipv4Addr, to: Ipv4Addr) -> Vec<u8> {
        let inner = Inner::Probe {
            ip: Addressing::new(Ipv4Addr::new(10, 77, 0, 1), Ipv4Addr::new(239, 1, 1, 1)),
            src_port: PROBE_PORT,
            dst_port: PROBE_PORT,
            probe: ProbeRepr {
                warm_up: false,
                reflected: false,
                session: 1,
                task: 1,
                tunnel: 1,
                sequence: 0,
                sent_ns: 0,
            },
            payload_len: 100,
        };
        let outer = Outer::new(router, to, None);
        let mut packet = vec![0; encapsulated_len(&outer, &inner)];
        encapsulate(&outer, &inner, &mut packet).unwrap();
        [&[0; 12][..], &IPV4, &packet].concat()
    }

    /// The filter as libpcap compiles it: what its optimiser makes of many routers lets each of them through, and no stranger.
    #[test]
    fn probes_from_every_router_pass_however_many_there_are() {
        let ours = Ipv4Addr::new(10, 1, 0, 2);
        let dead = Pcap::dead(Linktype::ETHERNET).unwrap();
        for (many, apart) in [
            (2, 1),
            (64, 3),
            (65, 1),
            (100, 1),
            (100, 3),
            (300, 7),
            (3_000, 1),
        ] {
            let router = |n: u32| Ipv4Addr::from(0x0afe_0001 + apart * n);
            let mut toml = String::new();
            for n in 0..many {
                toml += &format!(
                    "[[tunnels]]\nname = \"t{n}\"\nouter_local = \"{ours}\"\nouter_remote = \"{}\"\n\
                     inner_local = \"10.77.0.1\"\ninner_remote = \"10.78.0.1\"\n",
                    router(n)
                );
            }
            let mut session = Session::new(Instant::ZERO, Options::default());
            let config = Config::from_toml(&toml).unwrap();
            session.load(Instant::ZERO, &config).unwrap();
            let program = dead.compile(session.filter(), true).unwrap();
            for n in 0..many {
                let passes = program.filter(&probe_from(router(n), ours));
                assert!(passes, "from {}, {n} of {many}", router(n));
            }
            let stranger = Ipv4Addr::new(192, 0, 2, 1);
            assert!(!program.filter(&probe_from(stranger, ours)), "{many}");
        }
    }
}
