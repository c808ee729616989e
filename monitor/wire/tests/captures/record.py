#!/usr/bin/env python3
"""Records the fixtures beside this file from the running kernel. Needs root, iproute2, ethtool, iputils-ping, tcpdump, tshark.

    python3 record.py kernel     three namespaces, real packets of this kernel
    python3 record.py ours FILE  decodes packets that vmscope-wire wrote (one a line: name, colon, hex)
    python3 record.py routers DIRECTORY  takes packets of real routers out of a lab's captures (see ROUTERS)

Everything happens in three namespaces of its own: host --- router --- far, joined by veth. One fixture is
one packet: what it is, how it was made, its bytes, and what tshark says of it; generated-*.txt hold several each.
The tests need none of this.
"""
import pathlib, platform, re, socket, struct, subprocess, sys, tempfile, time

HERE = pathlib.Path(__file__).resolve().parent
NAMES = {"host": "vmw-host", "router": "vmw-router", "far": "vmw-far"}
FIELDS = """ip.src ip.dst ip.proto ip.ttl ip.len ip.id ip.dsfield ip.flags.df ip.flags.mf ip.frag_offset ip.checksum
ip.checksum.status ip.opt.ra udp.srcport udp.dstport udp.length udp.checksum udp.checksum.status icmp.type icmp.code
icmp.ident icmp.seq icmp.checksum icmp.checksum.status igmp.type igmp.version igmp.max_resp igmp.maddr igmp.s igmp.qrv
igmp.qqic igmp.num_src igmp.saddr igmp.num_grp_recs igmp.record_type igmp.checksum igmp.checksum.status gre.proto
gre.key gre.sequence_number gre.checksum gre.checksum.status rtp.version rtp.marker rtp.p_type rtp.seq rtp.timestamp
rtp.ssrc pim.version pim.type pim.cksum pim.cksum.status pim.optiontype pim.optionlength pim.optionvalue pim.holdtime pim.t
pim.propagation_delay pim.override_interval pim.dr_priority pim.generation_id pim.state_refresh_version
pim.state_refresh_interval pim.address_list pim.address_list_ip6 pim.register_flag.border pim.register_flag.null_register
pim.upstream_neighbor pim.upstream_neighbor_ip6 pim.numgroups pim.numjoins pim.numprunes pim.join_ip pim.join_ip6
pim.prune_ip pim.prune_ip6 pim.group pim.group_ip6 pim.group_addr.flags.b pim.group_addr.flags.z pim.mask_len
pim.source pim.source_ip6 pim.unicast pim.unicast_ipv6 pim.source_addr.flags.s pim.source_addr.flags.w
pim.source_addr.flags.r pim.source_ja.flags.f pim.source_ja.flags.e pim.source_ja.flags.attr_type pim.source_ja.length
pim.source_ja.value pim.addr_address_family pim.addr_encoding_type pim.rpt pim.metric_pref pim.metric pim.fragment_tag
pim.hash_mask_len pim.bsr_priority pim.bsr pim.bsr_ip6 pim.rp_count pim.frp_count pim.priority pim.rp pim.rp_ip6
pim.prefix_count pim.originator pim.originator_ip6 pim.ttl pim.prune_indicator pim.prune_now pim.assert_override
pim.interval pim.df_elect.subtype pim.df_elect.rsvd""".split()
OPTIONS = ["ip.defragment:FALSE", "ip.check_checksum:TRUE", "udp.check_checksum:TRUE", "rtp.heuristic_rtp:FALSE"]


def run(*command, check=True):
    return subprocess.run(command, check=check, text=True, capture_output=True).stdout


def inside(node, *command, **more):
    return run("ip", "netns", "exec", NAMES[node], *command, **more)


