//! What a script may use: memory, instructions, output.
//!
//! Owns:    `SandboxLimits` and Heka's defaults (`docs/parity/sandbox.toml`).
//! Runs on: build time.            Plane: control.
//! Bounds:  zero means unlimited, as Heka.
//! Never:   enforces; the host does.

/// Limits of one script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SandboxLimits {
    /// Heap, bytes.
    pub memory_bytes: u64,
    /// Instructions per call.
    pub instructions: u64,
    /// Output per call, bytes.
    pub output_bytes: u64,
}

impl Default for SandboxLimits {
    fn default() -> Self {
        SandboxLimits {
            memory_bytes: 8 * 1024 * 1024,
            instructions: 1_000_000,
            output_bytes: 63 * 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_hekas() {
        let limits = SandboxLimits::default();
        assert_eq!(
            (
                limits.memory_bytes,
                limits.instructions,
                limits.output_bytes
            ),
            (8_388_608, 1_000_000, 64_512)
        );
    }
}
