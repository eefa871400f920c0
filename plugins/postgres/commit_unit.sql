-- Deletes a record of a log, which has to be there.
CREATE FUNCTION drop_record(wanted jsonb) RETURNS change LANGUAGE plpgsql AS $$
DECLARE
  gone records;
BEGIN
  DELETE FROM records r WHERE r.topic = wanted->>'t' AND r.partition = (wanted->>'p')::integer
    AND r.position = (wanted->>'o')::bigint RETURNING * INTO gone;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'record % of %-% is not there', wanted->>'o', wanted->>'t', wanted->>'p' USING ERRCODE = 'CB002';
  END IF;
  RETURN ROW (gone.node, 'bus', NULL, -octet_length(gone.key) - octet_length(gone.value), -1, 0)::change;
END
$$;

-- Writes a unit: `vals` are its values, which it names by their numbers from 1. `at` is the time of its records,
-- null for the database's. Returns the time. CB001: a fence is stale; CB002: something has changed in between.
CREATE OR REPLACE FUNCTION commit_unit(unit jsonb, vals bytea[], at bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  now_ms bigint := coalesce(at, present_ms());
  changes change[] := '{}';
  one jsonb;
BEGIN
  FOR one IN SELECT jsonb_array_elements(unit->'fences') LOOP
    PERFORM check_fence(one);
  END LOOP;
  FOR one IN SELECT jsonb_array_elements(unit->'done') LOOP
    changes := changes || delete_work(one);
  END LOOP;
  FOR one IN SELECT jsonb_array_elements(unit->'consumed') LOOP
    changes := changes || consume(one);
  END LOOP;
  FOR one IN SELECT jsonb_array_elements(unit->'dropped') LOOP
    changes := changes || drop_record(one);
  END LOOP;
  FOR one IN SELECT jsonb_array_elements(unit->'states') LOOP
    changes := changes || write_state(one, vals[(one->>'v')::integer]);
  END LOOP;
  FOR one IN SELECT jsonb_array_elements(unit->'journal') LOOP
    changes := changes || append_journal(one, vals[(one->>'v')::integer]);
  END LOOP;
  FOR one IN SELECT jsonb_array_elements(unit->'passed') LOOP
    changes := changes || pass_journal(one);
  END LOOP;
  FOR one IN SELECT jsonb_array_elements(unit->'forget') LOOP
    changes := changes || forget_journal(one #>> '{}');
  END LOOP;
  FOR one IN SELECT jsonb_array_elements(unit->'records') LOOP
    changes := changes || publish(one, vals[(one->>'v')::integer], now_ms);
  END LOOP;
  PERFORM charge(changes);
  RETURN now_ms;
END
$$
