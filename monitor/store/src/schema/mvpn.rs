//! Layout 2: the control planes of MVPNs, now and in the past.

/// Its tables outlive sessions, so their times are of the wall clock.
pub(super) const LAYOUT: &str = "
ALTER TABLE session ADD COLUMN batches INTEGER NOT NULL DEFAULT 0;  -- transactions of the session that hold entries

-- The control planes of MVPNs. Times are UTC, nanoseconds since 1970, and outlive sessions. Within a watch they never go
-- back: a step of the wall clock forward is followed at once, one back is made up for by recording time a tenth slower.
-- Intervals hold their beginning and not their end.

CREATE TABLE watch (              -- when somebody listened to an MVPN; at all other times nothing is known of it
  watch           INTEGER PRIMARY KEY,  -- number, in the order in which they began
  session         INTEGER NOT NULL,
  mvpn            TEXT NOT NULL,
  since_ns        INTEGER NOT NULL,
  until_ns        INTEGER,              -- NULL: to this day, or killed; then seen_ns says up to when for certain
  seen_ns         INTEGER NOT NULL      -- the last moment at which the session is known to have listened
) STRICT;
CREATE INDEX watch_of_mvpn ON watch (mvpn, since_ns);

CREATE TABLE mvpn_key (           -- what can have a state; '' where its kind has no such part
  key             INTEGER PRIMARY KEY,
  mvpn            TEXT NOT NULL,
  kind            TEXT NOT NULL,        -- 'neighbor' | 'join' | 'assert' | 'mapping' | 'rp' | 'forwarder'
  pe              TEXT NOT NULL,        -- who said it: its address in the backbone
  route           TEXT NOT NULL,        -- 'shared' (*,G) | 'source' (S,G) | 'rpt' (S,G,rpt), of joins and asserts
  source          TEXT NOT NULL,        -- the customer's
  group_address   TEXT NOT NULL,        -- the customer's; of an RP the range's address
  rp              TEXT NOT NULL,
  prefix          INTEGER NOT NULL,     -- of an RP's range, bits; else 0
  UNIQUE (mvpn, kind, pe, route, source, group_address, rp, prefix)
) STRICT;
CREATE INDEX mvpn_key_pe ON mvpn_key (mvpn, pe);
CREATE INDEX mvpn_key_source ON mvpn_key (mvpn, source);
CREATE INDEX mvpn_key_group ON mvpn_key (mvpn, group_address);

CREATE TABLE mvpn_now (           -- the state that each key has; of watches that go on
  key             INTEGER PRIMARY KEY,
  watch           INTEGER NOT NULL,
  since_ns        INTEGER NOT NULL,
  refreshed_ns    INTEGER NOT NULL,     -- when it was last repeated, as far as was written down
  refreshes       INTEGER NOT NULL,     -- how often it was repeated, as far as was written down
  expires_ns      INTEGER,              -- unless it is repeated; NULL: never
  upstream        TEXT,                 -- of joins: the neighbour that was asked, its address on the MDT
  data_mdt        TEXT,                 -- of mappings: a group of the backbone
  rest            TEXT                  -- what else was said, JSON as on the control socket; NULL if nothing
) STRICT;
CREATE INDEX mvpn_now_watch ON mvpn_now (watch, since_ns);

CREATE TABLE mvpn_past (          -- the states that keys had
  key             INTEGER NOT NULL,
  watch           INTEGER NOT NULL,
  span            INTEGER NOT NULL,     -- it lasted less than mvpn_span.longest_ns
  since_ns        INTEGER NOT NULL,
  until_ns        INTEGER NOT NULL,
  refreshed_ns    INTEGER NOT NULL,
  refreshes       INTEGER NOT NULL,
  cause           TEXT NOT NULL,        -- of its end: 'said' | 'taken-back' | 'expired' | 'restarted' | 'unwatched'
  upstream        TEXT,
  data_mdt        TEXT,
  rest            TEXT
) STRICT;
CREATE INDEX mvpn_past_key ON mvpn_past (key, since_ns);
CREATE INDEX mvpn_past_span ON mvpn_past (watch, span, since_ns);
CREATE INDEX mvpn_past_since ON mvpn_past (watch, since_ns);
CREATE INDEX mvpn_past_until ON mvpn_past (watch, until_ns);

-- What held at t has, among the states of one span, begun after t - longest_ns: a short stretch of an index, of which
-- half or more is part of the answer. Without this, half of the history would be looked at.
CREATE TABLE mvpn_span (
  span            INTEGER PRIMARY KEY,
  longest_ns      INTEGER NOT NULL
) STRICT;
INSERT INTO mvpn_span (span, longest_ns)
  WITH RECURSIVE spans (span, longest_ns) AS (
    SELECT 0, CAST(1000000000 AS BIGINT) UNION ALL SELECT span + 1, longest_ns * 2 FROM spans WHERE span < 33
  ) SELECT span, longest_ns FROM spans;

CREATE VIEW mvpn_current AS
  SELECT k.mvpn, k.kind, k.pe, k.route, k.source, k.group_address, k.rp, k.prefix,
         n.since_ns, n.refreshed_ns, n.refreshes, n.expires_ns, n.upstream, n.data_mdt, n.rest, n.watch
    FROM mvpn_now n JOIN mvpn_key k ON k.key = n.key;

CREATE VIEW mvpn_history AS
  SELECT k.mvpn, k.kind, k.pe, k.route, k.source, k.group_address, k.rp, k.prefix,
         p.since_ns, p.until_ns, p.refreshed_ns, p.refreshes, p.cause, p.upstream, p.data_mdt, p.rest, p.watch
    FROM mvpn_past p JOIN mvpn_key k ON k.key = p.key;
";
