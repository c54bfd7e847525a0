-- Who may do what with the ledger over the API. Tables are made by the step before this one.
--
-- anon            nothing
-- authenticated   reads what happened, without anybody's words: an operator what they decided themselves;
--                 analyst, lead and manager everything decided at the desk (scope `ops`); qa and admin all
-- service_role    reads everything, adds; changes and removes nothing
--
-- Who somebody is comes from the token: `email`, and `app_metadata.cairnops_role`, which users cannot set themselves.
-- What is old goes through cairnops_retain(), which the step after this one makes, and in no other way.

CREATE FUNCTION cairnops_role() RETURNS text LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT coalesce(
    nullif(current_setting('request.jwt.claims', true), '')::jsonb -> 'app_metadata' ->> 'cairnops_role', '')
$$;

CREATE FUNCTION cairnops_email() RETURNS text LANGUAGE sql STABLE SET search_path = '' AS $$
  SELECT lower(coalesce(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email', ''))
$$;

-- The project's default privileges have given every new table and function to everybody.
REVOKE ALL ON
  assignment, attempt, baseline, breach, bucket, checkpoint, claim, conversation, counter, decision, draft, effect,
  event, follow_up, imported, ledger_key, meta, outage, pack, probe, request, retention, run, seal, session, suggestion,
  sync_event, tombstone, worker, worksheet
FROM PUBLIC, anon, authenticated, service_role;

REVOKE ALL ON FUNCTION
  cairnops_next(text), cairnops_refuse(), cairnops_effect(), cairnops_role(), cairnops_email()
FROM PUBLIC, anon, authenticated, service_role;

-- Row level security on every table, also on those nobody but the service may read.
ALTER TABLE assignment ENABLE ROW LEVEL SECURITY;
ALTER TABLE attempt ENABLE ROW LEVEL SECURITY;
ALTER TABLE baseline ENABLE ROW LEVEL SECURITY;
ALTER TABLE breach ENABLE ROW LEVEL SECURITY;
ALTER TABLE bucket ENABLE ROW LEVEL SECURITY;
ALTER TABLE checkpoint ENABLE ROW LEVEL SECURITY;
ALTER TABLE claim ENABLE ROW LEVEL SECURITY;
ALTER TABLE conversation ENABLE ROW LEVEL SECURITY;
ALTER TABLE counter ENABLE ROW LEVEL SECURITY;
ALTER TABLE decision ENABLE ROW LEVEL SECURITY;
ALTER TABLE draft ENABLE ROW LEVEL SECURITY;
ALTER TABLE effect ENABLE ROW LEVEL SECURITY;
ALTER TABLE event ENABLE ROW LEVEL SECURITY;
ALTER TABLE follow_up ENABLE ROW LEVEL SECURITY;
ALTER TABLE imported ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger_key ENABLE ROW LEVEL SECURITY;
ALTER TABLE meta ENABLE ROW LEVEL SECURITY;
ALTER TABLE outage ENABLE ROW LEVEL SECURITY;
ALTER TABLE pack ENABLE ROW LEVEL SECURITY;
ALTER TABLE probe ENABLE ROW LEVEL SECURITY;
ALTER TABLE request ENABLE ROW LEVEL SECURITY;
ALTER TABLE retention ENABLE ROW LEVEL SECURITY;
ALTER TABLE run ENABLE ROW LEVEL SECURITY;
ALTER TABLE seal ENABLE ROW LEVEL SECURITY;
ALTER TABLE session ENABLE ROW LEVEL SECURITY;
ALTER TABLE suggestion ENABLE ROW LEVEL SECURITY;
ALTER TABLE sync_event ENABLE ROW LEVEL SECURITY;
ALTER TABLE tombstone ENABLE ROW LEVEL SECURITY;
ALTER TABLE worker ENABLE ROW LEVEL SECURITY;
ALTER TABLE worksheet ENABLE ROW LEVEL SECURITY;

-- The service reads everything and adds to what only grows.
GRANT SELECT ON
  assignment, attempt, baseline, breach, bucket, checkpoint, claim, conversation, counter, decision, draft, effect,
  event, follow_up, imported, ledger_key, meta, outage, pack, probe, request, retention, run, seal, session, suggestion,
  sync_event, tombstone, worker, worksheet
TO service_role;
GRANT INSERT ON
  assignment, attempt, baseline, breach, checkpoint, decision, effect, event, follow_up, imported, ledger_key, pack,
  probe, request, retention, run, seal, suggestion, sync_event, tombstone, worksheet
TO service_role;
GRANT EXECUTE ON FUNCTION cairnops_next(text) TO service_role;
GRANT EXECUTE ON FUNCTION cairnops_role(), cairnops_email() TO authenticated, service_role;

-- What an authenticated person may see: never a body, a payload or a note.
GRANT SELECT (uid, number, scope, action, actor, conversation_id, session, at, leaf_hash) ON decision TO authenticated;
GRANT SELECT (uid, decision_uid, number, conversation_id, session, kind, state, attempt) ON effect TO authenticated;
GRANT SELECT ON attempt, sync_event, seal, checkpoint, ledger_key TO authenticated;

CREATE POLICY decision_read ON decision FOR SELECT TO authenticated USING (
  (SELECT cairnops_role()) IN ('qa', 'admin')
  OR (scope = 'ops' AND (SELECT cairnops_role()) IN ('analyst', 'lead', 'manager'))
  OR (scope = 'ops' AND actor = (SELECT cairnops_email()) AND (SELECT cairnops_role()) = 'operator')
);

-- What hangs on a decision is seen by whoever sees the decision.
CREATE POLICY effect_read ON effect FOR SELECT TO authenticated USING (
  EXISTS (SELECT 1 FROM decision d WHERE d.uid = effect.decision_uid)
  OR (decision_uid = '' AND (SELECT cairnops_role()) IN ('analyst', 'lead', 'manager', 'qa', 'admin'))
);
CREATE POLICY attempt_read ON attempt FOR SELECT TO authenticated USING (
  EXISTS (SELECT 1 FROM effect e WHERE e.uid = attempt.effect_uid)
);
CREATE POLICY sync_event_read ON sync_event FOR SELECT TO authenticated USING (
  EXISTS (SELECT 1 FROM effect e WHERE e.uid = sync_event.effect_uid)
);

-- Whoever checks the log needs all of its hashes, and they tell nothing else.
CREATE POLICY seal_read ON seal FOR SELECT TO authenticated USING ((SELECT cairnops_role()) <> '');
CREATE POLICY checkpoint_read ON checkpoint FOR SELECT TO authenticated USING ((SELECT cairnops_role()) <> '');
CREATE POLICY ledger_key_read ON ledger_key FOR SELECT TO authenticated USING ((SELECT cairnops_role()) <> '');

-- The final outcome of every effect, in the shape sync exports have.
CREATE VIEW decision_sync_events WITH (security_invoker = true) AS
SELECT
  nullif(e.number, 0) AS "decisionId",
  s.status AS "status",
  round(s.duration_us::numeric / 1000, 2) AS "durationMs",
  nullif(s.error_code, '') AS "errorCode",
  s.attempt AS "attempt",
  s.at AS "timestamp",
  coalesce(d.scope, 'ops') AS "scope",
  e.kind AS "effect",
  s.effect_uid AS "uid"
FROM sync_event s
JOIN effect e ON e.uid = s.effect_uid
LEFT JOIN decision d ON d.uid = e.decision_uid
ORDER BY s.at DESC, s.effect_uid;

REVOKE ALL ON decision_sync_events FROM PUBLIC, anon, authenticated, service_role;
GRANT SELECT ON decision_sync_events TO authenticated, service_role;
