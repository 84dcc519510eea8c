//! The receiving half: which TSNs arrived, what to acknowledge, messages put together.
