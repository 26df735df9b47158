//! Messages in JSON, which handlers see as archives.

use std::str::Utf8Error;

use bytes::Bytes;
use dreammesh_core::call::Status;
use dreammesh_core::wire::{DynTable, Layout, Limits, Segment, WireError, json};

use super::prefix::PREFIX_BYTES;

/// A message that came, as an archive.
///
/// # Errors
/// INVALID_ARGUMENT when it is no such message, and where; RESOURCE_EXHAUSTED when it exceeds the
/// limits.
pub(super) fn received(
    text: &[u8],
    layout: &'static Layout,
    types: &[&'static Layout],
    limits: &Limits,
) -> Result<Bytes, Status> {
    let no_text = |error: Utf8Error| {
        let at = error.valid_up_to();
        Status::invalid_argument(format!("the message is no UTF-8 at byte {at}"))
    };
    let text = str::from_utf8(text).map_err(no_text)?;
    // A caller whose messages have fields that came later is understood, as in protobuf.
    let options = json::Options::new().ignore_unknown(true).types(types);
    let archive = json::to_archive(layout, text, &options, limits);
    let archive = archive.map_err(|error| match error {
        WireError::TooLarge { .. } => Status::resource_exhausted(format!("message: {error}")),
        _ => {
            let name = layout.name;
            Status::invalid_argument(format!("the JSON is no {name}: {error}"))
        }
    });
    archive.map(Bytes::from)
}

/// An archive as JSON behind a prefix that is made from its length.
///
/// # Errors
/// When the segment is no valid archive of the layout, or has no form in JSON.
pub(super) fn parts(
    segment: Segment,
    layout: &'static Layout,
    types: &[&'static Layout],
    prefix: impl FnOnce(usize) -> [u8; PREFIX_BYTES],
) -> Result<(Bytes, Vec<Bytes>), WireError> {
    let archive = segment.into_bytes();
    let limits = Limits::default().with_max_bytes(Limits::MAX_BYTES);
    let table = DynTable::from_archive(layout, &archive, &limits)?;
    let text = json::to_string(table, &json::Options::new().types(types))?;
    let prefix = prefix(text.len());
    Ok((Bytes::copy_from_slice(&prefix), vec![text.into()]))
}
