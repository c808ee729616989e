//! Options that say how probes are sent; each left out keeps the contract's own default.

use clap::{Args, ValueEnum};
use vmscope_core::control::{ProbeSpec, Schedule};
use vmscope_core::time::{Rate, Span};

/// How probes are sent.
#[derive(Debug, Args)]
pub struct ProbeOptions {
    /// Probes per second from each sender [default: 10pps]
    #[arg(long, value_name = "RATE")]
    pub rate: Option<Rate>,
    /// UDP payload, bytes [default: 100]
    #[arg(long, value_name = "BYTES")]
    pub payload_bytes: Option<u16>,
    /// Length of a results interval [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub interval: Option<Span>,
    /// How long probes are not counted at the start [default: 2s]
    #[arg(long, value_name = "TIME")]
    pub warmup: Option<Span>,
    /// Spacing of probes [default: periodic]
    #[arg(long, value_enum)]
    pub schedule: Option<Spacing>,
    /// TTL of the inner packet [default: 64]
    #[arg(long)]
    pub ttl: Option<u8>,
    /// When a probe that has not arrived is lost [default: 2s]
    #[arg(long, value_name = "TIME")]
    pub loss_timeout: Option<Span>,
    /// Stop after so many counted probes from each sender
    #[arg(long)]
    pub count: Option<u64>,
    /// Stop so long after the warm-up
    #[arg(long, value_name = "TIME")]
    pub duration: Option<Span>,
}

/// Spacing of probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Spacing {
    /// Equal gaps
    Periodic,
    /// Exponential gaps
    Poisson,
}

impl From<ProbeOptions> for ProbeSpec {
    fn from(options: ProbeOptions) -> ProbeSpec {
        let default = ProbeSpec::default();
        ProbeSpec {
            rate: options.rate.unwrap_or(default.rate),
            payload_bytes: options.payload_bytes.unwrap_or(default.payload_bytes),
            interval: options.interval.unwrap_or(default.interval),
            warmup: options.warmup.unwrap_or(default.warmup),
            schedule: match options.schedule {
                Some(Spacing::Periodic) => Schedule::Periodic,
                Some(Spacing::Poisson) => Schedule::Poisson,
                None => default.schedule,
            },
            ttl: options.ttl.unwrap_or(default.ttl),
            loss_timeout: options.loss_timeout.unwrap_or(default.loss_timeout),
            count: options.count,
            duration: options.duration,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Just {
        #[command(flatten)]
        probes: ProbeOptions,
    }

    /// The defaults written in the help are the contract's.
    #[test]
    fn the_defaults_in_the_help_are_true() {
        let said = [
            "x",
            "--rate",
            "10pps",
            "--payload-bytes",
            "100",
            "--interval",
            "10s",
            "--warmup",
            "2s",
            "--schedule",
            "periodic",
            "--ttl",
            "64",
            "--loss-timeout",
            "2s",
        ];
        assert_eq!(
            ProbeSpec::from(Just::parse_from(said).probes),
            ProbeSpec::default()
        );
        assert_eq!(
            ProbeSpec::from(Just::parse_from(["x"]).probes),
            ProbeSpec::default()
        );
    }
}
