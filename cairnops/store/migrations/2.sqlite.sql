ALTER TABLE assignment ADD COLUMN at VARCHAR(24) DEFAULT '' NOT NULL;

CREATE TABLE bucket (
  destination VARCHAR(300) NOT NULL,
  free_us BIGINT NOT NULL,
  PRIMARY KEY (destination)
);

CREATE TABLE claim (
  conversation_id VARCHAR(40) NOT NULL,
  actor VARCHAR(200) NOT NULL,
  role VARCHAR(20) NOT NULL,
  tab VARCHAR(80) NOT NULL,
  session VARCHAR(80) NOT NULL,
  since VARCHAR(24) NOT NULL,
  until_ms BIGINT NOT NULL,
  PRIMARY KEY (conversation_id)
);

CREATE INDEX ix_claim_tab ON claim (tab);

ALTER TABLE conversation ADD COLUMN revision BIGINT DEFAULT '0' NOT NULL;

ALTER TABLE conversation ADD COLUMN destination VARCHAR(300) DEFAULT '' NOT NULL;

CREATE TABLE draft (
  conversation_id VARCHAR(40) NOT NULL,
  actor VARCHAR(200) NOT NULL,
  session VARCHAR(80) NOT NULL,
  opening VARCHAR(80) NOT NULL,
  "key" VARCHAR(80) NOT NULL,
  version INTEGER NOT NULL,
  text TEXT,
  note TEXT NOT NULL,
  at VARCHAR(24) NOT NULL,
  PRIMARY KEY (conversation_id, actor)
);

ALTER TABLE effect ADD COLUMN destination VARCHAR(300) DEFAULT '' NOT NULL;

ALTER TABLE effect ADD COLUMN urgency INTEGER DEFAULT '2' NOT NULL;

ALTER TABLE effect ADD COLUMN seen TEXT DEFAULT '' NOT NULL;

ALTER TABLE effect ADD COLUMN trace VARCHAR(60) DEFAULT '' NOT NULL;

DROP INDEX effect_due;

CREATE INDEX effect_turn ON effect (urgency, due_ms, seq) WHERE due_ms IS NOT NULL;

CREATE TABLE outage (
  destination VARCHAR(300) NOT NULL,
  since VARCHAR(24) NOT NULL,
  ended VARCHAR(24) NOT NULL,
  error VARCHAR(40) NOT NULL,
  ask_ms BIGINT NOT NULL,
  PRIMARY KEY (destination)
);

CREATE TABLE pack (
  digest VARCHAR(64) NOT NULL,
  id VARCHAR(80) NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (digest)
)
 WITHOUT ROWID;

CREATE TABLE retention (
  seq INTEGER NOT NULL CHECK (seq > 0),
  kind VARCHAR(20) NOT NULL,
  until VARCHAR(24) NOT NULL,
  event BIGINT NOT NULL,
  actor VARCHAR(200) NOT NULL,
  at VARCHAR(24) NOT NULL,
  PRIMARY KEY (seq)
);

CREATE TABLE tombstone (
  uid VARCHAR(40) NOT NULL,
  number BIGINT NOT NULL,
  leaf_hash VARCHAR(64) NOT NULL,
  retention BIGINT NOT NULL,
  PRIMARY KEY (uid),
  UNIQUE (number)
)
 WITHOUT ROWID;

CREATE TABLE worker (
  name VARCHAR(80) NOT NULL,
  host VARCHAR(80) NOT NULL,
  pid INTEGER NOT NULL,
  version VARCHAR(20) NOT NULL,
  destination VARCHAR(300) NOT NULL,
  concurrency INTEGER NOT NULL,
  started VARCHAR(24) NOT NULL,
  beat_ms BIGINT NOT NULL,
  delivered BIGINT NOT NULL,
  failed BIGINT NOT NULL,
  PRIMARY KEY (name)
);

DROP TRIGGER event_no_delete;

