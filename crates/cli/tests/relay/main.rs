//! The relay over real sockets: `crowfly serve` beside coturn's programs, and a client that speaks TURN by hand.

mod independent;
mod kit;
mod sockets;
mod spellings;
mod turn;
