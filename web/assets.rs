//! The browser files of Crowfly, as a table the server can hand out.