CREATE TRIGGER event_no_delete BEFORE DELETE ON event WHEN (EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND OLD.at < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')) AND OLD.seq < (SELECT max(n.seq) FROM event n) AND substr(OLD.kind, 1, 7) <> 'ledger.' AND substr(OLD.kind, 1, 10) <> 'retention.' AND (OLD.key = '' OR NOT EXISTS (SELECT 1 FROM decision x WHERE x.request_key = OLD.key)) AND (OLD.session = '' OR NOT EXISTS (SELECT 1 FROM session x WHERE x.name = OLD.session))) IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'event is append-only'); END;

DROP TRIGGER request_no_delete;

CREATE TRIGGER request_no_delete BEFORE DELETE ON request WHEN (EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND '' < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')) AND NOT EXISTS (SELECT 1 FROM event x WHERE x.key = OLD.key) AND NOT EXISTS (SELECT 1 FROM decision x WHERE x.request_key = OLD.key)) IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'request is append-only'); END;

DROP TRIGGER decision_no_delete;

CREATE TRIGGER decision_no_delete BEFORE DELETE ON decision WHEN (EXISTS (SELECT 1 FROM tombstone b JOIN decision d ON d.uid = b.uid AND d.number = b.number AND d.leaf_hash = b.leaf_hash JOIN seal l ON l.decision_uid = b.uid AND l.leaf_hash = b.leaf_hash JOIN retention r ON r.seq = b.retention JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE b.uid = OLD.uid AND r.kind = 'decisions' AND d.at < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')) AND NOT EXISTS (SELECT 1 FROM effect x WHERE x.decision_uid = OLD.uid)) IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'decision is append-only'); END;

DROP TRIGGER attempt_no_delete;

CREATE TRIGGER attempt_no_delete BEFORE DELETE ON attempt WHEN (EXISTS (SELECT 1 FROM effect e WHERE e.uid = OLD.effect_uid AND e.due_ms IS NULL AND e.seq < (SELECT max(n.seq) FROM effect n) AND (EXISTS (SELECT 1 FROM tombstone b JOIN decision d ON d.uid = b.uid AND d.number = b.number AND d.leaf_hash = b.leaf_hash JOIN seal l ON l.decision_uid = b.uid AND l.leaf_hash = b.leaf_hash JOIN retention r ON r.seq = b.retention JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE b.uid = e.decision_uid AND r.kind = 'decisions' AND d.at < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')) OR (e.decision_uid = '' AND EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND OLD.at < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')) AND NOT EXISTS (SELECT 1 FROM sync_event x WHERE x.effect_uid = OLD.effect_uid))))) IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'attempt is append-only'); END;

DROP TRIGGER sync_event_no_delete;

CREATE TRIGGER sync_event_no_delete BEFORE DELETE ON sync_event WHEN (EXISTS (SELECT 1 FROM effect e WHERE e.uid = OLD.effect_uid AND e.due_ms IS NULL AND e.seq < (SELECT max(n.seq) FROM effect n) AND (EXISTS (SELECT 1 FROM tombstone b JOIN decision d ON d.uid = b.uid AND d.number = b.number AND d.leaf_hash = b.leaf_hash JOIN seal l ON l.decision_uid = b.uid AND l.leaf_hash = b.leaf_hash JOIN retention r ON r.seq = b.retention JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE b.uid = e.decision_uid AND r.kind = 'decisions' AND d.at < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')) OR (e.decision_uid = '' AND EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND OLD.at < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')))))) IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'sync_event is append-only'); END;

DROP TRIGGER suggestion_no_delete;

CREATE TRIGGER suggestion_no_delete BEFORE DELETE ON suggestion WHEN (EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'transcripts' AND OLD.at < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')) AND NOT EXISTS (SELECT 1 FROM assignment x WHERE x.conversation_id = OLD.conversation_id)) IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'suggestion is append-only'); END;

DROP TRIGGER follow_up_no_delete;

CREATE TRIGGER follow_up_no_delete BEFORE DELETE ON follow_up WHEN (EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND OLD.at < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')) AND EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND OLD.due < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')) AND OLD.seq < (SELECT max(n.seq) FROM follow_up n) AND NOT EXISTS (SELECT 1 FROM decision x WHERE x.uid = OLD.decision_uid)) IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'follow_up is append-only'); END;

DROP TRIGGER breach_no_delete;