def build():
    for name in NAMES.values():
        run("ip", "netns", "del", name, check=False)
        run("ip", "netns", "add", name)
    for left, right, net in [("host", "router", "10.99.1"), ("router", "far", "10.99.2")]:
        run("ip", "link", "add", f"to-{right}", "netns", NAMES[left], "type", "veth",
            "peer", "name", f"to-{left}", "netns", NAMES[right])
        for node, device, last in [(left, f"to-{right}", 1), (right, f"to-{left}", 2)]:
            inside(node, "ip", "address", "add", f"{net}.{last}/24", "dev", device)
            inside(node, "ip", "link", "set", device, "up")
            inside(node, "ethtool", "-K", device, "tx", "off", "rx", "off", check=False)
    for node in NAMES:
        inside(node, "ip", "link", "set", "lo", "up")
    inside("router", "sysctl", "-w", "net.ipv4.ip_forward=1")
    inside("host", "ip", "route", "add", "default", "via", "10.99.1.2")
    inside("far", "ip", "route", "add", "default", "via", "10.99.2.1")


def clean():
    for name in NAMES.values():
        run("ip", "netns", "del", name, check=False)


def python(node, code):
    return inside(node, sys.executable, "-c", "import socket,struct,time\n" + code)


JOIN = """
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def any_source(option, group):
    s.setsockopt(0, option, socket.inet_aton(group) + socket.inet_aton('10.99.1.1'))
def one_source(option, group, source):
    s.setsockopt(0, option, socket.inet_aton(group) + socket.inet_aton('10.99.1.1') + socket.inet_aton(source))
ADD, DROP, ADD_SOURCE, DROP_SOURCE = 35, 36, 39, 40
"""

