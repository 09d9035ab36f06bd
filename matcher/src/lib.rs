//! The message matcher.
