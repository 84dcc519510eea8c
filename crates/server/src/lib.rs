//! The Crowfly server: signaling hub, WebSocket, HTTP and metrics.
//!
//! [`Server::bind`] opens the sockets of a [`Config`], [`Server::run`] serves until it is told to stop. The rooms themselves are the
//! [`hub`], a state machine without sockets; browser files are handed in as [`Assets`].
//!
//! ```no_run
//! # async fn example() -> Result<(), crowfly_server::BindError> {
//! use crowfly_server::{Config, Server};
//!
//! let server = Server::bind(Config::default()).await?;
//! let address = server.local_addr();
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! server.run(async { drop(stopped.await) }).await;
//! # Ok(())
//! # }
//! ```

pub mod hub;
pub mod limits;
pub mod websocket;

mod admission;
#[cfg(test)]
#[path = "../../../fuzz/harness/headers.rs"]
mod any_headers;
mod assets;
mod config;
mod forwarded;
mod http;
mod metrics;
mod origin;
mod redact;
mod server;
mod signaling;

pub use assets::{Asset, Assets};
pub use config::{Config, HttpLimits, IceServers};
pub use origin::{Host, InvalidHost, InvalidOrigin, Origin, SUBPROTOCOL};
pub use redact::Redacted;
pub use server::{BindError, Server};
