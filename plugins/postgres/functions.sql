-- Functions that statements of features use. Documents are canonical JSON texts; paths are JSON lists of the names of
-- members and the numbers of elements. Order keys are those of host/domain/order_keys.py.

GRANT USAGE ON SCHEMA cordbox_functions TO PUBLIC;  -- the roles of nodes, once they can connect

CREATE FUNCTION number_key(value text, bits integer) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  parts text[];
  digits text;
  places integer;
  magnitude text;
BEGIN
  IF length(value) > 4096 THEN
    RETURN NULL;
  END IF;
  parts := regexp_match(value, '^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,6}))?$');
  IF parts IS NULL THEN
    RETURN NULL;
  END IF;
  IF bits > 0 THEN
    IF value !~ '^-?[0-9]{1,19}$' OR value::numeric < -(2::numeric ^ (bits - 1))
      OR value::numeric >= 2::numeric ^ (bits - 1)
    THEN
      RETURN NULL;
    END IF;
  END IF;
  places := length(coalesce(parts[3], ''));
  digits := ltrim(parts[2] || coalesce(parts[3], ''), '0');
  IF digits = '' THEN
    RETURN '5';
  END IF;
  magnitude := lpad((coalesce(parts[4], '0')::integer - places + length(digits) + 50000000)::text, 8, '0')
    || rtrim(digits, '0');
  IF parts[1] = '' THEN
    RETURN '6' || magnitude;
  END IF;
  RETURN '4' || translate(magnitude, '0123456789', '9876543210') || '~';
END
$$;

CREATE FUNCTION number_key(value numeric, bits integer) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT number_key(value::text, bits)
$$;

CREATE FUNCTION duration_key(value text, nothing integer) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  parts text[] := regexp_match(value, '^(-?)P(?:([0-9]{1,9})D)?(?:T(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?'
    || '(?:([0-9]{1,9})(?:\.([0-9]{1,6}))?S)?)?$');
  seconds numeric;
BEGIN
  IF parts IS NULL OR right(value, 1) IN ('P', 'T') THEN
    RETURN NULL;
  END IF;
  seconds := ((coalesce(parts[2], '0')::numeric * 24 + coalesce(parts[3], '0')::numeric) * 60
    + coalesce(parts[4], '0')::numeric) * 60 + coalesce(parts[5], '0')::numeric;
  RETURN number_key(
    parts[1] || (seconds * 1000000 + rpad(coalesce(parts[6], ''), 6, '0')::numeric)::text, 0);
END
$$;

CREATE FUNCTION json_at(document text, path text) RETURNS json LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  found json := document::json;
  step jsonb;
BEGIN
  FOR step IN SELECT jsonb_array_elements(path::jsonb) LOOP
    IF jsonb_typeof(step) = 'string' AND json_typeof(found) = 'object' THEN
      found := found -> (step #>> '{}');
    ELSIF jsonb_typeof(step) = 'number' AND json_typeof(found) = 'array' THEN
      found := found -> step::integer;
    ELSE
      RETURN NULL;
    END IF;
    IF found IS NULL THEN
      RETURN NULL;
    END IF;
  END LOOP;
  RETURN found;
END
$$;

CREATE FUNCTION json_part(document text, path text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT json_at(document, path)::text
$$;

CREATE FUNCTION json_text(document text, path text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT json_at(document, path) #>> '{}'
$$;

CREATE FUNCTION json_has_key(document text, key text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT document::jsonb ? key
$$;

-- A scalar as text, as a pattern is matched with it: true and false as 1 and 0.
CREATE FUNCTION json_plain(document text, path text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT CASE found #>> '{}' WHEN 'true' THEN CASE json_typeof(found) WHEN 'boolean' THEN '1' ELSE 'true' END
    WHEN 'false' THEN CASE json_typeof(found) WHEN 'boolean' THEN '0' ELSE 'false' END ELSE found #>> '{}' END
  FROM json_at(document, path) found
$$;

-- A scalar as text that is compared and ordered: numbers before texts, true and false as 1 and 0.
CREATE FUNCTION json_field(document text, path text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT CASE json_typeof(found) WHEN 'number' THEN 'n' || number_key(found #>> '{}', 0)
    WHEN 'boolean' THEN 'n' || number_key(json_plain(document, path), 0)
    WHEN 'null' THEN NULL ELSE 't' || (found #>> '{}') END
  FROM json_at(document, path) found
$$;

-- Counts the bytes of rows, as their text, that a transaction adds to the tables of a node. It has its owner's
-- rights, because nodes may not have that of set_config, by which a statement could change its role.
CREATE FUNCTION count_bytes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  more bigint := coalesce(nullif(current_setting('cordbox.bytes', true), ''), '0')::bigint;
BEGIN
  IF TG_OP <> 'DELETE' THEN
    more := more + octet_length(NEW::text);
  END IF;
  IF TG_OP <> 'INSERT' THEN
    more := more - octet_length(OLD::text);
  END IF;
  PERFORM set_config('cordbox.bytes', more::text, true);
  RETURN NULL;
END
$$;

-- Makes the schema of a node, and a role without login that owns it and may be taken on by the host that asks. A
-- host takes it on for each transaction on the node's tables, and has no right of it otherwise.
CREATE FUNCTION make_node_schema(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  role_name text := 'cordbox_' || name;
  role_found pg_roles;
  owner_found text;
BEGIN
  IF name !~ '^[a-z]{1,20}[0-9]{0,6}_[0-9a-f]{12}$' THEN
    RAISE EXCEPTION 'schema % is none of a node', quote_literal(name) USING ERRCODE = 'CB003';
  END IF;
  SELECT * INTO role_found FROM pg_roles WHERE rolname = role_name;
  IF NOT FOUND THEN
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', role_name);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;  -- another database of the server has a node of this name
    END;
  ELSIF role_found.rolcanlogin OR role_found.rolsuper OR role_found.rolcreaterole OR role_found.rolbypassrls THEN
    RAISE EXCEPTION 'role % is none of a node: it may log in, or has rights of its own', role_name
      USING ERRCODE = 'CB003';
  END IF;
  EXECUTE format('GRANT %I TO %I', role_name, current_user);
  EXECUTE format('GRANT %I TO %I', role_name, session_user);
  SELECT nspowner::regrole::text INTO owner_found FROM pg_namespace WHERE nspname = name;
  IF owner_found IS NULL THEN
    EXECUTE format('CREATE SCHEMA %I AUTHORIZATION %I', name, role_name);
  ELSIF owner_found <> role_name THEN
    RAISE EXCEPTION 'schema % belongs to %, expected %', name, owner_found, role_name USING ERRCODE = 'CB003';
  END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION make_node_schema(text) FROM PUBLIC;
