//! A client of the Pusher protocol, version 7, for private channels that are to stay subscribed.
//!
//! [`Session`] is the protocol: no socket, no runtime, no clock. It is given an [`Input`] together with the [`Moment`]
//! at which it happened, and returns [`Action`]s. [`Session::deadline`] says when it wants to be called if nothing
//! happens. [`Client`] is a thin layer that drives a session: it owns the socket, runs the authorisations and hands
//! events to an [`EventSink`].
//!
//! # What it promises
//!
//! - Every event that was read from the socket is offered to the sink, in order; the next one is read when the sink has
//!   taken it. Unknown and unreadable frames are offered too.
//! - [`Report::Live`] and [`Report::Lost`] enclose every stretch in which a channel was subscribed. What happened
//!   outside of them was missed, and what happened inside may have been: the protocol promises nothing.
//! - It never gives up. A server that says "do not come back" is asked again, slowly, and [`Report::Disconnected`] says
//!   so.
//! - Everything is bounded: every state has a deadline, every frame a maximum size, every wait a maximum.

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
