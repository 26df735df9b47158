//! Bounds that hold for one message.

/// How large and how deep a message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The bytes of the whole archive; never above [`Limits::MAX_BYTES`] whatever is set.
    pub max_bytes: usize,
    /// How deeply messages may nest; the root counts as one.
    pub max_depth: u32,
}

impl Limits {
    /// 4 MiB, gRPC's customary bound for one message.
    pub const DEFAULT_BYTES: usize = 4 << 20;
    /// 100, protobuf's own recursion bound.
    pub const DEFAULT_DEPTH: u32 = 100;
    /// Bit 31 of a recorded size is a flag, so an archive stays below 2 GiB.
    pub const MAX_BYTES: usize = (1 << 31) - 1;

    /// Each level costs a stack frame here and in every codec, so no setting goes beyond this.
    pub const MAX_DEPTH: u32 = 1000;

    /// The default limits with another bound for the size.
    #[must_use]
    pub const fn with_max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = if max_bytes > Self::MAX_BYTES {
            Self::MAX_BYTES
        } else {
            max_bytes
        };
        self
    }

    /// The default limits with another bound for the nesting.
    #[must_use]
    pub const fn with_max_depth(mut self, max_depth: u32) -> Self {
        self.max_depth = max_depth;
        self
    }

    /// The bound for the size, whatever was written into the field.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        if self.max_bytes > Self::MAX_BYTES {
            Self::MAX_BYTES
        } else {
            self.max_bytes
        }
    }
}

impl Limits {
    /// The bound for the nesting, whatever was written into the field.
    #[must_use]
    pub const fn depth(&self) -> u32 {
        if self.max_depth > Self::MAX_DEPTH {
            Self::MAX_DEPTH
        } else {
            self.max_depth
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: Self::DEFAULT_BYTES,
            max_depth: Self::DEFAULT_DEPTH,
        }
    }
}
