//! From what was said to what is to be done.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use vmscope_core::config::Config;
use vmscope_core::control::*;
use vmscope_core::name::Name;
use vmscope_store::mvpn::{Filter, Utc};

use super::oneway;
use super::verbs::*;

/// What a verb comes to.
#[derive(Debug, PartialEq)]
pub enum Errand {
    /// Ask the monitor, and show its answer.
    Ask(Operation),
    /// Subscribe, and show events until the connection ends.
    Watch(Vec<EventKind>),
    /// Read a database, without the monitor.
    Read(DatabaseQuery),
    /// Read what a database knows of an MVPN's past.
    Recall(HistoryQuery),
    /// Read the alarms that a database knows of.
    Alarms(AlarmQuery),
}

/// Which alarms to read.
#[derive(Debug, PartialEq, Eq)]
pub struct AlarmQuery {
    /// The database.
    pub database: PathBuf,
    /// Only of this MVPN.
    pub mvpn: Option<Name>,
    /// Active at any time from the first moment until the second, that not included; both the same for that moment.
    pub from: Utc,
    /// See `from`.
    pub until: Utc,
    /// Alarms at most.
    pub limit: u32,
}

/// What to read of an MVPN's past.
#[derive(Debug, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The database.
    pub database: PathBuf,
    /// The MVPN.
    pub mvpn: Name,
    /// Which part of it.
    pub filter: Filter,
    /// When.
    pub question: HistoryQuestion,
    /// States or changes at most.
    pub limit: u32,
}

/// What is asked of an MVPN's past.
#[derive(Debug, PartialEq, Eq)]
pub enum HistoryQuestion {
    /// What held at a moment.
    At(Utc),
    /// What changed from one moment until another.
    Between(Utc, Utc),
    /// What two moments differ in.
    Diff(Utc, Utc),
}

/// What to read from a database.
#[derive(Debug, PartialEq, Eq)]
pub struct DatabaseQuery {
    /// The file.
    pub path: PathBuf,
    /// The task's name.
    pub task: Name,
    /// The run of the monitor; the latest with such a task if absent.
    pub session: Option<u32>,
    /// Rows to leave out.
    pub since: u64,
    /// Rows at most.
    pub limit: u32,
    /// Every probe rather than intervals.
    pub probes: bool,
}

impl Verb {
    /// What this verb comes to. The error is a usage error, in words.
    pub fn errand(self) -> Result<Errand, String> {
        Ok(Errand::Ask(match self {
            Verb::Status => Operation::Status,
            Verb::Tunnel(verb) => tunnel(verb)?,
            Verb::Join(JoinArgs {
                tunnel,
                group,
                sources,
            }) => Operation::GroupJoin(JoinSpec {
                tunnel,
                group,
                sources,
            }),
            Verb::Leave { tunnel, group } => Operation::GroupLeave(Membership { tunnel, group }),
            Verb::Send(verb) => send(verb),
            Verb::Mvpn(verb) => return mvpn(verb),
            Verb::Alarm(AlarmVerb::List(list)) => return alarm_list(list),
            Verb::Task(verb) => task(verb),
            Verb::Stats(verb) => stats(verb),
            Verb::Results(arguments) => return Ok(results(arguments)),
            Verb::Oneway(verb) => oneway::operation(verb),
            Verb::Peers => Operation::PeerList,
            Verb::Agents => Operation::AgentList,
            Verb::Passive(verb) => passive(verb),
            Verb::Filter => Operation::Filter,
            Verb::Config(ConfigVerb::Load { file }) => {
                let toml = fs::read_to_string(&file)
                    .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
                Operation::ConfigLoad { toml }
            }
            Verb::Watch { kinds } => {
                return Ok(Errand::Watch(kinds.into_iter().map(event_kind).collect()));
            }
            Verb::Shutdown => Operation::Shutdown,
        }))
    }
}

