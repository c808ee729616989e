//! Memberships that a router holds itself, of an SSM default MDT: FRR reads its file before it knows the
//! interfaces, and then cannot join a group on one. What the file says is said again when it can be done.

use std::{io, net::Ipv4Addr, path::Path};

use super::{join_line, vty};

/// A line `ip igmp join GROUP [SOURCE]` and the interface under which it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Join {
    /// On this interface.
    pub interface: String,
    /// Group.
    pub group: Ipv4Addr,
    /// Source; None: any.
    pub source: Option<Ipv4Addr>,
}

/// All of a configuration.
pub(super) fn joins(config: &str) -> Vec<Join> {
    let mut interface = "";
    let mut found = Vec::new();
    for line in config.lines() {
        if let Some(name) = line.strip_prefix("interface ") {
            interface = name.trim();
        } else if let Some(rest) = line.trim().strip_prefix("ip igmp join ") {
            let mut words = rest.split_whitespace().map(str::parse);
            let (group, source) = (words.next(), words.next());
            if let (Some(Ok(group)), Ok(source)) = (group, source.transpose()) {
                found.push(Join {
                    interface: interface.to_owned(),
                    group,
                    source,
                });
            }
        }
    }
    found
}

/// Says a join, and makes sure that the router has it. It is refused as long as the interface is unknown.
pub(super) async fn say(socket: &Path, join: &Join) -> io::Result<()> {
    let interface = format!("interface {}", join.interface);
    let line = join_line(join.group, join.source);
    // The file's line stands in the configuration although it had no effect, and what stands there is not done again.
    let unsaid = format!("no {line}");
    let said = [
        "enable",
        "configure terminal",
        &interface,
        &unsaid,
        &line,
        "end",
    ];
    vty::commands(socket, &said).await?;
    let list = vty::command(socket, "show ip igmp join").await?;
    let wanted = [Some(join.group), join.source];
    let wanted: Vec<String> = wanted.iter().flatten().map(Ipv4Addr::to_string).collect();
    let mut lines = list
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let listed = lines.any(|words| {
        words.first() == Some(&join.interface.as_str())
            && wanted.iter().all(|word| words.contains(&word.as_str()))
    });
    if listed {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "not in the router's list:\n{list}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_stand_under_their_interface() {
        let config = "interface lo\n ip pim\n!\ninterface vrf-red\n ip igmp\n ip igmp join 232.1.1.1 10.2.0.6\n";
        let expected = Join {
            interface: "vrf-red".into(),
            group: Ipv4Addr::new(232, 1, 1, 1),
            source: Some(Ipv4Addr::new(10, 2, 0, 6)),
        };
        assert_eq!(joins(config), [expected]);
    }

    #[test]
    fn a_join_may_do_without_a_source_but_not_without_a_group() {
        let expected = Join {
            interface: "x".into(),
            group: Ipv4Addr::new(239, 1, 1, 1),
            source: None,
        };
        let config =
            "interface x\n ip igmp join 239.1.1.1\n ip igmp join a b\n ip igmp join 239.1.1.1 b\n";
        assert_eq!(joins(config), [expected]);
    }
}
