CREATE TABLE meta (
  "key" VARCHAR(40) NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY ("key")
);

CREATE TABLE counter (
  name VARCHAR(40) NOT NULL,
  value BIGINT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE conversation (
  id VARCHAR(40) NOT NULL,
  version INTEGER NOT NULL,
  customer_key VARCHAR(200) NOT NULL,
  body TEXT NOT NULL,
  at VARCHAR(24) NOT NULL,
  PRIMARY KEY (id)
);

CREATE TABLE event (
  seq INTEGER NOT NULL CHECK (seq > 0),
  at VARCHAR(24) NOT NULL,
  actor VARCHAR(200) NOT NULL,
  role VARCHAR(20) NOT NULL,
  kind VARCHAR(40) NOT NULL,
  conversation_id VARCHAR(40) NOT NULL,
  session VARCHAR(80) NOT NULL,
  "key" VARCHAR(400) NOT NULL,
  code VARCHAR(60) NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (seq)
);

CREATE TABLE request (
  "key" VARCHAR(400) NOT NULL,
  fingerprint VARCHAR(64) NOT NULL,
  decision_uid VARCHAR(40) NOT NULL,
  number BIGINT NOT NULL,
  refused VARCHAR(60) NOT NULL,
  sentence TEXT NOT NULL,
  PRIMARY KEY ("key")
)
 WITHOUT ROWID;

CREATE TABLE decision (
  uid VARCHAR(40) NOT NULL,
  number BIGINT NOT NULL,
  scope VARCHAR(10) NOT NULL,
  action VARCHAR(40) NOT NULL,
  actor VARCHAR(200) NOT NULL,
  conversation_id VARCHAR(40) NOT NULL,
  session VARCHAR(80) NOT NULL,
  request_key VARCHAR(400) NOT NULL,
  at VARCHAR(24) NOT NULL,
  body TEXT NOT NULL,
  leaf_hash VARCHAR(64) NOT NULL,
  PRIMARY KEY (uid),
  UNIQUE (number),
  UNIQUE (request_key)
)
 WITHOUT ROWID;

CREATE TABLE effect (
  seq INTEGER NOT NULL CHECK (seq > 0),
  uid VARCHAR(40) NOT NULL,
  run_key VARCHAR(80) NOT NULL,
  decision_uid VARCHAR(40) NOT NULL,
  number BIGINT NOT NULL,
  conversation_id VARCHAR(40) NOT NULL,
  session VARCHAR(80) NOT NULL,
  kind VARCHAR(10) NOT NULL,
  payload TEXT NOT NULL,
  state VARCHAR(10) NOT NULL,
  attempt INTEGER NOT NULL,
  looks INTEGER NOT NULL,
  last_error VARCHAR(40) NOT NULL,
  due_ms BIGINT,
  owner VARCHAR(40) NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE (uid),
  UNIQUE (run_key)
);

CREATE TABLE suggestion (
  uid VARCHAR(40) NOT NULL,
  conversation_id VARCHAR(40) NOT NULL,
  session VARCHAR(80) NOT NULL,
  at VARCHAR(24) NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (uid)
)
 WITHOUT ROWID;

CREATE TABLE follow_up (
  seq INTEGER NOT NULL CHECK (seq > 0),
  conversation_id VARCHAR(40) NOT NULL,
  session VARCHAR(80) NOT NULL,
  decision_uid VARCHAR(40) NOT NULL,
  owner VARCHAR(200) NOT NULL,
  due VARCHAR(24) NOT NULL,
  text TEXT NOT NULL,
  at VARCHAR(24) NOT NULL,
  PRIMARY KEY (seq)
);

CREATE TABLE breach (
  conversation_id VARCHAR(40) NOT NULL,
  breached_at VARCHAR(24) NOT NULL,
  customer_key VARCHAR(200) NOT NULL,
  PRIMARY KEY (conversation_id, breached_at)
)
 WITHOUT ROWID;

CREATE TABLE session (
  name VARCHAR(80) NOT NULL,
  state VARCHAR(10) NOT NULL,
  body TEXT NOT NULL,
  started_at VARCHAR(24) NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE assignment (
  session VARCHAR(80) NOT NULL,
  scenario VARCHAR(80) NOT NULL,
  operator VARCHAR(200) NOT NULL,
  conversation_id VARCHAR(40) NOT NULL,
  PRIMARY KEY (session, scenario, operator),
  UNIQUE (conversation_id)
)
 WITHOUT ROWID;

CREATE TABLE probe (
  seq INTEGER NOT NULL CHECK (seq > 0),
  session VARCHAR(80) NOT NULL,
  name VARCHAR(40) NOT NULL,
  at VARCHAR(24) NOT NULL,
  status VARCHAR(10) NOT NULL,
  latency_ms INTEGER NOT NULL,
  detail TEXT NOT NULL,
  PRIMARY KEY (seq)
);

CREATE TABLE worksheet (
  seq INTEGER NOT NULL CHECK (seq > 0),
  "key" VARCHAR(400) NOT NULL,
  session VARCHAR(80) NOT NULL,
  scenario VARCHAR(80) NOT NULL,
  participant VARCHAR(200) NOT NULL,
  conversation_id VARCHAR(40) NOT NULL,
  outcome TEXT NOT NULL,
  note TEXT NOT NULL,
  owner VARCHAR(200) NOT NULL,
  due VARCHAR(24) NOT NULL,
  at VARCHAR(24) NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE ("key")
);

CREATE TABLE run (
  seq INTEGER NOT NULL CHECK (seq > 0),
  session VARCHAR(80) NOT NULL,
  scenario VARCHAR(80) NOT NULL,
  operator VARCHAR(200) NOT NULL,
  at VARCHAR(24) NOT NULL,
  passed INTEGER NOT NULL,
  body TEXT NOT NULL,
  digest VARCHAR(64) NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE (session, scenario, operator, digest)
);

CREATE TABLE ledger_key (
  seq INTEGER NOT NULL CHECK (seq > 0),
  origin VARCHAR(200) NOT NULL,
  public VARCHAR(64) NOT NULL,
  statement TEXT NOT NULL,
  actor VARCHAR(200) NOT NULL,
  at VARCHAR(24) NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE (public)
);

CREATE TABLE seal (
  log_index BIGINT NOT NULL CHECK (log_index >= 0),
  decision_uid VARCHAR(40) NOT NULL,
  leaf_hash VARCHAR(64) NOT NULL,
  PRIMARY KEY (log_index),
  UNIQUE (decision_uid)
)
 WITHOUT ROWID;

CREATE TABLE checkpoint (
  seq INTEGER NOT NULL CHECK (seq > 0),
  size BIGINT NOT NULL,
  key_id VARCHAR(8) NOT NULL,
  root VARCHAR(64) NOT NULL,
  note TEXT NOT NULL,
  actor VARCHAR(200) NOT NULL,
  at VARCHAR(24) NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE (size, key_id)
);

CREATE TABLE baseline (
  seq INTEGER NOT NULL CHECK (seq > 0),
  at VARCHAR(24) NOT NULL,
  actor VARCHAR(200) NOT NULL,
  role VARCHAR(20) NOT NULL,
  kind VARCHAR(10) NOT NULL,
  measure VARCHAR(20) NOT NULL,
  seconds BIGINT,
  source TEXT NOT NULL,
  of_seq BIGINT,
  PRIMARY KEY (seq),
  UNIQUE (of_seq)
);

CREATE TABLE imported (
  seq INTEGER NOT NULL CHECK (seq > 0),
  sha256 VARCHAR(64) NOT NULL,
  name TEXT NOT NULL,
  kind VARCHAR(20) NOT NULL,
  size BIGINT NOT NULL,
  records BIGINT NOT NULL,
  rejects BIGINT NOT NULL,
  claimed_at VARCHAR(24) NOT NULL,
  observed_at VARCHAR(24) NOT NULL,
  at VARCHAR(24) NOT NULL,
  actor VARCHAR(200) NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE (sha256)
);

CREATE TABLE attempt (
  effect_uid VARCHAR(40) NOT NULL,
  attempt INTEGER NOT NULL,
  at VARCHAR(24) NOT NULL,
  answer VARCHAR(10) NOT NULL,
  error_code VARCHAR(40) NOT NULL,
  duration_us BIGINT,
  PRIMARY KEY (effect_uid, attempt),
  FOREIGN KEY(effect_uid) REFERENCES effect (uid)
)
 WITHOUT ROWID;

CREATE TABLE sync_event (
  effect_uid VARCHAR(40) NOT NULL,
  status VARCHAR(10) NOT NULL,
  attempt INTEGER NOT NULL,
  error_code VARCHAR(40) NOT NULL,
  duration_us BIGINT,
  recovered INTEGER NOT NULL,
  at VARCHAR(24) NOT NULL,
  PRIMARY KEY (effect_uid),
  FOREIGN KEY(effect_uid) REFERENCES effect (uid)
)
 WITHOUT ROWID;

CREATE INDEX ix_conversation_customer_key ON conversation (customer_key);

CREATE INDEX ix_event_conversation_id ON event (conversation_id);

CREATE INDEX ix_event_session ON event (session);

CREATE INDEX ix_event_key ON event ("key");

CREATE INDEX decision_by_conversation ON decision (conversation_id, number);

CREATE INDEX decision_by_session ON decision (session, number);

CREATE INDEX ix_effect_decision_uid ON effect (decision_uid);

CREATE INDEX effect_open ON effect (conversation_id, seq) WHERE due_ms IS NOT NULL;

CREATE INDEX effect_due ON effect (due_ms) WHERE due_ms IS NOT NULL;

CREATE INDEX ix_follow_up_conversation_id ON follow_up (conversation_id);

CREATE INDEX ix_breach_customer_key ON breach (customer_key);

CREATE INDEX ix_probe_session ON probe (session);

CREATE INDEX ix_worksheet_session ON worksheet (session);

CREATE TRIGGER event_no_update BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'event is append-only'); END;

CREATE TRIGGER event_no_delete BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'event is append-only'); END;

