CREATE OR REPLACE FUNCTION cairnops_next(of_table text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  newest bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('cairnops ' || of_table, 0));
  EXECUTE 'SELECT max(seq) FROM ' || quote_ident(of_table) INTO newest;
  RETURN coalesce(newest, 0) + 1;
END
$$;

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

ALTER TABLE assignment ADD COLUMN at VARCHAR COLLATE "C" DEFAULT '' NOT NULL;

CREATE TABLE bucket (
  destination VARCHAR COLLATE "C" NOT NULL,
  free_us BIGINT NOT NULL,
  PRIMARY KEY (destination)
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

ALTER TABLE conversation ADD COLUMN revision BIGINT DEFAULT '0' NOT NULL;

ALTER TABLE conversation ADD COLUMN destination VARCHAR COLLATE "C" DEFAULT '' NOT NULL;

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

ALTER TABLE effect ADD COLUMN destination VARCHAR COLLATE "C" DEFAULT '' NOT NULL;

ALTER TABLE effect ADD COLUMN urgency INTEGER DEFAULT '2' NOT NULL;

ALTER TABLE effect ADD COLUMN seen VARCHAR COLLATE "C" DEFAULT '' NOT NULL;

ALTER TABLE effect ADD COLUMN trace VARCHAR COLLATE "C" DEFAULT '' NOT NULL;

DROP INDEX effect_due;

CREATE INDEX effect_turn ON effect (urgency, due_ms, seq) WHERE due_ms IS NOT NULL;

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

CREATE TRIGGER pack_no_update BEFORE UPDATE ON pack FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('pack is append-only');

ALTER TABLE pack ENABLE ALWAYS TRIGGER pack_no_update;

CREATE TRIGGER pack_no_delete BEFORE DELETE ON pack FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('pack is append-only');

ALTER TABLE pack ENABLE ALWAYS TRIGGER pack_no_delete;

CREATE TRIGGER pack_no_truncate BEFORE TRUNCATE ON pack FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('pack is append-only');

ALTER TABLE pack ENABLE ALWAYS TRIGGER pack_no_truncate;

CREATE TABLE retention (
  seq BIGINT DEFAULT cairnops_next('retention') NOT NULL CHECK (seq > 0),
  kind VARCHAR COLLATE "C" NOT NULL,
  until VARCHAR COLLATE "C" NOT NULL,
  event BIGINT NOT NULL,
  actor VARCHAR COLLATE "C" NOT NULL,
  at VARCHAR COLLATE "C" NOT NULL,
  PRIMARY KEY (seq)
);

CREATE TRIGGER retention_no_update BEFORE UPDATE ON retention FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('retention is append-only');

ALTER TABLE retention ENABLE ALWAYS TRIGGER retention_no_update;

CREATE TRIGGER retention_no_delete BEFORE DELETE ON retention FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('retention is append-only');

ALTER TABLE retention ENABLE ALWAYS TRIGGER retention_no_delete;

CREATE TRIGGER retention_no_truncate BEFORE TRUNCATE ON retention FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('retention is append-only');

ALTER TABLE retention ENABLE ALWAYS TRIGGER retention_no_truncate;

CREATE TABLE tombstone (
  uid VARCHAR COLLATE "C" NOT NULL,
  number BIGINT NOT NULL,
  leaf_hash VARCHAR COLLATE "C" NOT NULL,
  retention BIGINT NOT NULL,
  PRIMARY KEY (uid),
  UNIQUE (number)
);

CREATE TRIGGER tombstone_no_update BEFORE UPDATE ON tombstone FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('tombstone is append-only');

ALTER TABLE tombstone ENABLE ALWAYS TRIGGER tombstone_no_update;

CREATE TRIGGER tombstone_no_delete BEFORE DELETE ON tombstone FOR EACH ROW EXECUTE FUNCTION cairnops_refuse('tombstone is append-only');

ALTER TABLE tombstone ENABLE ALWAYS TRIGGER tombstone_no_delete;

CREATE TRIGGER tombstone_no_truncate BEFORE TRUNCATE ON tombstone FOR EACH STATEMENT EXECUTE FUNCTION cairnops_refuse('tombstone is append-only');

ALTER TABLE tombstone ENABLE ALWAYS TRIGGER tombstone_no_truncate;

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
