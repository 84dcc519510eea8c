//! Tests only: a virtual clock, and links between machines that know no socket.
