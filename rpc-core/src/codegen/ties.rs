//! What is alike for every message and every enum, so that generated code says it in one line.
//!
//! These are macros because it is the generated types that implement the traits, and have methods.

/// Ties a message's view to its owned struct.
#[doc(hidden)]
#[macro_export]
macro_rules! __message {
    ($owned:ident, $view:ident) => {
        #[allow(deprecated, reason = "what is deprecated still travels")]
        impl<'a> $view<'a> {
            /// The protobuf fields that this schema does not know, tags included.
            #[must_use]
            #[inline]
            pub fn unknown_fields(self) -> &'a [u8] {
                self.0.unknown_fields()
            }

            /// Copies everything out.
            #[must_use]
            #[inline]
            pub fn into_owned(self) -> $owned {
                $crate::codegen::Origin::COPY.message(self)
            }
        }

        #[allow(deprecated, reason = "what is deprecated still travels")]
        impl ::core::fmt::Debug for $view<'_> {
            #[inline]
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Debug::fmt(&self.0, f)
            }
        }

        #[allow(deprecated, reason = "what is deprecated still travels")]
        impl $crate::codegen::Element for $owned {
            type Via = $crate::codegen::via::Message;
        }

        #[allow(deprecated, reason = "what is deprecated still travels")]
        impl $crate::codegen::Encode<$owned> for $view<'_> {
            #[inline]
            fn encode(&self, table: &mut $crate::codegen::TableWriter<'_, $owned>) {
                table.copy(self.0);
            }
        }

        #[allow(deprecated, reason = "what is deprecated still travels")]
        impl ::core::convert::From<$view<'_>> for $owned {
            #[inline]
            fn from(view: $view<'_>) -> Self {
                view.into_owned()
            }
        }
    };
}

/// Gives an enum's newtype its numbers, its names and its traits.
#[doc(hidden)]
#[macro_export]
macro_rules! __open_enum {
    ($name:ident, $full_name:literal, $values:expr) => {
        #[allow(deprecated, reason = "what is deprecated still travels")]
        impl $name {
            /// The value of a number, which need not have a name.
            #[must_use]
            pub const fn from_number(number: i32) -> Self {
                Self(number)
            }

            /// The number.
            #[must_use]
            pub const fn number(self) -> i32 {
                self.0
            }

            /// The name in the schema, if the number has one.
            #[must_use]
            #[inline]
            pub fn as_str_name(self) -> ::core::option::Option<&'static str> {
                <Self as $crate::codegen::OpenEnum>::INFO.name_of(self.0)
            }

            /// The value of a name in the schema.
            #[must_use]
            #[inline]
            pub fn from_str_name(name: &str) -> ::core::option::Option<Self> {
                <Self as $crate::codegen::OpenEnum>::INFO
                    .number_of(name)
                    .map(Self)
            }
        }

        #[allow(deprecated, reason = "what is deprecated still travels")]
        impl $crate::codegen::Element for $name {
            type Via = $crate::codegen::via::Enum;
        }

        #[allow(deprecated, reason = "what is deprecated still travels")]
        impl $crate::codegen::OpenEnum for $name {
            const INFO: &'static $crate::codegen::EnumInfo = &$crate::codegen::EnumInfo {
                name: $full_name,
                values: &$values,
            };
        }

        #[allow(deprecated, reason = "what is deprecated still travels")]
        impl ::core::convert::From<i32> for $name {
            #[inline]
            fn from(number: i32) -> Self {
                Self(number)
            }
        }

        #[allow(deprecated, reason = "what is deprecated still travels")]
        impl ::core::convert::From<$name> for i32 {
            #[inline]
            fn from(value: $name) -> Self {
                value.0
            }
        }

        #[allow(deprecated, reason = "what is deprecated still travels")]
        impl ::core::fmt::Debug for $name {
            #[inline]
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                $crate::codegen::fmt_enum(self.as_str_name(), self.0, f)
            }
        }
    };
}
