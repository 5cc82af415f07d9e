-- A database as the schema of version 1 left it. It is never changed: what is new is a step of `migrations.rs`.
PRAGMA application_id = 1414087755;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE authority (
        id INTEGER PRIMARY KEY,
        certificate BLOB NOT NULL,
        key_file TEXT NOT NULL
    ) STRICT;
INSERT INTO "authority" VALUES(1,X'01','k');
CREATE TABLE control (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        trust_domain TEXT NOT NULL,
        generation INTEGER NOT NULL,
        fingerprint BLOB NOT NULL
    ) STRICT;
INSERT INTO "control" VALUES(1,'example.org',4,X'07');
CREATE TABLE document (
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        json TEXT NOT NULL,
        generation INTEGER NOT NULL,
        PRIMARY KEY (kind, name)
    ) STRICT, WITHOUT ROWID;
INSERT INTO "document" VALUES('Policy','a','{"a":1}',3);
INSERT INTO "document" VALUES('WorkloadIdentity','web','{"b":2}',4);
CREATE TABLE event (
        seq INTEGER PRIMARY KEY,
        bytes BLOB NOT NULL
    ) STRICT;
INSERT INTO "event" VALUES(7,X'01');
INSERT INTO "event" VALUES(8,X'02');
CREATE TABLE node (
        name TEXT PRIMARY KEY,
        serial BLOB NOT NULL,
        previous_serial BLOB,
        not_after INTEGER NOT NULL,
        attested INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
INSERT INTO "node" VALUES('n1',X'4B',X'4A',60,50);
CREATE TABLE token (
        id BLOB PRIMARY KEY,
        hash BLOB NOT NULL,
        node TEXT NOT NULL,
        expires INTEGER NOT NULL,
        used INTEGER
    ) STRICT, WITHOUT ROWID;
INSERT INTO "token" VALUES(X'0101010101010101',X'0101010101010101010101010101010101010101010101010101010101010101','n1',100,50);
INSERT INTO "token" VALUES(X'0202020202020202',X'0202020202020202020202020202020202020202020202020202020202020202','n2',100,NULL);
CREATE TRIGGER control_generation_grows BEFORE UPDATE OF generation ON control
    WHEN new.generation <= old.generation BEGIN
        SELECT raise(ABORT, 'the generation only grows');
    END;
CREATE TRIGGER control_stays BEFORE DELETE ON control BEGIN
        SELECT raise(ABORT, 'the generation only grows');
    END;
CREATE INDEX token_by_expiry ON token (expires);
COMMIT;
