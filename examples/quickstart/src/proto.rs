//! The generated code: the contract the services have, and the revisions some clients have.

/// Takes in one revision of package `shop.v1` as a module.
macro_rules! revision {
    ($name:ident) => {
        #[allow(
            dead_code,
            unreachable_pub,
            reason = "made for any use of the contract, of which this program makes a part"
        )]
        pub(crate) mod $name {
            include!(concat!(
                env!("OUT_DIR"),
                "/",
                stringify!($name),
                "/shop.v1.rs"
            ));
        }
    };
}

revision!(current);
revision!(older);
revision!(newer);
revision!(incompatible);
