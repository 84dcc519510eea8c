//! The Crowfly server: signaling hub, WebSocket, HTTP and metrics.

pub mod hub;
pub mod limits;
