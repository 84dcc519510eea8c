//! Path MTU discovery with probes (RFC 8899).
