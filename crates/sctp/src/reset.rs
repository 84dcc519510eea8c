//! Stream reset (RFC 6525): a request at a time, numbered, answered, retransmitted.
