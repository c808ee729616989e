//! Layout 3: alarms, and what was expected, now and in the past.

/// Its tables outlive sessions, so their times are of the wall clock, as those of MVPNs are.
pub(super) const LAYOUT: &str = "
-- Times are UTC, nanoseconds since 1970, as with MVPNs. Intervals hold their beginning and not their end.

CREATE TABLE alarm (              -- one alarm, from raised to cleared
  session         INTEGER NOT NULL,
  id              INTEGER NOT NULL,     -- counted from 1 in each session
  mvpn            TEXT NOT NULL,        -- of a threshold, the task
  kind            TEXT NOT NULL,        -- 'pe-missing', ...
  severity        TEXT NOT NULL CHECK (severity IN ('warning', 'minor', 'major', 'critical')),
  pe              TEXT,                 -- its address in the backbone
  pe_name         TEXT,                 -- as the expected configuration has it
  source          TEXT,                 -- the customer's
  group_address   TEXT,                 -- the customer's
  measured        TEXT,                 -- of a threshold: sender, receiver, metric and level, JSON as on the control socket
  since_ns        INTEGER NOT NULL,     -- since when it had been so when it was raised
  raised_ns       INTEGER NOT NULL,
  cleared_ns      INTEGER,              -- NULL: active to this day, or the session was killed
  cleared_because TEXT,                 -- 'fine' | 'covered' | 'expected' | 'unwatched'
  count           INTEGER NOT NULL,     -- how often it came while it was active
  flapping        INTEGER NOT NULL,     -- 1: it comes and goes, as of its last turn
  message         TEXT NOT NULL,
  remedy          TEXT NOT NULL,
  PRIMARY KEY (session, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX alarm_of_mvpn ON alarm (mvpn, raised_ns);
CREATE INDEX alarm_raised ON alarm (raised_ns);
CREATE INDEX alarm_cleared ON alarm (cleared_ns);

CREATE TABLE alarm_storm (        -- alarms of a kind that people were told of together; each has its own row above, too
  session         INTEGER NOT NULL,
  at_ns           INTEGER NOT NULL,
  kind            TEXT NOT NULL,
  severity        TEXT NOT NULL,        -- the highest
  phase           TEXT NOT NULL,        -- 'begun' | 'goes-on' | 'over'
  since_ns        INTEGER NOT NULL,     -- when the storm began
  raised          INTEGER NOT NULL,     -- since the last row of the storm
  cleared         INTEGER NOT NULL,     -- since the last row of the storm
  active          INTEGER NOT NULL,     -- of all that were told together
  message         TEXT NOT NULL
) STRICT;
CREATE INDEX alarm_storm_at ON alarm_storm (at_ns);

CREATE TABLE expectation (        -- what an MVPN ought to be, as the monitor was told
  mvpn            TEXT NOT NULL,
  session         INTEGER NOT NULL,
  since_ns        INTEGER NOT NULL,
  until_ns        INTEGER,              -- NULL: in force, or the session was killed
  expected        TEXT NOT NULL         -- JSON, as on the control socket
) STRICT;
CREATE INDEX expectation_of_mvpn ON expectation (mvpn, since_ns);
";