CREATE TRIGGER event_no_replace_seq BEFORE INSERT ON event WHEN EXISTS (SELECT 1 FROM event WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'event is append-only: the row is already there'); END;

CREATE TRIGGER request_no_update BEFORE UPDATE ON request BEGIN SELECT RAISE(ABORT, 'request is append-only'); END;

CREATE TRIGGER request_no_delete BEFORE DELETE ON request BEGIN SELECT RAISE(ABORT, 'request is append-only'); END;

CREATE TRIGGER request_no_replace_key BEFORE INSERT ON request WHEN EXISTS (SELECT 1 FROM request WHERE key = NEW.key) BEGIN SELECT RAISE(ABORT, 'request is append-only: the row is already there'); END;

CREATE TRIGGER decision_no_update BEFORE UPDATE ON decision BEGIN SELECT RAISE(ABORT, 'decision is append-only'); END;

CREATE TRIGGER decision_no_delete BEFORE DELETE ON decision BEGIN SELECT RAISE(ABORT, 'decision is append-only'); END;

CREATE TRIGGER decision_no_replace_uid BEFORE INSERT ON decision WHEN EXISTS (SELECT 1 FROM decision WHERE uid = NEW.uid) BEGIN SELECT RAISE(ABORT, 'decision is append-only: the row is already there'); END;

