//! The core in virtual time. Requests are written with another implementation's code, `stun-types`.

mod bed;
mod credentials;
mod lifetimes;
mod limits;
mod reach;
mod strangers;
