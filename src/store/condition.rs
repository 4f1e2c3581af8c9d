//! How a store is, for operators.

/// A store at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Condition {
    /// Whether it refuses loads at once, because those before were not answered.
    pub is_refusing: bool,
    /// Its connections, where it has some.
    pub pool: Option<PoolFigures>,
    /// Its schema, once it was seen.
    pub schema: Option<SchemaFigures>,
}

/// Connections that are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolFigures {
    /// Those that nobody uses now.
    pub idle: usize,
    /// Those that somebody uses.
    pub in_use: usize,
    /// How many there may be.
    pub most: usize,
    /// Who waits for one.
    pub waiting: usize,
}

/// A schema, and this program beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaFigures {
    /// The version that is there; 0 where there is no schema.
    pub found: u32,
    /// The version that this program is for.
    pub wanted: u32,
    /// Whether it works with what is there.
    pub fits: bool,
}