# name: (what it is, node, device, link type, capture filter, which packet, how it is made)
SCENES = {
    "icmp-echo-request": ("an echo request with 16 data bytes", "router", "to-host", "EN10MB", "icmp[0]==8", 0,
        lambda: inside("host", "ping", "-c", "1", "-s", "16", "-p", "564d5345", "10.99.1.2")),
    "icmp-echo-reply": ("the reply to it, with the type of service returned", "router", "to-host", "EN10MB", "icmp[0]==0", 0,
        lambda: inside("host", "ping", "-c", "1", "-s", "16", "-Q", "0xb8", "10.99.1.2")),
    "icmp-echo-reply-sll2": ("an echo reply, captured on the any device", "router", "any", "LINUX_SLL2", "icmp", 1,
        lambda: inside("host", "ping", "-c", "1", "10.99.1.2")),
    "icmp-echo-request-sll": ("an echo request, captured on the any device by the older link type", "router", "any", "LINUX_SLL", "icmp", 0,
        lambda: inside("host", "ping", "-c", "1", "10.99.1.2")),
    "ipv4-first-fragment": ("the first fragment of an echo request of 3000 data bytes", "router", "to-host", "EN10MB", "ip[6:2]&0x3fff!=0", 0,
        lambda: inside("host", "ping", "-c", "1", "-s", "3000", "10.99.1.2")),
    "ipv4-last-fragment": ("the last fragment of an echo request of 3000 data bytes", "router", "to-host", "EN10MB", "ip[6:2]&0x3fff!=0", 2,
        lambda: inside("host", "ping", "-c", "1", "-s", "3000", "10.99.1.2")),
    "icmp-time-exceeded": ("a router's answer to a TTL that ran out", "router", "to-host", "EN10MB", "icmp[0]==11", 0,
        lambda: inside("host", "ping", "-c", "1", "-t", "1", "-W", "1", "10.99.2.2", check=False)),
    "icmp-port-unreachable": ("a host's answer to UDP at a closed port", "router", "to-host", "EN10MB", "icmp[0]==3", 0,
        lambda: python("host", "s=socket.socket(2,2);s.bind(('10.99.1.1',33900));s.sendto(b'anyone?',('10.99.1.2',33901));time.sleep(.2)")),
    "icmp-fragmentation-needed": ("a router's answer to DF and an MTU of 1000", "router", "to-host", "EN10MB", "icmp[0]==3", 0,
        lambda: (inside("router", "ip", "link", "set", "to-far", "mtu", "1000"),
                 inside("host", "ping", "-c", "1", "-M", "do", "-s", "1200", "-W", "1", "10.99.2.2", check=False),
                 inside("router", "ip", "link", "set", "to-far", "mtu", "1500"))),
    "udp-datagram": ("a datagram of odd length, with checksum", "router", "to-host", "EN10MB", "udp", 0,
        lambda: python("host", "s=socket.socket(2,2);s.bind(('10.99.1.1',33900));s.sendto(b'seven..',('10.99.1.2',33901));time.sleep(.2)")),
    "udp-without-checksum": ("a datagram whose socket has SO_NO_CHECK", "router", "to-host", "EN10MB", "udp", 0,
        lambda: python("host", "s=socket.socket(2,2);s.setsockopt(1,11,1);s.bind(('10.99.1.1',33900));s.sendto(b'eight...',('10.99.1.2',33901));time.sleep(.2)")),
    "igmp-v1-report": ("force_igmp_version=1, a join", "router", "to-host", "EN10MB", "igmp and ip[24]==0x12", 0,
        lambda: version(1, "any_source(ADD,'239.1.1.1');time.sleep(.3)")),
    "igmp-v2-report": ("force_igmp_version=2, a join", "router", "to-host", "EN10MB", "igmp and ip[24]==0x16", 0,
        lambda: version(2, "any_source(ADD,'239.1.1.1');time.sleep(.3)")),
    "igmp-v2-leave": ("force_igmp_version=2, a leave", "router", "to-host", "EN10MB", "igmp and ip[24]==0x17", 0,
        lambda: version(2, "any_source(ADD,'239.1.1.1');time.sleep(.3);any_source(DROP,'239.1.1.1');time.sleep(.3)")),
    "igmp-v3-join": ("version 3, an any-source join", "router", "to-host", "EN10MB", "igmp and ip[24]==0x22", 0,
        lambda: version(3, "any_source(ADD,'239.1.1.1');time.sleep(.3)")),
    "igmp-v3-leave": ("version 3, its leave", "router", "to-host", "EN10MB", "igmp and ip[24]==0x22 and ip[32]==3", 0,
        lambda: version(3, "any_source(ADD,'239.1.1.1');time.sleep(.3);any_source(DROP,'239.1.1.1');time.sleep(1)")),
    "igmp-v3-join-channel": ("version 3, a source-specific join", "router", "to-host", "EN10MB", "igmp and ip[24]==0x22 and ip[32]==5", 0,
        lambda: version(3, "one_source(ADD_SOURCE,'232.1.1.1','10.0.0.1');time.sleep(1)")),
    "igmp-v3-leave-channel": ("version 3, the leave of one of two sources", "router", "to-host", "EN10MB", "igmp and ip[24]==0x22 and ip[32]==6", 0,
        lambda: version(3, "one_source(ADD_SOURCE,'232.1.1.1','10.0.0.1');one_source(ADD_SOURCE,'232.1.1.1','10.0.0.2');time.sleep(1);one_source(DROP_SOURCE,'232.1.1.1','10.0.0.1');time.sleep(1)")),
    "igmp-v3-current-state": ("version 3, the answer to a general query: several records", "router", "to-host", "EN10MB", "igmp and ip[24]==0x22 and ip[30:2]>=3 and ip[32]<=2", 0,
        lambda: queried(0, "any_source(ADD,'239.1.1.1');one_source(ADD_SOURCE,'232.1.1.1','10.0.0.1');one_source(ADD_SOURCE,'232.1.1.1','10.0.0.2');any_source(ADD,'239.2.2.2');time.sleep(4)")),
    "igmp-v2-query": ("a bridge's general query, version 2", "host", "to-router", "EN10MB", "igmp and ip[24]==0x11", 0,
        lambda: bridge(2)),
    "igmp-v3-query": ("a bridge's general query, version 3", "host", "to-router", "EN10MB", "igmp and ip[24]==0x11", 0,
        lambda: bridge(3)),
}


