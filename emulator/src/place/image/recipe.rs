//! What is put into the sealed lab's image: packages, files, kernel modules, and the few files written here.

/// Raised when the image is built differently from the same packages.
pub const FORMAT: u32 = 1;

/// The package whose first dependency is the newest kernel for virtual machines.
pub const KERNEL_META_PACKAGE: &str = "linux-image-cloud-amd64";

/// Packages whose files are taken by name; the libraries they need follow from the ELF files themselves.
pub const PACKAGES: &[&str] = &[
    "frr",
    "pimd",
    "busybox-static",
    "dash",
    "iproute2",
    "tcpdump",
    "libpam-modules",
    "snmpd",
    "pmacct",
];

/// Executables and data taken from [`PACKAGES`], by their usr-merged path. tc, tcpdump, busybox and vtysh are for the
/// developer's shell; the lab itself speaks netlink and the daemons' sockets.
pub const FILES: &[&str] = &[
    "usr/lib/frr/zebra",
    "usr/lib/frr/staticd",
    "usr/lib/frr/ospfd",
    "usr/lib/frr/pimd",
    "usr/lib/frr/bgpd",
    "usr/bin/vtysh",
    "usr/sbin/pimd",
    "usr/bin/busybox",
    "usr/bin/dash",
    "usr/bin/ip",
    "usr/sbin/tc",
    "usr/bin/tcpdump",
    "usr/sbin/snmpd",
    "usr/sbin/pmacctd",
    "usr/lib/x86_64-linux-gnu/tc/normal.dist",
    "usr/lib/x86_64-linux-gnu/tc/pareto.dist",
    "usr/lib/x86_64-linux-gnu/tc/paretonormal.dist",
    "usr/lib/x86_64-linux-gnu/security/pam_permit.so",
];

/// Modules loaded at boot, before their dependents; their own dependencies are found in the modules themselves. One
/// that is built into the kernel, or that it does not have, is left out.
pub const MODULES: &[&str] = &[
    "veth",
    "bridge",
    "dummy",
    "tun",
    "vrf",
    "gre",
    "ip_gre",
    "ifb",
    "af_packet",
    "sch_netem",
    "sch_ingress",
    "sch_prio",
    "sch_tbf",
    "sch_htb",
    "sch_fq",
    "cls_matchall",
    "cls_u32",
    "cls_basic",
    "act_mirred",
    "act_gact",
    "act_pedit",
];

/// Directories that must exist before anything is mounted.
pub const DIRECTORIES: &[&str] = &[
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "root",
    "etc",
    "etc/pam.d",
    "etc/frr",
    "etc/iproute2",
    "var",
    "usr",
    "host",
];

/// Links that make the tree usr-merged, as (link, target).
pub const LINKS: &[(&str, &str)] = &[
    ("bin", "usr/bin"),
    ("sbin", "usr/sbin"),
    ("lib", "usr/lib"),
    ("lib64", "usr/lib64"),
    ("var/run", "/run"),
    ("usr/bin/sh", "dash"),
];

/// Files of our own, as (path, content). FRR's daemons drop to `frr:frr` and want the group `frrvty` to exist.
pub const TEXTS: &[(&str, &str)] = &[
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nfrr:x:100:101:FRR:/nonexistent:/bin/false\n",
    ),
    ("etc/group", "root:x:0:\nfrr:x:101:frr\nfrrvty:x:102:frr\n"),
    ("etc/hosts", "127.0.0.1 localhost\n"),
    (
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files\nprotocols: files\n",
    ),
    (
        "etc/protocols",
        "ip 0 IP\nicmp 1 ICMP\nigmp 2 IGMP\ntcp 6 TCP\nudp 17 UDP\ngre 47 GRE\nospf 89 OSPF\npim 103 PIM\n",
    ),
    (
        "etc/pam.d/frr",
        "auth sufficient pam_permit.so\naccount sufficient pam_permit.so\n",
    ),
    ("etc/frr/vtysh.conf", ""),
];

/// Owner and group of FRR's run and configuration directories in the guest, as written to `etc/passwd`.
pub const FRR_USER_ID: u32 = 100;
/// See [`FRR_USER_ID`].
pub const FRR_GROUP_ID: u32 = 101;

/// Where the guest finds the modules to load, one path a line, in load order.
pub const MODULE_LIST: &str = "etc/modules.load";
