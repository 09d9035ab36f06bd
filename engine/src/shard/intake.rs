//! Intake.

/// What an input works with.
#[derive(Debug)]
pub struct InputContext;
