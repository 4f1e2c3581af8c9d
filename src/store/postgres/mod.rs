//! Policies in Postgres.
