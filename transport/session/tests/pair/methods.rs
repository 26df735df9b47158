//! The methods both sides of the tests know.

use dreammesh_core::call::{MethodInfo, MethodKind};
use dreammesh_core::wire::{Layout, LayoutHash};
use dreammesh_session::frame::method::Hashes;

static LAYOUT: Layout = Layout::new("test.Empty", &[], &[], 0, &[LayoutHash([7; 16])]);

const fn method(path: &'static str, kind: MethodKind, hash: u8) -> MethodInfo {
    MethodInfo::new(path, kind, &LAYOUT, &LAYOUT)
        .with_closures(LayoutHash([hash; 16]), LayoutHash([hash; 16]))
}

/// One method of each kind.
pub(crate) static METHODS: [MethodInfo; 4] = [
    method("/test.Shop/Unary", MethodKind::Unary, 1),
    method("/test.Shop/Download", MethodKind::ServerStreaming, 2),
    method("/test.Shop/Upload", MethodKind::ClientStreaming, 3),
    method("/test.Shop/Chat", MethodKind::Bidi, 4),
];

pub(crate) fn by_path(path: &str) -> Option<&'static MethodInfo> {
    METHODS.iter().find(|info| info.path() == path)
}

pub(crate) fn hashes(info: &MethodInfo) -> Hashes {
    Hashes {
        request: info.request_closure(),
        response: info.response_closure(),
    }
}