CREATE TRIGGER decision_no_replace_number BEFORE INSERT ON decision WHEN EXISTS (SELECT 1 FROM decision WHERE number = NEW.number) BEGIN SELECT RAISE(ABORT, 'decision is append-only: the row is already there'); END;

CREATE TRIGGER decision_no_replace_request_key BEFORE INSERT ON decision WHEN EXISTS (SELECT 1 FROM decision WHERE request_key = NEW.request_key) BEGIN SELECT RAISE(ABORT, 'decision is append-only: the row is already there'); END;

CREATE TRIGGER attempt_no_update BEFORE UPDATE ON attempt BEGIN SELECT RAISE(ABORT, 'attempt is append-only'); END;

CREATE TRIGGER attempt_no_delete BEFORE DELETE ON attempt BEGIN SELECT RAISE(ABORT, 'attempt is append-only'); END;

CREATE TRIGGER attempt_no_replace_effect_uid_attempt BEFORE INSERT ON attempt WHEN EXISTS (SELECT 1 FROM attempt WHERE effect_uid = NEW.effect_uid AND attempt = NEW.attempt) BEGIN SELECT RAISE(ABORT, 'attempt is append-only: the row is already there'); END;

CREATE TRIGGER sync_event_no_update BEFORE UPDATE ON sync_event BEGIN SELECT RAISE(ABORT, 'sync_event is append-only'); END;

