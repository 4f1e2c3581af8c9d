//! Peers that mean harm, with a well-behaved client beside them. Each test prints its figures:
//! `make test ARGS="--test abuse -- --nocapture"`.
//!
//! One test at a time, for what is measured is how much one peer is troubled by another.

#![cfg(test)]

#[path = "abuse/beside.rs"]
mod beside;
#[path = "abuse/conformance.rs"]
mod conformance;
#[path = "abuse/deaf.rs"]
mod deaf;
#[path = "abuse/descriptors.rs"]
mod descriptors;
#[path = "abuse/floods.rs"]
mod floods;
#[path = "abuse/garbage.rs"]
mod garbage;
#[path = "abuse/silent.rs"]
mod silent;
mod support;
