//! A body as it came becomes the events it tells of. It never fails: what is not understood is an event all the same.

pub mod chatapp;
pub mod green_api;
