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

CREATE TRIGGER pack_no_update BEFORE UPDATE ON pack BEGIN SELECT RAISE(ABORT, 'pack is append-only'); END;

CREATE TRIGGER pack_no_delete BEFORE DELETE ON pack BEGIN SELECT RAISE(ABORT, 'pack is append-only'); END;

CREATE TRIGGER pack_no_replace_digest BEFORE INSERT ON pack WHEN EXISTS (SELECT 1 FROM pack WHERE digest = NEW.digest) BEGIN SELECT RAISE(ABORT, 'pack is append-only: the row is already there'); END;

DROP TRIGGER effect_fixed;

CREATE TRIGGER effect_fixed BEFORE UPDATE ON effect WHEN OLD.seq IS NOT NEW.seq OR OLD.uid IS NOT NEW.uid OR OLD.run_key IS NOT NEW.run_key OR OLD.decision_uid IS NOT NEW.decision_uid OR OLD.number IS NOT NEW.number OR OLD.conversation_id IS NOT NEW.conversation_id OR OLD.session IS NOT NEW.session OR OLD.kind IS NOT NEW.kind OR OLD.payload IS NOT NEW.payload OR (OLD.destination <> NEW.destination AND OLD.destination <> '') BEGIN SELECT RAISE(ABORT, 'an effect never changes what it does'); END;
