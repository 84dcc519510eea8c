//! Congestion control: one trait, two users; delivery rate, pacing.
