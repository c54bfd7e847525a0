-- Made by `python -m tests.contract.steps` from what `cairnops retention` does.
--
-- Retention over the API. The triggers let nothing go but what a retention on record covers, whoever asks; here is who
-- may ask. The role owns one function, logs in nowhere, and nobody is a member of it.

DO $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'cairnops_retention') THEN
    CREATE ROLE cairnops_retention NOLOGIN;
  END IF;
END
$$;

CREATE FUNCTION cairnops_retain(of_kind text, older_than timestamptz, why text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  _at text := to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
  _until text := to_char(older_than AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
  _actor text := coalesce(nullif(cairnops_email(), ''), session_user);
  _role text := coalesce(nullif(cairnops_role(), ''), 'admin');
  _told jsonb := '{}';
  _said bigint;
  _run bigint;
  _rows bigint;
BEGIN
  IF coalesce(of_kind, '') NOT IN ('training', 'transcripts', 'decisions') THEN
    RAISE EXCEPTION 'retention is of training, transcripts or decisions' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF coalesce(btrim(why), '') = '' THEN
    RAISE EXCEPTION 'retention needs a reason' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF older_than IS NULL OR older_than > now() - interval '14 days' THEN
    RAISE EXCEPTION 'retention leaves the last 14 days alone' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  INSERT INTO event (at, actor, role, kind, conversation_id, session, key, code, body)
  VALUES (_at, _actor, _role, 'retention.applied', '', '', '', '',
    jsonb_build_object('until', jsonb_build_object(of_kind, _until), 'why', why)::text)
  RETURNING seq INTO _said;
  INSERT INTO retention (kind, until, event, actor, at) VALUES (of_kind, _until, _said, _actor, _at)
  RETURNING seq INTO _run;
  CASE of_kind
  WHEN 'training' THEN
    DELETE FROM session WHERE EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND session.started_at < r.until AND r.seq = _run) AND NOT EXISTS (SELECT 1 FROM run x WHERE x.session = session.name AND NOT EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND x.at < r.until AND r.seq = _run)) AND NOT EXISTS (SELECT 1 FROM worksheet x WHERE x.session = session.name AND NOT EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND x.at < r.until AND r.seq = _run)) AND NOT EXISTS (SELECT 1 FROM probe x WHERE x.session = session.name AND NOT EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND x.at < r.until AND r.seq = _run)) AND NOT EXISTS (SELECT 1 FROM decision x WHERE x.session = session.name AND NOT EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND x.at < r.until AND r.seq = _run));
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('session', _rows);
    DELETE FROM assignment WHERE EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND assignment.at < r.until AND r.seq = _run) AND NOT EXISTS (SELECT 1 FROM session x WHERE x.name = assignment.session);
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('assignment', _rows);
    DELETE FROM run WHERE EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND run.at < r.until AND r.seq = _run) AND run.seq < (SELECT max(n.seq) FROM run n) AND NOT EXISTS (SELECT 1 FROM session x WHERE x.name = run.session);
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('run', _rows);
    DELETE FROM worksheet WHERE EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND worksheet.at < r.until AND r.seq = _run) AND worksheet.seq < (SELECT max(n.seq) FROM worksheet n) AND NOT EXISTS (SELECT 1 FROM session x WHERE x.name = worksheet.session);
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('worksheet', _rows);
    DELETE FROM probe WHERE EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'training' AND probe.at < r.until AND r.seq = _run) AND probe.seq < (SELECT max(n.seq) FROM probe n) AND NOT EXISTS (SELECT 1 FROM session x WHERE x.name = probe.session);
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('probe', _rows);
  WHEN 'transcripts' THEN
    DELETE FROM conversation WHERE EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'transcripts' AND conversation.at < r.until AND r.seq = _run) AND NOT EXISTS (SELECT 1 FROM assignment x WHERE x.conversation_id = conversation.id) AND NOT EXISTS (SELECT 1 FROM effect x WHERE x.conversation_id = conversation.id AND x.due_ms IS NOT NULL);
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('conversation', _rows);
    DELETE FROM breach WHERE EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'transcripts' AND breach.breached_at < r.until AND r.seq = _run) AND NOT EXISTS (SELECT 1 FROM conversation x WHERE x.id = breach.conversation_id);
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('breach', _rows);
    DELETE FROM suggestion WHERE EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'transcripts' AND suggestion.at < r.until AND r.seq = _run) AND NOT EXISTS (SELECT 1 FROM assignment x WHERE x.conversation_id = suggestion.conversation_id);
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('suggestion', _rows);
    DELETE FROM draft WHERE EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'transcripts' AND draft.at < r.until AND r.seq = _run) AND NOT EXISTS (SELECT 1 FROM assignment x WHERE x.conversation_id = draft.conversation_id);
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('draft', _rows);
  WHEN 'decisions' THEN
    INSERT INTO tombstone (uid, number, leaf_hash, retention) SELECT d.uid, d.number, d.leaf_hash, r.seq FROM retention r JOIN decision d ON d.at < r.until JOIN seal l ON l.decision_uid = d.uid AND l.leaf_hash = d.leaf_hash WHERE r.seq = _run AND NOT EXISTS (SELECT 1 FROM effect e WHERE e.decision_uid = d.uid AND (e.due_ms IS NOT NULL OR e.seq = (SELECT max(n.seq) FROM effect n)));
    DELETE FROM sync_event WHERE EXISTS (SELECT 1 FROM effect e WHERE e.uid = sync_event.effect_uid AND e.due_ms IS NULL AND e.seq < (SELECT max(n.seq) FROM effect n) AND (EXISTS (SELECT 1 FROM tombstone b JOIN decision d ON d.uid = b.uid AND d.number = b.number AND d.leaf_hash = b.leaf_hash JOIN seal l ON l.decision_uid = b.uid AND l.leaf_hash = b.leaf_hash JOIN retention r ON r.seq = b.retention JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE b.uid = e.decision_uid AND r.kind = 'decisions' AND d.at < r.until AND r.seq = _run) OR (e.decision_uid = '' AND EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND sync_event.at < r.until AND r.seq = _run))));
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('sync_event', _rows);
    DELETE FROM attempt WHERE EXISTS (SELECT 1 FROM effect e WHERE e.uid = attempt.effect_uid AND e.due_ms IS NULL AND e.seq < (SELECT max(n.seq) FROM effect n) AND (EXISTS (SELECT 1 FROM tombstone b JOIN decision d ON d.uid = b.uid AND d.number = b.number AND d.leaf_hash = b.leaf_hash JOIN seal l ON l.decision_uid = b.uid AND l.leaf_hash = b.leaf_hash JOIN retention r ON r.seq = b.retention JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE b.uid = e.decision_uid AND r.kind = 'decisions' AND d.at < r.until AND r.seq = _run) OR (e.decision_uid = '' AND EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND attempt.at < r.until AND r.seq = _run) AND NOT EXISTS (SELECT 1 FROM sync_event x WHERE x.effect_uid = attempt.effect_uid))));
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('attempt', _rows);
    DELETE FROM effect WHERE effect.due_ms IS NULL AND effect.seq < (SELECT max(n.seq) FROM effect n) AND (EXISTS (SELECT 1 FROM tombstone b JOIN decision d ON d.uid = b.uid AND d.number = b.number AND d.leaf_hash = b.leaf_hash JOIN seal l ON l.decision_uid = b.uid AND l.leaf_hash = b.leaf_hash JOIN retention r ON r.seq = b.retention JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE b.uid = effect.decision_uid AND r.kind = 'decisions' AND d.at < r.until AND r.seq = _run) OR (effect.decision_uid = '' AND NOT EXISTS (SELECT 1 FROM sync_event x WHERE x.effect_uid = effect.uid)));
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('effect', _rows);
    DELETE FROM decision WHERE EXISTS (SELECT 1 FROM tombstone b JOIN decision d ON d.uid = b.uid AND d.number = b.number AND d.leaf_hash = b.leaf_hash JOIN seal l ON l.decision_uid = b.uid AND l.leaf_hash = b.leaf_hash JOIN retention r ON r.seq = b.retention JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE b.uid = decision.uid AND r.kind = 'decisions' AND d.at < r.until AND r.seq = _run) AND NOT EXISTS (SELECT 1 FROM effect x WHERE x.decision_uid = decision.uid);
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('decision', _rows);
    DELETE FROM follow_up WHERE EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND follow_up.at < r.until AND r.seq = _run) AND EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND follow_up.due < r.until AND r.seq = _run) AND follow_up.seq < (SELECT max(n.seq) FROM follow_up n) AND NOT EXISTS (SELECT 1 FROM decision x WHERE x.uid = follow_up.decision_uid);
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('follow_up', _rows);
    DELETE FROM event WHERE EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND event.at < r.until AND r.seq = _run) AND event.seq < (SELECT max(n.seq) FROM event n) AND substr(event.kind, 1, 7) <> 'ledger.' AND substr(event.kind, 1, 10) <> 'retention.' AND (event.key = '' OR NOT EXISTS (SELECT 1 FROM decision x WHERE x.request_key = event.key)) AND (event.session = '' OR NOT EXISTS (SELECT 1 FROM session x WHERE x.name = event.session));
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('event', _rows);
    DELETE FROM request WHERE EXISTS (SELECT 1 FROM retention r JOIN event v ON v.seq = r.event AND v.kind = 'retention.applied' AND v.actor = r.actor WHERE r.kind = 'decisions' AND '' < r.until AND r.seq = _run) AND NOT EXISTS (SELECT 1 FROM event x WHERE x.key = request.key) AND NOT EXISTS (SELECT 1 FROM decision x WHERE x.request_key = request.key);
    GET DIAGNOSTICS _rows = ROW_COUNT;
    _told := _told || jsonb_build_object('request', _rows);
  END CASE;
  INSERT INTO event (at, actor, role, kind, conversation_id, session, key, code, body)
  VALUES (_at, _actor, _role, 'retention.removed', '', '', '', '', jsonb_build_object('removed', _told)::text);
  RETURN _told;
