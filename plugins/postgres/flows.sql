-- The flow store: tables, and the function that writes a step.
--
-- Each function is one transaction of a connection in autocommit, so no lock is held while a process thinks, is
-- stopped or is dead. All locks of a unit are taken in one order: fences, work, offsets, states by key, journals,
-- tails. Nothing here notifies: notifying commits wait for each other.

-- What was chosen when the database was made. The store's id is new after each restore, so that readers of its
-- records notice it.
CREATE TABLE meta (
  one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row), partitions integer NOT NULL,
  store_id uuid NOT NULL DEFAULT gen_random_uuid());

CREATE TABLE groups (name text PRIMARY KEY, generation bigint NOT NULL);
CREATE TABLE members (
  consumer text, member text, beat_at bigint NOT NULL, ttl_ms bigint NOT NULL,
  PRIMARY KEY (consumer, member)) WITH (fillfactor = 20);
CREATE TABLE owners (
  consumer text, partition integer, member text, epoch bigint NOT NULL,
  PRIMARY KEY (consumer, partition)) WITH (fillfactor = 20);

CREATE TABLE offsets (
  consumer text, topic text, partition integer, next bigint NOT NULL,
  PRIMARY KEY (consumer, topic, partition)) WITH (fillfactor = 20);
CREATE TABLE tails (
  topic text, partition integer, next bigint NOT NULL,
  PRIMARY KEY (topic, partition)) WITH (fillfactor = 20);
CREATE TABLE records (
  topic text, partition integer, position bigint, key text NOT NULL, written_at bigint NOT NULL,
  node text, value bytea NOT NULL,
  PRIMARY KEY (topic, partition, position));
CREATE INDEX records_newest ON records (topic, written_at, partition, position);

-- Rows live for milliseconds: without frequent vacuums, the first look-up of a queue passes all dead ones.
CREATE TABLE work (
  position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, partition integer NOT NULL,
  node text NOT NULL, key text NOT NULL, written_at bigint NOT NULL, peer text, value bytea NOT NULL)
  WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX work_queues ON work (topic, partition, node, position);

CREATE TABLE states (
  key text PRIMARY KEY, version bigint NOT NULL, value bytea NOT NULL, due_at bigint, consumer text,
  partition integer, node text, account text, peer text) WITH (fillfactor = 70);
CREATE INDEX states_due ON states (consumer, partition, due_at, key) WHERE consumer IS NOT NULL;
CREATE INDEX states_ended ON states (node, account, peer, due_at)
  WHERE due_at IS NOT NULL AND account IN ('status', 'history');
CREATE TABLE journal (
  flow_id text, number integer, value bytea NOT NULL, PRIMARY KEY (flow_id, number));
CREATE TABLE journals (
  flow_id text PRIMARY KEY, node text NOT NULL, account text NOT NULL, peer text, bytes bigint NOT NULL)
  WITH (fillfactor = 70);
CREATE TABLE flow_glance (
  key text PRIMARY KEY, node text NOT NULL, responder boolean NOT NULL, request text NOT NULL, flow_id text,
  class text NOT NULL, status text NOT NULL, started bigint NOT NULL, updated bigint NOT NULL, ended bigint,
  origin text);
CREATE INDEX flow_glance_all ON flow_glance (node, responder, started, key);
CREATE INDEX flow_glance_status ON flow_glance (node, responder, status, started, key);
CREATE INDEX flow_glance_origin ON flow_glance (node, origin, responder, status, started, key)
  WHERE origin IS NOT NULL;
CREATE INDEX flow_glance_started ON flow_glance (responder, started, key);
CREATE INDEX flow_glance_request ON flow_glance (request COLLATE "C", started);
CREATE INDEX flow_glance_by_status ON flow_glance (responder, status, started, key);
CREATE INDEX flow_glance_ended ON flow_glance (ended, responder, node, status) WHERE ended IS NOT NULL;

-- The total of an account (peer '') and the share of each peer. Units only add rows to account_changes, so two
-- steps of one node do not wait for each other; a balance is the sum of both tables.
CREATE TABLE accounts (
  node text, name text, peer text, bytes bigint NOT NULL, things bigint NOT NULL, lasting bigint NOT NULL,
  PRIMARY KEY (node, name, peer)) WITH (fillfactor = 50);
CREATE INDEX accounts_whole ON accounts (name) WHERE peer = '';
CREATE TABLE account_changes (
  node text NOT NULL, name text NOT NULL, peer text NOT NULL, bytes bigint NOT NULL, things bigint NOT NULL,
  lasting bigint NOT NULL)
  WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX account_changes_of ON account_changes (node, name, peer);
CREATE VIEW balances AS
  SELECT node, name, peer, sum(bytes)::bigint AS bytes, sum(things)::bigint AS things,
    sum(lasting)::bigint AS lasting
  FROM (SELECT * FROM accounts UNION ALL SELECT * FROM account_changes) held GROUP BY node, name, peer;

CREATE TYPE change AS (node text, name text, peer text, bytes bigint, things bigint, lasting bigint);

CREATE FUNCTION present_ms() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

