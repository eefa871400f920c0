-- What a broker carries: the outbox of work records, numbered for each target (the number of a database), topic and
-- partition, and which numbers have landed. A record is in the outbox until it is in its queue, so none is only on the
-- broker. By its nonce it is told from one that had its number before the database was restored.

-- `carriage_key` authenticates records on the broker; `bus` is what the hosts of the cluster use.
ALTER TABLE meta ADD COLUMN bus text NOT NULL DEFAULT 'database';
ALTER TABLE meta ADD COLUMN carriage_key bytea NOT NULL
  DEFAULT uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid());

CREATE TABLE outlets (
  target integer, topic text, partition integer, next bigint NOT NULL,
  PRIMARY KEY (target, topic, partition)) WITH (fillfactor = 20);
CREATE TABLE outbox (
  target integer, topic text, partition integer, position bigint, node text NOT NULL, key text NOT NULL,
  written_at bigint NOT NULL, peer text, value bytea NOT NULL,
  nonce bigint NOT NULL DEFAULT floor(random() * 9e15)::bigint,
  PRIMARY KEY (target, topic, partition, position))
  WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX outbox_queues ON outbox (target, topic, partition, node, position);
CREATE INDEX outbox_nodes ON outbox (node);
CREATE TABLE inlets (
  source text, topic text, partition integer, version bigint NOT NULL, landed int8multirange NOT NULL,
  PRIMARY KEY (source, topic, partition)) WITH (fillfactor = 20);
CREATE TABLE inlet_places (
  topic text, partition integer, next bigint NOT NULL,
  PRIMARY KEY (topic, partition)) WITH (fillfactor = 20);

-- Publishes a record: to a log, to a queue of work if it has `n`, or with `o` to the outbox.
CREATE OR REPLACE FUNCTION publish(r jsonb, with_value bytea, at bigint) RETURNS change LANGUAGE plpgsql AS $$
DECLARE
  part integer := (r->>'p')::integer;
  size bigint := octet_length(r->>'k') + octet_length(with_value);
  after bigint;
BEGIN
  IF r ? 'o' THEN
    -- The outlet stays locked until the commit, so whoever sees a position sees all before it.
    INSERT INTO outlets AS t VALUES ((r->>'o')::integer, r->>'t', part, 1)
      ON CONFLICT (target, topic, partition) DO UPDATE SET next = t.next + 1 RETURNING t.next INTO after;
    INSERT INTO outbox
      VALUES ((r->>'o')::integer, r->>'t', part, after - 1, r->>'n', r->>'k', at, r->>'peer', with_value);
    RETURN ROW (r->>'n', 'bus', r->>'peer', size, 1, 0)::change;
  END IF;
  IF r ? 'n' THEN
    INSERT INTO work (topic, partition, node, key, written_at, peer, value)
      VALUES (r->>'t', part, r->>'n', r->>'k', at, r->>'peer', with_value);
    RETURN ROW (r->>'n', 'bus', r->>'peer', size, 1, 0)::change;
  END IF;
  -- The tail stays locked until the commit, so whoever sees a position sees all before it.
  INSERT INTO tails AS t VALUES (r->>'t', part, 1)
    ON CONFLICT (topic, partition) DO UPDATE SET next = t.next + 1 RETURNING t.next INTO after;
  INSERT INTO records VALUES (r->>'t', part, after - 1, r->>'k', at, r->>'owner', with_value);
  RETURN ROW (r->>'owner', 'bus', NULL, size, 1, 0)::change;
END
$$;

-- Takes records out of the outbox; returns what is no longer charged.
CREATE FUNCTION delete_outbox(to_target integer, one jsonb) RETURNS change[] LANGUAGE sql AS $$
  WITH gone AS (
    DELETE FROM outbox WHERE target = to_target AND topic = one->>'t' AND partition = (one->>'p')::integer
      AND position = ANY (ARRAY(SELECT jsonb_array_elements_text(one->'at')::bigint))
    RETURNING node, peer, octet_length(key) + octet_length(value) AS size)
  SELECT array_agg(ROW (node, 'bus', peer, -size, -1, 0)::change) FROM gone
