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
  RAISE EXCEPTION USING MESSAGE = TG_ARGV[0], ERRCODE = 'integrity_constraint_violation';
END
$$;

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
