//! Delivery.

/// What an output works with.
#[derive(Debug)]
pub struct OutputContext;
