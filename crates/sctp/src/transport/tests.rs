//! Two transports, no sockets.