$$;

-- The records of `said` have landed in another database.
CREATE FUNCTION acknowledge(to_target integer, said jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  one jsonb;
  changes change[] := '{}';
BEGIN
  FOR one IN SELECT jsonb_array_elements(said) LOOP
    changes := changes || delete_outbox(to_target, one);
  END LOOP;
  PERFORM charge(changes);
END
$$;

-- Lands records that a broker has carried: `vals` are their values. Those of this database leave its outbox (`own`),
-- where they were charged. CB002: another process has landed records of a stream.
CREATE FUNCTION land_work(to_target integer, said jsonb, vals bytea[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  one jsonb;
  touched integer;
  changes change[] := '{}';
BEGIN
  FOR one IN SELECT jsonb_array_elements(said->'inlets') LOOP
    IF (one->>'x')::bigint = 0 THEN
      INSERT INTO inlets VALUES (one->>'s', one->>'t', (one->>'p')::integer, 1, (one->>'r')::int8multirange)
        ON CONFLICT DO NOTHING;
    ELSE
      UPDATE inlets SET version = version + 1, landed = (one->>'r')::int8multirange
        WHERE source = one->>'s' AND topic = one->>'t' AND partition = (one->>'p')::integer
          AND version = (one->>'x')::bigint;
    END IF;
    GET DIAGNOSTICS touched = ROW_COUNT;
    IF touched = 0 THEN
      RAISE EXCEPTION 'records of %-% were landed by another process', one->>'t', one->>'p' USING ERRCODE = 'CB002';
    END IF;
  END LOOP;
  FOR one IN SELECT jsonb_array_elements(said->'own') LOOP
    changes := changes || delete_outbox(to_target, one);
  END LOOP;
  FOR one IN SELECT jsonb_array_elements(said->'records') LOOP
    INSERT INTO work (topic, partition, node, key, written_at, peer, value)
      VALUES (one->>'t', (one->>'p')::integer, one->>'n', one->>'k', (one->>'w')::bigint, one->>'peer',
        vals[(one->>'v')::integer]);
    changes := changes || ROW (one->>'n', 'bus', one->>'peer',
      octet_length(one->>'k') + octet_length(vals[(one->>'v')::integer]), 1, 0)::change;
  END LOOP;
  FOR one IN SELECT jsonb_array_elements(said->'places') LOOP
    INSERT INTO inlet_places VALUES (one->>'t', (one->>'p')::integer, (one->>'next')::bigint)
      ON CONFLICT (topic, partition) DO UPDATE SET next = excluded.next;
  END LOOP;
  PERFORM charge(changes);
END
$$;

-- Has all hosts use another bus from now on; what is on its way to a broker enters its queues. Returns the former one.
-- CB002: a host runs, or it is on its way to another database, too.
CREATE FUNCTION change_bus(wanted text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  before text;
BEGIN
  SELECT bus INTO before FROM meta FOR UPDATE;
  IF before = wanted THEN
    RETURN before;
  END IF;
  IF EXISTS (SELECT FROM members WHERE beat_at + ttl_ms > present_ms()) THEN
    RAISE EXCEPTION 'hosts of the cluster run with bus = %', before USING ERRCODE = 'CB002';
  END IF;
  IF wanted = 'database' THEN
    IF EXISTS (SELECT FROM outlets WHERE target <> 0) THEN
      RAISE EXCEPTION 'work goes to other databases, too' USING ERRCODE = 'CB002';
    END IF;
    INSERT INTO work (topic, partition, node, key, written_at, peer, value)
      SELECT topic, partition, node, key, written_at, peer, value FROM outbox ORDER BY topic, partition, position;
    DELETE FROM outbox;
    -- What the broker still has of these streams has landed.
    INSERT INTO inlets AS i
      SELECT m.store_id::text, o.topic, o.partition, 1, int8multirange(int8range(0, o.next)) FROM outlets o, meta m
      ON CONFLICT (source, topic, partition) DO UPDATE SET version = i.version + 1, landed = excluded.landed;
  END IF;
  UPDATE meta SET bus = wanted;
  RETURN before;
END
$$
