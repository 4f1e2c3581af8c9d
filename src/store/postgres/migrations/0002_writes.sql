-- What PolicyService adds: whose history a change is in, the answers to repeated requests, and by
-- which matrix replicas decide. Only new columns and tables, so that programs of the version before
-- go on.

-- The partners in whose history a change is, imports aside: whose policy it changed, and who managed
-- the account before or after it. Changes made before are imports all.
ALTER TABLE policy_change ADD COLUMN partners text[] COLLATE "C" NOT NULL DEFAULT '{}';

-- Without fastupdate: what it gathers would be put in its place by some writer, under the lock.
CREATE INDEX policy_change_by_partner ON policy_change USING gin (partners) WITH (fastupdate = off);
CREATE INDEX policy_change_by_subject ON policy_change (subject_kind, subject_id, revision);

-- The first answer to each request that came with a key. Kept for a day at least.
CREATE TABLE idempotency_key (
    caller     text        COLLATE "C" NOT NULL,
    method     text        COLLATE "C" NOT NULL,
    key        text        COLLATE "C" NOT NULL,
    -- SHA-256 of the request in a canonical form, the key left out.
    digest     bytea       NOT NULL,
    answer     jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT idempotency_key_pkey PRIMARY KEY (caller, method, key),
    CONSTRAINT idempotency_key_caller_length CHECK (char_length(caller) <= 2048),
    CONSTRAINT idempotency_key_method_length CHECK (char_length(method) <= 64),
    CONSTRAINT idempotency_key_shape CHECK (key ~ '^[ -~]{1,128}$'),
    CONSTRAINT idempotency_key_digest_length CHECK (octet_length(digest) = 32)
);

CREATE INDEX idempotency_key_by_age ON idempotency_key (created_at);

-- The matrix by which the replica that started last decides: one row.
CREATE TABLE matrix_seen (
    one_row boolean NOT NULL DEFAULT true,
    -- SHA-256 of its rules, in hexadecimal; none before the first replica started.
    digest  text    COLLATE "C",
    -- How often a replica had another one than the replica before it.
    changes bigint  NOT NULL DEFAULT 0,
    -- The revision that was the present one when that happened last.
    changed_at bigint,
    CONSTRAINT matrix_seen_pkey PRIMARY KEY (one_row),
    CONSTRAINT matrix_seen_one_row CHECK (one_row),
    CONSTRAINT matrix_seen_digest_shape CHECK (digest ~ '^[0-9a-f]{64}$'),
    CONSTRAINT matrix_seen_changes_range CHECK (changes >= 0)
);

INSERT INTO matrix_seen DEFAULT VALUES;
