//! The association: data channels over the transport; the public door of this crate.
