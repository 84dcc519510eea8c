//! Data channels: DCEP (RFC 8832), stream ids by DTLS role, options, buffered amount.
