//! The Crowfly server: signaling hub, WebSocket, HTTP and metrics.
