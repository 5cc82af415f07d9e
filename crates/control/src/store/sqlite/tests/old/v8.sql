-- A database as the schema of version 8 left it. It is never changed: what is new is a step of `migrations.rs`.
PRAGMA application_id = 1414087755;
PRAGMA user_version = 8;
BEGIN TRANSACTION;
CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        time INTEGER NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        detail TEXT NOT NULL,
        hash BLOB NOT NULL CHECK (length(hash) = 32)
    ) STRICT;
INSERT INTO "audit" VALUES(1,1,'token 01','node-attested','n1','{"not_after":50,"serial":"4a"}',X'09CE4B674F84CAF270F8A744C5FB5045DABEE907D173294BDB2C478DBB5A6C2B');
INSERT INTO "audit" VALUES(2,2,'node n1','svid-issued','spiffe://example.org/web','{"entry":"web","not_after":40,"serial":"41"}',X'3483D4D965D4857455A0DB9184C9AE8422B2CBC2DA16E179D46EC5CD8EBBFDF1');
INSERT INTO "audit" VALUES(3,3,'node n1','node-renewed','n1','{"not_after":60,"serial":"4b"}',X'246EC630FE5B05627B208B7D1537794F092D58734CFC6A900B60D3F79111F03A');
INSERT INTO "audit" VALUES(4,4,'uid 0','svid-revoked','spiffe://example.org/web','{"by":"svid 41","node":"n1","reason":"lost","serial":"41"}',X'CCD60339BC167010C36D16CC03F6F537C8F44C60E9B94666B20F244F8C4DA754');
CREATE TABLE authority (
        id INTEGER PRIMARY KEY,
        certificate BLOB NOT NULL,
        key_file TEXT NOT NULL
    , state TEXT NOT NULL DEFAULT 'active'
        CHECK (state IN ('prepared', 'active', 'retired', 'tainted', 'revoked')), since INTEGER NOT NULL DEFAULT 0, until INTEGER, generation INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "authority" VALUES(1,X'01','k','retired',10,500,1);
INSERT INTO "authority" VALUES(2,X'02','l','active',20,900,3);
CREATE TABLE control (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        trust_domain TEXT NOT NULL,
        generation INTEGER NOT NULL,
        fingerprint BLOB NOT NULL
    , bundle_sequence INTEGER NOT NULL DEFAULT 1, audit_seq INTEGER NOT NULL DEFAULT 0, audit_hash BLOB NOT NULL
        DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000') STRICT;
INSERT INTO "control" VALUES(1,'example.org',4,X'07',2,4,X'CCD60339BC167010C36D16CC03F6F537C8F44C60E9B94666B20F244F8C4DA754');
CREATE TABLE document (
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        json TEXT NOT NULL,
        generation INTEGER NOT NULL,
        PRIMARY KEY (kind, name)
    ) STRICT, WITHOUT ROWID;
INSERT INTO "document" VALUES('Policy','a','{"a":1}',3);
INSERT INTO "document" VALUES('TrustDomain','example.org','{"c":3}',4);
INSERT INTO "document" VALUES('WorkloadIdentity','web','{"b":2}',4);
CREATE TABLE event (
        seq INTEGER PRIMARY KEY,
        bytes BLOB NOT NULL
    ) STRICT;
INSERT INTO "event" VALUES(7,X'01');
INSERT INTO "event" VALUES(8,X'02');
CREATE TABLE jwt_authority (
        id INTEGER PRIMARY KEY,
        key_id TEXT NOT NULL UNIQUE CHECK (length(key_id) BETWEEN 1 AND 256),
        public_key BLOB NOT NULL UNIQUE,
        key_file TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('prepared', 'active', 'retired', 'tainted', 'revoked')),
        since INTEGER NOT NULL,
        until INTEGER NOT NULL,
        not_after INTEGER NOT NULL,
        generation INTEGER NOT NULL
    ) STRICT;
INSERT INTO "jwt_authority" VALUES(1,'4a',X'03','j','tainted',30,40,50,1);
INSERT INTO "jwt_authority" VALUES(2,'4b',X'04','m','active',30,80,80,2);
CREATE TABLE node (
        name TEXT PRIMARY KEY,
        serial BLOB NOT NULL,
        previous_serial BLOB,
        not_after INTEGER NOT NULL,
        attested INTEGER NOT NULL
    , joined_by TEXT NOT NULL DEFAULT 'token'
        CHECK (joined_by IN ('token', 'x509pop')), certificate_allowed INTEGER NOT NULL DEFAULT 0
        CHECK (certificate_allowed IN (0, 1))) STRICT, WITHOUT ROWID;
INSERT INTO "node" VALUES('n1',X'4B',X'4A',60,50,'token',0);
CREATE TABLE revoked (
        serial BLOB PRIMARY KEY CHECK (length(serial) BETWEEN 1 AND 20),
        spiffe_id TEXT NOT NULL,
        node TEXT NOT NULL,
        until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
INSERT INTO "revoked" VALUES(X'41','spiffe://example.org/web','n1',90);
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
CREATE UNIQUE INDEX authority_certificate ON authority (certificate);
CREATE UNIQUE INDEX authority_one_signs ON authority (state) WHERE state = 'active';
CREATE TRIGGER control_bundle_grows BEFORE UPDATE OF bundle_sequence ON control
    WHEN new.bundle_sequence < old.bundle_sequence BEGIN
        SELECT raise(ABORT, 'the sequence of the bundle only grows');
    END;
CREATE TRIGGER audit_is_not_altered BEFORE UPDATE ON audit BEGIN
        SELECT raise(ABORT, 'the audit log only grows');
    END;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit BEGIN
        SELECT raise(ABORT, 'the audit log only grows');
    END;
CREATE TRIGGER control_audit_grows BEFORE UPDATE OF audit_seq ON control
    WHEN new.audit_seq <= old.audit_seq BEGIN
        SELECT raise(ABORT, 'the audit log only grows');
    END;
CREATE INDEX audit_issued_serial ON audit (json_extract(detail, '$.serial'))
    WHERE action IN ('svid-issued', 'node-attested', 'node-renewed');
CREATE INDEX audit_issued_subject ON audit (subject, json_extract(detail, '$.not_after'))
    WHERE action IN ('svid-issued', 'node-attested', 'node-renewed');
CREATE INDEX audit_issued_actor ON audit (actor, json_extract(detail, '$.not_after'))
    WHERE action IN ('svid-issued', 'node-attested', 'node-renewed');
CREATE INDEX audit_revoked_serial ON audit (json_extract(detail, '$.serial'))
    WHERE action = 'svid-revoked';
CREATE UNIQUE INDEX jwt_authority_one_signs ON jwt_authority (state) WHERE state = 'active';
COMMIT;
