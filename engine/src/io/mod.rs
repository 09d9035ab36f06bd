//! The io seam.

/// An accepted connection on its way to the shard that will serve it.
#[derive(Debug)]
pub struct Accepted;
