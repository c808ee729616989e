//! Hello (RFC 7761 §4.9.2): what a router says of itself on an interface, option by option.

use super::cursor::Reader;
use super::list::List;
use super::options::{Addresses, HelloOption, HelloOptions, LanPruneDelay};
use crate::error::Result;

/// A Hello: what a router says of itself on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hello<'a> {
    /// Its options, in order.
    pub options: HelloOptions<'a>,
}

impl<'a> Hello<'a> {
    /// Holdtime, in seconds. Without one it is 105 s (RFC 7761 §4.11, Default_Hello_Holdtime).
    #[must_use]
    pub fn holdtime_seconds(&self) -> Option<u16> {
        self.find(|option| match option {
            HelloOption::Holdtime { seconds } => Some(seconds),
            _ => None,
        })
    }

    /// LAN prune delay.
    #[must_use]
    pub fn lan_prune_delay(&self) -> Option<LanPruneDelay> {
        self.find(|option| match option {
            HelloOption::LanPruneDelay(delay) => Some(delay),
            _ => None,
        })
    }

    /// DR priority. One neighbor without it takes the priorities out of the election (RFC 7761 §4.3.2).
    #[must_use]
    pub fn dr_priority(&self) -> Option<u32> {
        self.find(|option| match option {
            HelloOption::DrPriority(priority) => Some(priority),
            _ => None,
        })
    }

    /// Generation ID.
    #[must_use]
    pub fn generation_id(&self) -> Option<u32> {
        self.find(|option| match option {
            HelloOption::GenerationId(id) => Some(id),
            _ => None,
        })
    }

    /// The interface's other addresses; none if it names none.
    #[must_use]
    pub fn addresses(&self) -> Addresses<'a> {
        self.find(|option| match option {
            HelloOption::AddressList(addresses) => Some(addresses),
            _ => None,
        })
        .unwrap_or(List::NONE)
    }

    /// Is it bidirectional PIM's?
    #[must_use]
    pub fn is_bidirectional(&self) -> bool {
        self.options
            .iter()
            .any(|option| option == HelloOption::Bidirectional)
    }

    /// What the first option of some kind says.
    fn find<T>(&self, what: impl FnMut(HelloOption<'a>) -> Option<T>) -> Option<T> {
        self.options.iter().find_map(what)
    }

    pub(super) fn read(reader: Reader<'a>) -> Result<Self> {
        let options = List::filling(reader)?;
        Ok(Self { options })
    }
}
