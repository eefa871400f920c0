BEGIN TRANSACTION;
CREATE TABLE journal (
  flow_id TEXT NOT NULL, number INTEGER NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY (flow_id, number)) WITHOUT ROWID;
INSERT INTO "journal" VALUES('f',0,X'6F6E65');
INSERT INTO "journal" VALUES('f',1,X'74776F');
CREATE TABLE offsets (
  consumer TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
  PRIMARY KEY (consumer, topic, partition)) WITHOUT ROWID;
INSERT INTO "offsets" VALUES('flow','flow.event',0,1);
CREATE TABLE records (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, position INTEGER NOT NULL,
  key TEXT NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY (topic, partition, position)) WITHOUT ROWID;
INSERT INTO "records" VALUES('flow.event',0,0,'f',X'6669727374');
INSERT INTO "records" VALUES('flow.event',0,1,'f',X'7365636F6E64');
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO "schema_version" VALUES(1);
CREATE TABLE states (
  key TEXT PRIMARY KEY, version INTEGER NOT NULL, value BLOB NOT NULL,
  due_at INTEGER) WITHOUT ROWID;
INSERT INTO "states" VALUES('flow/f',3,X'63',NULL);
INSERT INTO "states" VALUES('timer/f',1,X'',50);
CREATE TABLE tails (
  topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL,
  PRIMARY KEY (topic, partition)) WITHOUT ROWID;
INSERT INTO "tails" VALUES('flow.event',0,2);
CREATE INDEX states_due ON states (due_at, key) WHERE due_at IS NOT NULL;
COMMIT;
