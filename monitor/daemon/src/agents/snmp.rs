//! Asking an SNMP agent.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use vmscope_agent::{AgentError as Unread, Snmp};
use vmscope_core::name::Name;
use vmscope_core::oneway::{AgentFailure, AgentRequest};

use super::AgentError;
use crate::clock;
use crate::mailbox::{AgentReply, Mailbox};

/// Longest community that is read.
const COMMUNITY_BYTES_MAX: usize = 255;

/// What asks one agent.
pub struct Reader {
    name: Name,
    snmp: Snmp,
}

impl Reader {
    /// Nothing is sent yet.
    pub fn open(name: &Name, address: SocketAddr, community: &Path) -> Result<Reader, AgentError> {
        let community = read_community(name, community)?;
        let snmp = Snmp::new(address, &community);
        let name = name.clone();
        Ok(Reader { name, snmp })
    }

    /// Answers questions one after another, until the driver is gone.
    pub fn run(mut self, questions: &Receiver<AgentRequest>, mailbox: &Mailbox) {
        while let Ok(AgentRequest { id, question, .. }) = questions.recv() {
            let read = self.snmp.read(&question, clock::now);
            let outcome = read.map_err(|unread| failure(&self.name, &unread));
            let agent = self.name.clone();
            mailbox.hear_agent(AgentReply { agent, id, outcome });
        }
    }
}

fn failure(agent: &Name, unread: &Unread) -> AgentFailure {
    let text = format!("agent {agent}: {unread}");
    match unread {
        Unread::NoSuch(..) => AgentFailure::NoSuch(text),
        Unread::Socket(..) | Unread::NoAnswer(..) => AgentFailure::NoAnswer(text),
    }
}

/// The community that is all the file holds, but for white space around it.
fn read_community(agent: &Name, path: &Path) -> Result<String, AgentError> {
    let unread = |problem: String| AgentError::Community {
        agent: agent.clone(),
        path: PathBuf::from(path),
        problem,
    };
    let text = std::fs::read_to_string(path).map_err(|error| unread(error.to_string()))?;
    let community = text.trim();
    match (1..=COMMUNITY_BYTES_MAX).contains(&community.len()) && !community.contains('\n') {
        true => Ok(community.to_owned()),
        false => Err(unread(
            "it is to hold one community, and nothing else".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use vmscope_core::counters::Question;

    use super::*;

    fn community(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn ask(address: SocketAddr) -> String {
        let name = Name::new("pe2").unwrap();
        let file = community("public\n");
        let mut reader = Reader::open(&name, address, file.path()).unwrap();
        let question = Question::Interface("eth0".to_owned());
        let unread = reader.snmp.read(&question, clock::now).unwrap_err();
        match failure(&name, &unread) {
            AgentFailure::NoAnswer(text) => text,
            AgentFailure::NoSuch(text) => panic!("nobody answered: {text}"),
        }
    }

    #[test]
    fn an_agent_that_is_not_there_or_speaks_nonsense_is_told_by_name() {
        let closed = UdpSocket::bind("127.0.0.1:0").unwrap();
        let nobody = closed.local_addr().unwrap();
        drop(closed);
        let said = ask(nobody);
        assert!(
            said.contains("pe2") && said.contains("does not answer"),
            "{said}"
        );

        let mad = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = mad.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 2_000];
            for answer in [&[0x30, 0x82, 0xff, 0xff, 2, 1][..], &[], &[0x30; 1_400]] {
                if let Ok((_, from)) = mad.recv_from(&mut buffer) {
                    let _ = mad.send_to(answer, from);
                }
            }
        });
        for _ in 0..3 {
            let said = ask(at);
            assert!(said.contains("does not answer"), "{said}");
        }
    }

    #[test]
    fn a_file_that_holds_no_community_is_refused_and_not_shown() {
        let name = Name::new("pe2").unwrap();
        let here = "127.0.0.1:161".parse().unwrap();
        for text in ["", " \n", "one\ntwo\n", &"x".repeat(256)] {
            let file = community(text);
            let refused = Reader::open(&name, here, file.path())
                .err()
                .unwrap()
                .to_string();
            assert!(refused.contains("one community"), "{refused}");
            assert!(
                !refused.contains("two") && !refused.contains("xxx"),
                "{refused}"
            );
        }
        let refused = Reader::open(&name, here, Path::new("/nowhere/community")).err();
        assert!(refused.unwrap().to_string().contains("/nowhere/community"));
    }
}
