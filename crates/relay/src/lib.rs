//! STUN (and later TURN) for Crowfly.
