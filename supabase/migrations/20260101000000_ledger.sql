-- Made by `python -m tests.contract.steps` from the tables of the store.

CREATE OR REPLACE FUNCTION cairnops_next(of_table text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  newest bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('cairnops ' || of_table, 0));
  EXECUTE 'SELECT max(seq) FROM ' || quote_ident(of_table) INTO newest;
  RETURN coalesce(newest, 0) + 1;
END
$$;

CREATE TABLE assignment (
  session VARCHAR COLLATE "C" NOT NULL,
  scenario VARCHAR COLLATE "C" NOT NULL,
  operator VARCHAR COLLATE "C" NOT NULL,
  conversation_id VARCHAR COLLATE "C" NOT NULL,
  at VARCHAR COLLATE "C" DEFAULT '' NOT NULL,
  PRIMARY KEY (session, scenario, operator),
  UNIQUE (conversation_id)
);

CREATE TABLE baseline (
  seq BIGINT DEFAULT cairnops_next('baseline') NOT NULL CHECK (seq > 0),
  at VARCHAR COLLATE "C" NOT NULL,
  actor VARCHAR COLLATE "C" NOT NULL,
  role VARCHAR COLLATE "C" NOT NULL,
  kind VARCHAR COLLATE "C" NOT NULL,
  measure VARCHAR COLLATE "C" NOT NULL,
  seconds BIGINT,
  source VARCHAR COLLATE "C" NOT NULL,
  of_seq BIGINT,
  PRIMARY KEY (seq),
  UNIQUE (of_seq)
);

CREATE TABLE breach (
  conversation_id VARCHAR COLLATE "C" NOT NULL,
  breached_at VARCHAR COLLATE "C" NOT NULL,
  customer_key VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (conversation_id, breached_at)
);

CREATE INDEX ix_breach_customer_key ON breach (customer_key);

CREATE TABLE bucket (
  destination VARCHAR COLLATE "C" NOT NULL,
  free_us BIGINT NOT NULL,
  PRIMARY KEY (destination)
);

CREATE TABLE checkpoint (
  seq BIGINT DEFAULT cairnops_next('checkpoint') NOT NULL CHECK (seq > 0),
  size BIGINT NOT NULL,
  key_id VARCHAR COLLATE "C" NOT NULL,
  root VARCHAR COLLATE "C" NOT NULL,
  note VARCHAR COLLATE "C" NOT NULL,
  actor VARCHAR COLLATE "C" NOT NULL,
  at VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE (size, key_id)
);

CREATE TABLE claim (
  conversation_id VARCHAR COLLATE "C" NOT NULL,
  actor VARCHAR COLLATE "C" NOT NULL,
  role VARCHAR COLLATE "C" NOT NULL,
  tab VARCHAR COLLATE "C" NOT NULL,
  session VARCHAR COLLATE "C" NOT NULL,
  since VARCHAR COLLATE "C" NOT NULL,
  until_ms BIGINT NOT NULL,
  PRIMARY KEY (conversation_id)
);

CREATE INDEX ix_claim_tab ON claim (tab);

CREATE TABLE conversation (
  id VARCHAR COLLATE "C" NOT NULL,
  version INTEGER NOT NULL,
  customer_key VARCHAR COLLATE "C" NOT NULL,
  body VARCHAR COLLATE "C" NOT NULL,
  at VARCHAR COLLATE "C" NOT NULL,
  revision BIGINT DEFAULT '0' NOT NULL,
  destination VARCHAR COLLATE "C" DEFAULT '' NOT NULL,
  PRIMARY KEY (id)
);

CREATE INDEX ix_conversation_customer_key ON conversation (customer_key);

