//! The signaling wire of Crowfly as types: messages, names, ids and error codes.