fn tunnel(verb: TunnelVerb) -> Result<Operation, String> {
    Ok(match verb {
        TunnelVerb::Add(arguments) => Operation::TunnelAdd(TunnelSpec {
            name: arguments.name,
            id: arguments.id,
            encapsulation: if arguments.plain {
                Encapsulation::None
            } else {
                Encapsulation::Gre
            },
            outer_local: arguments.outer_local,
            outer_remote: arguments.outer_remote,
            inner_local: arguments.inner_local,
            inner_remote: arguments.inner_remote,
            key: arguments.key,
            igmp: IgmpVersion::try_from(arguments.igmp)?,
            ping_interval: arguments.ping_interval,
            router_clock_error: arguments.router_clock_error,
        }),
        TunnelVerb::Drop { name } => Operation::TunnelDrop(Named { name }),
        TunnelVerb::List => Operation::TunnelList(Page::default()),
        TunnelVerb::Show { name } => Operation::TunnelShow(Named { name }),
    })
}

fn send(verb: SendVerb) -> Operation {
    match verb {
        SendVerb::Start {
            name,
            tunnel,
            group,
            probes,
        } => Operation::SendStart(SendSpec {
            name,
            tunnel,
            group,
            probes: probes.into(),
        }),
        SendVerb::Stop { name } => Operation::SendStop(Named { name }),
    }
}

fn mvpn_show(show: MvpnShow) -> Result<Errand, String> {
    let MvpnShow {
        name,
        only: Only { pe, group },
        at,
        between,
        limit,
        database,
    } = show;
    let Some(database) = database else {
        return Ok(Errand::Ask(Operation::MvpnShow(MvpnQuestion {
            name,
            pe,
            group,
        })));
    };
    let question = match (between.as_slice(), at) {
        ([from, until], _) => HistoryQuestion::Between(utc(*from)?, utc(*until)?),
        (_, Some(at)) => HistoryQuestion::At(utc(at)?),
        (_, None) => HistoryQuestion::At(Utc::NOW),
    };
    Ok(Errand::Recall(HistoryQuery {
        database,
        mvpn: name,
        filter: only(pe, group),
        question,
        limit: limit.unwrap_or(u32::MAX),
    }))
}

fn mvpn_diff(diff: MvpnDiff) -> Result<HistoryQuery, String> {
    Ok(HistoryQuery {
        question: HistoryQuestion::Diff(utc(diff.from)?, utc(diff.to)?),
        database: diff.database,
        mvpn: diff.name,
        filter: only(diff.only.pe, diff.only.group),
        limit: u32::MAX,
    })
}

fn alarm_list(list: AlarmListArgs) -> Result<Errand, String> {
    let AlarmListArgs {
        mvpn,
        at,
        between,
        limit,
        database,
    } = list;
    let Some(database) = database else {
        return Ok(Errand::Ask(Operation::AlarmList { mvpn }));
    };
    let (from, until) = match (between.as_slice(), at) {
        ([from, until], _) => (utc(*from)?, utc(*until)?),
        (_, Some(at)) => (utc(at)?, utc(at)?),
        (_, None) => (Utc::NOW, Utc::NOW),
    };
    Ok(Errand::Alarms(AlarmQuery {
        database,
        mvpn,
        from,
        until,
        limit,
    }))
}

fn only(pe: Option<Ipv4Addr>, group: Option<IpAddr>) -> Filter {
    Filter {
        pe,
        group,
        ..Filter::ALL
    }
}

fn utc(moment: Timestamp) -> Result<Utc, String> {
    let ns = i64::try_from(moment.as_nanosecond());
    ns.map(Utc::from_ns)
        .map_err(|_| format!("{moment} is out of range: a database knows 1678 to 2261"))
}

/// The `[[expected]]` tables of a file, as a configuration of nothing else.
fn expectations(file: &Path) -> Result<Operation, String> {
    let toml = fs::read_to_string(file)
        .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let config = Config::from_toml(&toml).map_err(|e| format!("{}: {e}", file.display()))?;
    let alone = Config {
        expected: config.expected.clone(),
        ..Config::default()
    };
    match config == alone && !config.expected.is_empty() {
        true => Ok(Operation::ConfigLoad { toml }),
        false => Err(format!(
            "{}: write [[expected]] tables and nothing else there; other settings are loaded with config load",
            file.display()
        )),
    }
}

fn mvpn_add(add: MvpnAdd) -> MvpnSpec {
    MvpnSpec {
        name: add.name,
        group: add.group,
        source_specific: add.source_specific,
        tunnels: add.tunnels,
        probes: add.probes.into(),
        start: add.start,
        watch: (!add.watch.is_empty()).then_some(WatchSpec {
            tunnels: add.watch,
            sources: add.watch_sources,
        }),
    }
}

