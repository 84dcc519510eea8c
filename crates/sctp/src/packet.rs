//! The wire: packets, chunks, parameters and error causes, parsed and written (RFC 9260 §3).
