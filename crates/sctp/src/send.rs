//! The sending half: stream queues, fragmentation, what is in flight, loss detection.