fn mvpn(verb: MvpnVerb) -> Result<Errand, String> {
    Ok(Errand::Ask(match verb {
        MvpnVerb::Add(add) => Operation::MvpnAdd(mvpn_add(*add)),
        MvpnVerb::Drop { name } => Operation::MvpnDrop(Named { name }),
        MvpnVerb::Start(MvpnAndPe { name, pe: None }) => Operation::MvpnStart(Named { name }),
        MvpnVerb::Start(MvpnAndPe {
            name,
            pe: Some(tunnel),
        }) => Operation::MvpnPeStart(MvpnPe { mvpn: name, tunnel }),
        MvpnVerb::Stop(MvpnAndPe { name, pe: None }) => Operation::MvpnStop(Named { name }),
        MvpnVerb::Stop(MvpnAndPe {
            name,
            pe: Some(tunnel),
        }) => Operation::MvpnPeStop(MvpnPe { mvpn: name, tunnel }),
        MvpnVerb::List => Operation::MvpnList,
        MvpnVerb::Show(show) => return mvpn_show(show),
        MvpnVerb::Diff(diff) => return mvpn_diff(diff).map(Errand::Recall),
        MvpnVerb::Expect { file } => expectations(&file)?,
    }))
}

fn task(verb: TaskVerb) -> Operation {
    match verb {
        TaskVerb::Start {
            name,
            group,
            senders,
            receivers,
            source_specific,
            probes,
        } => Operation::TaskStart(TaskSpec {
            name,
            group,
            senders,
            receivers,
            source_specific,
            probes: probes.into(),
        }),
        TaskVerb::Stop { name } => Operation::TaskStop(Named { name }),
        TaskVerb::Drop { name } => Operation::TaskDrop(Named { name }),
        TaskVerb::List => Operation::TaskList,
        TaskVerb::Show { name } => Operation::TaskShow(Named { name }),
    }
}

fn stats(verb: StatsVerb) -> Operation {
    match verb {
        StatsVerb::Tunnel { name: Some(name) } => Operation::TunnelShow(Named { name }),
        StatsVerb::Tunnel { name: None } => Operation::TunnelList(Page::default()),
        StatsVerb::Group { group: Some(group) } => Operation::GroupShow { group },
        StatsVerb::Group { group: None } => Operation::GroupList,
        StatsVerb::Pairs { task } => Operation::TaskStats(PairsQuestion::all(task)),
        StatsVerb::Overhead => Operation::Overhead,
    }
}

fn results(arguments: ResultsArgs) -> Errand {
    let ResultsArgs {
        task,
        since,
        limit,
        database,
        session,
        probes,
    } = arguments;
    match database {
        Some(path) => Errand::Read(DatabaseQuery {
            path,
            task,
            session,
            since,
            limit,
            probes,
        }),
        None => Errand::Ask(Operation::Results {
            name: task,
            since,
            limit,
        }),
    }
}

fn passive(verb: PassiveVerb) -> Operation {
    match verb {
        PassiveVerb::Start {
            name,
            tunnels,
            group,
            sources,
            layer,
            rtp,
        } => Operation::PassiveStart(PassiveSpec {
            name,
            tunnels,
            group,
            sources,
            layer: match layer {
                Layer::Mdt => PassiveLayer::Mdt,
                Layer::Plain => PassiveLayer::Plain,
            },
            rtp: match rtp {
                Rtp::Auto => RtpMode::Auto,
                Rtp::Never => RtpMode::Never,
            },
        }),
        PassiveVerb::Stop { name } => Operation::PassiveStop(Named { name }),
        PassiveVerb::List => Operation::PassiveList,
        PassiveVerb::Stats { name } => Operation::PassiveStats(Named { name }),
    }
}

