//! Over the wire: servers in processes of their own, and what a call costs them.

pub mod callgrind;
pub mod load;
pub mod peer;
pub mod request;
pub mod rows;