CREATE TRIGGER sync_event_no_delete BEFORE DELETE ON sync_event BEGIN SELECT RAISE(ABORT, 'sync_event is append-only'); END;

CREATE TRIGGER sync_event_no_replace_effect_uid BEFORE INSERT ON sync_event WHEN EXISTS (SELECT 1 FROM sync_event WHERE effect_uid = NEW.effect_uid) BEGIN SELECT RAISE(ABORT, 'sync_event is append-only: the row is already there'); END;

CREATE TRIGGER suggestion_no_update BEFORE UPDATE ON suggestion BEGIN SELECT RAISE(ABORT, 'suggestion is append-only'); END;

CREATE TRIGGER suggestion_no_delete BEFORE DELETE ON suggestion BEGIN SELECT RAISE(ABORT, 'suggestion is append-only'); END;

CREATE TRIGGER suggestion_no_replace_uid BEFORE INSERT ON suggestion WHEN EXISTS (SELECT 1 FROM suggestion WHERE uid = NEW.uid) BEGIN SELECT RAISE(ABORT, 'suggestion is append-only: the row is already there'); END;

CREATE TRIGGER follow_up_no_update BEFORE UPDATE ON follow_up BEGIN SELECT RAISE(ABORT, 'follow_up is append-only'); END;

CREATE TRIGGER follow_up_no_delete BEFORE DELETE ON follow_up BEGIN SELECT RAISE(ABORT, 'follow_up is append-only'); END;

CREATE TRIGGER follow_up_no_replace_seq BEFORE INSERT ON follow_up WHEN EXISTS (SELECT 1 FROM follow_up WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'follow_up is append-only: the row is already there'); END;

CREATE TRIGGER breach_no_update BEFORE UPDATE ON breach BEGIN SELECT RAISE(ABORT, 'breach is append-only'); END;

CREATE TRIGGER breach_no_delete BEFORE DELETE ON breach BEGIN SELECT RAISE(ABORT, 'breach is append-only'); END;

CREATE TRIGGER breach_no_replace_conversation_id_breached_at BEFORE INSERT ON breach WHEN EXISTS (SELECT 1 FROM breach WHERE conversation_id = NEW.conversation_id AND breached_at = NEW.breached_at) BEGIN SELECT RAISE(ABORT, 'breach is append-only: the row is already there'); END;

CREATE TRIGGER assignment_no_update BEFORE UPDATE ON assignment BEGIN SELECT RAISE(ABORT, 'assignment is append-only'); END;

CREATE TRIGGER assignment_no_delete BEFORE DELETE ON assignment BEGIN SELECT RAISE(ABORT, 'assignment is append-only'); END;

CREATE TRIGGER assignment_no_replace_session_scenario_operator BEFORE INSERT ON assignment WHEN EXISTS (SELECT 1 FROM assignment WHERE session = NEW.session AND scenario = NEW.scenario AND operator = NEW.operator) BEGIN SELECT RAISE(ABORT, 'assignment is append-only: the row is already there'); END;

CREATE TRIGGER assignment_no_replace_conversation_id BEFORE INSERT ON assignment WHEN EXISTS (SELECT 1 FROM assignment WHERE conversation_id = NEW.conversation_id) BEGIN SELECT RAISE(ABORT, 'assignment is append-only: the row is already there'); END;

CREATE TRIGGER probe_no_update BEFORE UPDATE ON probe BEGIN SELECT RAISE(ABORT, 'probe is append-only'); END;