fn event_kind(kind: Kind) -> EventKind {
    match kind {
        Kind::Interval => EventKind::Interval,
        Kind::Task => EventKind::Task,
        Kind::Ping => EventKind::Ping,
        Kind::Filter => EventKind::Filter,
        Kind::Change => EventKind::Change,
        Kind::Alarm => EventKind::Alarm,
        Kind::Oneway => EventKind::Oneway,
        Kind::Shutdown => EventKind::Shutdown,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::Parser;

    /// What a command line asks, as it goes over the socket.
    fn asked(line: &str) -> String {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Command::Ask(verb) = cli.command else {
            panic!("{line} asks nothing")
        };
        match verb.errand().unwrap() {
            Errand::Ask(operation) => serde_json::to_string(&Request { id: 1, operation }).unwrap(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn every_verb_asks_its_operation() {
        let lines = [
            "vmscope status",
            "vmscope tunnel add t1 --outer-local 10.1.0.2 --outer-remote 10.254.1.1 --inner-local 10.77.1.2 --inner-remote 10.77.1.1 --key 7 --igmp 2 --ping-interval 100ms",
            "vmscope tunnel add lan --plain --inner-local 10.1.0.2 --inner-remote 10.1.0.1",
            "vmscope tunnel drop t1",
            "vmscope tunnel list",
            "vmscope tunnel show t1",
            "vmscope join t1 232.1.1.1 --source 10.0.0.1 --source 10.0.0.2",
            "vmscope leave t1 232.1.1.1",
            "vmscope send start s --tunnel t1 --group 239.1.1.1 --rate 5pps --count 10",
            "vmscope send stop s",
            "vmscope mvpn add red --group 239.1.1.1 --tunnels t1,t2 --start --rate 50pps --interval 10s",
            "vmscope mvpn add red --default-mdt 239.1.1.1 --watch t1 --watch-source 10.2.0.2",
            "vmscope mvpn show red",
            "vmscope mvpn show red --pe 10.2.0.2 --group 239.100.1.1",
            "vmscope mvpn show red --at 2026-01-31T12:00:00Z --database r.sqlite",
            "vmscope mvpn show red --between 2026-01-31T12:00:00Z 2026-02-01T00:00:00Z --database postgres://db/vmscope",
            "vmscope mvpn diff red 2026-01-31T12:00:00Z 2026-02-01T00:00:00Z --database r.sqlite",
            "vmscope alarm list red",
            "vmscope alarm list --database r.sqlite",
            "vmscope alarm list red --at 2026-01-31T12:00:00Z --database r.sqlite",
            "vmscope alarm list --between 2026-01-31T12:00:00Z 2026-02-01T00:00:00Z --limit 5 --database r.sqlite",
            "vmscope mvpn show red --limit 5 --database r.sqlite",
            "vmscope mvpn drop red",
            "vmscope mvpn start red",
            "vmscope mvpn start red --pe t1",
            "vmscope mvpn stop red",
            "vmscope mvpn stop red --pe t1",
            "vmscope mvpn list",
            "vmscope task start x --group 239.1.1.1 --senders t1 --receivers t2,t3 --duration 1m --schedule poisson",
            "vmscope task stop x",
            "vmscope task drop x",
            "vmscope task list",
            "vmscope task show x",
            "vmscope stats tunnel",
            "vmscope stats tunnel t1",
            "vmscope stats group",
            "vmscope stats group 239.1.1.1",
            "vmscope stats pairs red",
            "vmscope stats overhead",
            "vmscope results red --since 5",
            "vmscope results red --database r.sqlite --session 9 --probes",
            "vmscope passive start p --tunnels t1 --group 239.1.1.1 --rtp never",
            "vmscope passive stop p",
            "vmscope passive list",
            "vmscope passive stats p",
            "vmscope filter",
            "vmscope watch interval task",
            "vmscope shutdown",
        ];
        let said: Vec<_> = lines
            .map(|line| format!("{line}\n  {}", asked(line)))
            .into();
        insta::assert_snapshot!(said.join("\n"));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "vmscope tunnel add t1 --inner-local 10.77.1.2 --inner-remote 10.77.1.1",
            "vmscope tunnel add -- -bad --plain",
            "vmscope join t1 not-an-address",
            "vmscope task start x --group 239.1.1.1 --senders t1",
            "vmscope send start s --tunnel t1 --group 239.1.1.1 --rate 5",
            "vmscope results red --probes",
            "vmscope mvpn add red --group 239.1.1.1",
            "vmscope mvpn show red --at 2026-01-31T12:00:00Z",
            "vmscope mvpn show red --at yesterday --database r.sqlite",
            "vmscope mvpn show red --limit 5",
            "vmscope alarm list --at 2026-01-31T12:00:00Z",
            "vmscope alarm list --limit 0 --database r.sqlite",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
