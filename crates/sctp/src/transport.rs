//! The transport: the association of RFC 9260, with raw streams.