-- Adds changes to the accounts: each to the total, and to its peer's share if it has one.
CREATE FUNCTION charge(changes change[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO account_changes
  SELECT c.node, c.name, w.peer, sum(c.bytes), sum(c.things), sum(c.lasting)
  FROM unnest(changes) c, LATERAL (VALUES (''), (c.peer)) w (peer)
  WHERE w.peer IS NOT NULL AND c.name IS NOT NULL AND c.node <> ''
  GROUP BY 1, 2, 3
  HAVING sum(c.bytes) <> 0 OR sum(c.things) <> 0 OR sum(c.lasting) <> 0
$$;

-- Moves changes into the accounts; does nothing while another connection does. Returns the rows moved.
CREATE FUNCTION fold_accounts(rows_max integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  moved bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('cordbox accounts', 0)) THEN
    RETURN 0;
  END IF;
  WITH gone AS (
    DELETE FROM account_changes WHERE ctid = ANY (ARRAY(SELECT ctid FROM account_changes LIMIT rows_max))
    RETURNING *), summed AS (
    INSERT INTO accounts AS a
    SELECT node, name, peer, sum(bytes), sum(things), sum(lasting) FROM gone GROUP BY 1, 2, 3
    ON CONFLICT (node, name, peer) DO UPDATE SET bytes = a.bytes + excluded.bytes,
      things = a.things + excluded.things, lasting = a.lasting + excluded.lasting)
  SELECT count(*) FROM gone INTO moved;
  RETURN moved;
END
$$;

CREATE FUNCTION check_fence(wanted jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  found bigint;
BEGIN
  -- FOR SHARE excludes a change of owner until this transaction ends; FOR KEY SHARE would not.
  SELECT epoch INTO found FROM owners
    WHERE consumer = wanted->>'g' AND partition = (wanted->>'p')::integer FOR SHARE;
  IF coalesce(found, 0) <> (wanted->>'e')::bigint THEN
    RAISE EXCEPTION 'partition % of group % was given away: epoch %, now %',
      wanted->>'p', quote_literal(wanted->>'g'), wanted->>'e', coalesce(found, 0) USING ERRCODE = 'CB001';
  END IF;
END
$$;

CREATE FUNCTION delete_work(done jsonb) RETURNS change[] LANGUAGE plpgsql AS $$
DECLARE
  positions bigint[] := ARRAY(SELECT jsonb_array_elements_text(done->'at')::bigint);
  changes change[];
  deleted integer;
BEGIN
  WITH gone AS (
    DELETE FROM work WHERE position = ANY (positions) AND topic = done->>'t'
      AND partition = (done->>'p')::integer AND node = done->>'n'
    RETURNING peer, octet_length(key) + octet_length(value) AS size)
  SELECT count(*), array_agg(ROW (done->>'n', 'bus', peer, -size, -1, 0)::change) INTO deleted, changes FROM gone;
  IF deleted <> cardinality(positions) THEN
    RAISE EXCEPTION '% records of %-% were to be deleted, found % of positions %', cardinality(positions),
      done->>'t', done->>'p', deleted, array_to_string(positions[1:10], ', ') USING ERRCODE = 'CB002';
  END IF;
  RETURN changes;
END
$$;

-- Moves a group on in a log, whose records before that are deleted if it says `d`.
CREATE FUNCTION consume(wanted jsonb) RETURNS change[] LANGUAGE plpgsql AS $$
DECLARE
  changes change[];
  start bigint := (wanted->>'s')::bigint;
  part integer := (wanted->>'p')::integer;
  found bigint;
BEGIN
  INSERT INTO offsets VALUES (wanted->>'g', wanted->>'t', part, 0) ON CONFLICT DO NOTHING;
  SELECT o.next INTO found FROM offsets o
    WHERE o.consumer = wanted->>'g' AND o.topic = wanted->>'t' AND o.partition = part FOR UPDATE;
  -- Records that have expired leave a gap, which is passed over.
  IF found > start OR found < start AND EXISTS (
    SELECT FROM records r WHERE r.topic = wanted->>'t' AND r.partition = part
      AND r.position >= found AND r.position < start)
  THEN
    RAISE EXCEPTION '% is at offset % of %-%, expected %', wanted->>'g', found, wanted->>'t', part, start
      USING ERRCODE = 'CB002';
  END IF;
  UPDATE offsets o SET next = start + (wanted->>'c')::bigint
    WHERE o.consumer = wanted->>'g' AND o.topic = wanted->>'t' AND o.partition = part;
  IF NOT wanted ? 'd' THEN
    RETURN NULL;
  END IF;
  WITH gone AS (
    DELETE FROM records r WHERE r.topic = wanted->>'t' AND r.partition = part
      AND r.position < start + (wanted->>'c')::bigint RETURNING *)
  SELECT array_agg(ROW (node, 'bus', NULL, -octet_length(key) - octet_length(value), -1, 0)::change)
    INTO changes FROM gone;
  RETURN changes;
END
$$;

CREATE FUNCTION write_glance(of_state text, g jsonb) RETURNS void LANGUAGE sql AS $$
  INSERT INTO flow_glance VALUES (
    of_state, g->>'node', (g->>'responder')::boolean, g->>'request', g->>'flow', g->>'class', g->>'status',
    (g->>'at')::bigint, (g->>'at')::bigint, (g->>'ended')::bigint, g->>'origin')
  ON CONFLICT (key) DO UPDATE SET flow_id = excluded.flow_id, status = excluded.status,
    updated = excluded.updated, ended = excluded.ended
$$;

-- Writes or deletes a state: `to_value` null deletes.
CREATE FUNCTION write_state(w jsonb, to_value bytea) RETURNS change[] LANGUAGE plpgsql AS $$
DECLARE
  held states;
  is_held boolean;
  expected bigint := (w->>'x')::bigint;
  due bigint := (w->>'due')::bigint;
  size bigint := octet_length(w->>'k') + octet_length(to_value);
  lasting integer := CASE WHEN w->>'due' IS NULL THEN 1 ELSE 0 END;
  bearer jsonb := w->'charge';
  changes change[];
BEGIN
  SELECT * INTO held FROM states WHERE key = w->>'k' FOR UPDATE;
  is_held := FOUND;
  IF expected IS NOT NULL AND coalesce(held.version, 0) <> expected THEN
    RAISE EXCEPTION 'state % is at version %, expected %', quote_literal(w->>'k'), coalesce(held.version, 0),
      expected USING ERRCODE = 'CB002';
  END IF;
  IF is_held THEN
    changes := ARRAY[ROW (held.node, held.account, held.peer, -octet_length(held.key) - octet_length(held.value),
      -1, CASE WHEN held.due_at IS NULL THEN -1 ELSE 0 END)::change];
  END IF;
  IF to_value IS NULL THEN
    DELETE FROM states WHERE key = w->>'k';
    DELETE FROM flow_glance WHERE key = w->>'k';
    RETURN changes;
  END IF;
  IF is_held THEN
    IF bearer IS NOT NULL THEN
      held.node := bearer->>0;
      held.account := bearer->>1;
      held.peer := bearer->>2;
    END IF;
    UPDATE states SET version = held.version + 1, value = to_value, due_at = due, consumer = w->>'g',
      partition = (w->>'p')::integer, node = held.node, account = held.account, peer = held.peer
      WHERE key = w->>'k';
  ELSE
    held.node := bearer->>0;
    held.account := bearer->>1;
    held.peer := bearer->>2;
    INSERT INTO states VALUES (w->>'k', 1, to_value, due, w->>'g', (w->>'p')::integer, held.node, held.account,
      held.peer);
  END IF;
  IF w ? 'glance' THEN
    PERFORM write_glance(w->>'k', w->'glance');
  END IF;
  RETURN changes || ROW (held.node, held.account, held.peer, size, 1, lasting)::change;
END
$$;

CREATE FUNCTION append_journal(row_ jsonb, with_value bytea) RETURNS change LANGUAGE plpgsql AS $$
DECLARE
  flow text := row_->>'f';
  expected integer;
  size bigint := octet_length(with_value);
  bearer jsonb := row_->'charge';
  held journals;
BEGIN
  SELECT coalesce(max(number) + 1, 0) INTO expected FROM journal WHERE flow_id = flow;
  IF (row_->>'n')::integer <> expected THEN
    RAISE EXCEPTION 'journal of flow %: row % written, expected %', flow, row_->>'n', expected
      USING ERRCODE = 'CB002';
  END IF;
  INSERT INTO journal VALUES (flow, expected, with_value);
  UPDATE journals SET bytes = bytes + size WHERE flow_id = flow RETURNING * INTO held;
  IF FOUND THEN
    RETURN ROW (held.node, held.account, held.peer, size, 0, 0)::change;
  END IF;
  IF bearer IS NULL THEN
    RETURN NULL;
  END IF;
  INSERT INTO journals SELECT flow, bearer->>0, bearer->>1, bearer->>2, sum(octet_length(value))
    FROM journal WHERE flow_id = flow RETURNING * INTO held;
  RETURN ROW (held.node, held.account, held.peer, held.bytes, 0, 0)::change;
END
$$;

CREATE FUNCTION pass_journal(passed jsonb) RETURNS change[] LANGUAGE plpgsql AS $$
DECLARE
  held journals;
  bearer jsonb := passed->'charge';
BEGIN
  SELECT * INTO held FROM journals WHERE flow_id = passed->>'f' FOR UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  UPDATE journals SET node = bearer->>0, account = bearer->>1, peer = bearer->>2 WHERE flow_id = passed->>'f';
  RETURN ARRAY[ROW (held.node, held.account, held.peer, -held.bytes, 0, 0)::change,
    ROW (bearer->>0, bearer->>1, bearer->>2, held.bytes, 0, 0)::change];
END
$$;

CREATE FUNCTION forget_journal(flow text) RETURNS change LANGUAGE plpgsql AS $$
DECLARE
  held journals;
BEGIN
  DELETE FROM journals WHERE flow_id = flow RETURNING * INTO held;
  DELETE FROM journal WHERE flow_id = flow;
  RETURN ROW (held.node, held.account, held.peer, -held.bytes, 0, 0)::change;
END
$$;