CREATE TRIGGER probe_no_delete BEFORE DELETE ON probe BEGIN SELECT RAISE(ABORT, 'probe is append-only'); END;

CREATE TRIGGER probe_no_replace_seq BEFORE INSERT ON probe WHEN EXISTS (SELECT 1 FROM probe WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'probe is append-only: the row is already there'); END;

CREATE TRIGGER worksheet_no_update BEFORE UPDATE ON worksheet BEGIN SELECT RAISE(ABORT, 'worksheet is append-only'); END;

CREATE TRIGGER worksheet_no_delete BEFORE DELETE ON worksheet BEGIN SELECT RAISE(ABORT, 'worksheet is append-only'); END;

CREATE TRIGGER worksheet_no_replace_seq BEFORE INSERT ON worksheet WHEN EXISTS (SELECT 1 FROM worksheet WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'worksheet is append-only: the row is already there'); END;

CREATE TRIGGER worksheet_no_replace_key BEFORE INSERT ON worksheet WHEN EXISTS (SELECT 1 FROM worksheet WHERE key = NEW.key) BEGIN SELECT RAISE(ABORT, 'worksheet is append-only: the row is already there'); END;

CREATE TRIGGER run_no_update BEFORE UPDATE ON run BEGIN SELECT RAISE(ABORT, 'run is append-only'); END;

CREATE TRIGGER run_no_delete BEFORE DELETE ON run BEGIN SELECT RAISE(ABORT, 'run is append-only'); END;

CREATE TRIGGER run_no_replace_seq BEFORE INSERT ON run WHEN EXISTS (SELECT 1 FROM run WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'run is append-only: the row is already there'); END;

CREATE TRIGGER run_no_replace_session_scenario_operator_digest BEFORE INSERT ON run WHEN EXISTS (SELECT 1 FROM run WHERE session = NEW.session AND scenario = NEW.scenario AND operator = NEW.operator AND digest = NEW.digest) BEGIN SELECT RAISE(ABORT, 'run is append-only: the row is already there'); END;

CREATE TRIGGER ledger_key_no_update BEFORE UPDATE ON ledger_key BEGIN SELECT RAISE(ABORT, 'ledger_key is append-only'); END;

CREATE TRIGGER ledger_key_no_delete BEFORE DELETE ON ledger_key BEGIN SELECT RAISE(ABORT, 'ledger_key is append-only'); END;

CREATE TRIGGER ledger_key_no_replace_seq BEFORE INSERT ON ledger_key WHEN EXISTS (SELECT 1 FROM ledger_key WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'ledger_key is append-only: the row is already there'); END;

CREATE TRIGGER ledger_key_no_replace_public BEFORE INSERT ON ledger_key WHEN EXISTS (SELECT 1 FROM ledger_key WHERE public = NEW.public) BEGIN SELECT RAISE(ABORT, 'ledger_key is append-only: the row is already there'); END;

CREATE TRIGGER seal_no_update BEFORE UPDATE ON seal BEGIN SELECT RAISE(ABORT, 'seal is append-only'); END;

CREATE TRIGGER seal_no_delete BEFORE DELETE ON seal BEGIN SELECT RAISE(ABORT, 'seal is append-only'); END;

CREATE TRIGGER seal_no_replace_log_index BEFORE INSERT ON seal WHEN EXISTS (SELECT 1 FROM seal WHERE log_index = NEW.log_index) BEGIN SELECT RAISE(ABORT, 'seal is append-only: the row is already there'); END;

CREATE TRIGGER seal_no_replace_decision_uid BEFORE INSERT ON seal WHEN EXISTS (SELECT 1 FROM seal WHERE decision_uid = NEW.decision_uid) BEGIN SELECT RAISE(ABORT, 'seal is append-only: the row is already there'); END;

CREATE TRIGGER checkpoint_no_update BEFORE UPDATE ON checkpoint BEGIN SELECT RAISE(ABORT, 'checkpoint is append-only'); END;

CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint BEGIN SELECT RAISE(ABORT, 'checkpoint is append-only'); END;

