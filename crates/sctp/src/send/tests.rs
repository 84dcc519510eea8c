//! The sending half on its own.