ROUTERS_LABS = {
    "frr": ("scenarios/mdt/customer.toml", "FRR 8.4.4, Linux 6.1"),
    "pimd": ("scenarios/vmscope/pimd.toml", "troglobit pimd 2.3.2, Linux 6.1"),
}
ROUTERS = {
    "frr-hello": ("a customer's router says that it is there", "frr-PE2-R2", 1),
    "frr-join": ("a customer's router joins a source tree", "frr-PE2-R2", 5),
    "frr-join-rp-and-source": ("two joins of one group", "frr-PE2-R2", 7),
    "frr-hello-on-mdt": ("a VRF's Hello on the default MDT", "frr-PE1-P", 1),
    "frr-join-on-mdt": ("a VRF joins at another PE's VRF", "frr-PE1-P", 13),
    "frr-prune-on-mdt": ("a VRF prunes", "frr-PE1-P", 81),
    "frr-join-prune-on-mdt": ("a VRF joins and prunes in one group", "frr-PE1-P", 85),
    "frr-join-prune-two-groups": ("two groups, joins and prunes", "frr-PE1-P", 23),
    "frr-null-register": ("a first hop keeps its source known", "frr-PE1-P", 117),
    "frr-register-stop": ("the RP's answer", "frr-PE1-P", 119),
    "pimd-hello": ("a Hello", "pimd-MON-P", 1),
    "pimd-hello-in-tunnel": ("a Hello to the monitor, in its tunnel", "pimd-MON-P", 3),
    "pimd-bootstrap": ("the bootstrap router's message", "pimd-MON-P", 5),
    "pimd-candidate-rp": ("a router offers itself as RP", "pimd-PE1-P", 163),
    "pimd-register": ("a Register with a packet of an MDT in it", "pimd-PE1-P", 1),
    "pimd-null-register": ("a first hop keeps its source known", "pimd-PE1-P", 205),
    "pimd-register-stop": ("the RP's answer", "pimd-PE1-P", 169),
    "pimd-join-prune": ("joins, and a prune from the RP's tree", "pimd-PE1-P", 161),
    "pimd-join-prune-many": ("four joins and a prune", "pimd-PE1-P", 281),
}


def version(number, joins):
    inside("host", "sysctl", "-w", f"net.ipv4.conf.to-router.force_igmp_version={number}")
    python("host", JOIN + joins)
    inside("host", "sysctl", "-w", "net.ipv4.conf.to-router.force_igmp_version=0")


def queried(number, joins):
    """Joins while the router asks, once, two seconds later: max response 0.5 s, QRV 2, QQI 125 s."""
    query = "1105 0000 00000000 02 7d 0000".replace(" ", "")
    send = f"""
b=bytearray.fromhex('{query}'); t=sum(struct.unpack('!6H',b)); t=(t&0xffff)+(t>>16); b[2:4]=struct.pack('!H',~t&0xffff)
time.sleep(2)
s=socket.socket(2,socket.SOCK_RAW,2);s.setsockopt(0,33,1);s.setsockopt(0,4,bytes.fromhex('94040000'))
s.setsockopt(0,32,socket.inet_aton('10.99.1.2'));s.sendto(bytes(b),('224.0.0.1',0))"""
    asker = subprocess.Popen(["ip", "netns", "exec", NAMES["router"], sys.executable, "-c",
                              "import socket,struct,time\n" + send])
    version(number, joins)
    asker.wait()


def bridge(number):
    for step in ["link add br0 type bridge mcast_snooping 1", f"link set br0 type bridge mcast_igmp_version {number}",
                 "address del 10.99.1.2/24 dev to-host", "address add 10.99.1.2/24 dev br0", "link set to-host master br0",
                 "link set br0 up", "link set br0 type bridge mcast_query_use_ifaddr 1 mcast_querier 1"]:
        inside("router", "ip", *step.split())
    time.sleep(6)
    for step in ["link del br0", "address add 10.99.1.2/24 dev to-host"]:
        inside("router", "ip", *step.split())