CREATE TRIGGER breach_no_delete BEFORE DELETE ON breach WHEN (EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'transcripts' AND OLD.breached_at < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')) AND NOT EXISTS (SELECT 1 FROM conversation x WHERE x.id = OLD.conversation_id)) IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'breach is append-only'); END;

DROP TRIGGER assignment_no_delete;

CREATE TRIGGER assignment_no_delete BEFORE DELETE ON assignment WHEN (EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND OLD.at < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')) AND NOT EXISTS (SELECT 1 FROM session x WHERE x.name = OLD.session)) IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'assignment is append-only'); END;

CREATE TRIGGER pack_no_update BEFORE UPDATE ON pack BEGIN SELECT RAISE(ABORT, 'pack is append-only'); END;

CREATE TRIGGER pack_no_delete BEFORE DELETE ON pack BEGIN SELECT RAISE(ABORT, 'pack is append-only'); END;

CREATE TRIGGER pack_no_replace_digest BEFORE INSERT ON pack WHEN EXISTS (SELECT 1 FROM pack WHERE digest = NEW.digest) BEGIN SELECT RAISE(ABORT, 'pack is append-only: the row is already there'); END;

DROP TRIGGER probe_no_delete;

CREATE TRIGGER probe_no_delete BEFORE DELETE ON probe WHEN (EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND OLD.at < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')) AND OLD.seq < (SELECT max(n.seq) FROM probe n) AND NOT EXISTS (SELECT 1 FROM session x WHERE x.name = OLD.session)) IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'probe is append-only'); END;

DROP TRIGGER worksheet_no_delete;

CREATE TRIGGER worksheet_no_delete BEFORE DELETE ON worksheet WHEN (EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND OLD.at < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')) AND OLD.seq < (SELECT max(n.seq) FROM worksheet n) AND NOT EXISTS (SELECT 1 FROM session x WHERE x.name = OLD.session)) IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'worksheet is append-only'); END;

DROP TRIGGER run_no_delete;

CREATE TRIGGER run_no_delete BEFORE DELETE ON run WHEN (EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND OLD.at < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')) AND OLD.seq < (SELECT max(n.seq) FROM run n) AND NOT EXISTS (SELECT 1 FROM session x WHERE x.name = OLD.session)) IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'run is append-only'); END;

CREATE TRIGGER retention_no_update BEFORE UPDATE ON retention BEGIN SELECT RAISE(ABORT, 'retention is append-only'); END;

CREATE TRIGGER retention_no_delete BEFORE DELETE ON retention BEGIN SELECT RAISE(ABORT, 'retention is append-only'); END;

CREATE TRIGGER retention_no_replace_seq BEFORE INSERT ON retention WHEN EXISTS (SELECT 1 FROM retention WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'retention is append-only: the row is already there'); END;

CREATE TRIGGER tombstone_no_update BEFORE UPDATE ON tombstone BEGIN SELECT RAISE(ABORT, 'tombstone is append-only'); END;

CREATE TRIGGER tombstone_no_delete BEFORE DELETE ON tombstone BEGIN SELECT RAISE(ABORT, 'tombstone is append-only'); END;

CREATE TRIGGER tombstone_no_replace_uid BEFORE INSERT ON tombstone WHEN EXISTS (SELECT 1 FROM tombstone WHERE uid = NEW.uid) BEGIN SELECT RAISE(ABORT, 'tombstone is append-only: the row is already there'); END;

CREATE TRIGGER tombstone_no_replace_number BEFORE INSERT ON tombstone WHEN EXISTS (SELECT 1 FROM tombstone WHERE number = NEW.number) BEGIN SELECT RAISE(ABORT, 'tombstone is append-only: the row is already there'); END;

DROP TRIGGER effect_fixed;

CREATE TRIGGER effect_fixed BEFORE UPDATE ON effect WHEN OLD.seq IS NOT NEW.seq OR OLD.uid IS NOT NEW.uid OR OLD.run_key IS NOT NEW.run_key OR OLD.decision_uid IS NOT NEW.decision_uid OR OLD.number IS NOT NEW.number OR OLD.conversation_id IS NOT NEW.conversation_id OR OLD.session IS NOT NEW.session OR OLD.kind IS NOT NEW.kind OR OLD.payload IS NOT NEW.payload OR (OLD.destination <> NEW.destination AND OLD.destination <> '') BEGIN SELECT RAISE(ABORT, 'an effect never changes what it does'); END;

DROP TRIGGER effect_no_delete;

CREATE TRIGGER effect_no_delete BEFORE DELETE ON effect WHEN (OLD.due_ms IS NULL AND OLD.seq < (SELECT max(n.seq) FROM effect n) AND (EXISTS (SELECT 1 FROM tombstone b JOIN decision d ON d.uid = b.uid AND d.number = b.number AND d.leaf_hash = b.leaf_hash JOIN seal l ON l.decision_uid = b.uid AND l.leaf_hash = b.leaf_hash JOIN retention r ON r.seq = b.retention JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE b.uid = OLD.decision_uid AND r.kind = 'decisions' AND d.at < r.until AND r.until <= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-14 days')) OR (OLD.decision_uid = '' AND NOT EXISTS (SELECT 1 FROM sync_event x WHERE x.effect_uid = OLD.uid)))) IS NOT TRUE BEGIN SELECT RAISE(ABORT, 'an effect is never dropped'); END;
