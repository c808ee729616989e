//! Layout 4: one-way losses, and pairs corrected by them.

pub(super) const LAYOUT: &str = "
ALTER TABLE interval_result ADD COLUMN path_loss_inferred REAL;       -- the tunnels' one-way losses removed; NULL: not inferred of late
ALTER TABLE interval_result ADD COLUMN path_loss_inferred_low REAL;
ALTER TABLE interval_result ADD COLUMN path_loss_inferred_high REAL;
ALTER TABLE interval_result ADD COLUMN path_loss_inferred_from TEXT;  -- names of one-way measurements, JSON

CREATE TABLE oneway (             -- one run of a one-way measurement
  session         INTEGER NOT NULL,
  run             INTEGER NOT NULL,     -- number, carried in its probes as their task
  name            TEXT NOT NULL,
  group_address   TEXT NOT NULL,
  spec            TEXT NOT NULL,        -- JSON, as on the control socket
  started_ns      INTEGER NOT NULL,
  state           TEXT NOT NULL,        -- 'probing' | 'narrow' | 'spent' | 'stopped' | 'failed'
  probes_sent     INTEGER NOT NULL DEFAULT 0,  -- warm-up included; final once it is over
  refused         TEXT,                 -- why there is no estimate
  unsure          TEXT NOT NULL DEFAULT '[]',  -- what does not count, and why: JSON
  PRIMARY KEY (session, run)
) STRICT, WITHOUT ROWID;

CREATE TABLE oneway_result (      -- one path, one look; shares of packets
  session         INTEGER NOT NULL,
  run             INTEGER NOT NULL,
  at_ns           INTEGER NOT NULL,     -- when the last probe that counts was sent
  direction       TEXT NOT NULL CHECK (direction IN ('up', 'down', 'leaf')),
  path            TEXT NOT NULL,        -- the tunnel; of a leaf, its place from 0
  configuration   TEXT NOT NULL,        -- 'per-packet' | 'aggregate' | 'reflected'
  probes          INTEGER NOT NULL,     -- that count
  blocks          INTEGER NOT NULL,     -- of time
  discarded       INTEGER NOT NULL,     -- probes that do not count
  loss            REAL NOT NULL,
  deviation       REAL NOT NULL,
  low             REAL NOT NULL,
  high            REAL NOT NULL,
  delay_low_ns    INTEGER,              -- of the fastest probe, at least
  delay_high_ns   INTEGER,              -- at most
  doubts          TEXT NOT NULL         -- of all paths of the look, JSON
) STRICT;
CREATE INDEX oneway_result_at ON oneway_result (session, at_ns);
";
