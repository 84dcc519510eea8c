//! `crowfly chat` and `crowfly pipe` as people and shells meet them: processes of the binary, with a real server between them.

mod absent;
mod chat;
mod death;
mod kit;
mod pipe;
mod telemetry;
mod terminal;
