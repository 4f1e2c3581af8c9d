-- By which matrix replicas decide.

-- What the last replica to start decides by: one row. The matrix is no policy and has no revision.
CREATE TABLE matrix_seen (
    one_row boolean NOT NULL DEFAULT true,
    -- SHA-256 of its rules; NULL before the first replica.
    digest  text,
    -- How often a replica was found to decide by another one than the replica before it.
    changes bigint  NOT NULL DEFAULT 0,
    CONSTRAINT matrix_seen_pkey PRIMARY KEY (one_row),
    CONSTRAINT matrix_seen_one_row CHECK (one_row),
    CONSTRAINT matrix_seen_changes_range CHECK (changes >= 0)
);

INSERT INTO matrix_seen DEFAULT VALUES;
