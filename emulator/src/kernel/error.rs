//! What went wrong between us and the kernel.

use std::fmt::Display;

/// A step that the kernel refused, or answered in an unexpected way.
#[derive(Debug, thiserror::Error)]
#[error("cannot {attempted} in {namespace}: {found}")]
pub struct KernelError {
    /// What was attempted, on which device: `"create the wire end w3a"`.
    pub attempted: String,
    /// Namespace.
    pub namespace: String,
    /// What was found: the kernel's error, or what is not as it should be.
    pub found: String,
}

impl KernelError {
    /// Attempted in a namespace, found.
    pub fn new(
        attempted: impl Into<String>,
        namespace: impl Into<String>,
        found: impl Display,
    ) -> Self {
        Self {
            attempted: attempted.into(),
            namespace: namespace.into(),
            found: found.to_string(),
        }
    }
}
