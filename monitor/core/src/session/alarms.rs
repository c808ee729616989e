//! Alarms: fed with all that is written down, and what is expected.

use super::Session;
use crate::alarm::{AlarmSpec, Notice};
use crate::control::{Answer, ErrorCode, Event, Refusal};
use crate::fault::Fault;
use crate::name::Name;
use crate::report::Record;
use crate::time::{Instant, Span};
use crate::view::{Expected, View};

impl Session {
    /// The next thing that people are to be told of alarms.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.alarms.poll_notice()
    }

    /// Other settings of alarms.
    pub(super) fn set_alarms(&mut self, now: Instant, mut spec: AlarmSpec) -> Result<(), Refusal> {
        if self.options.fault.is(Fault::AlarmNeverCleared) {
            spec.clear_after = Span::from_s(86_400);
        }
        if self.options.fault.is(Fault::AlarmAtOnce) {
            spec.raise_after = Span::ZERO;
        }
        self.alarms.handle_spec(now, spec).map_err(|error| {
            let message = format!("cannot set up alarms: {}", error.problem);
            Refusal::new(ErrorCode::Invalid, message, error.remedy)
        })
    }

    /// What an MVPN ought to be from now on; it need not be watched yet.
    pub(super) fn mvpn_expect(&mut self, now: Instant, expected: Expected) -> Result<(), Refusal> {
        let view = self
            .mvpns
            .get(&expected.mvpn)
            .and_then(|mvpn| mvpn.view.as_ref());
        let mvpn = expected.mvpn.clone();
        let record = Record::Expected {
            expected: Box::new(expected.clone()),
            at_ns: now,
        };
        self.alarms
            .handle_expected(now, expected, view.into_iter().flat_map(View::records))
            .map_err(|error| {
                let message = format!("cannot expect this of MVPN {mvpn}: {error}");
                Refusal::new(ErrorCode::Invalid, message, "correct it, and say it again")
            })?;
        self.record(now, record);
        self.advance_alarms(now);
        Ok(())
    }

    /// Active alarms, of one MVPN or of all.
    pub(super) fn alarm_list(&self, mvpn: Option<&Name>) -> Answer {
        let wanted = |alarm: &&crate::alarm::Alarm| mvpn.is_none_or(|mvpn| alarm.mvpn == *mvpn);
        Answer::Alarms {
            alarms: self.alarms.active().filter(wanted).cloned().collect(),
            counts: self.alarms.counts(),
        }
    }

    /// Does what is due, and hands out what has become of alarms.
    pub(super) fn advance_alarms(&mut self, now: Instant) {
        if self.alarms.next_deadline().is_some_and(|at| at <= now) {
            self.alarms.handle_timeout(now);
        }
        while let Some(mvpn) = self.alarms.poll_stale() {
            let view = self.mvpns.get(&mvpn).and_then(|mvpn| mvpn.view.as_ref());
            let records = view.into_iter().flat_map(View::records);
            self.alarms.handle_records(now, &mvpn, records);
        }
        while let Some(transition) = self.alarms.poll_transition() {
            self.event(Event::Alarm(Box::new(transition.clone())));
            self.record(now, Record::Alarm(Box::new(transition)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{Operation, Outcome, Request};
    use crate::session::Options;

    #[test]
    fn what_is_expected_is_written_down_and_what_is_refused_is_not() {
        let now = Instant::from_ns(7);
        let mut session = Session::new(now, Options::default());
        let mut said = |groups: &str| {
            let expected: Expected = serde_json::from_str(groups).unwrap();
            let request = Request {
                id: 1,
                operation: Operation::MvpnExpect(expected.clone()),
            };
            let reply = session.handle_request(now, request);
            let record = std::iter::from_fn(|| session.poll_record()).last();
            (matches!(reply.outcome, Outcome::Ok(_)), record, expected)
        };
        let (done, record, expected) = said(r#"{"mvpn":"red","groups":["239.1.0.0/16"]}"#);
        let wanted = Record::Expected {
            expected: Box::new(expected),
            at_ns: now,
        };
        assert_eq!((done, record), (true, Some(wanted)));
        // The same address for two PEs.
        let (done, record, _) = said(r#"{"mvpn":"red","pes":{"a":"10.0.0.1","b":"10.0.0.1"}}"#);
        assert_eq!((done, record), (false, None));
    }
}
