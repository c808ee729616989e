//! A scenario about to be written: what differs between one and another; the rest is the same for all.

use std::fmt::Write as _;

/// Memory of a lab of a dozen routers, MiB, and what each further one needs.
const MEMORY_MIB: usize = 1024;
const MEMORY_OF_ROUTER_MIB: usize = 64;
const SMALL_LAB: usize = 12;

/// What is particular to a scenario.
pub struct Sketch {
    pub title: String,
    /// P routers.
    pub routers: Vec<Router>,
    /// PE routers, each a site of the MVPN with a tunnel.
    pub pes: Vec<Router>,
    /// Between routers.
    pub links: Vec<Link>,
    /// The monitor's router.
    pub monitor_at: String,
    /// With one, the default MDT is a shared tree; without, source specific.
    pub rp: Option<String>,
}

/// A router.
pub struct Router {
    pub name: String,
    /// Said behind it: where it stands, say.
    pub remark: Option<String>,
}

impl Router {
    /// Without a remark.
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            remark: None,
        }
    }
}

/// A link between routers.
pub struct Link {
    /// As a scenario has it: `P1-P2`.
    pub ends: String,
    /// One way, with its unit.
    pub delay: Option<String>,
}

const HEAD: &str = "\
# A scenario: one file says what is built, what happens, what the monitor is to do, and what must come out.
# `mvpnlab check FILE` reads it, `mvpnlab graph FILE -o picture.svg` draws it, `mvpnlab run FILE --out out` runs it.
";

const SESSION: &str = "\
[monitor]
ping = \"1s\" # round trips of the tunnels, to be taken out of what is measured

# Probes into every tunnel, copies back by all others.
[[monitor.task]]
name = \"all-pairs\"
mvpn = \"red\"
senders = [\"*\"]
receivers = [\"*\"]
rate = \"2/s\"
warmup = \"5s\"

# What happens meanwhile, for example:
# [[at]]
# time = \"20s\"
# do = \"link-down\"
# link = \"{LINK}\"

# What must come out: every probe's fate as the taps saw it, and no gap in the results.
[[expect]]
check = \"fates\"
task = \"all-pairs\"
at_least = 50

[[expect]]
check = \"intervals\"
task = \"all-pairs\"

[[expect]]
check = \"customer-adjacencies\"
mvpn = \"red\"
";

impl Sketch {
    /// The whole file.
    pub fn text(&self) -> String {
        let example = self.links.first().map_or("", |link| &link.ends);
        [
            HEAD.to_owned(),
            self.head(),
            self.nodes(),
            self.wires(),
            self.mvpn(),
            SESSION.replace("{LINK}", example),
        ]
        .join("\n")
    }

    fn head(&self) -> String {
        let mut text = format!("title = {}\n", quoted(&self.title));
        text += "duration = \"40s\" # in the lab's own time; idle time costs nothing\n";
        let routers = self.routers.len() + self.pes.len();
        if routers > SMALL_LAB {
            let mib = MEMORY_MIB + MEMORY_OF_ROUTER_MIB * (routers - SMALL_LAB);
            text += &format!("memory_mib = {}\n", mib.next_multiple_of(256));
        }
        if let Some(rp) = &self.rp {
            text += &format!(
                "\n[backbone]\nrp = {} # rendezvous point of the default MDT; an SSM group (232/8) needs none\n",
                quoted(rp)
            );
        }
        text
    }

    fn nodes(&self) -> String {
        let mut text = "# Roles: p and pe (routers), ce (a customer's host, or a PIM router if a host hangs on it), host, monitor.
[nodes]
MON = { role = \"monitor\" }
"
        .to_owned();
        for (role, routers) in [("p", &self.routers), ("pe", &self.pes)] {
            for Router { name, remark } in routers {
                let remark = remark.as_ref().map(|remark| format!(" # {remark}"));
                // Writing to a string cannot fail.
                let _ = writeln!(
                    text,
                    "{name} = {{ role = \"{role}\" }}{}",
                    remark.unwrap_or_default()
                );
            }
        }
        text
    }

    fn wires(&self) -> String {
        let mut text = format!(
            "# The monitor's own link. Impairments: delay, jitter, distribution, loss, burst, duplicate, reorder, corrupt, rate,
# queue_packets; `impair` is for both directions, `impair_to = {{ {at} = {{ ... }} }}` for one.
[[link]]
ends = \"MON-{at}\"
",
            at = self.monitor_at
        );
        for Link { ends, delay } in &self.links {
            text += &format!("\n[[link]]\nends = \"{ends}\"\n");
            if let Some(delay) = delay {
                text += &format!("impair = {{ delay = {} }}\n", quoted(delay));
            }
        }
        text
    }

    fn mvpn(&self) -> String {
        let names: Vec<String> = self.pes.iter().map(|pe| quoted(&pe.name)).collect();
        let group = match self.rp {
            Some(_) => "239.1.1.1",
            None => "232.1.1.1",
        };
        let mut text = format!(
            "# An MVPN: its default MDT, and its sites. `sites = {{ {first} = \"CE1\" }}` puts a customer behind {first}.
[mvpn.red]
default_mdt = \"{group}\"
sites_without_ce = [{}]

# The monitor's GRE tunnels, one to each PE.
",
            names.join(", "),
            first = self.pes.first().map_or("PE1", |pe| &pe.name)
        );
        for (number, pe) in (1..).zip(&self.pes) {
            text += &format!("[[tunnel]]\nname = \"t{number}\"\nat = \"{}\"\n\n", pe.name);
        }
        text.truncate(text.trim_end().len());
        text + "\n"
    }
}

/// As a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