CREATE TRIGGER checkpoint_no_replace_seq BEFORE INSERT ON checkpoint WHEN EXISTS (SELECT 1 FROM checkpoint WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'checkpoint is append-only: the row is already there'); END;

CREATE TRIGGER checkpoint_no_replace_size_key_id BEFORE INSERT ON checkpoint WHEN EXISTS (SELECT 1 FROM checkpoint WHERE size = NEW.size AND key_id = NEW.key_id) BEGIN SELECT RAISE(ABORT, 'checkpoint is append-only: the row is already there'); END;

CREATE TRIGGER baseline_no_update BEFORE UPDATE ON baseline BEGIN SELECT RAISE(ABORT, 'baseline is append-only'); END;

CREATE TRIGGER baseline_no_delete BEFORE DELETE ON baseline BEGIN SELECT RAISE(ABORT, 'baseline is append-only'); END;

CREATE TRIGGER baseline_no_replace_seq BEFORE INSERT ON baseline WHEN EXISTS (SELECT 1 FROM baseline WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'baseline is append-only: the row is already there'); END;

CREATE TRIGGER baseline_no_replace_of_seq BEFORE INSERT ON baseline WHEN EXISTS (SELECT 1 FROM baseline WHERE of_seq = NEW.of_seq) BEGIN SELECT RAISE(ABORT, 'baseline is append-only: the row is already there'); END;

CREATE TRIGGER imported_no_update BEFORE UPDATE ON imported BEGIN SELECT RAISE(ABORT, 'imported is append-only'); END;

CREATE TRIGGER imported_no_delete BEFORE DELETE ON imported BEGIN SELECT RAISE(ABORT, 'imported is append-only'); END;

CREATE TRIGGER imported_no_replace_seq BEFORE INSERT ON imported WHEN EXISTS (SELECT 1 FROM imported WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'imported is append-only: the row is already there'); END;

CREATE TRIGGER imported_no_replace_sha256 BEFORE INSERT ON imported WHEN EXISTS (SELECT 1 FROM imported WHERE sha256 = NEW.sha256) BEGIN SELECT RAISE(ABORT, 'imported is append-only: the row is already there'); END;

CREATE TRIGGER effect_fixed BEFORE UPDATE ON effect WHEN OLD.seq IS NOT NEW.seq OR OLD.uid IS NOT NEW.uid OR OLD.run_key IS NOT NEW.run_key OR OLD.decision_uid IS NOT NEW.decision_uid OR OLD.number IS NOT NEW.number OR OLD.conversation_id IS NOT NEW.conversation_id OR OLD.session IS NOT NEW.session OR OLD.kind IS NOT NEW.kind OR OLD.payload IS NOT NEW.payload BEGIN SELECT RAISE(ABORT, 'an effect never changes what it does'); END;

CREATE TRIGGER effect_finished BEFORE UPDATE ON effect WHEN OLD.due_ms IS NULL BEGIN SELECT RAISE(ABORT, 'the effect is finished'); END;

CREATE TRIGGER effect_no_delete BEFORE DELETE ON effect BEGIN SELECT RAISE(ABORT, 'an effect is never dropped'); END;

CREATE TRIGGER effect_no_replace_seq BEFORE INSERT ON effect WHEN EXISTS (SELECT 1 FROM effect WHERE seq = NEW.seq) BEGIN SELECT RAISE(ABORT, 'the effect is already there'); END;

CREATE TRIGGER effect_no_replace_uid BEFORE INSERT ON effect WHEN EXISTS (SELECT 1 FROM effect WHERE uid = NEW.uid) BEGIN SELECT RAISE(ABORT, 'the effect is already there'); END;

CREATE TRIGGER effect_no_replace_run_key BEFORE INSERT ON effect WHEN EXISTS (SELECT 1 FROM effect WHERE run_key = NEW.run_key) BEGIN SELECT RAISE(ABORT, 'the effect is already there'); END;

INSERT INTO meta (key, value) VALUES ('schema', '1');

INSERT INTO counter (name, value) VALUES ('decision', 100);
