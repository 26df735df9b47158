//! Compiles the text that the compiler's golden tests pin down, under the workspace's lints.
#![forbid(unsafe_code)]

include!("gen/fixtures.rs");

/// Package `evolution` as three revisions of one schema have it.
pub mod evolution {
    /// The first revision.
    pub mod v1 {
        include!("gen/v1/evolution.rs");
    }

    /// The second: fields and an arm are appended.
    pub mod v2 {
        include!("gen/v2/evolution.rs");
    }

    /// The third: two fields are retired, and one is appended.
    pub mod v3 {
        include!("gen/v3/evolution.rs");
    }
}