END
$$;

GRANT SELECT ON assignment, attempt, breach, conversation, decision, draft, effect, event, follow_up, probe, request, retention, run, seal, session, suggestion, sync_event, tombstone, worksheet TO cairnops_retention;
GRANT DELETE ON assignment, attempt, breach, conversation, decision, draft, effect, event, follow_up, probe, request, run, session, suggestion, sync_event, worksheet TO cairnops_retention;
GRANT INSERT ON event, retention, tombstone TO cairnops_retention;
GRANT EXECUTE ON FUNCTION cairnops_next(text), cairnops_role(), cairnops_email() TO cairnops_retention;
CREATE POLICY assignment_retention ON assignment TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY attempt_retention ON attempt TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY breach_retention ON breach TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY conversation_retention ON conversation TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY decision_retention ON decision TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY draft_retention ON draft TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY effect_retention ON effect TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY event_retention ON event TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY follow_up_retention ON follow_up TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY probe_retention ON probe TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY request_retention ON request TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY retention_retention ON retention TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY run_retention ON run TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY seal_retention ON seal TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY session_retention ON session TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY suggestion_retention ON suggestion TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY sync_event_retention ON sync_event TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY tombstone_retention ON tombstone TO cairnops_retention USING (true) WITH CHECK (true);
CREATE POLICY worksheet_retention ON worksheet TO cairnops_retention USING (true) WITH CHECK (true);

-- To hand a function over one must belong to the role for a moment, and it must be allowed to own something here.
GRANT cairnops_retention TO CURRENT_USER;
GRANT CREATE, USAGE ON SCHEMA public TO cairnops_retention;
ALTER FUNCTION cairnops_retain(text, timestamptz, text) OWNER TO cairnops_retention;
REVOKE ALL ON FUNCTION cairnops_retain(text, timestamptz, text) FROM PUBLIC, anon, authenticated;
GRANT EXECUTE ON FUNCTION cairnops_retain(text, timestamptz, text) TO service_role;
REVOKE CREATE ON SCHEMA public FROM cairnops_retention;
REVOKE cairnops_retention FROM CURRENT_USER;