CREATE TABLE counter (
  name VARCHAR COLLATE "C" NOT NULL,
  value BIGINT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE decision (
  uid VARCHAR COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  scope VARCHAR COLLATE "C" NOT NULL,
  action VARCHAR COLLATE "C" NOT NULL,
  actor VARCHAR COLLATE "C" NOT NULL,
  conversation_id VARCHAR COLLATE "C" NOT NULL,
  session VARCHAR COLLATE "C" NOT NULL,
  request_key VARCHAR COLLATE "C" NOT NULL,
  at VARCHAR COLLATE "C" NOT NULL,
  body VARCHAR COLLATE "C" NOT NULL,
  leaf_hash VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (uid),
  UNIQUE (number),
  UNIQUE (request_key)
);

CREATE INDEX decision_by_conversation ON decision (conversation_id, number);

CREATE INDEX decision_by_session ON decision (session, number);

CREATE TABLE draft (
  conversation_id VARCHAR COLLATE "C" NOT NULL,
  actor VARCHAR COLLATE "C" NOT NULL,
  session VARCHAR COLLATE "C" NOT NULL,
  opening VARCHAR COLLATE "C" NOT NULL,
  key VARCHAR COLLATE "C" NOT NULL,
  version INTEGER NOT NULL,
  text VARCHAR COLLATE "C",
  note VARCHAR COLLATE "C" NOT NULL,
  at VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (conversation_id, actor)
);

CREATE TABLE effect (
  seq BIGINT DEFAULT cairnops_next('effect') NOT NULL CHECK (seq > 0),
  uid VARCHAR COLLATE "C" NOT NULL,
  run_key VARCHAR COLLATE "C" NOT NULL,
  decision_uid VARCHAR COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  conversation_id VARCHAR COLLATE "C" NOT NULL,
  session VARCHAR COLLATE "C" NOT NULL,
  kind VARCHAR COLLATE "C" NOT NULL,
  payload VARCHAR COLLATE "C" NOT NULL,
  state VARCHAR COLLATE "C" NOT NULL,
  attempt INTEGER NOT NULL,
  looks INTEGER NOT NULL,
  last_error VARCHAR COLLATE "C" NOT NULL,
  due_ms BIGINT,
  owner VARCHAR COLLATE "C" NOT NULL,
  destination VARCHAR COLLATE "C" DEFAULT '' NOT NULL,
  urgency INTEGER DEFAULT '2' NOT NULL,
  seen VARCHAR COLLATE "C" DEFAULT '' NOT NULL,
  trace VARCHAR COLLATE "C" DEFAULT '' NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE (uid),
  UNIQUE (run_key)
);

CREATE INDEX effect_open ON effect (conversation_id, seq) WHERE due_ms IS NOT NULL;

CREATE INDEX effect_turn ON effect (urgency, due_ms, seq) WHERE due_ms IS NOT NULL;

CREATE INDEX ix_effect_decision_uid ON effect (decision_uid);

CREATE TABLE event (
  seq BIGINT DEFAULT cairnops_next('event') NOT NULL CHECK (seq > 0),
  at VARCHAR COLLATE "C" NOT NULL,
  actor VARCHAR COLLATE "C" NOT NULL,
  role VARCHAR COLLATE "C" NOT NULL,
  kind VARCHAR COLLATE "C" NOT NULL,
  conversation_id VARCHAR COLLATE "C" NOT NULL,
  session VARCHAR COLLATE "C" NOT NULL,
  key VARCHAR COLLATE "C" NOT NULL,
  code VARCHAR COLLATE "C" NOT NULL,
  body VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (seq)
);

CREATE INDEX ix_event_conversation_id ON event (conversation_id);

CREATE INDEX ix_event_key ON event (key);

CREATE INDEX ix_event_session ON event (session);

CREATE TABLE follow_up (
  seq BIGINT DEFAULT cairnops_next('follow_up') NOT NULL CHECK (seq > 0),
  conversation_id VARCHAR COLLATE "C" NOT NULL,
  session VARCHAR COLLATE "C" NOT NULL,
  decision_uid VARCHAR COLLATE "C" NOT NULL,
  owner VARCHAR COLLATE "C" NOT NULL,
  due VARCHAR COLLATE "C" NOT NULL,
  text VARCHAR COLLATE "C" NOT NULL,
  at VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (seq)
);

CREATE INDEX ix_follow_up_conversation_id ON follow_up (conversation_id);

CREATE TABLE imported (
  seq BIGINT DEFAULT cairnops_next('imported') NOT NULL CHECK (seq > 0),
  sha256 VARCHAR COLLATE "C" NOT NULL,
  name VARCHAR COLLATE "C" NOT NULL,
  kind VARCHAR COLLATE "C" NOT NULL,
  size BIGINT NOT NULL,
  records BIGINT NOT NULL,
  rejects BIGINT NOT NULL,
  claimed_at VARCHAR COLLATE "C" NOT NULL,
  observed_at VARCHAR COLLATE "C" NOT NULL,
  at VARCHAR COLLATE "C" NOT NULL,
  actor VARCHAR COLLATE "C" NOT NULL,
  body VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE (sha256)
);

CREATE TABLE ledger_key (
  seq BIGINT DEFAULT cairnops_next('ledger_key') NOT NULL CHECK (seq > 0),
  origin VARCHAR COLLATE "C" NOT NULL,
  public VARCHAR COLLATE "C" NOT NULL,
  statement VARCHAR COLLATE "C" NOT NULL,
  actor VARCHAR COLLATE "C" NOT NULL,
  at VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE (public)
);

CREATE TABLE meta (
  key VARCHAR COLLATE "C" NOT NULL,
  value VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (key)
);

CREATE TABLE outage (
  destination VARCHAR COLLATE "C" NOT NULL,
  since VARCHAR COLLATE "C" NOT NULL,
  ended VARCHAR COLLATE "C" NOT NULL,
  error VARCHAR COLLATE "C" NOT NULL,
  ask_ms BIGINT NOT NULL,
  PRIMARY KEY (destination)
);

CREATE TABLE pack (
  digest VARCHAR COLLATE "C" NOT NULL,
  id VARCHAR COLLATE "C" NOT NULL,
  body VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (digest)
);

CREATE TABLE probe (
  seq BIGINT DEFAULT cairnops_next('probe') NOT NULL CHECK (seq > 0),
  session VARCHAR COLLATE "C" NOT NULL,
  name VARCHAR COLLATE "C" NOT NULL,
  at VARCHAR COLLATE "C" NOT NULL,
  status VARCHAR COLLATE "C" NOT NULL,
  latency_ms INTEGER NOT NULL,
  detail VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (seq)
);

CREATE INDEX ix_probe_session ON probe (session);

CREATE TABLE request (
  key VARCHAR COLLATE "C" NOT NULL,
  fingerprint VARCHAR COLLATE "C" NOT NULL,
  decision_uid VARCHAR COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  refused VARCHAR COLLATE "C" NOT NULL,
  sentence VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (key)
);

CREATE TABLE retention (
  seq BIGINT DEFAULT cairnops_next('retention') NOT NULL CHECK (seq > 0),
  kind VARCHAR COLLATE "C" NOT NULL,
  until VARCHAR COLLATE "C" NOT NULL,
  event BIGINT NOT NULL,
  actor VARCHAR COLLATE "C" NOT NULL,
  at VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (seq)
);

CREATE TABLE run (
  seq BIGINT DEFAULT cairnops_next('run') NOT NULL CHECK (seq > 0),
  session VARCHAR COLLATE "C" NOT NULL,
  scenario VARCHAR COLLATE "C" NOT NULL,
  operator VARCHAR COLLATE "C" NOT NULL,
  at VARCHAR COLLATE "C" NOT NULL,
  passed INTEGER NOT NULL,
  body VARCHAR COLLATE "C" NOT NULL,
  digest VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE (session, scenario, operator, digest)
);

CREATE TABLE seal (
  log_index BIGSERIAL NOT NULL CHECK (log_index >= 0),
  decision_uid VARCHAR COLLATE "C" NOT NULL,
  leaf_hash VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (log_index),
  UNIQUE (decision_uid)
);

CREATE TABLE session (
  name VARCHAR COLLATE "C" NOT NULL,
  state VARCHAR COLLATE "C" NOT NULL,
  body VARCHAR COLLATE "C" NOT NULL,
  started_at VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE suggestion (
  uid VARCHAR COLLATE "C" NOT NULL,
  conversation_id VARCHAR COLLATE "C" NOT NULL,
  session VARCHAR COLLATE "C" NOT NULL,
  at VARCHAR COLLATE "C" NOT NULL,
  body VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (uid)
);

CREATE TABLE tombstone (
  uid VARCHAR COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  leaf_hash VARCHAR COLLATE "C" NOT NULL,
  retention BIGINT NOT NULL,
  PRIMARY KEY (uid),
  UNIQUE (number)
);

CREATE TABLE worker (
  name VARCHAR COLLATE "C" NOT NULL,
  host VARCHAR COLLATE "C" NOT NULL,
  pid INTEGER NOT NULL,
  version VARCHAR COLLATE "C" NOT NULL,
  destination VARCHAR COLLATE "C" NOT NULL,
  concurrency INTEGER NOT NULL,
  started VARCHAR COLLATE "C" NOT NULL,
  beat_ms BIGINT NOT NULL,
  delivered BIGINT NOT NULL,
  failed BIGINT NOT NULL,
  PRIMARY KEY (name)
);

CREATE TABLE worksheet (
  seq BIGINT DEFAULT cairnops_next('worksheet') NOT NULL CHECK (seq > 0),
  key VARCHAR COLLATE "C" NOT NULL,
  session VARCHAR COLLATE "C" NOT NULL,
  scenario VARCHAR COLLATE "C" NOT NULL,
  participant VARCHAR COLLATE "C" NOT NULL,
  conversation_id VARCHAR COLLATE "C" NOT NULL,
  outcome VARCHAR COLLATE "C" NOT NULL,
  note VARCHAR COLLATE "C" NOT NULL,
  owner VARCHAR COLLATE "C" NOT NULL,
  due VARCHAR COLLATE "C" NOT NULL,
  at VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (seq),
  UNIQUE (key)
);

CREATE INDEX ix_worksheet_session ON worksheet (session);

CREATE TABLE attempt (
  effect_uid VARCHAR COLLATE "C" NOT NULL,
  attempt INTEGER NOT NULL,
  at VARCHAR COLLATE "C" NOT NULL,
  answer VARCHAR COLLATE "C" NOT NULL,
  error_code VARCHAR COLLATE "C" NOT NULL,
  duration_us BIGINT,
  PRIMARY KEY (effect_uid, attempt),
  FOREIGN KEY(effect_uid) REFERENCES effect (uid)
);

CREATE TABLE sync_event (
  effect_uid VARCHAR COLLATE "C" NOT NULL,
  status VARCHAR COLLATE "C" NOT NULL,
  attempt INTEGER NOT NULL,
  error_code VARCHAR COLLATE "C" NOT NULL,
  duration_us BIGINT,
  recovered INTEGER NOT NULL,
  at VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (effect_uid),
  FOREIGN KEY(effect_uid) REFERENCES effect (uid)
);

CREATE OR REPLACE FUNCTION cairnops_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    CASE TG_TABLE_NAME
    WHEN 'assignment' THEN
      IF EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND OLD.at < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AND NOT EXISTS (SELECT 1 FROM session x WHERE x.name = OLD.session) THEN
        RETURN OLD;
      END IF;
    WHEN 'run' THEN
      IF EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND OLD.at < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AND OLD.seq < (SELECT max(n.seq) FROM run n) AND NOT EXISTS (SELECT 1 FROM session x WHERE x.name = OLD.session) THEN
        RETURN OLD;
      END IF;
    WHEN 'worksheet' THEN
      IF EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND OLD.at < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AND OLD.seq < (SELECT max(n.seq) FROM worksheet n) AND NOT EXISTS (SELECT 1 FROM session x WHERE x.name = OLD.session) THEN
        RETURN OLD;
      END IF;
    WHEN 'probe' THEN
      IF EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND OLD.at < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AND OLD.seq < (SELECT max(n.seq) FROM probe n) AND NOT EXISTS (SELECT 1 FROM session x WHERE x.name = OLD.session) THEN
        RETURN OLD;
      END IF;
    WHEN 'breach' THEN
      IF EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'transcripts' AND OLD.breached_at < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AND NOT EXISTS (SELECT 1 FROM conversation x WHERE x.id = OLD.conversation_id) THEN
        RETURN OLD;
      END IF;
    WHEN 'suggestion' THEN
      IF EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'transcripts' AND OLD.at < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AND NOT EXISTS (SELECT 1 FROM assignment x WHERE x.conversation_id = OLD.conversation_id) THEN
        RETURN OLD;
      END IF;
    WHEN 'sync_event' THEN
      IF EXISTS (SELECT 1 FROM effect e WHERE e.uid = OLD.effect_uid AND e.due_ms IS NULL AND e.seq < (SELECT max(n.seq) FROM effect n) AND (EXISTS (SELECT 1 FROM tombstone b JOIN decision d ON d.uid = b.uid AND d.number = b.number AND d.leaf_hash = b.leaf_hash JOIN seal l ON l.decision_uid = b.uid AND l.leaf_hash = b.leaf_hash JOIN retention r ON r.seq = b.retention JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE b.uid = e.decision_uid AND r.kind = 'decisions' AND d.at < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) OR (e.decision_uid = '' AND EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND OLD.at < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))))) THEN
        RETURN OLD;
      END IF;
    WHEN 'attempt' THEN
      IF EXISTS (SELECT 1 FROM effect e WHERE e.uid = OLD.effect_uid AND e.due_ms IS NULL AND e.seq < (SELECT max(n.seq) FROM effect n) AND (EXISTS (SELECT 1 FROM tombstone b JOIN decision d ON d.uid = b.uid AND d.number = b.number AND d.leaf_hash = b.leaf_hash JOIN seal l ON l.decision_uid = b.uid AND l.leaf_hash = b.leaf_hash JOIN retention r ON r.seq = b.retention JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE b.uid = e.decision_uid AND r.kind = 'decisions' AND d.at < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) OR (e.decision_uid = '' AND EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND OLD.at < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AND NOT EXISTS (SELECT 1 FROM sync_event x WHERE x.effect_uid = OLD.effect_uid)))) THEN
        RETURN OLD;
      END IF;
    WHEN 'effect' THEN
      IF OLD.due_ms IS NULL AND OLD.seq < (SELECT max(n.seq) FROM effect n) AND (EXISTS (SELECT 1 FROM tombstone b JOIN decision d ON d.uid = b.uid AND d.number = b.number AND d.leaf_hash = b.leaf_hash JOIN seal l ON l.decision_uid = b.uid AND l.leaf_hash = b.leaf_hash JOIN retention r ON r.seq = b.retention JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE b.uid = OLD.decision_uid AND r.kind = 'decisions' AND d.at < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) OR (OLD.decision_uid = '' AND NOT EXISTS (SELECT 1 FROM sync_event x WHERE x.effect_uid = OLD.uid))) THEN
        RETURN OLD;
      END IF;
    WHEN 'decision' THEN
      IF EXISTS (SELECT 1 FROM tombstone b JOIN decision d ON d.uid = b.uid AND d.number = b.number AND d.leaf_hash = b.leaf_hash JOIN seal l ON l.decision_uid = b.uid AND l.leaf_hash = b.leaf_hash JOIN retention r ON r.seq = b.retention JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE b.uid = OLD.uid AND r.kind = 'decisions' AND d.at < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AND NOT EXISTS (SELECT 1 FROM effect x WHERE x.decision_uid = OLD.uid) THEN
        RETURN OLD;
      END IF;
    WHEN 'follow_up' THEN
      IF EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND OLD.at < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AND EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND OLD.due < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AND OLD.seq < (SELECT max(n.seq) FROM follow_up n) AND NOT EXISTS (SELECT 1 FROM decision x WHERE x.uid = OLD.decision_uid) THEN
        RETURN OLD;
      END IF;
    WHEN 'event' THEN
      IF EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND OLD.at < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AND OLD.seq < (SELECT max(n.seq) FROM event n) AND substr(OLD.kind, 1, 7) <> 'ledger.' AND substr(OLD.kind, 1, 10) <> 'retention.' AND (OLD.key = '' OR NOT EXISTS (SELECT 1 FROM decision x WHERE x.request_key = OLD.key)) AND (OLD.session = '' OR NOT EXISTS (SELECT 1 FROM session x WHERE x.name = OLD.session)) THEN
        RETURN OLD;
      END IF;
    WHEN 'request' THEN
      IF EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND '' < r.until AND r.until <= to_char((now() - interval '14 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) AND NOT EXISTS (SELECT 1 FROM event x WHERE x.key = OLD.key) AND NOT EXISTS (SELECT 1 FROM decision x WHERE x.request_key = OLD.key) THEN
        RETURN OLD;
      END IF;
    ELSE NULL;
    END CASE;
  END IF;
  RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
END
$$;

DO $FUNCTION$
BEGIN
  EXECUTE 'ALTER FUNCTION cairnops_refuse() SET search_path = ' || quote_ident(current_schema()) || ', pg_temp';
END
$FUNCTION$;

CREATE OR REPLACE FUNCTION cairnops_effect() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  wrong text;
BEGIN
  IF OLD.seq IS DISTINCT FROM NEW.seq
    OR OLD.uid IS DISTINCT FROM NEW.uid
    OR OLD.run_key IS DISTINCT FROM NEW.run_key
    OR OLD.decision_uid IS DISTINCT FROM NEW.decision_uid
    OR OLD.number IS DISTINCT FROM NEW.number
    OR OLD.conversation_id IS DISTINCT FROM NEW.conversation_id
    OR OLD.session IS DISTINCT FROM NEW.session
    OR OLD.kind IS DISTINCT FROM NEW.kind
    OR OLD.payload IS DISTINCT FROM NEW.payload
    OR (OLD.destination <> NEW.destination AND OLD.destination <> '') THEN
    wrong := 'an effect never changes what it does';
  ELSIF OLD.due_ms IS NULL THEN
    wrong := 'the effect is finished';
  ELSE
    RETURN NEW;
  END IF;
  RAISE EXCEPTION USING MESSAGE = wrong, ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER event_no_update BEFORE UPDATE ON event FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('event is append-only');

ALTER TABLE event ENABLE ALWAYS TRIGGER event_no_update;

CREATE TRIGGER event_no_delete BEFORE DELETE ON event FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('event is append-only');

ALTER TABLE event ENABLE ALWAYS TRIGGER event_no_delete;

CREATE TRIGGER event_no_truncate BEFORE TRUNCATE ON event FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('event is append-only');

ALTER TABLE event ENABLE ALWAYS TRIGGER event_no_truncate;

CREATE TRIGGER request_no_update BEFORE UPDATE ON request FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('request is append-only');

ALTER TABLE request ENABLE ALWAYS TRIGGER request_no_update;

CREATE TRIGGER request_no_delete BEFORE DELETE ON request FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('request is append-only');

ALTER TABLE request ENABLE ALWAYS TRIGGER request_no_delete;

CREATE TRIGGER request_no_truncate BEFORE TRUNCATE ON request FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('request is append-only');

ALTER TABLE request ENABLE ALWAYS TRIGGER request_no_truncate;

CREATE TRIGGER decision_no_update BEFORE UPDATE ON decision FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('decision is append-only');

ALTER TABLE decision ENABLE ALWAYS TRIGGER decision_no_update;

CREATE TRIGGER decision_no_delete BEFORE DELETE ON decision FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('decision is append-only');

ALTER TABLE decision ENABLE ALWAYS TRIGGER decision_no_delete;

CREATE TRIGGER decision_no_truncate BEFORE TRUNCATE ON decision FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('decision is append-only');

ALTER TABLE decision ENABLE ALWAYS TRIGGER decision_no_truncate;

CREATE TRIGGER attempt_no_update BEFORE UPDATE ON attempt FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('attempt is append-only');

ALTER TABLE attempt ENABLE ALWAYS TRIGGER attempt_no_update;

CREATE TRIGGER attempt_no_delete BEFORE DELETE ON attempt FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('attempt is append-only');

ALTER TABLE attempt ENABLE ALWAYS TRIGGER attempt_no_delete;

CREATE TRIGGER attempt_no_truncate BEFORE TRUNCATE ON attempt FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('attempt is append-only');

ALTER TABLE attempt ENABLE ALWAYS TRIGGER attempt_no_truncate;

CREATE TRIGGER sync_event_no_update BEFORE UPDATE ON sync_event FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('sync_event is append-only');

ALTER TABLE sync_event ENABLE ALWAYS TRIGGER sync_event_no_update;

CREATE TRIGGER sync_event_no_delete BEFORE DELETE ON sync_event FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('sync_event is append-only');

ALTER TABLE sync_event ENABLE ALWAYS TRIGGER sync_event_no_delete;

CREATE TRIGGER sync_event_no_truncate BEFORE TRUNCATE ON sync_event FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('sync_event is append-only');

ALTER TABLE sync_event ENABLE ALWAYS TRIGGER sync_event_no_truncate;

CREATE TRIGGER suggestion_no_update BEFORE UPDATE ON suggestion FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('suggestion is append-only');

ALTER TABLE suggestion ENABLE ALWAYS TRIGGER suggestion_no_update;

CREATE TRIGGER suggestion_no_delete BEFORE DELETE ON suggestion FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('suggestion is append-only');

ALTER TABLE suggestion ENABLE ALWAYS TRIGGER suggestion_no_delete;

CREATE TRIGGER suggestion_no_truncate BEFORE TRUNCATE ON suggestion FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('suggestion is append-only');

ALTER TABLE suggestion ENABLE ALWAYS TRIGGER suggestion_no_truncate;

CREATE TRIGGER follow_up_no_update BEFORE UPDATE ON follow_up FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('follow_up is append-only');

ALTER TABLE follow_up ENABLE ALWAYS TRIGGER follow_up_no_update;

CREATE TRIGGER follow_up_no_delete BEFORE DELETE ON follow_up FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('follow_up is append-only');

ALTER TABLE follow_up ENABLE ALWAYS TRIGGER follow_up_no_delete;

CREATE TRIGGER follow_up_no_truncate BEFORE TRUNCATE ON follow_up FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('follow_up is append-only');

ALTER TABLE follow_up ENABLE ALWAYS TRIGGER follow_up_no_truncate;

CREATE TRIGGER breach_no_update BEFORE UPDATE ON breach FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('breach is append-only');

ALTER TABLE breach ENABLE ALWAYS TRIGGER breach_no_update;

CREATE TRIGGER breach_no_delete BEFORE DELETE ON breach FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('breach is append-only');

ALTER TABLE breach ENABLE ALWAYS TRIGGER breach_no_delete;

CREATE TRIGGER breach_no_truncate BEFORE TRUNCATE ON breach FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('breach is append-only');

ALTER TABLE breach ENABLE ALWAYS TRIGGER breach_no_truncate;

CREATE TRIGGER assignment_no_update BEFORE UPDATE ON assignment FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('assignment is append-only');

ALTER TABLE assignment ENABLE ALWAYS TRIGGER assignment_no_update;

CREATE TRIGGER assignment_no_delete BEFORE DELETE ON assignment FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('assignment is append-only');

ALTER TABLE assignment ENABLE ALWAYS TRIGGER assignment_no_delete;

CREATE TRIGGER assignment_no_truncate BEFORE TRUNCATE ON assignment FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('assignment is append-only');

ALTER TABLE assignment ENABLE ALWAYS TRIGGER assignment_no_truncate;

CREATE TRIGGER pack_no_update BEFORE UPDATE ON pack FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('pack is append-only');

ALTER TABLE pack ENABLE ALWAYS TRIGGER pack_no_update;

CREATE TRIGGER pack_no_delete BEFORE DELETE ON pack FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('pack is append-only');

ALTER TABLE pack ENABLE ALWAYS TRIGGER pack_no_delete;

CREATE TRIGGER pack_no_truncate BEFORE TRUNCATE ON pack FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('pack is append-only');

ALTER TABLE pack ENABLE ALWAYS TRIGGER pack_no_truncate;

CREATE TRIGGER probe_no_update BEFORE UPDATE ON probe FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('probe is append-only');

ALTER TABLE probe ENABLE ALWAYS TRIGGER probe_no_update;

CREATE TRIGGER probe_no_delete BEFORE DELETE ON probe FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('probe is append-only');

ALTER TABLE probe ENABLE ALWAYS TRIGGER probe_no_delete;

CREATE TRIGGER probe_no_truncate BEFORE TRUNCATE ON probe FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('probe is append-only');

ALTER TABLE probe ENABLE ALWAYS TRIGGER probe_no_truncate;

CREATE TRIGGER worksheet_no_update BEFORE UPDATE ON worksheet FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('worksheet is append-only');

ALTER TABLE worksheet ENABLE ALWAYS TRIGGER worksheet_no_update;

CREATE TRIGGER worksheet_no_delete BEFORE DELETE ON worksheet FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('worksheet is append-only');

ALTER TABLE worksheet ENABLE ALWAYS TRIGGER worksheet_no_delete;

CREATE TRIGGER worksheet_no_truncate BEFORE TRUNCATE ON worksheet FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('worksheet is append-only');

ALTER TABLE worksheet ENABLE ALWAYS TRIGGER worksheet_no_truncate;

CREATE TRIGGER run_no_update BEFORE UPDATE ON run FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('run is append-only');

ALTER TABLE run ENABLE ALWAYS TRIGGER run_no_update;

CREATE TRIGGER run_no_delete BEFORE DELETE ON run FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('run is append-only');

ALTER TABLE run ENABLE ALWAYS TRIGGER run_no_delete;

CREATE TRIGGER run_no_truncate BEFORE TRUNCATE ON run FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('run is append-only');

ALTER TABLE run ENABLE ALWAYS TRIGGER run_no_truncate;

CREATE TRIGGER ledger_key_no_update BEFORE UPDATE ON ledger_key FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('ledger_key is append-only');

ALTER TABLE ledger_key ENABLE ALWAYS TRIGGER ledger_key_no_update;

CREATE TRIGGER ledger_key_no_delete BEFORE DELETE ON ledger_key FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('ledger_key is append-only');

ALTER TABLE ledger_key ENABLE ALWAYS TRIGGER ledger_key_no_delete;

CREATE TRIGGER ledger_key_no_truncate BEFORE TRUNCATE ON ledger_key FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('ledger_key is append-only');

ALTER TABLE ledger_key ENABLE ALWAYS TRIGGER ledger_key_no_truncate;

CREATE TRIGGER seal_no_update BEFORE UPDATE ON seal FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('seal is append-only');

ALTER TABLE seal ENABLE ALWAYS TRIGGER seal_no_update;

CREATE TRIGGER seal_no_delete BEFORE DELETE ON seal FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('seal is append-only');

ALTER TABLE seal ENABLE ALWAYS TRIGGER seal_no_delete;

CREATE TRIGGER seal_no_truncate BEFORE TRUNCATE ON seal FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('seal is append-only');

ALTER TABLE seal ENABLE ALWAYS TRIGGER seal_no_truncate;

CREATE TRIGGER checkpoint_no_update BEFORE UPDATE ON checkpoint FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('checkpoint is append-only');

ALTER TABLE checkpoint ENABLE ALWAYS TRIGGER checkpoint_no_update;

CREATE TRIGGER checkpoint_no_delete BEFORE DELETE ON checkpoint FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('checkpoint is append-only');

ALTER TABLE checkpoint ENABLE ALWAYS TRIGGER checkpoint_no_delete;

CREATE TRIGGER checkpoint_no_truncate BEFORE TRUNCATE ON checkpoint FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('checkpoint is append-only');

ALTER TABLE checkpoint ENABLE ALWAYS TRIGGER checkpoint_no_truncate;

CREATE TRIGGER baseline_no_update BEFORE UPDATE ON baseline FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('baseline is append-only');

ALTER TABLE baseline ENABLE ALWAYS TRIGGER baseline_no_update;

CREATE TRIGGER baseline_no_delete BEFORE DELETE ON baseline FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('baseline is append-only');

ALTER TABLE baseline ENABLE ALWAYS TRIGGER baseline_no_delete;

CREATE TRIGGER baseline_no_truncate BEFORE TRUNCATE ON baseline FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('baseline is append-only');

ALTER TABLE baseline ENABLE ALWAYS TRIGGER baseline_no_truncate;

CREATE TRIGGER imported_no_update BEFORE UPDATE ON imported FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('imported is append-only');

ALTER TABLE imported ENABLE ALWAYS TRIGGER imported_no_update;

CREATE TRIGGER imported_no_delete BEFORE DELETE ON imported FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('imported is append-only');

ALTER TABLE imported ENABLE ALWAYS TRIGGER imported_no_delete;

CREATE TRIGGER imported_no_truncate BEFORE TRUNCATE ON imported FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('imported is append-only');

ALTER TABLE imported ENABLE ALWAYS TRIGGER imported_no_truncate;

CREATE TRIGGER retention_no_update BEFORE UPDATE ON retention FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('retention is append-only');

ALTER TABLE retention ENABLE ALWAYS TRIGGER retention_no_update;

CREATE TRIGGER retention_no_delete BEFORE DELETE ON retention FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('retention is append-only');

ALTER TABLE retention ENABLE ALWAYS TRIGGER retention_no_delete;

CREATE TRIGGER retention_no_truncate BEFORE TRUNCATE ON retention FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('retention is append-only');

ALTER TABLE retention ENABLE ALWAYS TRIGGER retention_no_truncate;

CREATE TRIGGER tombstone_no_update BEFORE UPDATE ON tombstone FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('tombstone is append-only');

ALTER TABLE tombstone ENABLE ALWAYS TRIGGER tombstone_no_update;

CREATE TRIGGER tombstone_no_delete BEFORE DELETE ON tombstone FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('tombstone is append-only');

ALTER TABLE tombstone ENABLE ALWAYS TRIGGER tombstone_no_delete;

CREATE TRIGGER tombstone_no_truncate BEFORE TRUNCATE ON tombstone FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('tombstone is append-only');

ALTER TABLE tombstone ENABLE ALWAYS TRIGGER tombstone_no_truncate;

CREATE TRIGGER effect_fixed BEFORE UPDATE ON effect FOR EACH ROW EXECUTE FUNCTION cairnops_effect();

ALTER TABLE effect ENABLE ALWAYS TRIGGER effect_fixed;

CREATE TRIGGER effect_no_delete BEFORE DELETE ON effect FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('an effect is never dropped');

ALTER TABLE effect ENABLE ALWAYS TRIGGER effect_no_delete;

CREATE TRIGGER effect_no_truncate BEFORE TRUNCATE ON effect FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('an effect is never dropped');

ALTER TABLE effect ENABLE ALWAYS TRIGGER effect_no_truncate;

INSERT INTO meta (key, value) VALUES ('schema', '2');

INSERT INTO counter (name, value) VALUES ('decision', 100);
