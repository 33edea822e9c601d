//! Turns a received body into events. This never fails: what is not understood becomes an event too.

pub mod chatapp;
pub mod green_api;
