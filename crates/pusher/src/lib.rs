//! A client of the Pusher protocol, version 7: private channels, kept subscribed for ever.
//!
//! [`Session`] is the protocol: no socket, no runtime, no clock. [`Input`] goes in together with the [`Moment`] at which
//! it happened, [`Action`]s come out, [`Session::deadline`] says when it wants to be called though nothing happens.
//! [`Client`] is the thin rim that drives one: it owns the socket, runs the authorisations beside it and hands events
//! to an [`EventSink`].
//!
//! # What it promises
//!
//! - An event that was read off the socket is offered to the sink, in the order of the socket; the next one is read when
//!   the sink has taken it. What it does not know, and what it cannot read, is offered as well.
//! - [`Report::Live`] and [`Report::Lost`] enclose every stretch in which a channel was subscribed. What happened outside
//!   of them was missed, and what happened inside may have been: the protocol promises nothing.
//! - It never gives up. A server that says "do not come back" is asked again, slowly, and [`Report::Disconnected`] says so.
//! - Nothing is unbounded: every state has a deadline, every frame a size, every wait a maximum.

mod action;
mod auth;
mod channels;
mod client;
mod code;
mod excerpt;
mod frame;
mod limits;
mod link;
mod liveness;
mod reconnect;
mod report;
mod session;

pub use action::{Action, Input};
pub use auth::{Auth, AuthFailure};
pub use client::{Authorizer, Client, EventSink, Observer, ReceivedFrame, Reconnect};
pub use code::Rule;
pub use frame::{ClientFrame, Received, ServerError};
pub use limits::{Limits, Moment};
pub use link::{Link, LinkError};
pub use report::{Cause, Refusal, Report};
pub use session::Session;