def record(name, scene):
    what, node, device, link, wanted, index, act = scene
    with tempfile.TemporaryDirectory() as directory:
        file = f"{directory}/capture.pcap"
        command = ["tcpdump", "-i", device, "-U", "-w", file, "-y", link, "--immediate-mode", wanted]
        capture = subprocess.Popen(["ip", "netns", "exec", NAMES[node], *command], stderr=subprocess.PIPE, text=True)
        capture.stderr.readline()
        time.sleep(0.5)
        act()
        time.sleep(0.5)
        capture.terminate()
        capture.wait()
        packet, link_number = packets(file)[index]
    version = run("tcpdump", "--version", check=False).split("\n")[0] or "tcpdump"
    return fixture(what, f"python3 record.py kernel; tcpdump -i {device} -y {link} '{wanted}', packet {index}",
                   f"Linux {platform.release().split('-')[0]}, {version.replace(' version', '')}", link_number, packet)


def packets(file):
    data = pathlib.Path(file).read_bytes()
    link, at, found = struct.unpack("<I", data[20:24])[0], 24, []
    while at < len(data):
        size = struct.unpack("<I", data[at + 8:at + 12])[0]
        found.append((data[at + 16:at + 16 + size], link))
        at += 16 + size
    return found


def frame_of(capture, number):
    with tempfile.TemporaryDirectory() as directory:
        file = f"{directory}/frame.pcap"
        run("tshark", "-r", str(capture), "-Y", f"frame.number=={number}", "-F", "pcap", "-w", file)
        return packets(file)[0]


def tshark(packet, link, *more):
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link))
        file.write(struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet)
        file.flush()
        command = ["tshark", "-r", file.name, "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,"]
        command += [part for option in OPTIONS for part in ("-o", option)] + list(more)
        values = run(*command, *[part for field in FIELDS for part in ("-e", field)]).rstrip("\n").split("\t")
    return [(field, value) for field, value in zip(FIELDS, values) if value]


def fixture(what, command, made_by, link, packet, *more):
    decoder = "tshark " + re.search(r"[0-9.]+", run("tshark", "--version"))[0]
    lines = [f"# {what}", f"# made by: {made_by}", f"# command: {command}", f"# fields: {decoder}", f"link {link}"]
    lines += ["bytes " + packet[at:at + 16].hex(" ") for at in range(0, len(packet), 16)]
    lines += [f"field {field} {value}" for field, value in tshark(packet, link, *more)]
    return "\n".join(lines) + "\n"


def main():
    if sys.argv[1:2] == ["kernel"]:
        build()
        try:
            for name, scene in SCENES.items():
                if len(sys.argv) > 2 and name not in sys.argv[2:]:
                    continue
                (HERE / f"{name}.txt").write_text(record(name, scene))
                print(name)
        finally:
            clean()
    elif sys.argv[1:2] == ["ours"]:
        texts = {}
        for line in pathlib.Path(sys.argv[2]).read_text().splitlines():
            name, hexadecimal = line.split(":")
            made_by = "tests/captures/generated.rs" if name.startswith("generated") else "tests/captures/ours.rs"
            text = fixture(f"written by vmscope-wire: {name.removeprefix('ours-')}", "python3 record.py ours FILE", made_by,
                           101, bytes.fromhex(hexadecimal), "-d", "udp.port==5004,rtp")
            texts[name] = texts.get(name, "") + text
        for name, text in texts.items():
            (HERE / f"{name}.txt").write_text(text)
            print(name)
    elif sys.argv[1:2] == ["routers"]:
        for name, (what, capture, frame) in ROUTERS.items():
            packet, link = frame_of(pathlib.Path(sys.argv[2]) / f"{capture}.pcapng", frame)
            scenario, router = ROUTERS_LABS[capture.split("-")[0]]
            wire = capture.split("-", 1)[1]
            command = f"mvpnlab up {scenario} --virtual; mvpnlab capture {wire}; mvpnlab step 75s; frame {frame}"
            (HERE / f"{name}.txt").write_text(fixture(what, command, router, link, packet))
            print(name)
    else:
        sys.exit(__doc__)


main()
