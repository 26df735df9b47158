//! METHOD: a path gets an index, and the client says which layouts it has (PROTOCOL.md §4.2).

use dreammesh_core::wire::LayoutHash;

use super::section::{self, Sections};
use super::{Frame, Violation, header, kind};

/// The longest path.
pub const PATH_BYTES_MAX: usize = 1024;

/// Which directions of a method carry archives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "a call has two directions")]
pub struct Verdict {
    /// The server can read the client's requests as archives.
    pub request: bool,
    /// The client can read the server's responses as archives.
    pub response: bool,
}

impl Verdict {
    /// Archives both ways.
    pub const BOTH: Self = Self {
        request: true,
        response: true,
    };
    /// Protobuf both ways.
    pub const NEITHER: Self = Self {
        request: false,
        response: false,
    };

    pub(crate) const fn bits(self) -> u8 {
        self.request as u8 | (self.response as u8) << 1
    }

    pub(crate) const fn of_bits(bits: u64) -> Self {
        Self {
            request: bits & 1 != 0,
            response: bits & 2 != 0,
        }
    }
}

/// The closure hashes of a method's two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "a call has two directions")]
pub struct Hashes {
    /// Over everything the request reaches.
    pub request: LayoutHash,
    /// Over everything the response reaches.
    pub response: LayoutHash,
}

/// A verdict remembered from another connection, and the server's hashes it was found for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a verdict and what it is about")]
pub struct Assumed {
    /// The verdict.
    pub verdict: Verdict,
    /// The hashes of the server it holds for.
    pub peer: Hashes,
}

/// The frame; its index stands in the header's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Method<'a> {
    /// The index from now on.
    pub index: u32,
    /// The path `/package.Service/Method`.
    pub path: &'a str,
    /// The client's layouts.
    pub hashes: Hashes,
    /// The verdict the client works with until it learns better.
    pub assumed: Option<Assumed>,
}

impl<'a> Method<'a> {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let start = header::begin(out, kind::METHOD, 0, self.index, 0);
        section::put(out, section::PATH, self.path.as_bytes());
        section::put(out, section::REQUEST_HASH, &self.hashes.request.0);
        section::put(out, section::RESPONSE_HASH, &self.hashes.response.0);
        if let Some(assumed) = &self.assumed {
            section::put_integer(out, section::VERDICT, u64::from(assumed.verdict.bits()));
            section::put(out, section::PEER_REQUEST_HASH, &assumed.peer.request.0);
            section::put(out, section::PEER_RESPONSE_HASH, &assumed.peer.response.0);
        }
        header::end_head(out, start, 0);
    }

    /// Reads the frame.
    ///
    /// # Errors
    /// When a section is malformed or missing, or the path is too long or not text.
    pub fn parse(frame: &Frame<'a>) -> Result<Self, Violation> {
        let mut path = None;
        let (mut request, mut response) = (None, None);
        let (mut verdict, mut peer_request, mut peer_response) = (None, None, None);
        let mut sections = Sections::new(frame.head);
        while let Some((number, value)) = sections.take()? {
            match number {
                section::PATH => path = Some(checked_path(value)?),
                section::REQUEST_HASH => request = Some(LayoutHash(section::hash(value)?)),
                section::RESPONSE_HASH => response = Some(LayoutHash(section::hash(value)?)),
                section::VERDICT => verdict = Some(Verdict::of_bits(section::integer(value)?)),
                section::PEER_REQUEST_HASH => {
                    peer_request = Some(LayoutHash(section::hash(value)?));
                }
                section::PEER_RESPONSE_HASH => {
                    peer_response = Some(LayoutHash(section::hash(value)?));
                }
                other => section::unknown(other)?,
            }
        }
        let (Some(path), Some(request), Some(response)) = (path, request, response) else {
            return Err(Violation::protocol("METHOD without path or hashes"));
        };
        let assumed = match (verdict, peer_request, peer_response) {
            (Some(verdict), Some(request), Some(response)) => Some(Assumed {
                verdict,
                peer: Hashes { request, response },
            }),
            (None, None, None) => None,
            _ => {
                return Err(Violation::protocol(
                    "METHOD assumes a verdict about nothing",
                ));
            }
        };
        let hashes = Hashes { request, response };
        Ok(Self {
            index: frame.header.slot,
            path,
            hashes,
            assumed,
        })
    }
}

fn checked_path(value: &[u8]) -> Result<&str, Violation> {
    if value.is_empty() || value.len() > PATH_BYTES_MAX {
        return Err(Violation::protocol("a method's path is empty or too long"));
    }
    std::str::from_utf8(value).map_err(|_| Violation::protocol("a method's path is not text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASHES: Hashes = Hashes {
        request: LayoutHash([1; 16]),
        response: LayoutHash([2; 16]),
    };

    fn reparse(method: Method<'_>) -> Result<(), Violation> {
        let mut out = Vec::new();
        method.write(&mut out);
        let (frame, total) = Frame::split(&out).unwrap().unwrap();
        assert_eq!(total, out.len());
        Method::parse(&frame).map(|read| assert_eq!(read, method))
    }

    #[test]
    fn methods_round_trip_with_and_without_an_assumption() {
        let plain = Method {
            index: 7,
            path: "/a.B/C",
            hashes: HASHES,
            assumed: None,
        };
        assert_eq!(reparse(plain), Ok(()));
        let assumed = Some(Assumed {
            verdict: Verdict::BOTH,
            peer: HASHES,
        });
        assert_eq!(reparse(Method { assumed, ..plain }), Ok(()));
    }

    #[test]
    fn the_path_is_bounded_at_the_limit() {
        for (length, good) in [(0, false), (1, true), (1024, true), (1025, false)] {
            let path = "x".repeat(length);
            let method = Method {
                index: 0,
                path: &path,
                hashes: HASHES,
                assumed: None,
            };
            assert_eq!(reparse(method).is_ok(), good, "{length}");
        }
    }
}
