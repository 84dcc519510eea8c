//! Faults and attacks against the running server, each with its code or its close, while bystanders talk in rooms of their own and
//! must not feel it.
//!
//! Everything here goes over real sockets of the loopback interface to the real binary, started as a child process on free ports.
//! `CROWFLY_LONG=1` does the same at full size.

mod everything;
mod exhaustion;
mod guessing;
mod http;
mod kit;
mod last_seat;
mod lifetime;
mod limits;
mod membership;
mod messages;
mod names;
mod overload;
mod restart;
mod sizes;
