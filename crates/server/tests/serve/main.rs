//! The server as its clients meet it, over loopback.

mod kit;

mod http;
mod limits;
mod log;
mod shutdown;
mod signaling;
mod stun;
mod who;
